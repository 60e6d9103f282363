/*
 * histogram: how often which value came, and what lies below a given share of them.
 * Log-linear, as HdrHistogram: 128 steps in each power of two, so what it says is exact to 0.8 %.
 * Called by echoprobe's tally and by the generator of the bench.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 7,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_VALUE_BITS = 47, /* nanoseconds up to 39 hours: echoprobe waits a day at most */
    HISTOGRAM_OCTAVES = HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t total; /* of all values */
    uint64_t smallest, largest;
    uint64_t counts[(HISTOGRAM_OCTAVES + 1) * HISTOGRAM_STEPS];
};

/* Count one value, one that has more bits than HISTOGRAM_VALUE_BITS as the largest without. A
 * histogram of zeros is empty. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* Count all that another has counted. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/*
 * Return what `share` (0 to 1) of the values do not exceed (nearest rank), never less than the
 * smallest or more than the largest value; 0 if there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

/* Return how many values do not exceed this one, exact to one step. */
uint64_t histogram_count_through(const struct histogram *histogram, uint64_t value);

/* Return how many values lie from `from` to below `to`, exact to one step at each end. */
uint64_t histogram_count_between(const struct histogram *histogram, uint64_t from, uint64_t to);

#endif
