#include <config.h>

#include "echod/worker.h"

#include "base/clock.h"
#include "echod/connection.h"
#include "echod/datagrams.h"
#include "echod/listener.h"
#include "echod/mailbox.h"
#include "echod/table.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* worker_drain, _stop, _report, _ping and _change wait at most once each. */
    MAILBOX_CAPACITY = 5,
    /* A report writes so many lines at a time, and lets the clients have their turn in between. */
    REPORT_LINES = 100,
    REPORT_PAUSE_MS = 5,
    LIMIT_RETRY_MS = 100,
    /* The most that wait anywhere: the largest --backlog, and the one more that Linux queues. */
    MAX_WAITING = 65535 + 1,
};

/* A listener, and the number of its endpoint. */
struct served {
    struct listener *listener;
    unsigned long number;
};

/* The connections that began under the same options. */
struct generation {
    struct connection_group group;
    struct generation *older;
};

struct worker {
    struct worker_place place;
    struct sockets *sockets; /* those of this worker are its own */
    uint64_t backlog;
    uint64_t drain_timeout_ms;
    struct log *log;
    struct log_limiter refusals; /* lines about them */
    worker_event_callback *on_event;
    void *owner;

    struct event_base *base;
    struct mailbox *mailbox;
    struct served *served;
    size_t served_count;
    struct datagrams *datagrams;
    struct table *table;
    struct connection_pool pool;
    struct generation *generation; /* the newest, which takes new clients */
    struct counters counters;
    uint64_t *passed_ids; /* of the clients that were passed, not accepted */
    size_t passed_count;

    struct event *limit_retry; /* at the limit: another worker's client may have left */
    struct event *drain_deadline;
    struct event *report_slice;
    struct table_cursor report_cursor;
    atomic_bool is_reporting;
    atomic_bool is_pinged;
    bool is_draining;
    bool is_idle;    /* no datagram comes any more */
    bool is_leaving; /* a listener, with all who wait there: the limit does not count */

    const struct options *next_options; /* from worker_change to WORKER_CHANGED */
    uint64_t next_max_queued_bytes;

    pthread_t thread;
    bool is_started;
    atomic_bool is_over; /* the thread has nothing more to do */
};

/* --- Connections. ---------------------------------------------------------------------------- */

static void pause_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->served_count; i++)
        listener_pause(worker->served[i].listener);
}

static void resume_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->served_count; i++)
        listener_resume(worker->served[i].listener);
}

static void free_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->served_count; i++)
        listener_free(worker->served[i].listener);
    worker->served_count = 0;
}

/* Tell whether all workers together have as many connections as there may be. */
static bool is_at_limit(const struct worker *worker)
{
    return atomic_load(&worker->place.limit->open) >= worker->place.limit->max;
}

/* Leave the loop if nothing is left to do. */
static void finish_if_idle(struct worker *worker)
{
    if (worker->is_draining && table_count(worker->table) == 0 &&
        datagrams_count(worker->datagrams) == 0)
        (void)event_base_loopbreak(worker->base); /* cannot fail for a base that exists */
}

/* Take note if it was a passed client that ended. */
static void tell_of_passed_client(struct worker *worker, const struct connection *connection)
{
    for (size_t i = 0; i < worker->passed_count; i++) {
        if (worker->passed_ids[i] == connection_id(connection))
            worker->on_event(connection_is_complete(connection) ? WORKER_CLIENT_ENDED
                                                                : WORKER_CLIENT_FAILED,
                             worker->owner);
    }
}

static void on_connection_ended(struct connection *connection, void *owner)
{
    struct worker *worker = owner;

    (void)table_remove(worker->table, connection_id(connection));
    atomic_fetch_sub(&worker->place.limit->open, 1);
    tell_of_passed_client(worker, connection);
    connection_free(connection);
    if (!is_at_limit(worker))
        resume_listeners(worker);
    finish_if_idle(worker);
}

