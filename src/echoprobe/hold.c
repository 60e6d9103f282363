#include <config.h>

#include "echoprobe/hold.h"

#include "base/units.h"
#include "echoprobe/silence.h"

#include <errno.h>
#include <stdlib.h>

struct hold {
    struct check *check;
    struct silence *silence;
    struct event *over;
    bool was_tried;
};

static void note_silence(struct hold *state, uint64_t silent_ns)
{
    verdict_add(&state->check->verdict, "silence", FIGURE_SECONDS, (double)silent_ns / 1e9);
}

static void on_echo(void *context, struct silence *silence, uint64_t silent_ns, uint64_t rtt_ns)
{
    struct hold *const state = context;
    char duration[UNITS_TEXT_SIZE];

    (void)silence;
    units_format_duration(state->check->options->hold_ms, duration);
    if (!state->was_tried) {
        check_say(state->check, "echo in %.3f ms; silent for %s", (double)rtt_ns / 1e6, duration);
        check_set_timer(state->check, state->over, state->check->options->hold_ms * 1000000);
        return;
    }
    note_silence(state, silent_ns);
    verdict_add(&state->check->verdict, "rtt", FIGURE_SECONDS, (double)rtt_ns / 1e9);
    check_end(state->check, EXIT_STATUS_UNCHANGED,
              "the connection lives after %s of silence, echo in %.3f ms", duration,
              (double)rtt_ns / 1e6);
}

static void on_lost(void *context, struct silence *silence, uint64_t silent_ns,
                    const struct fault *fault)
{
    struct hold *const state = context;

    note_silence(state, silent_ns);
    if (fault->kind == FAULT_CONNECT)
        check_end(state->check, EXIT_STATUS_CONNECT, "%s", fault->text);
    else if (!silence_is_proven(silence))
        check_end(state->check, EXIT_STATUS_FAULT, "no echo before the silence: %s", fault->text);
    else if (!silence_is_too_long(fault))
        check_end(state->check, EXIT_STATUS_FAULT, "%s after %.3f s of silence: %s",
                  fault_name(fault->kind), (double)silent_ns / 1e9, fault->text);
    else
        check_end(state->check, EXIT_STATUS_FAULT, "%s after %.3f s of silence: %s",
                  state->was_tried ? "no echo" : "the connection ended", (double)silent_ns / 1e9,
                  fault->text);
}

static const struct silence_events silence_events = {
    .on_echo = on_echo,
    .on_lost = on_lost,
};

static void on_over(evutil_socket_t fd, short what, void *context)
{
    struct hold *const state = context;

    (void)fd;
    (void)what;
    if (!silence_is_silent(state->silence))
        return; /* it was lost in this turn of the loop */
    state->was_tried = true;
    silence_try(state->silence);
}

static void on_interrupt(void *context, const char *reason)
{
    struct hold *const state = context;
    const uint64_t silent_ns = silence_ns(state->silence);

    note_silence(state, silent_ns);
    if (silence_is_proven(state->silence))
        check_end(state->check, EXIT_STATUS_FAULT, "%s after %.3f s of silence", reason,
                  (double)silent_ns / 1e9);
    else
        check_end(state->check,
                  state->check->was_connected ? EXIT_STATUS_FAULT : EXIT_STATUS_CONNECT,
                  "%s before there was an echo from %s", reason, state->check->target->name);
}

static uint64_t left_ns(const void *argument)
{
    const struct hold *state = argument;
    const uint64_t hold_ns = state->check->options->hold_ms * 1000000;
    const uint64_t silent_ns = silence_ns(state->silence);

    return silence_is_silent(state->silence) && silent_ns < hold_ns ? hold_ns - silent_ns : 0;
}

static void free_state(void *context)
{
    struct hold *const state = context;

    if (state == NULL)
        return;
    silence_free(state->silence);
    if (state->over != NULL)
        event_free(state->over);
    free(state);
}

static void *start(struct check *check)
{
    struct hold *const state = calloc(1, sizeof *state);
    int failure;

    if (state == NULL)
        return NULL;
    state->check = check;
    state->over = evtimer_new(check->base, on_over, state);
    errno = ENOMEM;
    if (state->over != NULL)
        state->silence = silence_new(check, &silence_events, state);
    if (state->silence != NULL)
        return state;
    failure = errno;
    free_state(state);
    errno = failure;
    return NULL;
}

static const struct check_kind kind = {
    .start = start,
    .on_interrupt = on_interrupt,
    .left_ns = left_ns,
    .free = free_state,
};

const struct check_kind *hold_check(void)
{
    return &kind;
}
