#include <config.h>

#include "echod/listeners.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "echod/admission.h"
#include "echod/admission_options.h"
#include "echod/byte_rate.h"
#include "echod/socket_options.h"
#include "echod/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LIMIT_RETRY_MS = 100,
    /* The most that wait anywhere: the largest --backlog, and the one more that Linux queues. */
    MAX_WAITING = 65535 + 1,
};

/* --- Limits ---------------------------------------------------------------------------------- */

/* Tell whether all workers together have as many connections as there may be, or by this one. */
static bool is_at_limit(const struct client_listener *listener)
{
    const struct connection_limit *limit = listener->all->limit;

    return atomic_load(&limit->open) >= atomic_load(&limit->max) ||
           atomic_load(&listener->stats->open) >= atomic_load(&listener->stats->max);
}

/* What is shut stays so until listeners_follow_pauses. */
static void pause_or_resume(struct client_listener *listener)
{
    const bool was_paused = listener->is_paused;

    listener->is_paused =
        is_at_limit(listener) || listener->is_shut || atomic_load(&listener->stats->is_paused);
    if (listener->is_paused)
        listener_pause(listener->listener);
    else if (was_paused)
        listener_resume(listener->listener);
}

/* Set those of the next options of its endpoint, which all workers have together. */
static void set_limits(struct client_listener *listener, const struct endpoint *endpoint)
{
    const struct listener_options *options = &endpoint->next_options;
    const struct admission_limits limits = admission_options_limits(&options->admission);

    atomic_store(&listener->stats->max, options->max_connections);
    byte_line_set(&listener->stats->rate, options->rate_limit_total);
    admission_set_limits(listener->stats->admission, &limits);
}

/* Of another worker's clients no one tells: look now and then. */
void listeners_update(struct listeners *listeners)
{
    bool is_any_paused = false;

    for (struct client_listener *one = listeners->first; one != NULL; one = one->next) {
        pause_or_resume(one);
        is_any_paused |= one->is_paused;
    }
    if (is_any_paused && listeners->worker_count > 1)
        timers_set_or_run(listeners->limit_retry, LIMIT_RETRY_MS);
}

void listeners_note_room(struct listeners *listeners)
{
    listeners_update(listeners);
    for (struct client_listener *one = listeners->first; one != NULL; one = one->next)
        listener_note_room(one->listener);
}

static void on_limit_retry(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    listeners_update(argument);
}

/* --- Clients --------------------------------------------------------------------------------- */

static struct counters *counters_of(const struct client_listener *listener)
{
    return &listener->stats->by_worker[listener->all->worker_index];
}

/* A client could not be served: the system is short of memory, or of what epoll needs. */
static void refuse(struct client_listener *listener)
{
    const int failure = errno;

    log_write_limited(listener->all->log, &listener->refusals, LOG_LEVEL_WARNING,
                      &(const struct log_field){.name = "listener", .text = listener->stats->label},
                      1, "a client of %s is refused: %s", listener->stats->label,
                      strerror(failure));
    counters_add(counters_of(listener), COUNTER_CONNECTIONS_REFUSED, 1);
    listener_back_off(listener->listener, failure);
}

static void on_accept(evutil_socket_t fd, const struct sockaddr *address, void *argument)
{
    struct client_listener *listener = argument;
    struct listeners *listeners = listener->all;

    if (listeners->on_client(listener, fd, address, listeners->owner) < 0)
        refuse(listener);
    if (!listeners->is_leaving && is_at_limit(listener)) {
        counters_add(counters_of(listener), COUNTER_ACCEPT_LIMITS, 1);
        listeners_update(listeners);
    }
}

/*
 * Serve whoever the kernel has connected already, even above a limit of connections: they would be
 * reset. How many that are is not known at the end: the backlog may have changed, or be a parent's.
 */
