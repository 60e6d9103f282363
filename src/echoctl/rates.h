/*
 * rates: what happened in a second, from two counts and the time between them. Pure.
 * Knows no clock: the service says how old it was.
 * Called by busiest and top.
 */
#ifndef ECHOCTL_RATES_H
#define ECHOCTL_RATES_H

#include "echoctl/answers.h"

/* How much in a second. */
struct rates {
    double accepted, refused; /* connections */
    double in_bytes, out_bytes;
    double datagrams_in, datagrams_out;
};

/*
 * Compute the rates between two counts; of what was counted anew meanwhile, and if no time has
 * passed, they are 0.
 */
struct rates rates_between(const struct traffic *before, const struct traffic *now,
                           uint64_t duration_ms);

/*
 * Tell whether two answers come from one run of the service, in this order. What another run
 * counted begins with 0, when it was 0 ms old.
 */
bool rates_is_same_run(const struct service_facts *before, const struct service_facts *now);

#endif
