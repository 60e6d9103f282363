#include <config.h>

#include "base/clock.h"

#include <time.h>

uint64_t clock_now_ms(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    const clockid_t monotonic = CLOCK_MONOTONIC_COARSE;
#else
    const clockid_t monotonic = CLOCK_MONOTONIC;
#endif
    struct timespec now;

    (void)clock_gettime(monotonic, &now); /* fails only for a clock that does not exist */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct timeval clock_timeval(uint64_t milliseconds)
{
    return (struct timeval){
        .tv_sec = (time_t)(milliseconds / 1000),
        .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000),
    };
}