/* Keep what names a peer; of a Unix socket that is only that it is one. */
static union peer make_peer(const struct sockaddr *address)
{
    union peer peer;

    memset(&peer, 0, sizeof peer);
    if (address->sa_family == AF_INET)
        memcpy(&peer.v4, address, sizeof peer.v4);
    else if (address->sa_family == AF_INET6)
        memcpy(&peer.v6, address, sizeof peer.v6);
    else
        peer.family = address->sa_family;
    return peer;
}

static void close_both(int input_fd, int output_fd)
{
    (void)close(input_fd);
    if (output_fd != input_fd)
        (void)close(output_fd);
}

/*
 * Serve a client. Its descriptors become the connection's; on failure they are closed.
 * Return its id, or 0 with errno.
 */
static uint64_t serve(struct worker *worker, int input_fd, int output_fd, const union peer *peer)
{
    struct connection *connection =
        connection_new(&worker->generation->group, input_fd, output_fd, peer);
    uint64_t id = 0;
    int failure;

    if (connection == NULL) {
        close_both(input_fd, output_fd);
        errno = ENOMEM;
        return 0;
    }
    id = table_insert(worker->table, connection);
    if (id != 0 && connection_start(connection, id) == 0) {
        atomic_fetch_add(&worker->place.limit->open, 1);
        return id;
    }
    failure = errno;
    if (id != 0)
        (void)table_remove(worker->table, id);
    connection_free(connection);
    errno = failure;
    return 0;
}

/* A client could not be served: the system is short of memory, or of what epoll needs. */
static void refuse(struct worker *worker)
{
    log_write_limited(worker->log, &worker->refusals, LOG_LEVEL_WARNING, "a client is refused: %s",
                      strerror(errno));
    counters_add(&worker->counters, COUNTER_CONNECTIONS_REFUSED, 1);
    for (size_t i = 0; i < worker->served_count; i++)
        listener_back_off(worker->served[i].listener);
}

/* Set a timer; where the loop has no memory for it, let its time be now. */
static void set_timer(struct event *timer, uint64_t delay_ms)
{
    const struct timeval delay = clock_timeval(delay_ms);

    if (event_add(timer, &delay) < 0)
        event_active(timer, EV_TIMEOUT, 1);
}

/* Accept while there may be more connections. Of another worker's clients no one tells: look. */
static void accept_within_limit(struct worker *worker)
{
    if (!is_at_limit(worker)) {
        resume_listeners(worker);
        return;
    }
    pause_listeners(worker);
    if (worker->place.count > 1 && worker->served_count > 0)
        set_timer(worker->limit_retry, LIMIT_RETRY_MS);
}

static void on_limit_retry(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    accept_within_limit(argument);
}

static void on_accept(evutil_socket_t fd, const struct sockaddr *address, void *argument)
{
    struct worker *worker = argument;
    const union peer peer = make_peer(address);

    if (serve(worker, fd, fd, &peer) == 0)
        refuse(worker);
    if (!worker->is_leaving && is_at_limit(worker)) {
        counters_add(&worker->counters, COUNTER_ACCEPT_LIMITS, 1);
        accept_within_limit(worker);
    }
}

/* --- Listeners. ------------------------------------------------------------------------------ */

/* Ask for the clients whose packets arrive at a CPU: socket(7); in a group since Linux 6.2. */
static void prefer_clients_of(int fd, int cpu)
{
#ifdef SO_INCOMING_CPU
    (void)setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof cpu);
#else
    (void)fd, (void)cpu;
#endif
}