static void accept_waiting(struct client_listener *listener, int left)
{
    if (listener->is_shut)
        return;
    listener->all->is_leaving = true;
    while (left > 0 && listener_accept_one(listener->listener))
        left--;
    listener->all->is_leaving = false;
    if (left > 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        log_write_fields(
            listener->all->log, LOG_LEVEL_WARNING,
            &(const struct log_field){.name = "listener", .text = listener->stats->label}, 1,
            "clients that wait at %s are not accepted, and are reset: %s", listener->stats->label,
            strerror(errno));
}

/* --- Pauses ---------------------------------------------------------------------------------- */

/* A load balancer is to see at once that it has to go elsewhere. */
static void shut(struct client_listener *listener)
{
    listener_pause(listener->listener);
    accept_waiting(listener, listener->backlog + 1); /* as many as Linux queues */
    listener->is_shut = listener_shut(listener->listener) == 0;
}

static void listen_again(struct client_listener *listener)
{
    int failure;

    if (listener_listen(listener->listener, listener->backlog) == 0) {
        listener->is_shut = false;
        return;
    }
    failure = errno;
    atomic_store(&listener->stats->resume_errno, failure);
    log_write_limited(listener->all->log, &listener->failures, LOG_LEVEL_ERROR,
                      &(const struct log_field){.name = "listener", .text = listener->stats->label},
                      1, "worker %u cannot listen at %s again: %s; resume it once more",
                      listener->all->worker_index, listener->stats->label, strerror(failure));
}

void listeners_follow_pauses(struct listeners *listeners)
{
    for (struct client_listener *one = listeners->first; one != NULL; one = one->next) {
        const bool is_paused = atomic_load(&one->stats->is_paused);

        if (is_paused && one->may_be_shut && !one->is_shut)
            shut(one);
        else if (!is_paused && one->is_shut)
            listen_again(one);
    }
    listeners_update(listeners);
}

/* --- Adding ---------------------------------------------------------------------------------- */

/* Ask for the clients whose packets arrive at a CPU: socket(7); in a group since Linux 6.2. */
static void prefer_clients_of(int fd, int cpu)
{
#ifdef SO_INCOMING_CPU
    (void)setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof cpu);
#else
    (void)fd, (void)cpu;
#endif
}

/* Make the parts of a listener. Return 0, or -1 with errno and nothing left to undo. */
static int make_parts(struct client_listener *listener, const struct endpoint *endpoint, int fd)
{
    struct listeners *listeners = listener->all;

    listener->group = client_group_new(listeners->groups, &endpoint->next_options,
                                       endpoint->next_tls, endpoint->stats);
    if (listener->group == NULL)
        return -1;
    listener->listener = listener_new(listeners->base, fd, listener->stats->label, listeners->log,
                                      counters_of(listener), on_accept, listener);
    if (listener->listener == NULL) {
        listener->group->is_current = false;
        return -1;
    }
    return 0;
}

int listeners_add(struct listeners *listeners, struct endpoint *endpoint)
{
    int *fd = &endpoint->worker_fds[listeners->worker_index];
    struct client_listener *listener = malloc(sizeof *listener);

    if (listener == NULL)
        return -1;
    *listener = (struct client_listener){
        .next = listeners->first,
        .all = listeners,
        .number = endpoint->number,
        .stats = endpoint->stats,
        .is_paused = true,
        .may_be_shut = endpoint->address.scheme == ADDRESS_TCP && !endpoint->is_passed,
        .backlog = (int)endpoint->next_options.backlog,
    };
    if (make_parts(listener, endpoint, *fd) < 0) {
        free(listener);
        errno = ENOMEM;
        return -1;
    }
    if (listeners->cpu >= 0 && endpoint->is_group)
        prefer_clients_of(*fd, listeners->cpu);
    set_limits(listener, endpoint);
    listeners->first = listener;
    *fd = -1; /* the listener's now */
    return 0;
}

/* --- Reload ---------------------------------------------------------------------------------- */

/* Return how an endpoint is served, or NULL if it is not. */
static struct client_listener *find(const struct listeners *listeners,
                                    const struct endpoint *endpoint)
{
    struct client_listener *listener = listeners->first;

    while (listener != NULL && listener->number != endpoint->number)
        listener = listener->next;
    return listener;
}

