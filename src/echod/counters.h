/*
 * counters: what is counted, by each worker and for each listener, and the table of that.
 * Takes no lock and adds nothing up; listener_stats does.
 * Called by listener and datagram_echo to count, and by listener_stats to read; connection counts
 * in those of its group.
 */
#ifndef ECHOD_COUNTERS_H
#define ECHOD_COUNTERS_H

#include "base/buckets.h"
#include "echod/close_reason.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What each counts, the help in its row of the table says. */
enum counter {
    COUNTER_CONNECTIONS_ACCEPTED,
    COUNTER_CONNECTIONS_REFUSED,
    COUNTER_BYTES_IN,
    COUNTER_BYTES_OUT,
    COUNTER_ACCEPT_SHORTAGES,
    COUNTER_ACCEPT_LIMITS,
    COUNTER_PROXY_UNTRUSTED,
    COUNTER_PROXY_INVALID,
    COUNTER_HANDSHAKES_OVERDUE,
    COUNTER_REFUSED_NETWORK,
    COUNTER_REFUSED_SOURCE_FULL,
    COUNTER_REFUSED_SOURCE_RATE,
    COUNTER_REFUSED_RATE,
    COUNTER_SOURCES_UNKNOWN,
    COUNTER_HELD_BACK,
    COUNTER_HELD_BACK_SECONDS,
    COUNTER_IDENTITY_BYTES,
    COUNTER_TLS_HANDSHAKES,
    COUNTER_TLS_RESUMED,
    COUNTER_TLS_FAILED,
    COUNTER_TLS_TRUNCATED,
    COUNTER_DATAGRAMS_IN,
    COUNTER_DATAGRAMS_OUT,
    COUNTER_DATAGRAM_BYTES_IN,
    COUNTER_DATAGRAM_BYTES_OUT,
    COUNTER_DATAGRAMS_FROM_LOW_PORT,
    COUNTER_DATAGRAMS_FROM_OWN_PORT,
    COUNTER_DATAGRAMS_FROM_NO_HOST,
    COUNTER_DATAGRAMS_TO_MANY,
    COUNTER_DATAGRAMS_WITHOUT_HOPS,
    COUNTER_DATAGRAMS_ABOVE_RATE,
    COUNTER_DATAGRAMS_PAUSED,
    COUNTER_DATAGRAMS_FAILED,
    COUNTER_DATAGRAMS_OVERFLOWED,
    COUNTER_IMPAIR_CORRUPTED,
    COUNTER_IMPAIR_CLOSED,
    COUNTER_IMPAIR_RESET,
    COUNTER_IMPAIR_REFUSED,
    COUNTER_IMPAIR_DROPPED,
    COUNTER_IMPAIR_DUPLICATED,
    COUNTER_IMPAIR_REORDERED,
    COUNTER_IMPAIR_TRUNCATED,
    COUNTER_IMPAIR_OVERFLOWED,
    COUNTER_IMPAIR_UNSENT,
    COUNTER_IMPAIR_DATAGRAM_CORRUPTED,
    COUNTER_ENDED, /* the first of one for each close_reason, in the order of these */
    COUNTER_COUNT = COUNTER_ENDED + CLOSE_REASON_COUNT,
};

/* Return the counter of the connections that ended for a reason. */
static inline enum counter counters_of_end(enum close_reason reason)
{
    return (enum counter)(COUNTER_ENDED + (unsigned)reason);
}

/* Counters that are told together. */
enum counter_kind {
    COUNTER_OF_CONNECTIONS,
    COUNTER_OF_DATAGRAMS,
    COUNTER_OF_MISBEHAVIOUR, /* on purpose: see impair */
    COUNTER_OF_ENDS,         /* of connections, by their reason */
};

/* What counters of one meaning are together for a monitoring system, which adds them up. */
struct counter_metric {
    const char *name;     /* as Prometheus has it, without "_total": "echod_connections_refused" */
    const char *unit;     /* NULL, "bytes" or "seconds": the name ends in it */
    const char *label;    /* NULL, or what tells the counters apart: "reason" */
    bool is_of_datagrams; /* or else of connections: a listener has one of them */
    const char *help;     /* what they count, as a sentence */
};

/* A row of the table, in the order of enum counter. */
struct counter_name {
    enum counter_kind kind;
    const char *text; /* in a line of the log: "in" */
    const char *json; /* as a fact in JSON: "in_bytes" */
    const char *help; /* what it counts, as a sentence */
    const struct counter_metric *metric;
    const char *label_value; /* of the metric's label, as "source_full", or NULL */
};

/* Return the row of a counter. */
const struct counter_name *counters_name(enum counter which);

/*
 * Those of one worker and one listener, written by the worker's thread and read by any. All zero at
 * the start; aligned so that workers do not share a line of the cache.
 */
struct counters {
    alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
    struct buckets ages;   /* of connections at their end, in milliseconds */
    uint64_t held_back_ns; /* less than a second, which is not counted yet; the writer's alone */
};

/* Return the bounds of the ages. */
const struct buckets_bounds *counters_age_bounds(void);

/* Add to a counter, from the one thread that writes. */
static inline void counters_add(struct counters *counters, enum counter which, uint64_t amount)
{
    _Atomic uint64_t *value = &counters->values[which];

    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

/* Read a counter, from any thread. */
static inline uint64_t counters_get(const struct counters *counters, enum counter which)
{
    return atomic_load_explicit(&counters->values[which], memory_order_relaxed);
}

#endif
