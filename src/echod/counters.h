/*
 * counters: what is counted, by each worker and for each listener, and the table of that.
 * Takes no lock and adds nothing up; listener_stats does.
 * Called by listener and datagram_echo to count, and by listener_stats to read; connection counts
 * in those of its group.
 */
#ifndef ECHOD_COUNTERS_H
#define ECHOD_COUNTERS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum counter {
    COUNTER_CONNECTIONS_ACCEPTED, /* that became a connection */
    COUNTER_CONNECTIONS_ENDED,
    COUNTER_CONNECTIONS_REFUSED, /* accepted, but there was no memory to serve them */
    COUNTER_BYTES_IN,            /* received to be echoed */
    COUNTER_BYTES_OUT,           /* echoed: taken by the kernel */
    COUNTER_ACCEPT_SHORTAGES,    /* times that accepting paused: descriptors or memory ran out */
    COUNTER_ACCEPT_LIMITS,       /* times that accepting paused at a limit of connections */
    COUNTER_PROXY_UNTRUSTED,     /* closed: no PROXY header is taken from their address */
    COUNTER_PROXY_INVALID,       /* closed: their PROXY header was wrong, or missing */
    COUNTER_HANDSHAKES_OVERDUE,  /* closed: their handshake took too long */
    COUNTER_IDENTITY_BYTES,      /* of identities, before the echo: taken by the kernel */
    COUNTER_TLS_HANDSHAKES,      /* that were completed */
    COUNTER_TLS_RESUMED,         /* of these, how many resumed a session */
    COUNTER_TLS_FAILED,          /* closed: their handshake failed */
    COUNTER_TLS_TRUNCATED,       /* ended without close_notify */
    COUNTER_DATAGRAMS_IN,        /* each of a train counts */
    COUNTER_DATAGRAMS_OUT,
    COUNTER_DATAGRAM_BYTES_IN,
    COUNTER_DATAGRAM_BYTES_OUT,
    COUNTER_DATAGRAMS_FROM_LOW_PORT, /* dropped: see datagram_guard */
    COUNTER_DATAGRAMS_FROM_OWN_PORT,
    COUNTER_DATAGRAMS_FROM_NO_HOST,
    COUNTER_DATAGRAMS_TO_MANY,
    COUNTER_DATAGRAMS_WITHOUT_HOPS,
    COUNTER_DATAGRAMS_ABOVE_RATE, /* dropped: their source comes too often */
    COUNTER_DATAGRAMS_FAILED,     /* the system refused to send the answer, or told of an error */
    COUNTER_DATAGRAMS_OVERFLOWED, /* never received: the receive buffer was full */
    COUNTER_IMPAIRED,             /* the first of what was done wrong on purpose; see impair */
    COUNTER_IMPAIR_CORRUPTED = COUNTER_IMPAIRED, /* bytes of connections that were changed */
    COUNTER_IMPAIR_CLOSED,                       /* connections that were closed, */
    COUNTER_IMPAIR_RESET,                        /* reset, */
    COUNTER_IMPAIR_REFUSED,                      /* or refused */
    COUNTER_IMPAIR_DROPPED,                      /* datagrams that got no answer, */
    COUNTER_IMPAIR_DUPLICATED,                   /* two, */
    COUNTER_IMPAIR_REORDERED,                    /* one that another overtook, */
    COUNTER_IMPAIR_TRUNCATED,                    /* one that was cut, */
    COUNTER_IMPAIR_OVERFLOWED,                   /* or none since too many are held back, */
    COUNTER_IMPAIR_UNSENT,                       /* or the socket was closed before its time */
    COUNTER_IMPAIR_DATAGRAM_CORRUPTED,           /* bytes of datagrams that were changed */
    COUNTER_COUNT,
};

/* A row of the table, in the order of enum counter. */
struct counter_name {
    const char *text;     /* in a line of the log: "accepted" */
    const char *json;     /* as a fact in JSON: "in_bytes" */
    bool is_of_datagrams; /* it stands in the line of a listener of datagrams */
};

const struct counter_name *counters_name(enum counter which);

/*
 * Those of one worker and one listener, written by the worker's thread and read by any. All zero at
 * the start; aligned so that workers do not share a line of the cache.
 */
struct counters {
    alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
};

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
