#include <config.h>

#include "echod/source_rate.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLACES = 4, /* that a source may take */
    SETS = SOURCE_RATE_SOURCES / PLACES,
};

#define SECOND_NS UINT64_C(1000000000)

/* Who comes: an IPv4 address as an IPv6 socket shows it (RFC 4291, 2.5.5.2), or a /64 and zeros. */
struct key {
    uint64_t words[2];
};

/*
 * A bucket, as the time at which it is full again (the generic cell rate algorithm, ITU-T I.371).
 * One that is full holds nothing that anybody needs: its place is free.
 */
struct bucket {
    struct key key;
    uint64_t full_ns;
};

struct source_rate {
    uint64_t interval_ns; /* from one token to the next */
    uint64_t depth_ns;    /* of a bucket: from empty to full */
    uint64_t seed[2];
    struct bucket sets[SETS][PLACES];
};

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
static uint64_t hash(const uint64_t seed[2], const struct key *key)
{
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
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

/* --- Table ----------------------------------------------------------------------------------- */

static struct key key_of_v4(const struct in_addr *address)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char bytes[16];
    struct key key;

    memcpy(bytes, prefix, sizeof prefix);
    memcpy(bytes + sizeof prefix, address, sizeof *address);
    memcpy(key.words, bytes, sizeof key.words);
    return key;
}

static struct key key_of_v6(const struct in6_addr *address)
{
    struct key key = {{0, 0}};

    if (IN6_IS_ADDR_V4MAPPED(address))
        memcpy(key.words, address, sizeof key.words);
    else
        memcpy(key.words, address, sizeof key.words[0]);
    return key;
}

static struct key key_of(const struct sockaddr *source)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (source->sa_family == AF_INET) {
        memcpy(&v4, source, sizeof v4);
        return key_of_v4(&v4.sin_addr);
    }
    if (source->sa_family == AF_INET6) {
        memcpy(&v6, source, sizeof v6);
        return key_of_v6(&v6.sin6_addr);
    }
    return (struct key){{0, 0}};
}

static bool is_equal(const struct key *key, const struct key *other)
{
    return key->words[0] == other->words[0] && key->words[1] == other->words[1];
}

/* Return the bucket of a source: its own, or the fullest of those it may have, with what is in it.
 */
static struct bucket *find_bucket(struct source_rate *rate, const struct key *key)
{
    struct bucket *set = rate->sets[hash(rate->seed, key) % SETS];
    struct bucket *fullest = set;

    for (int i = 0; i < PLACES; i++) {
        if (is_equal(&set[i].key, key))
            return &set[i];
        if (set[i].full_ns < fullest->full_ns)
            fullest = &set[i];
    }
    fullest->key = *key;
    return fullest;
}

struct source_rate *source_rate_new(double per_second,
                                    const unsigned char seed[SOURCE_RATE_SEED_SIZE])
{
    struct source_rate *rate = calloc(1, sizeof *rate);

    if (rate == NULL)
        return NULL;
    rate->interval_ns = (uint64_t)((double)SECOND_NS / per_second);
    rate->depth_ns = rate->interval_ns > SECOND_NS ? rate->interval_ns : SECOND_NS;
    memcpy(rate->seed, seed, sizeof rate->seed);
    return rate;
}

void source_rate_free(struct source_rate *rate)
{
    free(rate);
}

uint64_t source_rate_take(struct source_rate *rate, const struct sockaddr *source, uint64_t wanted,
                          uint64_t now_ms)
{
    const struct key key = key_of(source);
    struct bucket *bucket = find_bucket(rate, &key);
    const uint64_t now_ns = now_ms * 1000000;
    uint64_t tokens;

    if (bucket->full_ns < now_ns)
        bucket->full_ns = now_ns;
    tokens = (now_ns + rate->depth_ns - bucket->full_ns) / rate->interval_ns;
    if (tokens > wanted)
        tokens = wanted;
    bucket->full_ns += tokens * rate->interval_ns;
    return tokens;
}
