/*
 * clock: monotonic time for deadlines and ages, and the date.
 * Writes no date; log_format does.
 * Called by whatever sets or checks a deadline, or tells when something was.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

/*
 * Return milliseconds of a clock that never steps back. It is the coarse clock where the system
 * has one (CLOCK_MONOTONIC_COARSE, Linux 2.6.32), which costs no system call and is exact to one
 * tick, at most 10 ms.
 */
uint64_t clock_now_ms(void);

/* Return nanoseconds of the exact clock, to measure with. */
uint64_t clock_now_ns(void);

/*
 * Return the time since 1970. It is 0 where the system cannot tell it, as from 2038 on where time_t
 * has 32 bits (EOVERFLOW in glibc 2.36).
 */
struct timespec clock_date(void);

/* Return a duration as event_add takes it. */
struct timeval clock_timeval(uint64_t milliseconds);

#endif
