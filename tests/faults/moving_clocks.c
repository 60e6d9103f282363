/*
 * moving_clocks: a library for LD_PRELOAD that lets clocks step, as when somebody sets them, or a
 * suspended machine goes on; the wall clock may end, as in 2038 where time_t has 32 bits. Chooses
 * nothing itself: a test writes into a file, shared in memory, how far each is from the system's.
 * Loaded into the programs under test by tests/system/moving_clocks.py, which knows the same file.
 */
#include <config.h>

#include "plan.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The file, named by the environment variable MOVING_CLOCKS. In seconds, which may be negative. */
struct plan {
    _Atomic int64_t wall_s;      /* of CLOCK_REALTIME; INT64_MIN: it has ended (EOVERFLOW) */
    _Atomic int64_t monotonic_s; /* of CLOCK_MONOTONIC and its kin */
    _Atomic int64_t reads;       /* how often a clock was read */
};

static struct plan *plan;

__attribute__((constructor)) static void find_plan(void)
{
    plan = plan_map("MOVING_CLOCKS", sizeof *plan);
}

static int64_t step_of(clockid_t clock)
{
    if (plan == NULL)
        return 0;
    (void)atomic_fetch_add(&plan->reads, 1);
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return atomic_load(&plan->wall_s);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return atomic_load(&plan->monotonic_s);
    default:
        return 0;
    }
}

/* Their parameters have the names of the C library, as clang-tidy wants it. */

int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
    const int64_t step = step_of(clock_id);
    int result;

    if (step == INT64_MIN) {
        errno = EOVERFLOW;
        return -1;
    }
    result = (int)syscall(SYS_clock_gettime, clock_id, tp);
    if (result == 0)
        tp->tv_sec += (time_t)step;
    return result;
}

time_t time(time_t *timer)
{
    struct timespec now = {.tv_sec = -1};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (timer != NULL)
        *timer = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec exact;

    (void)tz;
    if (clock_gettime(CLOCK_REALTIME, &exact) < 0)
        return -1;
    *tv = (struct timeval){exact.tv_sec, (suseconds_t)(exact.tv_nsec / 1000)};
    return 0;
}

#if defined __GLIBC__ && __GLIBC_PREREQ(2, 30)
/* Deadlines are on the clock as the program sees it; its conditions have the monotonic one. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict abstime)
{
    struct timespec until = *abstime;

    until.tv_sec -= (time_t)step_of(CLOCK_MONOTONIC);
    return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &until);
}
#endif
