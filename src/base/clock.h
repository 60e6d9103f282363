/*
 * clock: monotonic time for deadlines and ages.
 * Knows nothing of dates; log reads the wall clock by itself.
 * Called by whatever sets or checks a deadline.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

/*
 * Return milliseconds of a clock that never steps back. It is the coarse clock where the system
 * has one (CLOCK_MONOTONIC_COARSE, Linux 2.6.32), which costs no system call and is exact to one
 * tick, at most 10 ms.
 */
uint64_t clock_now_ms(void);

/* Return nanoseconds of the exact clock, to measure with. */
uint64_t clock_now_ns(void);

/* Return a duration as event_add takes it. */
struct timeval clock_timeval(uint64_t milliseconds);

#endif
