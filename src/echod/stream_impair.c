#include <config.h>

#include "echod/stream_impair.h"

#include "base/clock.h"
#include "echod/counters.h"
#include "echod/deadlines.h"
#include "echod/impair.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US     UINT64_C(1000)
#define NS_PER_MS     UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

enum {
    /*
     * Bytes become due in steps of this share of the longest delay, or of 1 ms: so a connection has
     * at most so many steps ahead of it, and one or two more.
     */
    STEPS = 256,
    COPY_SIZE = 4096,        /* of input, in one go; one read brings no more */
    QUANTA_PER_SECOND = 100, /* of a bandwidth: what leaves in one go */
    LOOK_MS = 1000, /* while the loop may wait for nothing of a client, look whether it is there */
    RESET_POLL_MS = 2,
    RESET_PATIENCE_MS = 1000, /* for the kernel to send what comes before a reset */
};

/* Bytes before the position `end` are due then. */
struct step {
    uint64_t due_ns;
    uint64_t end;
};

/* Positions count from 0, the first byte of the connection. */
struct stream_impair {
    struct transfer *transfer;
    const struct impair *plan; /* the group's */
    uint64_t key;
    struct evbuffer *held;
    uint64_t taken, due, released; /* bytes before these were taken, may leave, are in output */
    struct step *steps;            /* a ring: how `due` grows */
    size_t first_step, step_count, step_room; /* a power of 2, or 0 */
    uint64_t last_due_ns;
    uint64_t link_ns, link_position; /* when and where the bandwidth began to count; 0: not now */
    uint64_t stall_end_ns;           /* 0: it has not stalled yet */
    uint64_t cut_ns;                 /* it is closed or reset for its age; 0: never */
    uint64_t reset_ns;               /* a reset waits no longer for the kernel; 0: it is not due */
    struct deadline deadline;
    uint64_t begin_ns; /* its accept-delay is over; 0: it has not begun to wait */
    bool has_begun;
    bool is_discarded; /* nothing is held any more */
    const struct stream_impair_events *events;
    void *argument;
};

#define STAGE_OF(member_of_it)                                                                     \
    ((struct stream_impair *)(void *)((char *)(member_of_it)-offsetof(struct stream_impair,        \
                                                                      deadline)))

/* --- What is due ----------------------------------------------------------------------------- */

/* Return how long a step is. */
static uint64_t step_ns(const struct impair *plan)
{
    const uint64_t longest_ms = plan->delay_ms + plan->jitter_ms;

    return longest_ms < STEPS ? NS_PER_MS : longest_ms * NS_PER_MS / STEPS;
}

/* Return when bytes are due that come now and stand at this position; they stay in order. */
static uint64_t due_of(const struct stream_impair *stage, uint64_t now_ns)
{
    const uint64_t delay_us = impair_delay_us(stage->plan, stage->key, stage->taken);
    const uint64_t length_ns = step_ns(stage->plan);
    const uint64_t due_ns = now_ns + delay_us * NS_PER_US + length_ns - 1;

    return due_ns < stage->last_due_ns ? stage->last_due_ns : due_ns - due_ns % length_ns;
}

/* Make room for one more step. Return 0, or -1 with errno ENOMEM. */
static int grow_steps(struct stream_impair *stage)
{
    const size_t room = stage->step_room == 0 ? 4 : 2 * stage->step_room;
    struct step *steps;

    if (stage->step_count < stage->step_room)
        return 0;
    steps = malloc(room * sizeof *steps);
    if (steps == NULL)
        return -1;
    for (size_t i = 0; i < stage->step_count; i++)
        steps[i] = stage->steps[(stage->first_step + i) & (stage->step_room - 1)];
    free(stage->steps);
    stage->steps = steps;
    stage->step_room = room;
    stage->first_step = 0;
    return 0;
}

static struct step *step_at(const struct stream_impair *stage, size_t index)
{
    return &stage->steps[(stage->first_step + index) & (stage->step_room - 1)];
}

