/*
 * histogram: how often which latency came, and what lies below a given share of them.
 * Log-linear, as HdrHistogram: 128 steps in each power of two, so what it says is exact to 0.8 %.
 * Called by measure.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 7,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_OCTAVES = 40 - HISTOGRAM_STEP_BITS, /* up to 2^40 ns, which is 18 minutes */
};

struct histogram {
    uint64_t count;
    uint64_t largest;
    uint64_t counts[(HISTOGRAM_OCTAVES + 1) * HISTOGRAM_STEPS];
};

/* Count one value, one larger than 2^40 as that. A histogram of zeros is empty. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* Return what `share` (0 to 1) of the values do not exceed; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
