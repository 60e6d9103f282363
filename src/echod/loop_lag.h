/*
 * loop_lag: how long what comes to a loop waits there until its turn: of a question that another
 * thread asks again and again, and the loop's thread answers.
 * Sends nothing; worker does. Reads no clock.
 * Called by worker, in both threads.
 */
#ifndef ECHOD_LOOP_LAG_H
#define ECHOD_LOOP_LAG_H

#include "base/buckets.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing was asked yet. Times are of clock_now_ns. */
struct loop_lag {
    _Atomic uint64_t asked_ns; /* 0: nothing waits for its answer */
    _Atomic uint64_t last_ns;  /* how long the last answer took */
    struct buckets all;        /* how long all of them took, in nanoseconds */
};

/* Return the bounds of all. */
const struct buckets_bounds *loop_lag_bounds(void);

/* Return true if the question is to be sent now, false if the last one still waits. */
bool loop_lag_ask(struct loop_lag *lag, uint64_t now_ns);

/* Answer it, in the loop's thread. */
void loop_lag_answer(struct loop_lag *lag, uint64_t now_ns);

/* Return how long the last answer took, or a question waits by now if that is longer. Any thread.
 */
uint64_t loop_lag_latest_ns(const struct loop_lag *lag, uint64_t now_ns);

#endif
