#include <config.h>

#include "echod/timers.h"

#include "base/clock.h"

#include <stddef.h>
#include <time.h>

void timers_set_or_run(struct event *timer, uint64_t delay_ms)
{
    const struct timeval delay = clock_timeval(delay_ms);
    const struct timespec pause = {.tv_nsec = 1000000};

    if (event_add(timer, &delay) == 0)
        return;
    if (delay_ms > 0)
        (void)nanosleep(&pause, NULL);
    event_active(timer, EV_TIMEOUT, 1);
}

void timers_free(struct event *timer)
{
    if (timer != NULL)
        event_free(timer);
}
