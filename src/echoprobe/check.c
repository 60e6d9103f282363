#include <config.h>

#include "echoprobe/check.h"

#include "base/clock.h"
#include "echoprobe/signals.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_MS = 500 };

/* What ends a check from outside, and shows how long it takes. */
struct ends {
    const struct check_kind *kind;
    void *state;
    struct check *check;
    struct signals signals;
    struct event *deadline, *live;
};

void check_set_timer(struct check *check, struct event *timer, uint64_t delay_ns)
{
    const uint64_t delay_us = (delay_ns + 999) / 1000; /* never early */
    const struct timeval delay = {
        .tv_sec = (time_t)(delay_us / 1000000),
        .tv_usec = (suseconds_t)(delay_us % 1000000),
    };

    if (event_add(timer, &delay) < 0)
        check_end(check, EXIT_STATUS_SYSTEM, "no memory for a timer");
}

static void end_without_output(struct check *check)
{
    const int failure = check->report.output_failure;

    if (failure != 0)
        check_end(check, EXIT_STATUS_SYSTEM, "standard output: %s", strerror(failure));
}

void check_note_connected(struct check *check, const struct opening *opening)
{
    report_open(&check->report, opening);
    if (!check->was_connected && opening->tls != NULL)
        verdict_add(&check->verdict, "handshake", FIGURE_SECONDS,
                    (double)opening->tls->handshake_ns / 1e9);
    check->was_connected = true;
    end_without_output(check);
}

/* Each connection has an identity of its own, and a search has many connections. */
void check_note_identity(struct check *check, const char *identity)
{
    backends_add(&check->backends, identity);
    if (check->backends.total == 1)
        report_identity(&check->report, identity);
    end_without_output(check);
}

void check_say(struct check *check, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report_vline(&check->report, format, arguments);
    va_end(arguments);
    end_without_output(check);
}

void check_end(struct check *check, int status, const char *format, ...)
{
    va_list arguments;

    if (check->has_ended)
        return;
    check->has_ended = true;
    va_start(arguments, format);
    verdict_set(&check->verdict, status, format, arguments);
    va_end(arguments);
    (void)event_base_loopbreak(check->base);
}

void check_refuse_socket(struct check *check, int failure)
{
    check_end(check, EXIT_STATUS_SYSTEM, "cannot open a socket: %s%s", strerror(failure),
              target_hint(check->target, failure));
}

static void on_end_asked(void *argument)
{
    struct ends *ends = argument;

    ends->kind->on_interrupt(ends->state, "interrupted");
}

static void on_query(void *argument)
{
    const struct ends *ends = argument;

    report_interim_check(&ends->check->report, clock_now_ns() - ends->check->begin_ns);
}

static void on_check_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct ends *ends = argument;

    (void)fd;
    (void)what;
    ends->kind->on_interrupt(ends->state, "--deadline reached");
}

static void on_live(evutil_socket_t fd, short what, void *argument)
{
    struct ends *ends = argument;
    const uint64_t left_ns = ends->kind->left_ns(ends->state);

    (void)fd;
    (void)what;
    if (left_ns > 0)
        report_time_left(&ends->check->report, left_ns);
}

/* Renew what the terminal shows of it. */
static int watch_time(struct ends *ends)
{
    const struct timeval period = clock_timeval(LIVE_MS);

    if (ends->kind->left_ns == NULL)
        return 0;
    ends->live = event_new(ends->check->base, -1, EV_PERSIST, on_live, ends);
    return ends->live == NULL ? -1 : event_add(ends->live, &period);
}

static int watch_for_ends(struct ends *ends, struct check *check)
{
    const struct timeval deadline = clock_timeval(check->options->deadline_ms);

    check->step = "watch for signals";
    ends->check = check;
    ends->signals =
        (struct signals){.on_end = on_end_asked, .on_query = on_query, .argument = ends};
    ends->deadline = evtimer_new(check->base, on_check_deadline, ends);
    if (ends->deadline == NULL || watch_time(ends) < 0 ||
        signals_init(&ends->signals, check->base) < 0 ||
        (check->options->deadline_ms > 0 && event_add(ends->deadline, &deadline) < 0)) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

static void stop_watching(struct ends *ends)
{
    signals_fini(&ends->signals);
    if (ends->deadline != NULL)
        event_free(ends->deadline);
    if (ends->live != NULL)
        event_free(ends->live);
}

static void on_check_timer(evutil_socket_t fd, short what, void *argument)
{
    const struct ends *ends = argument;

    (void)fd;
    (void)what;
    ends->kind->on_timer(ends->state);
}

static int start_kind(struct ends *ends, struct check *check)
{
    check->step = "open a socket";
    ends->state = calloc(1, ends->kind->size);
    check->timer = evtimer_new(check->base, on_check_timer, ends);
    errno = ENOMEM;
    return ends->state != NULL && check->timer != NULL ? ends->kind->start(ends->state, check) : -1;
}

static void free_kind(const struct ends *ends, struct check *check)
{
    if (ends->state != NULL)
        ends->kind->fini(ends->state);
    free(ends->state);
    if (check->timer != NULL)
        event_free(check->timer);
}

static int wait_for_verdict(struct check *check)
{
    check->step = "wait for events";
    return check->has_ended ? 0 : event_base_dispatch(check->base);
}

/* Return 0 once there is a verdict, or -1 with errno. */
static int find_verdict(const struct check_kind *kind, struct check *check)
{
    struct ends ends = {.kind = kind};
    int failure = 0;

    if (start_kind(&ends, check) < 0 || watch_for_ends(&ends, check) < 0 ||
        wait_for_verdict(check) < 0)
        failure = errno;
    stop_watching(&ends);
    free_kind(&ends, check);
    errno = failure;
    return failure == 0 ? 0 : -1;
}

static int prepare_check(struct check *check)
{
    check->step = "get random numbers";
    if (pattern_init(&check->pattern) < 0)
        return -1;
    check->step = "make an event loop";
    errno = ENOMEM;
    check->base = event_base_new();
    return check->base == NULL ? -1 : 0;
}

static int refuse_step(const struct check *check, int failure)
{
    char text[VERDICT_TEXT_SIZE];

    (void)snprintf(text, sizeof text, "cannot %s: %s%s", check->step, strerror(failure),
                   target_hint(check->target, failure));
    return report_failure(check->options, EXIT_STATUS_SYSTEM, text);
}

int check_run(const struct check_kind *kind, const struct options *options,
              const struct target *target)
{
    static struct check check; /* large, and one to a process */
    int failure = 0;

    check.options = options;
    check.target = target;
    check.next_number = 1;
    report_begin(&check.report, options, target);
    if (options->identify)
        check.report.backends = &check.backends;
    check.begin_ns = clock_now_ns();
    if (prepare_check(&check) < 0 || find_verdict(kind, &check) < 0)
        failure = errno;
    if (check.base != NULL)
        event_base_free(check.base);
    if (failure != 0)
        return refuse_step(&check, failure);
    return report_verdict(&check.report, &check.verdict, clock_now_ns() - check.begin_ns);
}
