/*
 * token_bucket: how often something may happen in a second.
 * Pure: knows no clock, and not what happens.
 * Called by source_rate and admission.
 */
#ifndef ECHOD_TOKEN_BUCKET_H
#define ECHOD_TOKEN_BUCKET_H

#include <stdint.h>

/* Of what is not used, one second's worth is kept, or one token. */
struct token_rate {
    uint64_t interval_ns; /* from one token to the next */
    uint64_t depth_ns;    /* of a bucket: from empty to full */
};

/*
 * A bucket, as the time at which it is full again (the generic cell rate algorithm, ITU-T I.371).
 * All zero: full. One that is full holds nothing that anybody needs.
 */
struct token_bucket {
    uint64_t full_ns;
};

/* `per_second` is more than 0 and at most 1,000,000,000. */
struct token_rate token_rate_make(double per_second);

/*
 * Return how many tokens are in a bucket. `now_ns` is of a clock that never steps back. One that
 * was used under another rate is taken as it is: it is full again at the same time.
 */
uint64_t token_bucket_count(const struct token_bucket *bucket, const struct token_rate *rate,
                            uint64_t now_ns);

/* Take tokens, at most as many as there are. Return how many, from 0 to `wanted`. */
uint64_t token_bucket_take(struct token_bucket *bucket, const struct token_rate *rate,
                           uint64_t wanted, uint64_t now_ns);

#endif
