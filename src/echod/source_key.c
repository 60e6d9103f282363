#include <config.h>

#include "echod/source_key.h"

#include <netinet/in.h>
#include <string.h>

enum {
    ADDRESS_SIZE = 16,
    MAPPED_SIZE = 12, /* what stands before an IPv4 address */
};

/* --- Key ------------------------------------------------------------------------------------- */

/* Clear the bits behind a prefix. */
static struct source_key key_of_bytes(unsigned char bytes[ADDRESS_SIZE], unsigned prefix_length)
{
    struct source_key key;

    if (prefix_length % 8 != 0)
        bytes[prefix_length / 8] &= (unsigned char)(0xff00U >> prefix_length % 8);
    for (unsigned i = (prefix_length + 7) / 8; i < ADDRESS_SIZE; i++)
        bytes[i] = 0;
    memcpy(key.words, bytes, sizeof key.words);
    return key;
}

static struct source_key key_of_v4(const struct in_addr *address, unsigned prefix_length)
{
    unsigned char bytes[ADDRESS_SIZE] = {[10] = 0xff, [11] = 0xff};

    memcpy(bytes + MAPPED_SIZE, address, sizeof *address);
    return key_of_bytes(bytes, 8 * MAPPED_SIZE + prefix_length);
}

static struct source_key key_of_v6(const struct in6_addr *address, struct source_prefixes prefixes)
{
    unsigned char bytes[ADDRESS_SIZE];
    const unsigned prefix_length =
        IN6_IS_ADDR_V4MAPPED(address) ? 8U * MAPPED_SIZE + prefixes.v4 : prefixes.v6;

    memcpy(bytes, address, sizeof bytes);
    return key_of_bytes(bytes, prefix_length);
}

struct source_key source_key_make(const struct sockaddr *source, struct source_prefixes prefixes)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (source->sa_family == AF_INET) {
        memcpy(&v4, source, sizeof v4);
        return key_of_v4(&v4.sin_addr, prefixes.v4);
    }
    if (source->sa_family == AF_INET6) {
        memcpy(&v6, source, sizeof v6);
        return key_of_v6(&v6.sin6_addr, prefixes);
    }
    return (struct source_key){{0, 0}};
}

bool source_key_is_equal(const struct source_key *key, const struct source_key *other)
{
    return key->words[0] == other->words[0] && key->words[1] == other->words[1];
}

/* --- Hash ------------------------------------------------------------------------------------ */

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012) of a key, which always is 16 bytes. */
uint64_t source_key_hash(const struct source_key *key, const struct source_seed *seed)
{
    uint64_t v[4] = {
        seed->words[0] ^ UINT64_C(0x736f6d6570736575),
        seed->words[1] ^ UINT64_C(0x646f72616e646f6d),
        seed->words[0] ^ UINT64_C(0x6c7967656e657261),
        seed->words[1] ^ UINT64_C(0x7465646279746573),
    };
    const uint64_t words[3] = {key->words[0], key->words[1], UINT64_C(16) << 56};

    for (int i = 0; i < 3; i++) {
        v[3] ^= words[i];
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
