#include <config.h>

#include "echod/token_bucket.h"

#define SECOND_NS UINT64_C(1000000000)

struct token_rate token_rate_make(double per_second)
{
    const uint64_t interval_ns = (uint64_t)((double)SECOND_NS / per_second);

    return (struct token_rate){
        .interval_ns = interval_ns,
        .depth_ns = interval_ns > SECOND_NS ? interval_ns : SECOND_NS,
    };
}

uint64_t token_bucket_count(const struct token_bucket *bucket, const struct token_rate *rate,
                            uint64_t now_ns)
{
    if (bucket->full_ns <= now_ns)
        return rate->depth_ns / rate->interval_ns;
    if (bucket->full_ns - now_ns > rate->depth_ns)
        return 0; /* it was emptied under a lower rate */
    return (rate->depth_ns - (bucket->full_ns - now_ns)) / rate->interval_ns;
}

uint64_t token_bucket_take(struct token_bucket *bucket, const struct token_rate *rate,
                           uint64_t wanted, uint64_t now_ns)
{
    const uint64_t count = token_bucket_count(bucket, rate, now_ns);
    const uint64_t taken = wanted < count ? wanted : count;

    if (bucket->full_ns < now_ns)
        bucket->full_ns = now_ns;
    bucket->full_ns += taken * rate->interval_ns;
    return taken;
}
