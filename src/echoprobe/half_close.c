#include <config.h>

#include "echoprobe/half_close.h"

#include "base/clock.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { LOOKS = 20 }; /* in a time-out: no event tells that bytes have left the system */

struct half_close {
    struct check *check;
    struct stream *stream;
    struct event *look;
    uint64_t begin_ns;
    uint64_t moved;       /* bytes, in both directions, as far as that was seen */
    uint64_t moved_ns;    /* when it was */
    struct fault changed; /* the first bytes that were changed in place */
};

static void finish(struct half_close *state)
{
    struct verdict *const verdict = &state->check->verdict;
    const uint64_t returned = stream_returned(state->stream);

    verdict_add(verdict, "size", FIGURE_BYTES, (double)state->check->options->size_bytes);
    verdict_add(verdict, "returned", FIGURE_BYTES, (double)returned);
    verdict_add(verdict, "time", FIGURE_SECONDS, (double)(clock_now_ns() - state->begin_ns) / 1e9);
}

static void end_by_fault(struct half_close *state, const struct fault *fault)
{
    finish(state);
    if (fault->kind == FAULT_CONNECT)
        check_end(state->check, EXIT_STATUS_CONNECT, "%s", fault->text);
    else
        check_end(state->check, EXIT_STATUS_FAULT, "%s: %s", fault_name(fault->kind), fault->text);
}

static uint64_t count_moved(const struct half_close *state)
{
    return stream_delivered(state->stream) + stream_returned(state->stream);
}

static void note_progress(struct half_close *state)
{
    state->moved = count_moved(state);
    state->moved_ns = clock_now_ns();
}

static uint64_t timeout_ns(const struct half_close *state)
{
    return state->check->options->timeout_ms * 1000000;
}

static void look_later(struct half_close *state)
{
    check_set_timer(state->check, state->look, timeout_ns(state) / LOOKS);
}

static void on_open(void *context, const char *peer)
{
    struct half_close *const state = context;

    check_note_connected(state->check, peer);
    state->begin_ns = clock_now_ns();
    note_progress(state);
    stream_send(state->stream, state->check->options->size_bytes);
    stream_finish(state->stream);
}

static void on_returned(void *context, uint64_t position)
{
    (void)position;
    note_progress(context);
}

static void on_fault(void *context, const struct fault *fault)
{
    struct half_close *const state = context;

    if (state->changed.kind == FAULT_NONE)
        state->changed = *fault;
}

static void on_end(void *context, const struct fault *fault)
{
    struct half_close *const state = context;
    const uint64_t size = state->check->options->size_bytes;
    const uint64_t returned = stream_returned(state->stream);
    struct fault early;

    if (fault->kind != FAULT_NONE) {
        end_by_fault(state, fault);
    } else if (returned < size) { /* it ended while we could not send */
        fault_set(&early, FAULT_TRUNCATED, returned, size - returned,
                  "the connection ended after %" PRIu64 " of %" PRIu64 " bytes", returned, size);
        end_by_fault(state, &early);
    } else if (state->changed.kind != FAULT_NONE) {
        end_by_fault(state, &state->changed);
    } else {
        finish(state);
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "%s%" PRIu64 " %s came back, then FIN, in %.3f ms", size == 1 ? "" : "all ", size,
                  units_bytes(size), (double)(clock_now_ns() - state->begin_ns) / 1e6);
    }
}

static const struct stream_events stream_events = {
    .on_open = on_open,
    .on_returned = on_returned,
    .on_fault = on_fault,
    .on_end = on_end,
};

static void give_up(struct half_close *state)
{
    const uint64_t size = state->check->options->size_bytes;
    const uint64_t returned = stream_returned(state->stream);
    char limit[UNITS_TEXT_SIZE];

    units_format_duration(state->check->options->timeout_ms, limit);
    finish(state);
    if (returned == size)
        check_end(state->check, EXIT_STATUS_FAULT,
                  "%s%" PRIu64 " %s came back, but no FIN followed for %s", size == 1 ? "" : "all ",
                  size, units_bytes(size), limit);
    else if (returned == 0)
        check_end(state->check, EXIT_STATUS_FAULT, "lost: nothing came back for %s", limit);
    else
        check_end(state->check, EXIT_STATUS_FAULT,
                  "lost: only %" PRIu64 " of %" PRIu64 " bytes came back, then nothing for %s",
                  returned, size, limit);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct half_close *const state = context;

    (void)fd;
    (void)what;
    if (count_moved(state) > state->moved)
        note_progress(state);
    if (clock_now_ns() - state->moved_ns >= timeout_ns(state)) {
        if (!stream_judge(state->stream, ETIMEDOUT)) {
            give_up(state);
            return;
        }
        note_progress(state); /* to the next place, or behind changed bytes */
    }
    look_later(state);
}

static void on_interrupt(void *context, const char *reason)
{
    struct half_close *const state = context;

    finish(state);
    if (state->check->was_connected)
        check_end(state->check, EXIT_STATUS_FAULT, "%s after %" PRIu64 " of %" PRIu64 " bytes",
                  reason, stream_returned(state->stream), state->check->options->size_bytes);
    else
        check_end(state->check, EXIT_STATUS_CONNECT, "%s before there was a connection to %s",
                  reason, state->check->target->name);
}

static void free_state(void *context)
{
    struct half_close *const state = context;

    if (state == NULL)
        return;
    stream_free(state->stream);
    if (state->look != NULL)
        event_free(state->look);
    free(state);
}

static void *start(struct check *check)
{
    struct half_close *const state = calloc(1, sizeof *state);
    int failure;

    if (state == NULL)
        return NULL;
    state->check = check;
    state->begin_ns = clock_now_ns();
    state->look = evtimer_new(check->base, on_look, state);
    errno = ENOMEM;
    if (state->look != NULL)
        state->stream = stream_new(check->base, &check->scratch, check->target, &check->pattern,
                                   check->next_number++, &stream_events, state);
    if (state->stream != NULL) {
        note_progress(state);
        look_later(state);
        return state;
    }
    failure = errno;
    free_state(state);
    errno = failure;
    return NULL;
}

static const struct check_kind kind = {
    .start = start,
    .on_interrupt = on_interrupt,
    .free = free_state,
};

const struct check_kind *half_close_check(void)
{
    return &kind;
}