/* Note when the next bytes are due. Return 0, or -1 with errno ENOMEM. */
static int note_due(struct stream_impair *stage, uint64_t due_ns, size_t length)
{
    if (stage->step_count == 0 || due_ns != stage->last_due_ns) {
        if (grow_steps(stage) < 0)
            return -1;
        stage->step_count++;
        stage->last_due_ns = due_ns;
    }
    *step_at(stage, stage->step_count - 1) = (struct step){due_ns, stage->taken + length};
    return 0;
}

static void pass_steps(struct stream_impair *stage, uint64_t now_ns)
{
    while (stage->step_count > 0 && step_at(stage, 0)->due_ns <= now_ns) {
        stage->due = step_at(stage, 0)->end;
        stage->first_step = (stage->first_step + 1) & (stage->step_room - 1);
        stage->step_count--;
    }
}

/* --- Taking ---------------------------------------------------------------------------------- */

/* Take up to COPY_SIZE bytes, changed where chance has it. Return 0, or -1. */
static int take_piece(struct stream_impair *stage, struct evbuffer *input, size_t length)
{
    struct evbuffer_iovec piece;
    size_t count;

    if (evbuffer_reserve_space(stage->held, (ev_ssize_t)length, &piece, 1) < 1)
        return -1;
    piece.iov_len = length;
    (void)evbuffer_remove(input, piece.iov_base, length);
    if (stage->plan->corrupt > 0) {
        count = impair_corrupt(stage->plan, stage->key, stage->taken, piece.iov_base, length);
        counters_add(stage->transfer->group->counters, COUNTER_IMPAIR_CORRUPTED, count);
    }
    stage->taken += length;
    return evbuffer_commit_space(stage->held, &piece, 1);
}

int stream_impair_take(struct stream_impair *stage)
{
    struct evbuffer *input = channel_input(&stage->transfer->channel);
    const size_t length = evbuffer_get_length(input);
    size_t left = length;

    if (length == 0)
        return 0;
    if (stage->plan->delay_ms == 0)
        stage->due = stage->taken + length;
    else if (note_due(stage, due_of(stage, clock_now_ns()), length) < 0)
        return -1;
    for (; left > 0; left = evbuffer_get_length(input)) {
        if (take_piece(stage, input, left < COPY_SIZE ? left : COPY_SIZE) < 0)
            return -1;
    }
    transfer_count_received(stage->transfer, length);
    transfer_account(stage->transfer, length, evbuffer_get_length(stage->held));
    return 0;
}

/* --- What may leave -------------------------------------------------------------------------- */

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* Return where the connection is closed or reset. */
static uint64_t end_position(const struct impair *plan)
{
    if (plan->close_after.bytes > 0)
        return plan->close_after.bytes;
    return plan->reset_after.bytes > 0 ? plan->reset_after.bytes : UINT64_MAX;
}

static bool is_stalled(const struct stream_impair *stage, uint64_t now_ns)
{
    return stage->stall_end_ns > now_ns;
}

/* Tell whether all has left that leaves before the connection is closed or reset. */
static bool is_at_end(const struct stream_impair *stage, uint64_t now_ns)
{
    return stage->released >= end_position(stage->plan) && !is_stalled(stage, now_ns);
}

/* Return up to where bytes may leave, as far as stalls and ends let them. */
static uint64_t next_stop(const struct stream_impair *stage, uint64_t now_ns)
{
    const struct impair *plan = stage->plan;
    uint64_t stop = least(stage->due, end_position(plan));

    if (is_stalled(stage, now_ns))
        return stage->released;
    if (plan->stall.bytes > 0 && stage->stall_end_ns == 0)
        stop = least(stop, plan->stall.bytes);
    return stop;
}

/* Begin to stall where that is due. */
static void note_stall(struct stream_impair *stage, uint64_t now_ns)
{
    const struct impair_stall *stall = &stage->plan->stall;

    if (stall->bytes == 0 || stage->released != stall->bytes || stage->stall_end_ns != 0)
        return;
    stage->stall_end_ns = stall->ms == 0 ? UINT64_MAX : now_ns + stall->ms * NS_PER_MS;
}

