/*
 * network: a range of addresses in CIDR notation (RFC 4632, 3.1; RFC 4291, 2.3), and who is in it.
 * Pure: resolves no name, and asks no interface.
 * Called by whatever asks where a client may come from.
 */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    NETWORK_ADDRESS_SIZE = 16,
    NETWORK_TEXT_SIZE = INET6_ADDRSTRLEN + sizeof "/128" - 1,
};

/* Plain data. IPv4 is mapped into IPv6 (RFC 4291, 2.5.5.2): its prefix is 96 longer. */
struct network {
    unsigned char address[NETWORK_ADDRESS_SIZE]; /* network byte order, zeros behind the prefix */
    uint8_t prefix_length;                       /* in bits, 0 to 128 */
};

enum { NETWORK_LIST_SIZE = 16 }; /* the most that a list of them has */

/* Whoever is in one of them. Plain data. */
struct network_list {
    struct network items[NETWORK_LIST_SIZE];
    unsigned count;
};

/*
 * Read a network, "10.0.0.0/8" or "2001:db8::/32", or an address, which is a network of one.
 * Return 0, or -1 with a sentence in `error` that quotes the text and says what would be right.
 */
int network_parse(const char *text, struct network *network, struct error *error)
    __attribute__((warn_unused_result));

/* Write a network as network_parse reads it. One address is written without its prefix length. */
void network_format(const struct network *network, char text[NETWORK_TEXT_SIZE]);

/*
 * Tell whether a network contains a socket's address. An IPv4 address mapped into IPv6 is the IPv4
 * address: it is in 0.0.0.0/0 and not in ::/0. Other families are in no network.
 */
bool network_contains(const struct network *network, const struct sockaddr *address);

/* Tell whether one of them contains it. */
bool network_list_contains(const struct network_list *list, const struct sockaddr *address);

#endif
