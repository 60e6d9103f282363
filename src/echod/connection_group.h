/*
 * connection_group: what connections share: those of a worker (the pool), and of these those that
 * began under the same limits (a group).
 * Knows no connection.
 * Called by connection, handshake and transfer, and by client_group, which makes the groups.
 */
#ifndef ECHOD_CONNECTION_GROUP_H
#define ECHOD_CONNECTION_GROUP_H

#include "base/log.h"
#include "echod/channel.h"
#include "echod/close_reason.h"
#include "echod/counters.h"
#include "echod/deadlines.h"
#include "echod/echo.h"
#include "echod/gauge.h"
#include "echod/gate.h"
#include "echod/identify.h"
#include "echod/impair.h"
#include "echod/listener_options.h"
#include "echod/timeouts.h"
#include "echod/tls_session.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of what limits connections together: their listener's, and the process's. */
enum { CONNECTION_LINES = 2 };

struct byte_line; /* echod/byte_rate.h */
struct connection;
struct tls_context; /* echod/tls_context.h */

/* What connections may use and how long they may take; 0 ms: no limit. */
struct connection_limits {
    uint64_t high_water_bytes; /* reading pauses with this much output queued, ... */
    uint64_t low_water_bytes;  /* ... and goes on with this much */
    uint64_t max_queued_bytes; /* of all of a worker: with this much, whoever has output waits */
    uint64_t idle_timeout_ms;
    uint64_t lifetime_ms;
    uint64_t write_timeout_ms;
    uint64_t linger_timeout_ms; /* 0: a connection that we end is closed at once */
    uint64_t handshake_timeout_ms;
    uint64_t rate_limit; /* bytes a second that are read from each; 0: no limit */
    bool has_shortcuts;  /* plain sockets take the shortcut of echo */
};

/* Called when a connection has ended, as the last thing; the owner frees it there. */
typedef void connection_end_callback(struct connection *connection, void *owner);

/*
 * How connections are served: what their channels report to, how these are opened (0, or -1 if
 * there is no memory), what comes at the client's end, and when everything has left of one that
 * drains: it may end at either.
 */
struct connection_service {
    struct channel_events events;
    int (*open)(struct connection *connection, int input_fd, int output_fd);
    void (*end_input)(struct connection *connection, enum close_reason reason);
    void (*finish)(struct connection *connection);
};

/* What all connections of a worker share, whatever their limits. */
struct connection_pool {
    struct echo_scratch scratch;
    struct tls_reserve tls_reserve;
    struct gauge queued_bytes;  /* output that waits, and answers of datagrams that are held back */
    struct deadlines deadlines; /* of those that misbehave; nothing as long as there are none */
    struct deadlines held_back; /* the same of those whose rate is limited */
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
    unsigned logs;                          /* enum listener_log: which lines are written */
    char listener_name[LISTENER_NAME_SIZE]; /* empty: it has none */
    unsigned proxy_versions;                /* of the header that each begins with; 0: with none */
    struct network_list proxy_from;         /* who may send it; empty: anybody */
    struct identify_plan identify;          /* what each is told before its echo, if anything */
    struct gate gate;                       /* who is let in */
    struct impair impair;                   /* what they do wrong on purpose */
    _Atomic uint64_t *impaired_count; /* connections of the listener that did, of all workers */
    struct byte_line *lines[CONNECTION_LINES]; /* NULL: no limit; they outlive the group */
    uint64_t line_told_ns;                     /* when the log was told that they are full */
    struct tls_context *tls;                   /* NULL: they are plain; it outlives the group */
    struct log_limiter tls_failures;
    connection_end_callback *on_end;
    void *owner;

    /* connection_init_group chooses these, once for all of its connections. */
    const struct connection_service *service;
    int (*begin)(struct connection *connection);      /* what it does first */
    int (*begin_well)(struct connection *connection); /* the same, once it has misbehaved */
    int (*open)(struct connection *connection);       /* and after its handshake */
    bool is_impaired;                                 /* they misbehave on purpose */
    bool is_limited;                                  /* their rate is: see stream_limit */

    struct timeout_queue handshake;
    struct timeout_queue idle;
    struct timeout_queue lifetime;
    struct timeout_queue write_stall;
    struct timeout_queue closing; /* flush and linger of a connection that we end */
    size_t count;                 /* of connections that are not freed yet */
};

/* What happens when a deadline passes, by the queue that it lies in. */
struct connection_deadlines {
    timeout_callback *on_handshake_overdue;
    timeout_callback *on_idle;
    timeout_callback *on_lifetime_over;
    timeout_callback *on_write_due;
    timeout_callback *on_closing_overdue;
};

/*
 * Make the queues of a group whose other members are set; connection_init_group does, with the
 * deadlines of connections. Return 0, or -1 with errno ENOMEM and nothing left to undo.
 */
int connection_group_init(struct connection_group *group,
                          const struct connection_deadlines *deadlines)
    __attribute__((warn_unused_result));

/*
 * Free them. No connection may be left; and call it from none of the group's callbacks, in which
 * its last connection may have ended.
 */
void connection_group_fini(struct connection_group *group);

#endif