/* Return how many bytes a bandwidth carries in a time. */
static uint64_t carried(uint64_t bandwidth, uint64_t ns)
{
    return bandwidth * (ns / NS_PER_SECOND) + bandwidth * (ns % NS_PER_SECOND) / NS_PER_SECOND;
}

/* Return how long it takes a bandwidth to carry so many bytes. */
static uint64_t carrying_ns(uint64_t bandwidth, uint64_t bytes)
{
    return bytes / bandwidth * NS_PER_SECOND +
           (bytes % bandwidth * NS_PER_SECOND + bandwidth - 1) / bandwidth;
}

/*
 * Return how many of the bytes that may leave the bandwidth lets leave. Its time counts from when
 * the first of them could leave, so that nothing is saved up; each leaves when all of it was
 * carried.
 */
static uint64_t apply_bandwidth(struct stream_impair *stage, uint64_t wanted, uint64_t now_ns)
{
    const uint64_t bandwidth = stage->plan->bandwidth;
    uint64_t room;

    if (bandwidth == 0 || wanted == 0)
        return wanted;
    if (stage->link_ns == 0) {
        stage->link_ns = now_ns;
        stage->link_position = stage->released;
    }
    room = carried(bandwidth, now_ns - stage->link_ns) - (stage->released - stage->link_position);
    return least(wanted, room);
}

/* Return when the next bytes leave, as far as the bandwidth lets them. */
static uint64_t next_carried_ns(const struct stream_impair *stage, uint64_t waiting)
{
    const uint64_t bandwidth = stage->plan->bandwidth;
    const uint64_t quantum =
        bandwidth < QUANTA_PER_SECOND ? 1 : least(waiting, bandwidth / QUANTA_PER_SECOND);

    return stage->link_ns +
           carrying_ns(bandwidth, stage->released - stage->link_position + quantum);
}

static bool is_output_empty(const struct stream_impair *stage)
{
    return evbuffer_get_length(channel_output(&stage->transfer->channel)) == 0;
}

/* Each chunk leaves by itself: the next one waits until output is empty. */
static uint64_t apply_chunk(const struct stream_impair *stage, uint64_t wanted)
{
    if (stage->plan->chunk_bytes == 0)
        return wanted;
    return is_output_empty(stage) ? least(wanted, stage->plan->chunk_bytes) : 0;
}

/* --- Releasing ------------------------------------------------------------------------------- */

/* Copy, so that little pieces which wait need no more memory than their bytes. Return 0, or -1. */
static int copy_to_output(struct evbuffer *held, struct evbuffer *output, size_t length)
{
    struct evbuffer_iovec piece;

    while (length > 0 && evbuffer_peek(held, (ev_ssize_t)length, NULL, &piece, 1) > 0) {
        const size_t count = piece.iov_len < length ? piece.iov_len : length;

        if (evbuffer_add(output, piece.iov_base, count) < 0 || evbuffer_drain(held, count) < 0)
            return -1;
        length -= count;
    }
    return 0;
}

/* Let what may leave leave. Return 0, or -1 if there is no memory. */
static int move_to_output(struct stream_impair *stage, uint64_t now_ns)
{
    struct channel *channel = &stage->transfer->channel;
    const uint64_t wanted = next_stop(stage, now_ns) - stage->released;
    const uint64_t length = apply_chunk(stage, apply_bandwidth(stage, wanted, now_ns));

    if (length > 0) {
        if (copy_to_output(stage->held, channel_output(channel), (size_t)length) < 0)
            return -1;
        stage->released += length;
        note_stall(stage, now_ns);
    }
    if (length == wanted)
        stage->link_ns = 0;
    return length == 0 ? 0 : channel_send_output(channel);
}

/* Tell whether the reset can come: what was to leave before it has, or will not. */
static bool is_reset_due(struct stream_impair *stage, uint64_t now_ns)
{
    if (stage->reset_ns == 0)
        stage->reset_ns = now_ns + RESET_PATIENCE_MS * NS_PER_MS;
    return now_ns >= stage->reset_ns || channel_unsent_bytes(&stage->transfer->channel) == 0;
}

