#include <config.h>

#include "echod/datagrams.h"

#include "base/descriptor.h"
#include "echod/identify.h"
#include "echod/socket_options.h"
#include "echod/listener_stats.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A socket, and the number of its endpoint. */
struct served {
    struct served *next;
    struct datagrams *set;
    struct datagram_echo *echo;
    unsigned long number;
    const struct listener_stats *stats;
    bool is_draining;
};

struct datagrams {
    struct event_base *base;
    size_t worker;
    const struct self *self;
    struct log *log;
    struct log_limiter additions, changes; /* lines about those that failed */
    struct datagram_pool pool;
    struct served *first;
    datagrams_callback *on_event;
    void *owner;
};

/* --- Sockets --------------------------------------------------------------------------------- */

/* Close a socket that was taken out of the list. */
static void close_served(struct served *served)
{
    datagram_echo_free(served->echo);
    free(served);
}

/* Take a socket out of the list, and close it. */
static void remove_served(struct served *served)
{
    struct served **link = &served->set->first;

    while (*link != served)
        link = &(*link)->next;
    *link = served->next;
    close_served(served);
}

static bool are_all_idle(const struct datagrams *datagrams)
{
    const struct served *served = datagrams->first;

    while (served != NULL && datagram_echo_is_idle(served->echo))
        served = served->next;
    return served == NULL;
}

static void on_over(struct datagram_echo *echo, void *owner)
{
    struct served *served = owner;
    struct datagrams *datagrams = served->set;

    (void)echo;
    if (served->is_draining) {
        remove_served(served);
        datagrams->on_event(DATAGRAMS_DRAINED, datagrams->owner);
    } else if (are_all_idle(datagrams)) {
        datagrams->on_event(DATAGRAMS_IDLE, datagrams->owner);
    }
}

static struct counters *counters_of(const struct datagrams *datagrams,
                                    const struct endpoint *endpoint)
{
    return &endpoint->stats->by_worker[datagrams->worker];
}

/* Serve a socket of an endpoint, which becomes the set's. Return 0, or -1 with errno. */
static int add(struct datagrams *datagrams, struct endpoint *endpoint,
               const struct datagram_limits *limits)
{
    int *fd = &endpoint->worker_fds[datagrams->worker];
    struct served *served = calloc(1, sizeof *served);
    int failure;

    if (served == NULL)
        return -1;
    served->set = datagrams;
    served->number = endpoint->number;
    served->stats = endpoint->stats;
    served->echo =
        datagram_echo_new(datagrams->base, *fd, endpoint->stats->label, limits, &datagrams->pool,
                          datagrams->log, counters_of(datagrams, endpoint), on_over, served);
    if (served->echo == NULL) {
        failure = errno;
        free(served);
        errno = failure;
        return -1;
    }
    *fd = -1; /* the echo's now */
    served->next = datagrams->first;
    datagrams->first = served;
    return 0;
}

/* Return what serves an endpoint and is not being drained, or NULL. */
static struct served *find(const struct datagrams *datagrams, const struct endpoint *endpoint)
{
    struct served *served = datagrams->first;

    while (served != NULL && (served->number != endpoint->number || served->is_draining))
        served = served->next;
    return served;
}

static void drain(struct served *served)
{
    if (served->is_draining)
        return;
    served->is_draining = true;
    datagram_echo_drain(served->echo);
}

/* --- Endpoints ------------------------------------------------------------------------------- */

/* Tell whether there is nothing to stay for but datagram sockets that somebody else keeps open. */
static bool is_wait_service(const struct endpoint_list *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *endpoint = &endpoints->items[i];

        if (!endpoint->is_leaving && (endpoint->kind != ENDPOINT_DATAGRAM || !endpoint->is_passed))
            return false;
    }
    return true;
}

static struct datagram_limits limits_of(const struct datagrams *datagrams,
                                        const struct endpoint_list *endpoints,
                                        const struct endpoint *endpoint)
{
    const bool is_shared =
        endpoint->is_passed || (!endpoint->is_group && endpoints->worker_count > 1);

    return (struct datagram_limits){
        .are_low_ports_allowed = endpoint->next_options.low_ports == LISTENER_LOW_PORTS_ALLOW,
        .is_shared = is_shared,
        .leaves_overflow = is_shared && datagrams->worker > 0,
        .rate_per_second = endpoint->next_options.rate,
        .identify = identify_plan(&endpoint->next_options, (unsigned)datagrams->worker,
                                  datagrams->self, endpoint->stats->label),
        .impair = endpoint->next_options.impair,
        .idle_timeout_ms = is_wait_service(endpoints) ? endpoint->next_options.idle_timeout_ms : 0,
    };
}

/* Tell whether this worker serves an endpoint: one that may end for silence has one worker only. */
static bool is_ours(const struct datagrams *datagrams, const struct datagram_limits *limits)
{
    return limits->idle_timeout_ms == 0 || datagrams->worker == 0;
}

int datagrams_take(struct datagrams *datagrams, struct endpoint_list *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];
        const struct datagram_limits limits = limits_of(datagrams, endpoints, endpoint);

        if (endpoint->kind == ENDPOINT_DATAGRAM && is_ours(datagrams, &limits) &&
            add(datagrams, endpoint, &limits) < 0)
            return -1;
    }
    return 0;
}