/* Serve this worker's socket of an endpoint, which becomes the listener's. It begins paused. */
static int add_listener(struct worker *worker, struct endpoint *endpoint)
{
    int *fd = &endpoint->worker_fds[worker->place.index];
    struct served *served =
        realloc(worker->served, (worker->served_count + 1) * sizeof *worker->served);
    struct listener *listener;

    if (served == NULL)
        return -1;
    worker->served = served;
    listener = listener_new(worker->base, *fd, endpoint->name, worker->log, &worker->counters,
                            on_accept, worker);
    if (listener == NULL)
        return -1;
    if (worker->place.cpu != WORKER_ANY_CPU && endpoint->is_group)
        prefer_clients_of(*fd, worker->place.cpu);
    *fd = -1; /* the listener's now */
    served[worker->served_count++] =
        (struct served){.listener = listener, .number = endpoint->number};
    return 0;
}

/* Return how this worker serves an endpoint, or NULL if it does not. */
static struct served *find_served(const struct worker *worker, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < worker->served_count; i++) {
        if (worker->served[i].number == endpoint->number)
            return &worker->served[i];
    }
    return NULL;
}

/*
 * Serve whoever the kernel has connected already, even above the limit of connections: they would
 * be reset. How many that are is not known: the backlog may have changed, or be a parent's.
 */
static void accept_waiting(struct worker *worker, const struct served *served)
{
    int left = MAX_WAITING;

    worker->is_leaving = true;
    while (left > 0 && listener_accept_one(served->listener))
        left--;
    worker->is_leaving = false;
    if (left > 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        log_write(worker->log, LOG_LEVEL_WARNING, "who still waits at %s is reset: %s",
                  listener_name(served->listener), strerror(errno));
}

static void drop_listener(struct worker *worker, struct served *served)
{
    accept_waiting(worker, served);
    listener_free(served->listener);
    *served = worker->served[--worker->served_count];
}

/*
 * Serve an endpoint that came. Without memory for it, close its socket: those of other workers then
 * get the clients.
 */
static void add_listener_late(struct worker *worker, struct endpoint *endpoint)
{
    int *fd = &endpoint->worker_fds[worker->place.index];

    if (add_listener(worker, endpoint) == 0)
        return;
    log_write(worker->log, LOG_LEVEL_ERROR, "worker %u does not listen on %s: %s",
              worker->place.index, endpoint->name, strerror(errno));
    (void)close(*fd);
    *fd = -1;
}

/* Serve what was added, and then leave what is leaving. */
static void change_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->sockets->endpoints.count; i++) {
        struct endpoint *endpoint = &worker->sockets->endpoints.items[i];
        struct served *served = find_served(worker, endpoint);

        if (endpoint->kind != ENDPOINT_LISTENER)
            continue;
        if (served == NULL && !endpoint->is_leaving)
            add_listener_late(worker, endpoint);
        else if (served != NULL && !endpoint->is_leaving && !endpoint->is_passed)
            listener_set_backlog(served->listener, (int)worker->backlog);
    }
    for (size_t i = 0; i < worker->sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &worker->sockets->endpoints.items[i];
        struct served *served = find_served(worker, endpoint);

        if (served != NULL && endpoint->is_leaving)
            drop_listener(worker, served);
    }
}

/* --- Datagrams. ------------------------------------------------------------------------------ */

/* A service for datagrams that nobody sends is over, like one for a client that left. */
static void on_datagrams_event(enum datagrams_event event, void *owner)
{
    struct worker *worker = owner;

    switch (event) {
    case DATAGRAMS_DRAINED:
        finish_if_idle(worker);
        break;
    case DATAGRAMS_IDLE:
        if (!worker->is_idle)
            worker->on_event(WORKER_CLIENT_ENDED, worker->owner);
        worker->is_idle = true;
        break;
    }
}

/* --- Options. -------------------------------------------------------------------------------- */

