#include <config.h>

#include "echoprobe/hold.h"

#include "base/units.h"
#include "echoprobe/silence.h"

struct hold {
    struct check *check;
    struct silence *silence;
    bool was_tried;
};

static void note_silence(struct hold *state, uint64_t silent_ns)
{
    verdict_add(&state->check->verdict, "silence", FIGURE_SECONDS, (double)silent_ns / 1e9);
}

static void on_hold_echo(void *argument, struct silence *silence, uint64_t silent_ns,
                         uint64_t rtt_ns)
{
    struct hold *state = argument;
    char duration[UNITS_TEXT_SIZE];

    (void)silence;
    units_format_duration(state->check->options->hold_ms, duration);
    if (!state->was_tried) {
        check_say(state->check, "echo in %.3f ms; silent for %s", (double)rtt_ns / 1e6, duration);
        check_set_timer(state->check, state->check->timer,
                        state->check->options->hold_ms * 1000000);
        return;
    }
    note_silence(state, silent_ns);
    verdict_add(&state->check->verdict, "rtt", FIGURE_SECONDS, (double)rtt_ns / 1e9);
    check_end(state->check, EXIT_STATUS_UNCHANGED,
              "the connection lives after %s of silence, echo in %.3f ms", duration,
              (double)rtt_ns / 1e6);
}

static void on_hold_lost(void *argument, struct silence *silence, uint64_t silent_ns,
                         const struct fault *fault)
{
    struct hold *state = argument;

    note_silence(state, silent_ns);
    if (fault_is_of_connecting(fault->kind))
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

static const struct silence_events hold_events = {
    .on_echo = on_hold_echo,
    .on_lost = on_hold_lost,
};

static void on_hold_over(void *argument)
{
    struct hold *state = argument;

    if (!silence_is_silent(state->silence))
        return; /* it was lost in this turn of the loop */
    state->was_tried = true;
    silence_try(state->silence);
}

static void interrupt_hold(void *argument, const char *reason)
{
    struct hold *state = argument;
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

static uint64_t hold_left_ns(const void *argument)
{
    const struct hold *state = argument;
    const uint64_t hold_ns = state->check->options->hold_ms * 1000000;
    const uint64_t silent_ns = silence_ns(state->silence);

    return silence_is_silent(state->silence) && silent_ns < hold_ns ? hold_ns - silent_ns : 0;
}

static void free_hold(void *argument)
{
    const struct hold *state = argument;

    silence_free(state->silence);
}

static int start_hold(void *argument, struct check *check)
{
    struct hold *state = argument;

    state->check = check;
    state->silence = silence_new(check, &hold_events, state);
    return state->silence == NULL ? -1 : 0;
}

static const struct check_kind hold_kind = {
    .size = sizeof(struct hold),
    .start = start_hold,
    .on_timer = on_hold_over,
    .on_interrupt = interrupt_hold,
    .left_ns = hold_left_ns,
    .fini = free_hold,
};

const struct check_kind *hold_check(void)
{
    return &hold_kind;
}
