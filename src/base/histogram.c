#include <config.h>

#include "base/histogram.h"

#include <stddef.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const uint64_t limit = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;

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
    if (value < histogram->smallest || histogram->count == 0)
        histogram->smallest = value;
    histogram->count++;
    histogram->total += value;
    histogram->counts[step_of(value)]++;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    if (other->count == 0)
        return;
    if (other->largest > histogram->largest)
        histogram->largest = other->largest;
    if (other->smallest < histogram->smallest || histogram->count == 0)
        histogram->smallest = other->smallest;
    histogram->count += other->count;
    histogram->total += other->total;
    for (size_t i = 0; i < LENGTH(histogram->counts); i++)
        histogram->counts[i] += other->counts[i];
}

static uint64_t within(const struct histogram *histogram, uint64_t value)
{
    if (value < histogram->smallest)
        return histogram->smallest;
    return value > histogram->largest ? histogram->largest : value;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    const double wanted = share * (double)histogram->count;
    uint64_t seen = 0;

    if (share >= 1)
        return histogram->largest;
    for (size_t i = 0; i < LENGTH(histogram->counts); i++) {
        seen += histogram->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return within(histogram, value_of(i));
    }
    return 0;
}

uint64_t histogram_count_through(const struct histogram *histogram, uint64_t value)
{
    const size_t last = step_of(value > limit ? limit : value);
    uint64_t count = 0;

    for (size_t i = 0; i <= last; i++)
        count += histogram->counts[i];
    return count;
}

uint64_t histogram_count_between(const struct histogram *histogram, uint64_t from, uint64_t to)
{
    uint64_t count = 0;

    for (size_t i = step_of(from); i < LENGTH(histogram->counts); i++) {
        const uint64_t value = within(histogram, value_of(i));

        if (value >= from && value < to)
            count += histogram->counts[i];
    }
    return count;
}
