/*
 * datagram_echo: the echo of one datagram socket: each datagram returns once, unchanged, from where
 * it was sent to; or the identity in its place; or what misbehaviour makes of it.
 * Opens no socket; what gets no answer, datagram_filter decides.
 * Called by datagrams.
 */
#ifndef ECHOD_DATAGRAM_ECHO_H
#define ECHOD_DATAGRAM_ECHO_H

#include "base/log.h"
#include "echod/counters.h"
#include "echod/datagram_pool.h"
#include "echod/identify.h"
#include "echod/impair.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct datagram_echo;

/* What one socket is told. */
struct datagram_limits {
    bool are_low_ports_allowed;
    bool is_shared;                /* somebody else may send by this socket: leave it as it is */
    bool leaves_overflow;          /* and another worker counts what its full buffer has cost */
    double rate_per_second;        /* for each source; 0: no limit */
    struct identify_plan identify; /* what the answer tells, if it is no echo */
    struct impair impair;          /* what is done wrong on purpose */
    uint64_t idle_timeout_ms; /* after so long without a datagram `on_over` is called; 0: never */
};

/*
 * Called when nothing came for idle_timeout_ms, and again each time that this is over, or when a
 * drain is over. It may free the echo.
 */
typedef void datagram_echo_callback(struct datagram_echo *echo, void *owner);

/*
 * Echo what comes to a socket, which belongs to it from here on; on failure it is still the
 * caller's. `name` is for the log. Everything must outlive it. A socket whose send buffer is full
 * keeps a batch of its own for as long, and receives no more.
 * Return NULL with errno.
 */
struct datagram_echo *datagram_echo_new(struct event_base *base, int fd, const char *name,
                                        const struct datagram_limits *limits,
                                        struct datagram_pool *pool, struct log *log,
                                        struct counters *counters, datagram_echo_callback *on_over,
                                        void *owner);

/* Close the socket and free the echo. NULL is fine. */
void datagram_echo_free(struct datagram_echo *echo);

/* Let other limits hold from now on. Return 0, or -1 with errno, and the old ones hold. */
int datagram_echo_change(struct datagram_echo *echo, const struct datagram_limits *limits)
    __attribute__((warn_unused_result));

/* Have another name in the log, and count elsewhere, from now on. Both must outlive the echo. */
void datagram_echo_set_name(struct datagram_echo *echo, const char *name,
                            struct counters *counters);

/*
 * Answer nothing, or answer again. What comes meanwhile is received and counted, so that no answer
 * is late.
 */
void datagram_echo_pause(struct datagram_echo *echo, bool is_paused);

/* Return its socket, which remains its own. */
int datagram_echo_socket(const struct datagram_echo *echo);

/* Tell whether nothing has come, and nothing was held back, for idle_timeout_ms; without that, a
 * socket is never idle. */
bool datagram_echo_is_idle(const struct datagram_echo *echo);

/* Count what the system has dropped since a datagram last came, which would have told. */
void datagram_echo_count_overflow(struct datagram_echo *echo);

/* Answer what has arrived, and then be over: `on_over` is called, from the loop. Once. */
void datagram_echo_drain(struct datagram_echo *echo);

#endif
