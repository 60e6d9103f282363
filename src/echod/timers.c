#include <config.h>

#include "echod/timers.h"

#include "base/clock.h"

#include <stddef.h>

void timers_set_or_run(struct event *timer, uint64_t delay_ms)
{
    const struct timeval delay = clock_timeval(delay_ms);

    if (event_add(timer, &delay) < 0)
        event_active(timer, EV_TIMEOUT, 1);
}

void timers_free(struct event *timer)
{
    if (timer != NULL)
        event_free(timer);
}
