/*
 * works: what the generator can do to a server: six kinds of load, one file each.
 * Knows nothing of options or output, which are load's.
 * Called by load.
 */
#ifndef BENCH_WORKS_H
#define BENCH_WORKS_H

#include "measure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_kind;

struct plan {
    const struct wire_kind *wire; /* what carries the bytes of echoes and churn */
    bool resumes;                 /* a connection of churn must resume the session before it */
    uint16_t port;                /* of 127.0.0.1 */
    size_t connections;
    size_t size_bytes;    /* of a message */
    size_t in_flight;     /* messages that are sent ahead of their echo */
    size_t receive_bytes; /* at most so many at once: less than comes makes output block */
    bool has_trains;      /* datagrams leave as one, as QUIC stacks send them (UDP_SEGMENT) */
    uint64_t rate;        /* of scrapes, in a second */
};

/* How it ended; the value is load's exit status. What is not good was reported on standard error.
 */
enum outcome {
    OUTCOME_GOOD = 0,
    OUTCOME_WRONG_BYTES = 1, /* other bytes came back than were sent */
    OUTCOME_LOST = 2,        /* the server closed or reset a connection, or did not accept it */
    OUTCOME_STALLED = 3,     /* nothing came for WORKS_PATIENCE_MS */
    OUTCOME_SYSTEM = 4,      /* this machine refused something */
    OUTCOME_NOT_RESUMED = 5, /* a handshake was a full one */
};

enum {
    WORKS_PATIENCE_MS = 5000,
    WORKS_RECEIVE_BYTES = 131072, /* more falls out of the cache before it is compared */
    WORKS_RECORD_BYTES = 16384,   /* the most that TLS sends as one */
    WORKS_BURST = 64,
    WORKS_LEAST_DATAGRAM = 16, /* its number, and some of the pattern */
    WORKS_MOST_DATAGRAM = 65507,
};

/*
 * echoes: keep `in_flight` messages under way on each connection, and check each byte that returns.
 * Ping-pong is one in flight. `*starved` becomes the number of connections of which not one byte
 * came back while it was counted.
 */
enum outcome echoes_run(const struct plan *plan, struct measure *measure, size_t *starved);

/*
 * churn: connect, shake hands if there is TLS, send one message, check its echo, shut down, wait
 * for the server's FIN or close_notify, close; always so many at the same time. What is counted,
 * and timed, is a connection.
 */
enum outcome churn_run(const struct plan *plan, struct measure *measure);

/*
 * datagrams: from `connections` UDP sockets, send `in_flight` datagrams, at most WORKS_BURST, in
 * one go, check each that returns, and send the next ones when all are back, or were lost.
 */
enum outcome datagrams_run(const struct plan *plan, struct measure *measure);

/* What monitoring asks echod's admin endpoint. */
#define WORKS_SCRAPE "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

/*
 * scrapes: over connections that are kept, ask for /metrics `rate` times a second, and read the
 * answers whole. What is due while no connection is free is asked as soon as one is.
 */
enum outcome scrapes_run(const struct plan *plan, struct measure *measure);

/*
 * mute: ask for /metrics 1,000 times at once on each connection, and never read. The
 * messages that are counted are connections that the server has ended, after which others begin.
 */
enum outcome mute_run(const struct plan *plan, struct measure *measure);

/* idle: connect, echo one message on each, say "held", and hold all until standard input ends. */
enum outcome idle_run(const struct plan *plan);

#endif
