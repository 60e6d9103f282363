/*
 * measure: when counting begins and ends, and what was counted.
 * Says "begin" and "end" on standard output at these moments, so that whoever started the generator
 * can read the server's CPU time at each; if it does so late, the load is still the same.
 * Called by the generator's works.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum measure_state { MEASURE_WARMING_UP, MEASURE_COUNTING, MEASURE_HOLDING, MEASURE_OVER };

struct measure {
    uint64_t warm_up_ns;   /* what happens before is not counted */
    uint64_t duration_ns;  /* how long is counted */
    uint64_t max_messages; /* or until so many were counted; 0: no limit */
    bool holds;            /* then go on, without counting, until standard input ends */

    size_t silent; /* connections of which nothing came yet; it warms up until there are none */
    enum measure_state state;
    uint64_t start_ns;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t own_cpu_ns; /* what the generator itself used while it counted */
    uint64_t messages;
    uint64_t bytes;
    uint64_t lost;      /* datagrams */
    uint64_t truncated; /* connections over TLS that ended without close_notify */
    struct histogram latencies_ns;
};

/* Return nanoseconds of a clock that never steps back. */
uint64_t measure_now_ns(void);

/* Start to warm up. The first four members are the caller's, the others must be zeros. */
void measure_start(struct measure *measure);

/* Count bytes that came back. */
void measure_bytes(struct measure *measure, uint64_t bytes);

/* Count an echo that was complete at `now_ns`. */
void measure_message(struct measure *measure, uint64_t sent_ns, uint64_t now_ns);

/* Count datagrams that did not come back. */
void measure_lost(struct measure *measure, uint64_t datagrams);

/* Count a connection that its server ended without close_notify. */
void measure_truncated(struct measure *measure);

/* Begin or end counting if it is time. Return whether to stop. Call it once per turn. */
bool measure_is_over(struct measure *measure);

#endif
