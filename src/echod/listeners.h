/*
 * listeners: the listeners of one worker: added, changed and dropped as the endpoints are, and
 * paused at a limit of connections.
 * Serves no client; the worker does, in the callback.
 * Called by worker.
 */
#ifndef ECHOD_LISTENERS_H
#define ECHOD_LISTENERS_H

#include "base/log.h"
#include "echod/client_group.h"
#include "echod/connection_limit.h"
#include "echod/endpoint.h"
#include "echod/listener.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct listeners;

/* A listener that clients come by. It stays where it is until it is dropped. */
struct client_listener {
    struct client_listener *next;
    struct listeners *all;
    struct listener *listener;
    unsigned long number; /* of its endpoint */
    struct listener_stats *stats;
    struct client_group *group; /* of clients that come from now on */
    bool is_paused;             /* at a limit, by an operator, or since it has not begun */
    bool may_be_shut;           /* a TCP socket of our own */
    bool is_shut;               /* the system refuses clients, since an operator paused it */
    int backlog;
    struct log_limiter refusals; /* lines about them */
    struct log_limiter failures; /* lines about changes that failed */
};

/* Called for each client; the descriptor is the callee's. Return 0, or -1 with errno. */
typedef int listeners_callback(struct client_listener *listener, int fd,
                               const struct sockaddr *address, void *owner);

/* Set the members up to the owner, and leave the rest zero. */
struct listeners {
    struct event_base *base;
    struct log *log;
    struct client_group_list *groups;
    struct connection_limit *limit;
    unsigned worker_index, worker_count;
    int cpu; /* that the worker's thread stays on, or negative */
    listeners_callback *on_client;
    void *owner;

    struct client_listener *first;
    struct event *limit_retry;   /* at a limit: another worker's client may have left */
    struct log_limiter failures; /* lines about listeners that could not be added */
    bool is_leaving;             /* whoever waits is served: the limits do not count */
};

/* Prepare the members that the caller leaves. Return 0, or -1 with errno ENOMEM. */
int listeners_init(struct listeners *listeners) __attribute__((warn_unused_result));

/* Free everything, and close the sockets. */
void listeners_fini(struct listeners *listeners);

/*
 * Take over this worker's socket of an endpoint; it accepts from listeners_update on.
 * Return 0, or -1 with errno, and the socket is still the endpoint's.
 */
int listeners_add(struct listeners *listeners, struct endpoint *endpoint)
    __attribute__((warn_unused_result));

/*
 * Follow the endpoints: serve those that came, give the others their next options, for clients that
 * come from now on, and leave those that are leaving, after those who wait there were accepted.
 * Return 0, or -1 after a line in the log if memory was short: call it again later, with the same
 * endpoints. Until then nobody is left, and some clients get the options that were.
 */
int listeners_change(struct listeners *listeners, struct endpoint_list *endpoints)
    __attribute__((warn_unused_result));

/* Pause wherever a limit is reached, and accept again where none is any more. */
void listeners_update(struct listeners *listeners);

/*
 * Do that, and follow what operators have paused and resumed: who waits there is served first, and
 * then the system refuses clients, or where that cannot be, lets them wait.
 */
void listeners_follow_pauses(struct listeners *listeners);

/* Do listeners_update, and accept again where a shortage made a listener back off: a client has
 * left. */
void listeners_note_room(struct listeners *listeners);

/* Accept whoever waits, even above the limits, and then close all. */
void listeners_drain(struct listeners *listeners);

/* Close all at once. */
void listeners_close(struct listeners *listeners);

#endif
