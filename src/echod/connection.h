/*
 * connection: one client's life, from the descriptor to the line in the log that says why it ended.
 * Knows neither the table nor the worker: its end is reported through a callback.
 * Called by worker.
 *
 *     open ----> draining ----> lingering ----> ended
 *
 * open       echoes; reading pauses while much output waits
 * draining   reads no more (the client sent FIN, or we end it); what is queued still leaves
 * lingering  our FIN is out, the client's is not in: reads and discards, so that no RST destroys
 *            what is under way
 * ended      logged and counted; the owner has been told
 */
#ifndef ECHOD_CONNECTION_H
#define ECHOD_CONNECTION_H

#include "base/address.h"
#include "base/log.h"
#include "echod/counters.h"
#include "echod/echo.h"
#include "echod/timeouts.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum close_reason {
    CLOSE_CLIENT,        /* the client sent FIN and got everything back */
    CLOSE_RESET,         /* the client reset the connection, or vanished while we wrote */
    CLOSE_NETWORK_ERROR, /* the system reported another error on the socket */
    CLOSE_IDLE,          /* no byte moved in either direction for --idle-timeout */
    CLOSE_WRITE_STALL,   /* the client took no byte of its echo for --write-timeout */
    CLOSE_LIFETIME,      /* --lifetime is over */
    CLOSE_DRAIN,         /* still here when --drain-timeout was over */
    CLOSE_STOP,          /* echod stopped at once */
    CLOSE_NO_MEMORY,     /* no memory to hold its bytes */
};

/* Return a reason in words, as it stands in the log: "idle timeout". */
const char *close_reason_name(enum close_reason reason);

struct connection;

/* What connections may use and how long they may take; 0 ms: no limit. */
struct connection_limits {
    uint64_t high_water_bytes; /* reading pauses with this much output queued, ... */
    uint64_t low_water_bytes;  /* ... and goes on with this much */
    uint64_t max_queued_bytes; /* of all connections: with this much, whoever has output waits */
    uint64_t idle_timeout_ms;
    uint64_t lifetime_ms;
    uint64_t write_timeout_ms;
    uint64_t linger_timeout_ms; /* 0: a connection that we end is closed at once */
    bool has_shortcuts;         /* plain sockets take the shortcut of echo */
};

/* Called when a connection has ended, as the last thing; the owner frees it there. */
typedef void connection_end_callback(struct connection *connection, void *owner);

/* What all connections of a worker share, whatever their limits. */
struct connection_pool {
    struct echo_scratch scratch;
    uint64_t queued_bytes; /* output that waits */
};

/* Make the scratch. Return 0, or -1 with errno ENOMEM and nothing left to undo. */
int connection_pool_init(struct connection_pool *pool) __attribute__((warn_unused_result));

/* Free it. No connection may be left. */
void connection_pool_fini(struct connection_pool *pool);

/*
 * What the connections share that began under the same limits, which they keep for life;
 * connections keep the last part up to date.
 */
struct connection_group {
    struct event_base *base;
    struct log *log;
    struct counters *counters;
    struct connection_pool *pool; /* outlives the group */
    struct connection_limits limits;
    connection_end_callback *on_end;
    void *owner;

    struct timeout_queue idle;
    struct timeout_queue lifetime;
    struct timeout_queue write_stall;
    struct timeout_queue closing; /* flush and linger of a connection that we end */
    size_t count;                 /* of connections that are not freed yet */
};

/*
 * Make the queues of a group whose other members are set.
 * Return 0, or -1 with errno ENOMEM and nothing left to undo.
 */
int connection_group_init(struct connection_group *group) __attribute__((warn_unused_result));

/*
 * Free them. No connection may be left; and call it from none of the group's callbacks, in which
 * its last connection may have ended.
 */
void connection_group_fini(struct connection_group *group);

/* Where a client comes from, to be named in the log. */
union peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    sa_family_t family; /* AF_UNSPEC: standard input and output */
};

/*
 * Make a connection that reads from one descriptor and writes to another, or to the same one. Both
 * must be non-blocking. They belong to the connection from here on; on failure they are still the
 * caller's. Nothing is read before connection_start.
 * Return NULL with errno ENOMEM.
 */
struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer);

/*
 * Begin to echo under this id.
 * Return 0, or -1 with errno if the loop has no memory for it; free the connection then.
 */
int connection_start(struct connection *connection, uint64_t id)
    __attribute__((warn_unused_result));

/*
 * Free a connection, which closes its descriptors when the loop turns next. Calls no callback.
 * NULL is fine.
 */
void connection_free(struct connection *connection);

/*
 * Stop reading, let what is queued leave, say FIN and wait for the client's, all of it within the
 * linger time-out. The connection may have ended when this returns. Once is enough: a connection
 * that is on its way out already only gets the deadline.
 */
void connection_close(struct connection *connection, enum close_reason reason);

/* End at once. What is queued is lost. */
void connection_abort(struct connection *connection, enum close_reason reason);

uint64_t connection_id(const struct connection *connection);

/* Return why the connection ended, once it has. */
enum close_reason connection_reason(const struct connection *connection);

/* Tell whether the client ended the connection, and everything that it sent was echoed. */
bool connection_is_complete(const struct connection *connection);

/* Write one line about the connection as it is now: state, bytes, age. */
void connection_report(const struct connection *connection, enum log_level level);

#endif
