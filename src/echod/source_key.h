/*
 * source_key: who counts as one source: an IPv4 address or an IPv6 network, as a key of tables.
 * Pure: knows addresses, but keeps none.
 * Called by source_rate and admission.
 */
#ifndef ECHOD_SOURCE_KEY_H
#define ECHOD_SOURCE_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    SOURCE_KEY_SEED_SIZE = 16, /* bytes of a key of SipHash */
    SOURCE_PREFIX_V4 = 32,     /* the usual prefix lengths: an address, ... */
    SOURCE_PREFIX_V6 = 64      /* ... and what one subscriber's network has at least (RFC 6177) */
};

/* How many bits of an address tell one source from another. */
struct source_prefixes {
    uint8_t v4, v6;
};

/*
 * An IPv4 address as an IPv6 socket shows it (RFC 4291, 2.5.5.2), or an IPv6 address; zeros behind
 * its prefix.
 */
struct source_key {
    uint64_t words[2];
};

struct source_seed {
    uint64_t words[2];
};

/*
 * Return the key of a socket's address. An IPv4 address mapped into IPv6 is the IPv4 address.
 * Addresses of other families all have the key of zeros, as :: has.
 */
struct source_key source_key_make(const struct sockaddr *source, struct source_prefixes prefixes);

bool source_key_is_equal(const struct source_key *key, const struct source_key *other);

/*
 * Return a number to look the key up by. `seed` should be random: whoever knows it can choose
 * addresses that share a place in a table.
 */
uint64_t source_key_hash(const struct source_key *key, const struct source_seed *seed);

#endif