/* Serve an endpoint that came; its socket has a buffer in which datagrams can wait. */
static int add_late(struct datagrams *datagrams, const struct endpoint_list *endpoints,
                    struct endpoint *endpoint)
{
    const struct datagram_limits limits = limits_of(datagrams, endpoints, endpoint);
    const struct log_field fact = endpoint_fact(endpoint);

    if (endpoint->worker_fds[datagrams->worker] < 0 || !is_ours(datagrams, &limits) ||
        add(datagrams, endpoint, &limits) == 0)
        return 0;
    log_write_limited(datagrams->log, &datagrams->additions, LOG_LEVEL_ERROR, &fact, 1,
                      "worker %zu does not serve %s yet: %s", datagrams->worker, endpoint->name,
                      strerror(errno));
    return -1;
}

/* Let an endpoint that stays have its next options, and be counted where its next name is. */
static int change(struct served *served, const struct endpoint_list *endpoints,
                  const struct endpoint *endpoint)
{
    struct datagrams *datagrams = served->set;
    const struct datagram_limits limits = limits_of(datagrams, endpoints, endpoint);
    const uint64_t buffer_bytes = endpoint->next_options.receive_buffer_bytes;
    const struct log_field fact = endpoint_fact(endpoint);

    if (datagram_echo_change(served->echo, &limits) < 0) {
        log_write_limited(datagrams->log, &datagrams->changes, LOG_LEVEL_ERROR, &fact, 1,
                          "worker %zu keeps its limits at %s for now: %s", datagrams->worker,
                          endpoint->name, strerror(errno));
        return -1;
    }
    served->stats = endpoint->stats;
    datagram_echo_set_name(served->echo, endpoint->stats->label, counters_of(datagrams, endpoint));
    if (!endpoint->is_passed && buffer_bytes != endpoint->options.receive_buffer_bytes)
        socket_options_set_receive_buffer(datagram_echo_socket(served->echo), buffer_bytes);
    return 0;
}

/* Tell whether a reload leaves an endpoint to this worker, which serves it. */
static bool is_kept(const struct datagrams *datagrams, const struct endpoint_list *endpoints,
                    const struct endpoint *endpoint)
{
    const struct datagram_limits limits = limits_of(datagrams, endpoints, endpoint);

    return !endpoint->is_leaving && is_ours(datagrams, &limits);
}

/* Do what a reload asks of an endpoint, which is served or not. */
static int follow(struct datagrams *datagrams, const struct endpoint_list *endpoints,
                  struct endpoint *endpoint)
{
    struct served *served = find(datagrams, endpoint);

    if (served == NULL)
        return endpoint->is_leaving ? 0 : add_late(datagrams, endpoints, endpoint);
    if (is_kept(datagrams, endpoints, endpoint))
        return change(served, endpoints, endpoint);
    drain(served);
    return 0;
}

int datagrams_change(struct datagrams *datagrams, struct endpoint_list *endpoints)
{
    int status = 0;

    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = &endpoints->items[i];

        if (endpoint->kind == ENDPOINT_DATAGRAM && follow(datagrams, endpoints, endpoint) < 0)
            status = -1;
    }
    return status;
}

bool datagrams_are_leaving(const struct datagrams *datagrams)
{
    const struct served *served = datagrams->first;

    while (served != NULL && !served->is_draining)
        served = served->next;
    return served != NULL;
}

void datagrams_follow_pauses(struct datagrams *datagrams)
{
    for (struct served *served = datagrams->first; served != NULL; served = served->next)
        datagram_echo_pause(served->echo, atomic_load(&served->stats->is_paused));
}

void datagrams_drain(struct datagrams *datagrams)
{
    for (struct served *served = datagrams->first; served != NULL; served = served->next)
        drain(served);
}

void datagrams_count_overflow(struct datagrams *datagrams)
{
    for (const struct served *served = datagrams->first; served != NULL; served = served->next)
        datagram_echo_count_overflow(served->echo);
}

size_t datagrams_count(const struct datagrams *datagrams)
{
    size_t count = 0;

    for (const struct served *served = datagrams->first; served != NULL; served = served->next)
        count++;
    return count;
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct datagrams *datagrams_new(struct event_base *base, size_t worker, const struct self *self,
                                struct gauge *queued_bytes, struct log *log,
                                datagrams_callback *on_event, void *owner)
{
    struct datagrams *datagrams = malloc(sizeof *datagrams);

    if (datagrams == NULL)
        return NULL;
    *datagrams = (struct datagrams){
        .base = base,
        .worker = worker,
        .self = self,
        .log = log,
        .on_event = on_event,
        .owner = owner,
    };
    datagrams->pool.queued_bytes = queued_bytes;
    return datagrams;
}

void datagrams_limit_queued(struct datagrams *datagrams, uint64_t max_queued_bytes)
{
    datagrams->pool.max_queued_bytes = max_queued_bytes;
}

void datagrams_close_leaving(struct datagrams *datagrams)
{
    struct served *served = datagrams->first;

    while (served != NULL) {
        struct served *next = served->next;

        if (served->is_draining)
            remove_served(served);
        served = next;
    }
}

void datagrams_close(struct datagrams *datagrams)
{
    struct served *served;

    while ((served = datagrams->first) != NULL) {
        datagrams->first = served->next;
        close_served(served);
    }
}

void datagrams_free(struct datagrams *datagrams)
{
    if (datagrams == NULL)
        return;
    datagrams_close(datagrams);
    datagram_pool_fini(&datagrams->pool);
    free(datagrams);
}
