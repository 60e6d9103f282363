/*
 * clients: who is served by one worker: each client has an id in the table from its beginning to
 * its end, counts against the limits of connections, and is ended, or told of, with all others.
 * Accepts nobody; listeners does. Knows no deadline of the process; worker does.
 * Called by worker.
 */
#ifndef ECHOD_CLIENTS_H
#define ECHOD_CLIENTS_H

#include "base/log.h"
#include "echod/client_group.h"
#include "echod/close_reason.h"
#include "echod/connection_limit.h"
#include "echod/endpoint.h"
#include "echod/peer.h"
#include "echod/self.h"
#include "echod/table.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

enum clients_event {
    CLIENTS_PASSED_ENDED,  /* a client that was passed got everything back, and is about to go */
    CLIENTS_PASSED_FAILED, /* it is about to go, but not everything got back */
    CLIENTS_ONE_GONE,      /* any client is gone, and its place is free */
    CLIENTS_TOLD,          /* clients_report has written its last line */
};

typedef void clients_callback(enum clients_event event, void *owner);

/* Set the members up to the owner, and leave the rest zero. */
struct clients {
    struct event_base *base;
    struct log *log;
    struct connection_limit *limit;
    const struct self *self;
    unsigned worker_index, worker_count;
    clients_callback *on_event;
    void *owner;

    struct client_group_list groups;
    struct connection_pool pool;
    struct table *table;
    uint64_t *passed_ids; /* of the clients that were passed, not accepted */
    size_t passed_count;
    struct event *report_slice;
    struct table_cursor report_cursor;
};

/*
 * Prepare the members that the caller leaves; of passed clients there may be so many. Return 0, or
 * -1 with errno, and clients_fini frees what was made.
 */
int clients_init(struct clients *clients, size_t max_passed) __attribute__((warn_unused_result));

/* Free everything, connections too. */
void clients_fini(struct clients *clients);

/*
 * Serve a client. Its descriptors, which may be the same one, become the connection's; on failure
 * they are closed. It counts for the source that is known, or NULL. Return its id, or 0 with errno.
 */
uint64_t clients_serve(struct clients *clients, struct client_group *group, int input_fd,
                       int output_fd, const union peer *peer, struct admission_source *known);

/*
 * Serve a client that was accepted, or refuse it. Behind a proxy that is done when its header has
 * come. The descriptor becomes the connection's, or is closed.
 * Return 0, or -1 with errno if it could not be served.
 */
int clients_accept(struct clients *clients, struct client_group *group, int fd,
                   const union peer *peer) __attribute__((warn_unused_result));

/* Count those that are there for their sources, if that is to be done since the options changed. */
void clients_recount(struct clients *clients);

/* Serve the client that an endpoint has, in a group of its own. Return 0, or -1 with errno. */
int clients_serve_passed(struct clients *clients, struct endpoint *endpoint)
    __attribute__((warn_unused_result));

/* Return how many clients there are. */
size_t clients_count(const struct clients *clients);

/* End every connection for this reason: as connection_close does, or as connection_abort does. */
void clients_close(struct clients *clients, enum close_reason reason);
void clients_abort(struct clients *clients, enum close_reason reason);

/*
 * Write a line for each client, some at a time, so that the others have their turn in between, and
 * then tell CLIENTS_TOLD. Not again before that.
 */
void clients_report(struct clients *clients);

#endif