/* Let clients that come from now on have these options. Return 0, or -1 with errno ENOMEM. */
static int begin_generation(struct worker *worker, const struct options *options,
                            uint64_t max_queued_bytes)
{
    struct generation *generation = malloc(sizeof *generation);

    if (generation == NULL)
        return -1;
    generation->older = worker->generation;
    generation->group = (struct connection_group){
        .base = worker->base,
        .log = worker->log,
        .counters = &worker->counters,
        .pool = &worker->pool,
        .limits =
            {
                .high_water_bytes = options->high_water_bytes,
                .low_water_bytes = options->low_water_bytes == SETTING_AUTO
                                       ? options->high_water_bytes / 4
                                       : options->low_water_bytes,
                .max_queued_bytes = max_queued_bytes,
                .idle_timeout_ms = options->idle_timeout_ms,
                .lifetime_ms = options->lifetime_ms,
                .write_timeout_ms = options->write_timeout_ms,
                .linger_timeout_ms = options->linger_timeout_ms,
                .has_shortcuts = !options->no_shortcuts,
            },
        .on_end = on_connection_ended,
        .owner = worker,
    };
    if (connection_group_init(&generation->group) < 0) {
        free(generation);
        errno = ENOMEM;
        return -1;
    }
    worker->generation = generation;
    worker->backlog = options->backlog;
    worker->drain_timeout_ms = options->drain_timeout_ms;
    return 0;
}

/* Free those generations but the newest that have no connection any more, or all that there are. */
static void free_generations(struct worker *worker, bool are_all_empty)
{
    struct generation **link = are_all_empty ? &worker->generation : &worker->generation->older;

    while (*link != NULL) {
        struct generation *generation = *link;

        if (generation->group.count > 0) {
            link = &generation->older;
            continue;
        }
        *link = generation->older;
        connection_group_fini(&generation->group);
        free(generation);
    }
}

/* --- What the owner asks for. ---------------------------------------------------------------- */

static void start_draining(void *argument)
{
    struct worker *worker = argument;

    for (size_t i = 0; i < worker->served_count; i++)
        accept_waiting(worker, &worker->served[i]);
    free_listeners(worker);
    datagrams_drain(worker->datagrams);
    worker->is_draining = true;
    set_timer(worker->drain_deadline, worker->drain_timeout_ms);
    finish_if_idle(worker);
}

static void on_drain_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;
    struct connection *connection;
    struct table_cursor cursor = {0};

    (void)fd;
    (void)what;
    while ((connection = table_next(worker->table, &cursor)) != NULL)
        connection_close(connection, CLOSE_DRAIN);
    datagrams_close(worker->datagrams);
    finish_if_idle(worker);
}

static void stop_at_once(void *argument)
{
    struct worker *worker = argument;
    struct connection *connection;
    struct table_cursor cursor = {0};

    worker->is_draining = true;
    free_listeners(worker);
    datagrams_close(worker->datagrams);
    while ((connection = table_next(worker->table, &cursor)) != NULL)
        connection_abort(connection, CLOSE_STOP);
    finish_if_idle(worker);
}

static void on_report_slice(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;

    (void)fd;
    (void)what;
    for (int i = 0; i < REPORT_LINES; i++) {
        const struct connection *connection = table_next(worker->table, &worker->report_cursor);

        if (connection == NULL) {
            atomic_store(&worker->is_reporting, false);
            return;
        }
        connection_report(connection, LOG_LEVEL_INFO);
    }
    set_timer(worker->report_slice, REPORT_PAUSE_MS);
}

static void start_report(void *argument)
{
    struct worker *worker = argument;

    worker->report_cursor = (struct table_cursor){0};
    datagrams_count_overflow(worker->datagrams);
    on_report_slice(-1, 0, worker);
}

static void answer_ping(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->is_pinged, false);
}

static void change(void *argument)
{
    struct worker *worker = argument;

    if (begin_generation(worker, worker->next_options, worker->next_max_queued_bytes) < 0)
        log_write(worker->log, LOG_LEVEL_ERROR, "worker %u keeps its limits: %s",
                  worker->place.index, strerror(errno));
    free_generations(worker, false); /* no callback of theirs is under way */
    change_listeners(worker);
    datagrams_change(worker->datagrams, &worker->sockets->endpoints);
    accept_within_limit(worker);
    worker->on_event(WORKER_CHANGED, worker->owner);
}

