#include <config.h>

#include "echod/byte_rate.h"

#define SECOND_NS UINT64_C(1000000000)
#define BURST_NS  (SECOND_NS / 10)

static const uint64_t SLICES_PER_SECOND = 250;  /* of a fast line; each costs a wake-up */
static const uint64_t LEAST_SLICE_BYTES = 1024; /* of a slow one, as far as its burst goes */
static const uint64_t MOST_SLICE_BYTES = 65536; /* one read has no more */

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t most(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* Return how long bytes take, at least; of BYTE_RATE_MAX a byte takes less than 1 ns. */
static uint64_t duration_ns(uint64_t per_second, uint64_t bytes)
{
    const uint64_t rest = bytes % per_second;

    return bytes / per_second * SECOND_NS + (rest * SECOND_NS + per_second - 1) / per_second;
}

/* Return how long a bucket takes from empty to full. */
static uint64_t depth_ns(uint64_t per_second)
{
    return most(BURST_NS, duration_ns(per_second, 1));
}

/* Return how many bytes pass in a time that is no longer than depth_ns. */
static uint64_t passing(uint64_t per_second, uint64_t ns)
{
    return ns * per_second / SECOND_NS;
}

uint64_t byte_rate_burst(uint64_t per_second)
{
    return passing(per_second, depth_ns(per_second));
}

/* --- A bucket -------------------------------------------------------------------------------- */

uint64_t byte_bucket_room(const struct byte_bucket *bucket, uint64_t per_second, uint64_t now_ns)
{
    const uint64_t depth = depth_ns(per_second);

    if (bucket->full_ns <= now_ns)
        return passing(per_second, depth);
    if (bucket->full_ns - now_ns >= depth)
        return 0;
    return passing(per_second, depth - (bucket->full_ns - now_ns));
}

/* Return the time `later_ns` after one that lies `earlier_ns` before another. */
static uint64_t shift(uint64_t time_ns, uint64_t earlier_ns, uint64_t later_ns)
{
    return time_ns + later_ns > earlier_ns ? time_ns + later_ns - earlier_ns : 0;
}

uint64_t byte_bucket_when(const struct byte_bucket *bucket, uint64_t per_second, uint64_t bytes)
{
    return shift(bucket->full_ns, depth_ns(per_second), duration_ns(per_second, bytes));
}

void byte_bucket_take(struct byte_bucket *bucket, uint64_t per_second, uint64_t bytes,
                      uint64_t now_ns)
{
    bucket->full_ns = most(bucket->full_ns, now_ns) + duration_ns(per_second, bytes);
}

/* --- A line ---------------------------------------------------------------------------------- */

static uint64_t rate_of(const struct byte_line *line)
{
    return atomic_load_explicit(&line->per_second, memory_order_relaxed);
}

/* Every worker sets it at a reload; only the first one that does changes something. */
void byte_line_set(struct byte_line *line, uint64_t per_second)
{
    if (atomic_exchange(&line->per_second, per_second) != per_second)
        atomic_store(&line->full_ns, 0);
}

uint64_t byte_line_slice(const struct byte_line *line)
{
    const uint64_t per_second = rate_of(line);

    if (per_second == 0)
        return MOST_SLICE_BYTES;
    return least(least(most(per_second / SLICES_PER_SECOND, LEAST_SLICE_BYTES), MOST_SLICE_BYTES),
                 byte_rate_burst(per_second));
}

/*
 * Let it be full so much later, or earlier, and not before `now_ns`. Return when that is. (Nothing
 * else follows from that time, so relaxed order does.)
 */
static uint64_t move(struct byte_line *line, uint64_t earlier_ns, uint64_t later_ns,
                     uint64_t now_ns)
{
    uint64_t before = atomic_load_explicit(&line->full_ns, memory_order_relaxed), after;

    do
        after = shift(most(before, now_ns), earlier_ns, later_ns);
    while (!atomic_compare_exchange_weak_explicit(&line->full_ns, &before, after,
                                                  memory_order_relaxed, memory_order_relaxed));
    return after;
}

uint64_t byte_line_book(struct byte_line *line, uint64_t bytes, uint64_t now_ns)
{
    const uint64_t per_second = rate_of(line);

    if (per_second == 0)
        return 0;
    return shift(move(line, 0, duration_ns(per_second, bytes), now_ns), depth_ns(per_second), 0);
}

uint64_t byte_line_next(const struct byte_line *line)
{
    const uint64_t per_second = rate_of(line);

    if (per_second == 0)
        return 0;
    return shift(atomic_load_explicit(&line->full_ns, memory_order_relaxed), depth_ns(per_second),
                 0);
}

void byte_line_return(struct byte_line *line, uint64_t bytes)
{
    const uint64_t per_second = rate_of(line);

    if (per_second > 0)
        (void)move(line, duration_ns(per_second, bytes), 0, 0);
}
