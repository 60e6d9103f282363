#include <config.h>

#include "echoprobe/silence.h"

#include "base/clock.h"
#include "base/units.h"

#include <errno.h>
#include <stdlib.h>

enum phase { PHASE_CONNECTING, PHASE_PROVING, PHASE_SILENT, PHASE_TRYING, PHASE_LOST };

struct silence {
    struct check *check;
    const struct silence_events *events;
    void *argument;
    struct stream *stream;
    struct event *unanswered;
    enum phase phase;
    uint64_t messages; /* sent or to be sent */
    uint64_t since_ns; /* the last byte moved */
    uint64_t began_ns; /* the last silence */
    bool is_proven;
    uint64_t silent_ns; /* how long it was silent, once it is not */
    struct fault changed;
};

static uint64_t bytes_wanted(const struct silence *silence)
{
    return silence->messages * silence->check->options->size_bytes;
}

/* Leave the silence and note how long it was. */
static void leave(struct silence *silence, enum phase phase)
{
    silence->silent_ns = silence_ns(silence);
    silence->phase = phase;
}

static void lose(struct silence *silence, const struct fault *fault)
{
    leave(silence, PHASE_LOST);
    (void)event_del(silence->unanswered);
    stream_free(silence->stream);
    silence->stream = NULL;
    silence->events->on_lost(silence->argument, silence, silence->silent_ns, fault);
}

static void await_answer(struct silence *silence)
{
    check_set_timer(silence->check, silence->unanswered,
                    silence->check->options->timeout_ms * 1000000);
}

static void send_message(struct silence *silence)
{
    silence->messages++;
    silence->since_ns = clock_now_ns();
    await_answer(silence);
    stream_send(silence->stream, bytes_wanted(silence));
}

/* --- Events of the stream -------------------------------------------------------------------- */

static void on_silence_open(void *argument, const struct opening *opening)
{
    struct silence *silence = argument;

    check_note_connected(silence->check, opening);
    silence->phase = PHASE_PROVING;
    send_message(silence);
}

static void on_silence_identity(void *argument, const char *identity)
{
    const struct silence *silence = argument;

    check_note_identity(silence->check, identity);
}

static void on_silence_returned(void *argument, uint64_t position)
{
    struct silence *silence = argument;
    const uint64_t now_ns = clock_now_ns();
    const uint64_t rtt_ns = now_ns - silence->since_ns;

    if (position < bytes_wanted(silence))
        return;
    if (silence->changed.kind != FAULT_NONE) {
        lose(silence, &silence->changed);
        return;
    }
    (void)event_del(silence->unanswered);
    silence->phase = PHASE_SILENT;
    silence->is_proven = true;
    silence->since_ns = silence->began_ns = now_ns;
    silence->events->on_echo(silence->argument, silence, silence->silent_ns, rtt_ns);
}

static void on_silence_fault(void *argument, const struct fault *fault)
{
    struct silence *silence = argument;

    if (silence->changed.kind == FAULT_NONE)
        silence->changed = *fault;
}

static void on_silence_end(void *argument, const struct fault *fault)
{
    struct fault closed;

    fault_set(&closed, FAULT_TRUNCATED, 0, 0, "the other end closed the connection");
    lose(argument, fault->kind == FAULT_NONE ? &closed : fault);
}

static const struct stream_events silence_stream_events = {
    .on_open = on_silence_open,
    .on_identity = on_silence_identity,
    .on_returned = on_silence_returned,
    .on_fault = on_silence_fault,
    .on_end = on_silence_end,
};

static void on_unanswered(evutil_socket_t fd, short what, void *argument)
{
    struct silence *silence = argument;
    char limit[UNITS_TEXT_SIZE];
    struct fault fault;

    (void)fd;
    (void)what;
    if (stream_judge(silence->stream, ETIMEDOUT)) {
        if (silence->phase != PHASE_LOST && silence->phase != PHASE_SILENT)
            await_answer(silence); /* of the target's next place, or behind changed bytes */
        return;
    }
    units_format_duration(silence->check->options->timeout_ms, limit);
    fault_set(&fault, FAULT_LOST, 0, 0, "no answer within %s", limit);
    lose(silence, &fault);
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct silence *silence_new(struct check *check, const struct silence_events *events,
                            void *argument)
{
    struct silence *silence = calloc(1, sizeof *silence);
    int failure;

    if (silence == NULL)
        return NULL;
    silence->check = check;
    silence->events = events;
    silence->argument = argument;
    silence->unanswered = evtimer_new(check->base, on_unanswered, silence);
    errno = ENOMEM;
    if (silence->unanswered != NULL)
        silence->stream = stream_new(check->base, &check->scratch, check->target, &check->pattern,
                                     check->next_number++, &silence_stream_events, silence);
    if (silence->stream != NULL) {
        await_answer(silence);
        return silence;
    }
    failure = errno;
    silence_free(silence);
    errno = failure;
    return NULL;
}

void silence_free(struct silence *silence)
{
    if (silence == NULL)
        return;
    stream_free(silence->stream);
    if (silence->unanswered != NULL)
        event_free(silence->unanswered);
    free(silence);
}

void silence_try(struct silence *silence)
{
    leave(silence, PHASE_TRYING);
    send_message(silence);
}

uint64_t silence_began_ns(const struct silence *silence)
{
    return silence->began_ns;
}

bool silence_is_silent(const struct silence *silence)
{
    return silence->phase == PHASE_SILENT;
}

bool silence_is_proven(const struct silence *silence)
{
    return silence->is_proven;
}

bool silence_is_lost(const struct silence *silence)
{
    return silence->phase == PHASE_LOST;
}

uint64_t silence_ns(const struct silence *silence)
{
    return silence->phase == PHASE_SILENT ? clock_now_ns() - silence->since_ns : silence->silent_ns;
}

bool silence_is_too_long(const struct fault *fault)
{
    return fault->kind == FAULT_LOST || fault->kind == FAULT_RESET ||
           fault->kind == FAULT_TRUNCATED;
}
