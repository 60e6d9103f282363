#include <config.h>

#include "stand_in.h"

#include "base/clock.h"
#include "support.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct stand_in stand_in;

void stand_in_reset(uint64_t now_ns)
{
    memset(&stand_in, 0, sizeof stand_in); /* it is too large for the stack */
    stand_in.now_ns = now_ns;
    stand_in.timer_ns = UINT64_MAX;
    stand_in.check.options = &stand_in.options;
    stand_in.check.base = support_base();
}

static void on_stand_in_timer(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    stand_in.kind->on_timer(stand_in.state);
}

void *stand_in_start(const struct check_kind *kind)
{
    stand_in.kind = kind;
    stand_in.state = calloc(1, kind->size);
    stand_in.check.timer = evtimer_new(stand_in.check.base, on_stand_in_timer, NULL);
    ck_assert_ptr_nonnull(stand_in.state);
    ck_assert_ptr_nonnull(stand_in.check.timer);
    ck_assert_int_eq(kind->start(stand_in.state, &stand_in.check), 0);
    return stand_in.state;
}

void stand_in_free(const struct check_kind *kind, void *state)
{
    kind->fini(state);
    free(state);
    event_free(stand_in.check.timer);
}

void stand_in_fire(void)
{
    stand_in.timer_ns = UINT64_MAX;
    event_get_callback(stand_in.timer)(-1, EV_TIMEOUT, event_get_callback_arg(stand_in.timer));
}

/* --- clock. ---------------------------------------------------------------------------------- */

uint64_t clock_now_ns(void)
{
    return stand_in.now_ns;
}

uint64_t clock_now_ms(void)
{
    return stand_in.now_ns / NS_PER_MS;
}

struct timeval clock_timeval(uint64_t milliseconds)
{
    return (struct timeval){.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
}

/* --- check. ---------------------------------------------------------------------------------- */

void check_set_timer(struct check *check, struct event *timer, uint64_t delay_ns)
{
    ck_assert_ptr_eq(check, &stand_in.check);
    stand_in.timer = timer;
    stand_in.timer_ns = stand_in.now_ns + delay_ns;
}

void check_note_connected(struct check *check, const struct opening *opening)
{
    check->report.peer = opening->peer;
    check->was_connected = true;
}

void check_note_identity(struct check *check, const char *identity)
{
    backends_add(&check->backends, identity);
}

void check_say(struct check *check, const char *format, ...)
{
    (void)check;
    (void)format;
}

void check_end(struct check *check, int status, const char *format, ...)
{
    va_list arguments;

    ck_assert(!check->has_ended);
    check->has_ended = true;
    va_start(arguments, format);
    verdict_set(&check->verdict, status, format, arguments);
    va_end(arguments);
}

void check_refuse_socket(struct check *check, int failure)
{
    check_end(check, EXIT_STATUS_SYSTEM, "%s", strerror(failure));
}
