/*
 * connection_state: a connection as those see it who serve it: how it goes from state to state, up
 * to its end.
 * Neither reads nor writes; who serves it does.
 * Called by connection, greet, serve and serve_tls, which alone know the struct.
 *
 * A function that may end the connection says so: its call is the last statement of a callback.
 */
#ifndef ECHOD_CONNECTION_STATE_H
#define ECHOD_CONNECTION_STATE_H

#include "echod/close_reason.h"
#include "echod/connection_group.h"
#include "echod/handshake.h"
#include "echod/peer.h"
#include "echod/state.h"
#include "echod/stream_impair.h"
#include "echod/stream_limit.h"
#include "echod/transfer.h"

#include <stdbool.h>
#include <stdint.h>

struct connection {
    struct connection_group *group;
    uint64_t id;
    uint64_t started_ms; /* clock_now_ms */
    union peer peer;
    struct transfer transfer;
    struct admission_source *known; /* that it counts for, or NULL */
    struct handshake *handshake;    /* NULL: its listener asks for none */
    struct stream_impair *impair;   /* NULL: it behaves */
    struct stream_limit *limit;     /* NULL: no rate is its limit */
    enum connection_state state;
    enum close_reason reason;         /* from draining on */
    enum close_reason overdue_reason; /* what it becomes if the closing deadline passes */
    int error;                        /* errno of CLOSE_NETWORK_ERROR */
    bool is_leaving;                  /* it drains once what waits in the kernel was echoed */
    bool has_input_ended;             /* the client's end was read */
    bool is_refused;                  /* no TLS was agreed on: lines about such are limited */
    struct timeout lifetime, closing;
};

/* Write one line about the connection as it is now. */
void connection_tell_state(const struct connection *connection, enum log_level level);

/* The one way out. Nothing may touch the connection after it. */
void connection_end(struct connection *connection, enum close_reason reason);

/* The same for an errno of its socket. */
void connection_fail(struct connection *connection, int error);

/* Echo from now on. Return 0, or -1 if the loop has no memory for it. */
int connection_open(struct connection *connection) __attribute__((warn_unused_result));

/* Begin with this, now that what came before is over. It may end the connection. */
void connection_begin_late(struct connection *connection,
                           int (*begin)(struct connection *connection));

/* Leave the open state, and finish once everything has left. It may end the connection. */
void connection_drain(struct connection *connection, enum close_reason reason);

/* The first half of that, which does not end it. */
void connection_begin_draining(struct connection *connection, enum close_reason reason);

/* Go on with that when something has left. It may end the connection. */
void connection_finish_draining(struct connection *connection);

/* Go on where output has been accounted, open or draining. It may end the connection. */
void connection_after_output(struct connection *connection);

/*
 * The client's end came, after which nothing is read any more: what is queued still has to leave.
 * It may end the connection.
 */
void connection_end_input(struct connection *connection, enum close_reason reason);

/* Let the linger time-out begin, unless it has: whatever comes meanwhile, it stays as long. */
void connection_begin_closing(struct connection *connection);

/* What connection_close does. */
void connection_leave(struct connection *connection, enum close_reason reason);

/* Go on after input was echoed. It may end the connection. */
void connection_after_input(struct connection *connection);

/*
 * Drain if that waits for input and none is left to be read, whether any of it was data or not. It
 * may end the connection.
 */
void connection_leave_if_read(struct connection *connection);

/*
 * Tell whether the loop is about to read something: a timer may be due before, for instance when
 * the process was stopped.
 */
bool connection_has_input_waiting(const struct connection *connection);

#endif
