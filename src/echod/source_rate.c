#include <config.h>

#include "echod/source_rate.h"

#include "echod/token_bucket.h"

#include <stdlib.h>
#include <string.h>

enum {
    PLACES = 4, /* that a source may take */
    SETS = SOURCE_RATE_SOURCES / PLACES,
};

/* A place whose bucket is full is free. */
struct place {
    struct source_key key;
    struct token_bucket bucket;
};

struct source_rate {
    struct token_rate rate;
    struct source_seed seed;
    struct place sets[SETS][PLACES];
};

/* Return the bucket of a source: its own, or the fullest of those it may have, with what is in it.
 */
static struct token_bucket *find_bucket(struct source_rate *rate, const struct source_key *key)
{
    struct place *set = rate->sets[source_key_hash(key, &rate->seed) % SETS];
    struct place *fullest = set;

    for (int i = 0; i < PLACES; i++) {
        if (source_key_is_equal(&set[i].key, key))
            return &set[i].bucket;
        if (set[i].bucket.full_ns < fullest->bucket.full_ns)
            fullest = &set[i];
    }
    fullest->key = *key;
    return &fullest->bucket;
}

struct source_rate *source_rate_new(double per_second,
                                    const unsigned char seed[SOURCE_KEY_SEED_SIZE])
{
    struct source_rate *rate = calloc(1, sizeof *rate);

    if (rate == NULL)
        return NULL;
    rate->rate = token_rate_make(per_second);
    memcpy(rate->seed.words, seed, sizeof rate->seed.words);
    return rate;
}

void source_rate_free(struct source_rate *rate)
{
    free(rate);
}

uint64_t source_rate_take(struct source_rate *rate, const struct sockaddr *source, uint64_t wanted,
                          uint64_t now_ms)
{
    const struct source_prefixes prefixes = {SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};
    const struct source_key key = source_key_make(source, prefixes);

    return token_bucket_take(find_bucket(rate, &key), &rate->rate, wanted, now_ms * 1000000);
}
