#include <config.h>

#include "echod/loop_lag.h"

/* From a loop that has nothing to do to one that stands. */
const struct buckets_bounds *loop_lag_bounds(void)
{
    enum { US = 1000 };
    static const uint64_t lags_ns[] = {
        100 * US,
        250 * US,
        500 * US,
        1000 * US,
        2500 * US,
        5000 * US,
        10000 * US,
        25000 * US,
        50000 * US,
        100000 * US,
        250000 * US,
        500000 * US,
        1000000 * US,
        UINT64_C(2500000) * US,
        UINT64_C(10000000) * US,
    };
    static const struct buckets_bounds bounds = {lags_ns, sizeof lags_ns / sizeof *lags_ns};

    _Static_assert(sizeof lags_ns / sizeof *lags_ns < BUCKETS_MAX, "one bucket has the rest");
    return &bounds;
}

bool loop_lag_ask(struct loop_lag *lag, uint64_t now_ns)
{
    if (atomic_load(&lag->asked_ns) != 0)
        return false;
    atomic_store(&lag->asked_ns, now_ns);
    return true;
}

void loop_lag_answer(struct loop_lag *lag, uint64_t now_ns)
{
    const uint64_t took_ns = now_ns - atomic_load(&lag->asked_ns);

    buckets_count(&lag->all, loop_lag_bounds(), took_ns);
    atomic_store(&lag->last_ns, took_ns);
    atomic_store(&lag->asked_ns, 0);
}

uint64_t loop_lag_latest_ns(const struct loop_lag *lag, uint64_t now_ns)
{
    const uint64_t asked_ns = atomic_load(&lag->asked_ns);
    const uint64_t last_ns = atomic_load(&lag->last_ns);

    /* It may have been asked since the caller looked at its clock. */
    if (asked_ns == 0 || asked_ns > now_ns || now_ns - asked_ns < last_ns)
        return last_ns;
    return now_ns - asked_ns;
}
