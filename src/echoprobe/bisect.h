/*
 * bisect: the largest value that passes, found by halving the gap to the smallest that fails.
 * Pure: knows neither what is tried nor what the values mean.
 * Called by idle_timeout and mtu.
 */
#ifndef ECHOPROBE_BISECT_H
#define ECHOPROBE_BISECT_H

#include <stdbool.h>
#include <stdint.h>

#define BISECT_NONE UINT64_MAX

struct bisect {
    uint64_t first, maximum; /* the value to begin with, and the largest that is tried */
    uint64_t tolerance; /* the gap may stay so large, or a part of what failed if that is more */
    unsigned parts;     /* that is one of so many parts; 0: none */
    uint64_t passed;    /* the largest that passed; 0: none yet */
    uint64_t failed;    /* the smallest that failed; BISECT_NONE: none yet */
    bool is_confirmed;  /* it failed once more when the gap was closed */
    bool is_doubted;    /* what passed: a smaller one has failed since */
};

/*
 * Return the value to try next, from 1 to the maximum, or BISECT_NONE if the search is over: the
 * maximum passed, or the gap is closed and what failed has failed twice. As long as nothing failed
 * the values grow by a quarter.
 */
uint64_t bisect_next(const struct bisect *bisect);

/* Note that a value passed. If it failed before, or a smaller one, that was a coincidence. */
void bisect_note_passed(struct bisect *bisect, uint64_t value);

/*
 * Note that a value failed, and whether that may confirm what failed before: it had another cause.
 * That a smaller one than the largest that passed fails is a coincidence. If one does so again,
 * passing was: what passed counts no more.
 */
void bisect_note_failed(struct bisect *bisect, uint64_t value, bool may_confirm);

#endif
