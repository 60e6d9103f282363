/*
 * buckets: how often values came, by ranges of them. One thread counts; any may read, without a
 * lock.
 * Knows no unit, and no percentile; histogram does.
 * Called by whatever counts for metrics, and by metrics.
 */
#ifndef BASE_BUCKETS_H
#define BASE_BUCKETS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { BUCKETS_MAX = 16 };

/* The largest value of each bucket but the last, which has the rest: at most BUCKETS_MAX - 1. */
struct buckets_bounds {
    const uint64_t *values; /* ascending */
    size_t count;
};

/* All zero: empty. */
struct buckets {
    _Atomic uint64_t counts[BUCKETS_MAX];
    _Atomic uint64_t sum;
};

/* Count a value, in the one thread that does. */
static inline void buckets_count(struct buckets *buckets, const struct buckets_bounds *bounds,
                                 uint64_t value)
{
    _Atomic uint64_t *count = buckets->counts;
    const memory_order order = memory_order_relaxed;

    for (size_t i = 0; i < bounds->count && value > bounds->values[i]; i++)
        count++;
    atomic_store_explicit(count, atomic_load_explicit(count, order) + 1, order);
    atomic_store_explicit(&buckets->sum, atomic_load_explicit(&buckets->sum, order) + value, order);
}

/* What was read, of one or several. Begin with zeros. */
struct buckets_reading {
    uint64_t counts[BUCKETS_MAX];
    uint64_t sum;
};

/* Add what was counted so far, in any thread. */
static inline void buckets_read(const struct buckets *buckets, struct buckets_reading *reading)
{
    for (size_t i = 0; i < BUCKETS_MAX; i++)
        reading->counts[i] += atomic_load_explicit(&buckets->counts[i], memory_order_relaxed);
    reading->sum += atomic_load_explicit(&buckets->sum, memory_order_relaxed);
}

#endif