static void post(struct worker *worker, mailbox_function *function)
{
    if (mailbox_post(worker->mailbox, function, worker) < 0)
        abort(); /* MAILBOX_CAPACITY has room for all that may wait */
}

void worker_drain(struct worker *worker)
{
    post(worker, start_draining);
}

void worker_stop(struct worker *worker)
{
    post(worker, stop_at_once);
}

void worker_report(struct worker *worker)
{
    if (!atomic_exchange(&worker->is_reporting, true))
        post(worker, start_report);
}

bool worker_ping(struct worker *worker)
{
    const bool has_answered = !atomic_exchange(&worker->is_pinged, true);

    if (has_answered)
        post(worker, answer_ping);
    return has_answered || atomic_load(&worker->is_over);
}

void worker_change(struct worker *worker, const struct options *options, uint64_t max_queued_bytes)
{
    worker->next_options = options;
    worker->next_max_queued_bytes = max_queued_bytes;
    post(worker, change);
}

/* --- Its thread. ----------------------------------------------------------------------------- */

/* Keep the calling thread on a CPU. Return 0, or -1 with errno. */
static int pin_thread(int cpu)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    return sched_setaffinity(0, sizeof cpus, &cpus);
#else
    (void)cpu;
    abort(); /* server finds no CPU either */
#endif
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    const int cpu = worker->place.cpu;
    int status;

    if (cpu != WORKER_ANY_CPU && pin_thread(cpu) < 0)
        log_write(worker->log, LOG_LEVEL_WARNING, "worker %u is not pinned to CPU %d: %s",
                  worker->place.index, cpu, strerror(errno));
    status = event_base_dispatch(worker->base);
    /* The descriptors of what was freed last are closed in one more turn. */
    if (status == 0)
        (void)event_base_loop(worker->base, EVLOOP_NONBLOCK);
    atomic_store(&worker->is_over, true);
    worker->on_event(status < 0 ? WORKER_FAILED : WORKER_FINISHED, worker->owner);
    return NULL;
}

int worker_start(struct worker *worker)
{
    const int failure = pthread_create(&worker->thread, NULL, run, worker);

    errno = failure;
    worker->is_started = failure == 0;
    return worker->is_started ? 0 : -1;
}

const struct counters *worker_counters(const struct worker *worker)
{
    return &worker->counters;
}

/* --- Its life. ------------------------------------------------------------------------------- */

/* Make an event base that takes no locks: only one thread uses it. */
static struct event_base *new_base(bool needs_any_fd)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config == NULL)
        return NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        (!needs_any_fd || event_config_require_features(config, EV_FEATURE_FDS) == 0))
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool serves_passed_clients(const struct worker *worker)
{
    return worker->place.index == 0;
}

static bool needs_any_fd(const struct worker *worker, const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        if (serves_passed_clients(worker) && sockets->endpoints.items[i].is_file)
            return true;
    }
    return false;
}

/* Free what needs no undoing. The base comes after everything that is in its loop. */
static void free_parts(struct worker *worker)
{
    table_free(worker->table);
    if (worker->base != NULL)
        event_base_free(worker->base);
    free(worker->passed_ids);
    free(worker->served);
    free(worker);
}

static void free_timer(struct event *timer)
{
    if (timer != NULL)
        event_free(timer);
}

static void fini_timers(struct worker *worker)
{
    free_timer(worker->limit_retry);
    free_timer(worker->drain_deadline);
    free_timer(worker->report_slice);
}

static int init_timers(struct worker *worker)
{
    worker->limit_retry = evtimer_new(worker->base, on_limit_retry, worker);
    worker->drain_deadline = evtimer_new(worker->base, on_drain_deadline, worker);
    worker->report_slice = evtimer_new(worker->base, on_report_slice, worker);
    if (worker->limit_retry != NULL && worker->drain_deadline != NULL &&
        worker->report_slice != NULL)
        return 0;
    fini_timers(worker);
    return -1;
}

