#include <config.h>

#include "echoprobe/half_close.h"

#include "base/clock.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>

enum { LOOKS = 20 }; /* in a time-out: no event tells that bytes have left the system */

struct half_close {
    struct check *check;
    struct stream *stream;
    uint64_t begin_ns;
    uint64_t moved;       /* bytes, in both directions, as far as that was seen */
    uint64_t moved_ns;    /* when it was */
    struct fault changed; /* the first bytes that were changed in place */
};

static void note_figures(struct half_close *state)
{
    struct verdict *verdict = &state->check->verdict;
    const uint64_t returned = stream_returned(state->stream);

    verdict_add(verdict, "size", FIGURE_BYTES, (double)state->check->options->size_bytes);
    verdict_add(verdict, "returned", FIGURE_BYTES, (double)returned);
    verdict_add(verdict, "time", FIGURE_SECONDS, (double)(clock_now_ns() - state->begin_ns) / 1e9);
}

/* What says that no more is sent. */
static const char *end_name(const struct half_close *state)
{
    return state->check->target->tls == NULL ? "FIN" : "close_notify";
}

static void end_by_fault(struct half_close *state, const struct fault *fault)
{
    note_figures(state);
    if (fault_is_of_connecting(fault->kind))
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

/* Not later than it is too late: what comes behind that must not be taken for progress. */
static void look_later(struct half_close *state)
{
    const uint64_t still_ns = clock_now_ns() - state->moved_ns,
                   period_ns = timeout_ns(state) / LOOKS;
    const uint64_t left_ns = still_ns < timeout_ns(state) ? timeout_ns(state) - still_ns : 0;

    check_set_timer(state->check, state->check->timer, left_ns < period_ns ? left_ns : period_ns);
}

static void on_half_close_open(void *argument, const struct opening *opening)
{
    struct half_close *state = argument;

    check_note_connected(state->check, opening);
    state->begin_ns = clock_now_ns();
    note_progress(state);
    stream_send(state->stream, state->check->options->size_bytes);
    stream_finish(state->stream);
}

static void on_half_close_identity(void *argument, const char *identity)
{
    const struct half_close *state = argument;

    check_note_identity(state->check, identity);
}

static void on_half_close_returned(void *argument, uint64_t position)
{
    (void)position;
    note_progress(argument);
}

static void on_half_close_fault(void *argument, const struct fault *fault)
{
    struct half_close *state = argument;

    if (state->changed.kind == FAULT_NONE)
        state->changed = *fault;
}

static void on_half_close_end(void *argument, const struct fault *fault)
{
    struct half_close *state = argument;
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
        note_figures(state);
        check_end(state->check, EXIT_STATUS_UNCHANGED,
                  "%s%" PRIu64 " %s came back, then %s, in %.3f ms", size == 1 ? "" : "all ", size,
                  units_bytes(size), end_name(state),
                  (double)(clock_now_ns() - state->begin_ns) / 1e6);
    }
}

static const struct stream_events half_close_events = {
    .on_open = on_half_close_open,
    .on_identity = on_half_close_identity,
    .on_returned = on_half_close_returned,
    .on_fault = on_half_close_fault,
    .on_end = on_half_close_end,
};

static void end_by_silence(struct half_close *state)
{
    const uint64_t size = state->check->options->size_bytes;
    const uint64_t returned = stream_returned(state->stream);
    char limit[UNITS_TEXT_SIZE];

    units_format_duration(state->check->options->timeout_ms, limit);
    note_figures(state);
    if (returned == size)
        check_end(state->check, EXIT_STATUS_FAULT,
                  "%s%" PRIu64 " %s came back, but no %s followed for %s", size == 1 ? "" : "all ",
                  size, units_bytes(size), end_name(state), limit);
    else if (returned == 0)
        check_end(state->check, EXIT_STATUS_FAULT, "lost: nothing came back for %s", limit);
    else
        check_end(state->check, EXIT_STATUS_FAULT,
                  "lost: only %" PRIu64 " of %" PRIu64 " bytes came back, then nothing for %s",
                  returned, size, limit);
}

static void on_look(void *argument)
{
    struct half_close *state = argument;

    if (count_moved(state) > state->moved)
        note_progress(state);
    if (clock_now_ns() - state->moved_ns >= timeout_ns(state)) {
        if (!stream_judge(state->stream, ETIMEDOUT)) {
            end_by_silence(state);
            return;
        }
        note_progress(state); /* to the next place, or behind changed bytes */
    }
    look_later(state);
}

static void interrupt_half_close(void *argument, const char *reason)
{
    struct half_close *state = argument;

    note_figures(state);
    if (state->check->was_connected)
        check_end(state->check, EXIT_STATUS_FAULT, "%s after %" PRIu64 " of %" PRIu64 " bytes",
                  reason, stream_returned(state->stream), state->check->options->size_bytes);
    else
        check_end(state->check, EXIT_STATUS_CONNECT, "%s before there was a connection to %s",
                  reason, state->check->target->name);
}

static void free_half_close(void *argument)
{
    const struct half_close *state = argument;

    stream_free(state->stream);
}

static int start_half_close(void *argument, struct check *check)
{
    struct half_close *state = argument;

    state->check = check;
    state->begin_ns = clock_now_ns();
    state->stream = stream_new(check->base, &check->scratch, check->target, &check->pattern,
                               check->next_number++, &half_close_events, state);
    if (state->stream == NULL)
        return -1;
    note_progress(state);
    look_later(state);
    return 0;
}

static const struct check_kind half_close_kind = {
    .size = sizeof(struct half_close),
    .start = start_half_close,
    .on_timer = on_look,
    .on_interrupt = interrupt_half_close,
    .fini = free_half_close,
};

const struct check_kind *half_close_check(void)
{
    return &half_close_kind;
}