static void free_listener(struct client_listener *listener)
{
    listener_free(listener->listener);
    listener->group->is_current = false;
    free(listener);
}

static void drop(struct listeners *listeners, struct client_listener *listener)
{
    struct client_listener **link = &listeners->first;

    accept_waiting(listener, MAX_WAITING);
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    free_listener(listener);
}

/* Serve an endpoint that came; its socket has a queue in which clients can wait. */
static int add_late(struct listeners *listeners, struct endpoint *endpoint)
{
    const struct log_field fact = endpoint_fact(endpoint);

    if (listeners_add(listeners, endpoint) == 0)
        return 0;
    log_write_limited(listeners->log, &listeners->failures, LOG_LEVEL_ERROR, &fact, 1,
                      "worker %u does not listen on %s yet: %s", listeners->worker_index,
                      endpoint->name, strerror(errno));
    return -1;
}

/* Change the socket, which we opened, without a gap. */
static void change_socket(struct client_listener *listener, const struct endpoint *endpoint)
{
    const struct listener_options *options = &endpoint->next_options;
    const struct log_field fact = endpoint_fact(endpoint);
    const char *failed;

    listener->backlog = (int)options->backlog;
    if (!listener->is_shut)
        listener_set_backlog(listener->listener, listener->backlog);
    if (endpoint->address.scheme == ADDRESS_TCP &&
        socket_options_set_for_clients(listener_fd(listener->listener), options, &failed) < 0)
        log_write_fields(listener->all->log, LOG_LEVEL_WARNING, &fact, 1,
                         "%s: %s is not changed: %s", endpoint->name, failed, strerror(errno));
}

/* Give clients that come from now on the next options of an endpoint. */
static int change(struct client_listener *listener, const struct endpoint *endpoint)
{
    struct listeners *listeners = listener->all;
    struct client_group *group = client_group_new(listeners->groups, &endpoint->next_options,
                                                  endpoint->next_tls, endpoint->stats);
    const struct log_field fact = endpoint_fact(endpoint);

    if (group == NULL) {
        log_write_limited(listeners->log, &listener->failures, LOG_LEVEL_ERROR, &fact, 1,
                          "worker %u keeps its limits at %s for now: %s", listeners->worker_index,
                          endpoint->name, strerror(errno));
        return -1;
    }
    listener->group->is_current = false;
    listener->group = group;
    listener->stats = endpoint->stats;
    listener_set_name(listener->listener, listener->stats->label, counters_of(listener));
    set_limits(listener, endpoint);
    if (!endpoint->is_passed)
        change_socket(listener, endpoint);
    return 0;
}

int listeners_change(struct listeners *listeners, struct endpoint_list *endpoints)
{
    int status = 0;

    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];
        struct client_listener *listener = find(listeners, endpoint);

        if (endpoint->kind != ENDPOINT_LISTENER || endpoint->is_leaving)
            continue;
        if ((listener == NULL ? add_late(listeners, endpoint) : change(listener, endpoint)) < 0)
            status = -1;
    }
    if (status < 0)
        return status;
    for (size_t i = 0; i < endpoints->count; i++) {
        struct client_listener *listener = find(listeners, &endpoints->items[i]);

        if (listener != NULL && endpoints->items[i].is_leaving)
            drop(listeners, listener);
    }
    return 0;
}

/* --- Construction and destruction ------------------------------------------------------------ */

int listeners_init(struct listeners *listeners)
{
    listeners->limit_retry = evtimer_new(listeners->base, on_limit_retry, listeners);
    return listeners->limit_retry == NULL ? -1 : 0;
}

void listeners_close(struct listeners *listeners)
{
    while (listeners->first != NULL) {
        struct client_listener *listener = listeners->first;

        listeners->first = listener->next;
        free_listener(listener);
    }
}

void listeners_drain(struct listeners *listeners)
{
    for (struct client_listener *one = listeners->first; one != NULL; one = one->next)
        accept_waiting(one, MAX_WAITING);
    listeners_close(listeners);
}

void listeners_fini(struct listeners *listeners)
{
    listeners_close(listeners);
    timers_free(listeners->limit_retry);
}