static enum stream_impair_verdict judge_age(const struct stream_impair *stage, uint64_t now_ns)
{
    if (stage->cut_ns == 0 || now_ns < stage->cut_ns)
        return STREAM_IMPAIR_GOES_ON;
    return stage->plan->close_after.ms > 0 ? STREAM_IMPAIR_CLOSES : STREAM_IMPAIR_RESETS;
}

/*
 * Tell whether a connection may be one that the loop neither reads nor writes: it is paused for
 * what is held, or the client's FIN was read.
 */
static bool has_to_be_watched(const struct stream_impair *stage, uint64_t now_ns)
{
    return stage->taken > stage->released || stage->plan->is_fin_withheld ||
           is_stalled(stage, now_ns);
}

/* Tell whether the connection ends here. */
static enum stream_impair_verdict judge(struct stream_impair *stage, uint64_t now_ns)
{
    const struct impair *plan = stage->plan;
    const enum stream_impair_verdict verdict = judge_age(stage, now_ns);

    if (verdict != STREAM_IMPAIR_GOES_ON)
        return verdict;
    if (has_to_be_watched(stage, now_ns) && channel_is_broken(&stage->transfer->channel))
        return STREAM_IMPAIR_BROKEN;
    if (!is_at_end(stage, now_ns) || !is_output_empty(stage))
        return STREAM_IMPAIR_GOES_ON;
    if (plan->close_after.bytes > 0)
        return STREAM_IMPAIR_CLOSES;
    return is_reset_due(stage, now_ns) ? STREAM_IMPAIR_RESETS : STREAM_IMPAIR_GOES_ON;
}

/* Return when bytes that are due can leave, or a stall ends. UINT64_MAX: no clock tells. */
static uint64_t next_release_ns(const struct stream_impair *stage, uint64_t now_ns)
{
    const uint64_t waiting = next_stop(stage, now_ns) - stage->released;

    if (is_stalled(stage, now_ns))
        return stage->stall_end_ns;
    if (waiting == 0 || (stage->plan->chunk_bytes > 0 && !is_output_empty(stage)))
        return UINT64_MAX;
    return stage->plan->bandwidth == 0 ? now_ns : next_carried_ns(stage, waiting);
}

/* Let the callback come when there is something to do next. */
static void set_deadline(struct stream_impair *stage, uint64_t now_ns)
{
    struct deadlines *deadlines = &stage->transfer->group->pool->deadlines;
    uint64_t next_ns = next_release_ns(stage, now_ns);

    if (stage->step_count > 0)
        next_ns = least(next_ns, step_at(stage, 0)->due_ns);
    if (stage->cut_ns != 0)
        next_ns = least(next_ns, stage->cut_ns);
    if (has_to_be_watched(stage, now_ns))
        next_ns = least(next_ns, now_ns + LOOK_MS * NS_PER_MS);
    if (stage->reset_ns != 0)
        next_ns = least(next_ns, now_ns + RESET_POLL_MS * NS_PER_MS);
    if (next_ns == UINT64_MAX)
        deadline_cancel(deadlines, &stage->deadline);
    else
        deadline_set(deadlines, &stage->deadline, next_ns);
}

enum stream_impair_verdict stream_impair_judge_age(struct stream_impair *stage)
{
    const uint64_t now_ns = clock_now_ns();
    const enum stream_impair_verdict verdict = judge_age(stage, now_ns);

    if (verdict == STREAM_IMPAIR_GOES_ON)
        set_deadline(stage, now_ns);
    return verdict;
}

enum stream_impair_verdict stream_impair_release(struct stream_impair *stage)
{
    const uint64_t now_ns = clock_now_ns();
    enum stream_impair_verdict verdict;

    pass_steps(stage, now_ns);
    if (move_to_output(stage, now_ns) < 0)
        return STREAM_IMPAIR_FAILED;
    transfer_account(stage->transfer, 0, evbuffer_get_length(stage->held));
    verdict = stage->is_discarded ? STREAM_IMPAIR_GOES_ON : judge(stage, now_ns);
    if (verdict == STREAM_IMPAIR_GOES_ON)
        set_deadline(stage, now_ns);
    return verdict;
}

