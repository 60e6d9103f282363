#include <config.h>

#include "histogram.h"

#include <stddef.h>

static const uint64_t limit = (UINT64_C(1) << 40) - 1;

/* Values below HISTOGRAM_STEPS have a step each; then each power of two is cut into as many. */
static size_t step_of(uint64_t value)
{
    int octave = 0;

    if (value >= HISTOGRAM_STEPS)
        octave = 63 - __builtin_clzll(value) - HISTOGRAM_STEP_BITS + 1;
    if (octave == 0)
        return (size_t)value;
    return (size_t)octave * HISTOGRAM_STEPS + (size_t)((value >> (octave - 1)) - HISTOGRAM_STEPS);
}

/* The middle of the values that share a step. */
static uint64_t value_of(size_t step)
{
    const size_t octave = step / HISTOGRAM_STEPS;

    if (octave == 0)
        return step;
    return ((uint64_t)(step % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << (octave - 1)) +
           ((UINT64_C(1) << (octave - 1)) / 2);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (value > limit)
        value = limit;
    if (value > histogram->largest)
        histogram->largest = value;
    histogram->count++;
    histogram->counts[step_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    const double wanted = share * (double)histogram->count;
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof(histogram->counts) / sizeof(histogram->counts[0]); i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return value_of(i);
    }
    return 0;
}