static int add_passed_client(struct worker *worker, struct endpoint *endpoint)
{
    const int input_fd = endpoint->input_fd, output_fd = endpoint->output_fd;
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    union peer peer;
    uint64_t id;

    if (input_fd == output_fd)
        (void)getpeername(input_fd, (struct sockaddr *)&address, &length);
    peer = make_peer((struct sockaddr *)&address);
    endpoint->input_fd = endpoint->output_fd = -1; /* the connection's now */
    id = serve(worker, input_fd, output_fd, &peer);
    if (id == 0)
        return -1;
    worker->passed_ids[worker->passed_count++] = id;
    return 0;
}

/* Take this worker's part of what was opened. On failure it keeps what it has taken. */
static int take_endpoints(struct worker *worker, struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->endpoints.count; i++) {
        struct endpoint *endpoint = &sockets->endpoints.items[i];
        int status = 0;

        switch (endpoint->kind) {
        case ENDPOINT_LISTENER:
            status = add_listener(worker, endpoint);
            break;
        case ENDPOINT_CLIENT:
            if (serves_passed_clients(worker))
                status = add_passed_client(worker, endpoint);
            break;
        case ENDPOINT_DATAGRAM:
            break; /* datagrams takes these */
        }
        if (status < 0)
            return -1;
    }
    accept_within_limit(worker);
    return datagrams_take(worker->datagrams, &sockets->endpoints);
}

static void free_connections(struct worker *worker)
{
    struct connection *connection;
    struct table_cursor cursor = {0};

    while ((connection = table_next(worker->table, &cursor)) != NULL)
        connection_free(connection);
}

struct worker *worker_new(const struct worker_place *place, const struct options *options,
                          struct sockets *sockets, struct log *log, worker_event_callback *on_event,
                          void *owner)
{
    struct worker *worker = calloc(1, sizeof *worker);
    int failure;

    if (worker == NULL)
        return NULL;
    worker->place = *place;
    worker->sockets = sockets;
    worker->log = log;
    worker->on_event = on_event;
    worker->owner = owner;

    errno = ENOMEM; /* unless the system says something else */
    worker->passed_ids = calloc(sockets->endpoints.count, sizeof *worker->passed_ids);
    worker->table = table_new(place->index, place->count);
    worker->base = new_base(needs_any_fd(worker, sockets));
    failure = errno;
    if (worker->passed_ids == NULL || worker->table == NULL || worker->base == NULL)
        goto free_parts;
    worker->mailbox = mailbox_new(worker->base, MAILBOX_CAPACITY);
    failure = errno;
    if (worker->mailbox == NULL)
        goto free_parts;
    failure = ENOMEM;
    if (init_timers(worker) < 0)
        goto free_mailbox;
    worker->datagrams = datagrams_new(worker->base, place->index, log, &worker->counters,
                                      on_datagrams_event, worker);
    if (worker->datagrams == NULL)
        goto fini_timers;
    if (connection_pool_init(&worker->pool) < 0)
        goto free_datagrams;
    if (begin_generation(worker, options, place->max_queued_bytes) < 0)
        goto fini_pool;
    if (take_endpoints(worker, sockets) < 0)
        goto drop_endpoints;
    return worker;

drop_endpoints:
    free_listeners(worker);
    free_connections(worker);
    free_generations(worker, true);
fini_pool:
    connection_pool_fini(&worker->pool);
free_datagrams:
    datagrams_free(worker->datagrams);
fini_timers:
    fini_timers(worker);
free_mailbox:
    mailbox_free(worker->mailbox);
free_parts:
    free_parts(worker);
    errno = failure;
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->is_started)
        (void)pthread_join(worker->thread, NULL);
    free_listeners(worker);
    datagrams_free(worker->datagrams);
    free_connections(worker);
    free_generations(worker, true);
    connection_pool_fini(&worker->pool);
    fini_timers(worker);
    mailbox_free(worker->mailbox);
    free_parts(worker);
}