bool stream_impair_is_waiting(const struct stream_impair *stage)
{
    return stage->reset_ns != 0 || is_stalled(stage, clock_now_ns());
}

void stream_impair_discard(struct stream_impair *stage)
{
    const size_t length = evbuffer_get_length(stage->held);

    deadline_cancel(&stage->transfer->group->pool->deadlines, &stage->deadline);
    (void)evbuffer_drain(stage->held, length);
    transfer_forget(stage->transfer, length);
    stage->step_count = 0;
    stage->due = stage->taken = stage->released;
    stage->cut_ns = stage->reset_ns = 0;
    stage->is_discarded = true;
}

/* --- Begin and end --------------------------------------------------------------------------- */

/* Wait for the end of the accept-delay, and look now and then whether the client is still there. */
static enum stream_impair_beginning wait_to_begin(struct stream_impair *stage, uint64_t now_ns)
{
    deadline_set(&stage->transfer->group->pool->deadlines, &stage->deadline,
                 least(stage->begin_ns, now_ns + LOOK_MS * NS_PER_MS));
    return STREAM_IMPAIR_WAITS;
}

static void begin(struct stream_impair *stage, uint64_t now_ns)
{
    const struct impair *plan = stage->plan;
    const uint64_t cut_ms = plan->close_after.ms > 0 ? plan->close_after.ms : plan->reset_after.ms;

    stage->has_begun = true;
    if (cut_ms == 0)
        return;
    stage->cut_ns = now_ns + cut_ms * NS_PER_MS;
    set_deadline(stage, now_ns);
}

/* Whoever is refused is so from the loop, at the earliest. */
enum stream_impair_beginning stream_impair_begin(struct stream_impair *stage)
{
    const uint64_t now_ns = clock_now_ns();
    const bool is_first = stage->begin_ns == 0;
    const bool is_refused = impair_refuses(stage->plan, stage->key);

    if (is_first)
        stage->begin_ns = now_ns + stage->plan->accept_delay_ms * NS_PER_MS;
    else if (channel_is_broken(&stage->transfer->channel))
        return STREAM_IMPAIR_IS_GONE;
    if (now_ns < stage->begin_ns || (is_first && is_refused))
        return wait_to_begin(stage, now_ns);
    if (is_refused)
        return STREAM_IMPAIR_IS_REFUSED;
    begin(stage, now_ns);
    return STREAM_IMPAIR_BEGINS;
}

static void on_deadline(struct deadline *deadline)
{
    const struct stream_impair *stage = STAGE_OF(deadline);

    if (stage->has_begun)
        stage->events->on_due(stage->argument);
    else
        stage->events->on_begin(stage->argument);
}

int stream_impair_prepare(struct connection_group *group)
{
    struct deadlines *deadlines = &group->pool->deadlines;

    return deadlines->timer != NULL ? 0 : deadlines_init(deadlines, group->base, on_deadline);
}

struct stream_impair *stream_impair_new(struct transfer *transfer,
                                        const struct stream_impair_events *events, void *argument)
{
    struct connection_group *group = transfer->group;
    struct stream_impair *stage = malloc(sizeof *stage);

    if (stage == NULL)
        return NULL;
    *stage = (struct stream_impair){
        .transfer = transfer,
        .plan = &group->impair,
        .held = evbuffer_new(),
        .events = events,
        .argument = argument,
    };
    if (stage->held == NULL)
        goto fail;
    if (deadlines_reserve(&group->pool->deadlines) < 0)
        goto free_held;
    stage->key = impair_key(group->impair.seed, atomic_fetch_add(group->impaired_count, 1));
    return stage;

free_held:
    evbuffer_free(stage->held);
fail:
    free(stage);
    errno = ENOMEM;
    return NULL;
}

void stream_impair_free(struct stream_impair *stage)
{
    struct deadlines *deadlines;

    if (stage == NULL)
        return;
    deadlines = &stage->transfer->group->pool->deadlines;
    deadline_cancel(deadlines, &stage->deadline);
    deadlines_release(deadlines);
    evbuffer_free(stage->held);
    free(stage->steps);
    free(stage);
}
