#include <config.h>

#include "echod/stream_limit.h"

#include "base/clock.h"
#include "echod/byte_rate.h"
#include "echod/counters.h"
#include "echod/deadlines.h"
#include "echod/echo.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)

/* So often who waits looks whether its turn has come earlier, or its client has gone. */
static const uint64_t LOOK_NS = SECOND_NS;

/* So often at most a log says that a line has no room for all who come by a listener. */
static const uint64_t QUIET_NS = 60 * SECOND_NS;

struct stream_limit {
    struct transfer *transfer;
    struct byte_bucket own;
    size_t booked;          /* in the lines, and not read yet */
    uint64_t turn_ns;       /* when that may be read */
    uint64_t held_since_ns; /* 0: it is not held back */
    bool was_held;
    struct deadline deadline;
    stream_limit_callback *on_turn;
    void *argument;
};

#define LIMIT_OF(member_of_it)                                                                     \
    ((struct stream_limit *)(void *)((char *)(member_of_it)-offsetof(struct stream_limit,          \
                                                                     deadline)))

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t most(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* --- Lines ----------------------------------------------------------------------------------- */

static void book(struct stream_limit *limit, size_t count, uint64_t now_ns)
{
    const struct connection_group *group = limit->transfer->group;

    limit->booked = count;
    limit->turn_ns = 0;
    for (size_t i = 0; i < CONNECTION_LINES; i++) {
        if (group->lines[i] != NULL)
            limit->turn_ns = most(limit->turn_ns, byte_line_book(group->lines[i], count, now_ns));
    }
}

/* Who books first waits first; but if others gave something back, nobody waits for that. */
static uint64_t turn_of(const struct stream_limit *limit)
{
    const struct connection_group *group = limit->transfer->group;
    uint64_t next_ns = 0;

    for (size_t i = 0; i < CONNECTION_LINES; i++) {
        if (group->lines[i] != NULL)
            next_ns = most(next_ns, byte_line_next(group->lines[i]));
    }
    return least(limit->turn_ns, next_ns);
}

/* Use what was booked: what was read more is booked late, and what was not read is given back. */
static void settle_lines(struct stream_limit *limit, size_t count, uint64_t now_ns)
{
    const struct connection_group *group = limit->transfer->group;

    for (size_t i = 0; i < CONNECTION_LINES; i++) {
        if (group->lines[i] == NULL)
            continue;
        if (count > limit->booked)
            (void)byte_line_book(group->lines[i], count - limit->booked, now_ns);
        else if (count < limit->booked)
            byte_line_return(group->lines[i], limit->booked - count);
    }
    limit->booked = 0;
}

/* Return how much to book at once. */
static size_t slice_of(const struct stream_limit *limit)
{
    const struct connection_group *group = limit->transfer->group;
    uint64_t slice = ECHO_SCRATCH_SIZE;

    for (size_t i = 0; i < CONNECTION_LINES; i++) {
        if (group->lines[i] != NULL)
            slice = least(slice, byte_line_slice(group->lines[i]));
    }
    return (size_t)slice;
}

/* --- Holding back ---------------------------------------------------------------------------- */

static void count_hold(struct stream_limit *limit, uint64_t now_ns)
{
    struct counters *counters = limit->transfer->group->counters;

    if (limit->held_since_ns == 0)
        return;
    counters->held_back_ns += now_ns - limit->held_since_ns;
    limit->held_since_ns = 0;
    counters_add(counters, COUNTER_HELD_BACK_SECONDS, counters->held_back_ns / SECOND_NS);
    counters->held_back_ns %= SECOND_NS;
}

/* Hold it back until then. Return 0. */
static size_t hold(struct stream_limit *limit, uint64_t until_ns, uint64_t now_ns)
{
    struct connection_group *group = limit->transfer->group;

    if (limit->held_since_ns == 0)
        limit->held_since_ns = now_ns;
    if (!limit->was_held)
        counters_add(group->counters, COUNTER_HELD_BACK, 1);
    limit->was_held = true;
    deadline_set(&group->pool->held_back, &limit->deadline, least(until_ns, now_ns + LOOK_NS));
    return 0;
}

/* Tell now and then that clients wait for each other. */
static void tell_of_line(struct connection_group *group, uint64_t now_ns)
{
    const struct log_field fact = {.name = "listener", .text = group->gate.label};

    if (group->line_told_ns != 0 && now_ns - group->line_told_ns < QUIET_NS)
        return;
    group->line_told_ns = now_ns;
    log_write_fields(group->log, LOG_LEVEL_WARNING, &fact, 1,
                     "clients of %s are held back: together they send more than rate-limit-total "
                     "lets pass",
                     group->gate.label);
}

/* Let what is booked be read if its turn has come. */
static size_t take_turn(struct stream_limit *limit, uint64_t now_ns)
{
    const uint64_t turn_ns = turn_of(limit);

    if (turn_ns > now_ns) {
        tell_of_line(limit->transfer->group, now_ns);
        return hold(limit, turn_ns, now_ns);
    }
    count_hold(limit, now_ns);
    return limit->booked;
}

/*
 * Return how much its own rate lets pass, or 0 after it was held back. A long stream waits until
 * half a burst may pass, so that it is not read a few bytes at a time.
 */
static size_t own_room(struct stream_limit *limit, size_t waiting_bytes, uint64_t now_ns)
{
    const uint64_t rate = limit->transfer->group->limits.rate_limit;
    const uint64_t half_burst = most(byte_rate_burst(rate) / 2, 1);
    const uint64_t wanted = least(waiting_bytes, half_burst);
    const uint64_t room = byte_bucket_room(&limit->own, rate, now_ns);

    if (room < wanted)
        return hold(limit, byte_bucket_when(&limit->own, rate, wanted), now_ns);
    return (size_t)least(room, waiting_bytes);
}

size_t stream_limit_ask(struct stream_limit *limit, size_t waiting_bytes)
{
    const uint64_t now_ns = clock_now_ns();
    const size_t slice = slice_of(limit);
    size_t room = waiting_bytes;

    if (waiting_bytes == 0)
        return slice;
    if (limit->booked > 0)
        return take_turn(limit, now_ns);
    if (limit->transfer->group->limits.rate_limit > 0)
        room = own_room(limit, waiting_bytes, now_ns);
    if (room == 0)
        return 0;
    book(limit, room < slice ? room : slice, now_ns);
    return take_turn(limit, now_ns);
}

void stream_limit_note_read(struct stream_limit *limit, size_t count)
{
    const uint64_t now_ns = clock_now_ns();
    const uint64_t rate = limit->transfer->group->limits.rate_limit;

    settle_lines(limit, count, now_ns);
    if (rate > 0)
        byte_bucket_take(&limit->own, rate, count, now_ns);
}

bool stream_limit_is_holding(const struct stream_limit *limit)
{
    return limit != NULL && limit->held_since_ns != 0;
}

/* --- Begin and end --------------------------------------------------------------------------- */

static void on_deadline(struct deadline *deadline)
{
    const struct stream_limit *limit = LIMIT_OF(deadline);

    limit->on_turn(limit->argument);
}

int stream_limit_prepare(struct connection_group *group)
{
    struct deadlines *deadlines = &group->pool->held_back;

    return deadlines->timer != NULL ? 0 : deadlines_init(deadlines, group->base, on_deadline);
}

struct stream_limit *stream_limit_new(struct transfer *transfer, stream_limit_callback *on_turn,
                                      void *argument)
{
    struct stream_limit *limit = malloc(sizeof *limit);

    if (limit == NULL)
        return NULL;
    *limit = (struct stream_limit){
        .transfer = transfer,
        .on_turn = on_turn,
        .argument = argument,
    };
    if (deadlines_reserve(&transfer->group->pool->held_back) == 0)
        return limit;
    free(limit);
    errno = ENOMEM;
    return NULL;
}

void stream_limit_free(struct stream_limit *limit)
{
    struct deadlines *deadlines;

    if (limit == NULL)
        return;
    deadlines = &limit->transfer->group->pool->held_back;
    settle_lines(limit, 0, clock_now_ns());
    count_hold(limit, clock_now_ns());
    deadline_cancel(deadlines, &limit->deadline);
    deadlines_release(deadlines);
    free(limit);
}
