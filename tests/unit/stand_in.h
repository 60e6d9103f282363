/*
 * stand_in: takes the place of clock and check for a test of a check of a path, so that no time
 * passes but the test's.
 * Moves no byte.
 * Called by check_half_close and check_idle_timeout, and by what they test.
 */
#ifndef TESTS_UNIT_STAND_IN_H
#define TESTS_UNIT_STAND_IN_H

#include "echoprobe/check.h"

#include <event2/event.h>
#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)

struct stand_in {
    uint64_t now_ns;
    struct options options;
    struct check check;
    const struct check_kind *kind;
    void *state;
    struct event *timer; /* the last that was set */
    uint64_t timer_ns;   /* when it is due, or UINT64_MAX */
};

extern struct stand_in stand_in;

/* Begin anew at a time, with options that are all zero and an event base of the test's. */
void stand_in_reset(uint64_t now_ns);

/* Make the state of a check and start it; free it. */
void *stand_in_start(const struct check_kind *kind);
void stand_in_free(const struct check_kind *kind, void *state);

/* Let the timer be over. What it calls may set it again. */
void stand_in_fire(void);

#endif
