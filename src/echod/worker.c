#include <config.h>

#include "echod/worker.h"

#include "base/clock.h"
#include "echod/clients.h"
#include "echod/datagrams.h"
#include "echod/inquiries.h"
#include "echod/mailbox.h"
#include "echod/peer.h"
#include "echod/timers.h"

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

enum { CHANGE_RETRY_MS = 100 };

/* What the owner may ask for. */
enum request { DRAIN, STOP, REPORT, PING, LAG, CHANGE, FOLLOW, REQUEST_COUNT };

struct worker {
    struct worker_place place;
    struct sockets *sockets; /* those of this worker are its own */
    uint64_t drain_timeout_ms;
    struct log *log;
    worker_event_callback *on_event;
    void *owner;

    struct event_base *base;
    struct mailbox *mailbox;
    struct mailbox_message requests[REQUEST_COUNT];
    struct clients clients;
    struct listeners listeners;
    struct datagrams *datagrams;
    struct inquiries inquiries;

    struct event *drain_deadline;
    struct event *change_retry;
    struct event *leave_deadline; /* of datagram sockets that a reload closes */
    atomic_bool is_reporting;
    atomic_bool is_pinged;
    struct loop_lag lag;
    bool is_draining;
    bool is_idle;     /* no datagram comes any more */
    bool is_changing; /* it has the next options, and closes what is leaving */

    const struct options *next_options; /* from worker_change to WORKER_CHANGED */
    uint64_t next_max_queued_bytes;

    pthread_t thread;
    bool is_started;
    atomic_bool is_over; /* the thread has nothing more to do */
};

/* --- Clients --------------------------------------------------------------------------------- */

/* Leave the loop if nothing is left to do. */
static void finish_if_idle(struct worker *worker)
{
    if (worker->is_draining && clients_count(&worker->clients) == 0 &&
        datagrams_count(worker->datagrams) == 0)
        (void)event_base_loopbreak(worker->base); /* cannot fail for a base that exists */
}

/* A client who left leaves room for another. */
static void make_room(struct worker *worker)
{
    listeners_note_room(&worker->listeners);
    finish_if_idle(worker);
}

static void on_clients_event(enum clients_event event, void *owner)
{
    struct worker *worker = owner;

    switch (event) {
    case CLIENTS_PASSED_ENDED:
        worker->on_event(WORKER_CLIENT_ENDED, worker->place.index, worker->owner);
        break;
    case CLIENTS_PASSED_FAILED:
        worker->on_event(WORKER_CLIENT_FAILED, worker->place.index, worker->owner);
        break;
    case CLIENTS_ONE_GONE:
        make_room(worker);
        break;
    case CLIENTS_TOLD:
        atomic_store(&worker->is_reporting, false);
        break;
    }
}

static int on_client(struct client_listener *listener, int fd, const struct sockaddr *address,
                     void *owner)
{
    struct worker *worker = owner;
    const union peer peer = peer_make(address);

    return clients_accept(&worker->clients, listener->group, fd, &peer);
}

/* --- Datagrams ------------------------------------------------------------------------------- */

/* The next reload may open a port that is leaving: it is free when the owner is told. */
static void finish_change(struct worker *worker)
{
    if (!worker->is_changing || datagrams_are_leaving(worker->datagrams))
        return;
    worker->is_changing = false;
    (void)event_del(worker->leave_deadline);
    worker->on_event(WORKER_CHANGED, worker->place.index, worker->owner);
}

/* A service for datagrams that nobody sends is over, like one for a client that left. */
static void on_datagrams_event(enum datagrams_event event, void *owner)
{
    struct worker *worker = owner;

    switch (event) {
    case DATAGRAMS_DRAINED:
        finish_change(worker);
        finish_if_idle(worker);
        break;
    case DATAGRAMS_IDLE:
        if (!worker->is_idle)
            worker->on_event(WORKER_CLIENT_ENDED, worker->place.index, worker->owner);
        worker->is_idle = true;
        break;
    }
}

/* --- Requests -------------------------------------------------------------------------------- */

static void start_draining(void *argument)
{
    struct worker *worker = argument;

    (void)event_del(worker->leave_deadline); /* that of the drain counts now */
    listeners_drain(&worker->listeners);
    datagrams_drain(worker->datagrams);
    worker->is_draining = true;
    timers_set_or_run(worker->drain_deadline, worker->drain_timeout_ms);
    finish_if_idle(worker);
}

static void on_drain_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;

    (void)fd;
    (void)what;
    clients_close(&worker->clients, CLOSE_DRAIN);
    datagrams_close(worker->datagrams);
    finish_if_idle(worker);
}

static void stop_at_once(void *argument)
{
    struct worker *worker = argument;

    worker->is_draining = true;
    listeners_close(&worker->listeners);
    datagrams_close(worker->datagrams);
    clients_abort(&worker->clients, CLOSE_STOP);
    finish_if_idle(worker);
}

static void start_report(void *argument)
{
    struct worker *worker = argument;

    datagrams_count_overflow(worker->datagrams);
    clients_report(&worker->clients);
}

static void answer_ping(void *argument)
{
    struct worker *worker = argument;

    atomic_store(&worker->is_pinged, false);
}

static void answer_lag(void *argument)
{
    struct worker *worker = argument;

    loop_lag_answer(&worker->lag, clock_now_ns());
}

/* Take over the global options. What is a listener's own, listeners_change does. */
static void set_options(struct worker *worker, const struct options *options,
                        uint64_t max_queued_bytes)
{
    worker->drain_timeout_ms = options->drain_timeout_ms;
    client_group_list_set(&worker->clients.groups, options, max_queued_bytes);
    datagrams_limit_queued(worker->datagrams, max_queued_bytes);
}

/* Follow the endpoints. Return 0, or -1 if that is to be tried again. */
static int change_endpoints(struct worker *worker)
{
    struct endpoint_list *endpoints = &worker->sockets->endpoints;

    if (listeners_change(&worker->listeners, endpoints) < 0)
        return -1;
    return datagrams_change(worker->datagrams, endpoints);
}

/* Pause and resume what operators have. */
static void follow_pauses(struct worker *worker)
{
    listeners_follow_pauses(&worker->listeners);
    datagrams_follow_pauses(worker->datagrams);
}

/* What is leaving has as long as in a drain: no other reload begins before it is closed. */
static void on_leave_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct worker *worker = argument;

    (void)fd;
    (void)what;
    datagrams_close_leaving(worker->datagrams);
    finish_change(worker);
}

/*
 * What the owner has opened is bound and cannot fail any more. So a worker that is short of memory
 * tries until it has it, and the reload waits for it.
 */
static void change(void *argument)
{
    struct worker *worker = argument;
    const int status = change_endpoints(worker);

    client_group_list_sweep(&worker->clients.groups); /* no callback of theirs is under way */
    clients_recount(&worker->clients);
    follow_pauses(worker);
    worker->is_changing = status == 0;
    if (status < 0)
        timers_set_or_run(worker->change_retry, CHANGE_RETRY_MS);
    else if (!worker->is_draining && datagrams_are_leaving(worker->datagrams))
        timers_set_or_run(worker->leave_deadline, worker->drain_timeout_ms);
    finish_change(worker);
}

static void on_change_retry(evutil_socket_t fd, short what, void *argument)
{
    const struct worker *worker = argument;

    (void)fd;
    (void)what;
    if (!worker->is_draining) /* the reload is given up then */
        change(argument);
}

static void start_following(void *argument)
{
    follow_pauses(argument);
}

static void start_change(void *argument)
{
    struct worker *worker = argument;

    set_options(worker, worker->next_options, worker->next_max_queued_bytes);
    change(worker);
}

static mailbox_function *const answers[REQUEST_COUNT] = {
    [DRAIN] = start_draining,   [STOP] = stop_at_once, [REPORT] = start_report,
    [PING] = answer_ping,       [LAG] = answer_lag,    [CHANGE] = start_change,
    [FOLLOW] = start_following,
};

static void post(struct worker *worker, enum request request)
{
    (void)mailbox_post(worker->mailbox, &worker->requests[request]);
}

void worker_drain(struct worker *worker)
{
    post(worker, DRAIN);
}

void worker_stop(struct worker *worker)
{
    post(worker, STOP);
}

void worker_report(struct worker *worker)
{
    if (!atomic_exchange(&worker->is_reporting, true))
        post(worker, REPORT);
}

bool worker_ping(struct worker *worker)
{
    const bool has_answered = !atomic_exchange(&worker->is_pinged, true);

    if (has_answered)
        post(worker, PING);
    return has_answered || atomic_load(&worker->is_over);
}

void worker_measure_lag(struct worker *worker)
{
    if (loop_lag_ask(&worker->lag, clock_now_ns()))
        post(worker, LAG);
}

void worker_read(const struct worker *worker, struct worker_reading *reading)
{
    const bool is_over = atomic_load(&worker->is_over);

    *reading = (struct worker_reading){
        .queued_bytes = gauge_get(&worker->clients.pool.queued_bytes),
        .lag_ns = is_over ? 0 : loop_lag_latest_ns(&worker->lag, clock_now_ns()),
    };
    buckets_read(&worker->lag.all, &reading->lags);
}

void worker_change(struct worker *worker, const struct options *options, uint64_t max_queued_bytes)
{
    worker->next_options = options;
    worker->next_max_queued_bytes = max_queued_bytes;
    post(worker, CHANGE);
}

void worker_follow_pauses(struct worker *worker)
{
    post(worker, FOLLOW);
}

static void on_asked(void *argument)
{
    struct inquiry *inquiry = argument;
    struct worker *worker = inquiry->worker;

    if (inquiry->kind == INQUIRY_LISTENERS)
        follow_pauses(worker);
    inquiries_add(&worker->inquiries, inquiry);
}

void worker_ask(struct worker *worker, struct inquiry *inquiry)
{
    inquiry->worker = worker;
    inquiry->asked = (struct mailbox_message){on_asked, inquiry, NULL, false};
    if (!mailbox_post(worker->mailbox, &inquiry->asked))
        inquiry_report(inquiry);
}

/* --- Thread ---------------------------------------------------------------------------------- */

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
    abort(); /* capacity finds no CPU either */
#endif
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    const int cpu = worker->place.cpu;
    int status;

    if (cpu != CAPACITY_ANY_CPU && pin_thread(cpu) < 0)
        log_write(worker->log, LOG_LEVEL_WARNING, "worker %u is not pinned to CPU %d: %s",
                  worker->place.index, cpu, strerror(errno));
    status = event_base_dispatch(worker->base);
    /* The descriptors of what was freed last are closed in one more turn. */
    if (status == 0)
        (void)event_base_loop(worker->base, EVLOOP_NONBLOCK);
    mailbox_close(worker->mailbox);
    inquiries_end(&worker->inquiries);
    atomic_store(&worker->is_over, true);
    worker->on_event(status < 0 ? WORKER_FAILED : WORKER_FINISHED, worker->place.index,
                     worker->owner);
    return NULL;
}

int worker_start(struct worker *worker)
{
    const int failure = pthread_create(&worker->thread, NULL, run, worker);

    errno = failure;
    worker->is_started = failure == 0;
    return worker->is_started ? 0 : -1;
}

/* --- Construction and destruction ------------------------------------------------------------ */

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

static int init_timers(struct worker *worker)
{
    worker->drain_deadline = evtimer_new(worker->base, on_drain_deadline, worker);
    worker->change_retry = evtimer_new(worker->base, on_change_retry, worker);
    worker->leave_deadline = evtimer_new(worker->base, on_leave_deadline, worker);
    return worker->drain_deadline != NULL && worker->change_retry != NULL &&
                   worker->leave_deadline != NULL
               ? 0
               : -1;
}

/* Take this worker's part of an endpoint. */
static int take_endpoint(struct worker *worker, struct endpoint *endpoint)
{
    switch (endpoint->kind) {
    case ENDPOINT_LISTENER:
        return listeners_add(&worker->listeners, endpoint);
    case ENDPOINT_CLIENT:
        return serves_passed_clients(worker) ? clients_serve_passed(&worker->clients, endpoint) : 0;
    case ENDPOINT_DATAGRAM:
        return 0; /* datagrams takes these */
    }
    abort(); /* no such kind */
}

/* Take this worker's part of what was opened. On failure it keeps what it has taken. */
static int take_endpoints(struct worker *worker)
{
    struct endpoint_list *endpoints = &worker->sockets->endpoints;

    for (size_t i = 0; i < endpoints->count; i++) {
        if (take_endpoint(worker, &endpoints->items[i]) < 0)
            return -1;
    }
    listeners_update(&worker->listeners);
    return datagrams_take(worker->datagrams, endpoints);
}

/* Prepare the members that know each other, and own nothing yet. */
static void connect_parts(struct worker *worker)
{
    for (size_t i = 0; i < REQUEST_COUNT; i++)
        worker->requests[i] = (struct mailbox_message){answers[i], worker, NULL, false};
    worker->clients = (struct clients){
        .base = worker->base,
        .log = worker->log,
        .limit = worker->place.limit,
        .self = worker->place.self,
        .worker_index = worker->place.index,
        .worker_count = worker->place.count,
        .on_event = on_clients_event,
        .owner = worker,
    };
    worker->listeners = (struct listeners){
        .base = worker->base,
        .log = worker->log,
        .groups = &worker->clients.groups,
        .limit = worker->place.limit,
        .worker_index = worker->place.index,
        .worker_count = worker->place.count,
        .cpu = worker->place.cpu,
        .on_client = on_client,
        .owner = worker,
    };
    worker->inquiries = (struct inquiries){.base = worker->base};
}

/* Make all parts. Return 0, or -1 with errno; worker_free frees what was made. */
static int make_parts(struct worker *worker)
{
    errno = ENOMEM; /* unless the system says something else */
    worker->base = new_base(needs_any_fd(worker, worker->sockets));
    if (worker->base == NULL)
        return -1;
    connect_parts(worker);
    if (clients_init(&worker->clients, worker->sockets->endpoints.count) < 0)
        return -1;
    worker->mailbox = mailbox_new(worker->base);
    if (worker->mailbox == NULL)
        return -1;
    worker->inquiries.table = worker->clients.table;
    if (inquiries_init(&worker->inquiries) < 0)
        return -1;
    errno = ENOMEM;
    worker->datagrams =
        datagrams_new(worker->base, worker->place.index, worker->place.self,
                      &worker->clients.pool.queued_bytes, worker->log, on_datagrams_event, worker);
    if (worker->datagrams == NULL)
        return -1;
    return init_timers(worker) < 0 ? -1 : listeners_init(&worker->listeners);
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
    if (make_parts(worker) == 0) {
        set_options(worker, options, place->max_queued_bytes);
        if (take_endpoints(worker) == 0)
            return worker;
    }
    failure = errno;
    worker_free(worker);
    errno = failure;
    return NULL;
}

void worker_join(struct worker *worker)
{
    if (worker == NULL || !worker->is_started)
        return;
    (void)pthread_join(worker->thread, NULL);
    worker->is_started = false;
}

/* The base comes after everything that is in its loop. */
void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    worker_join(worker);
    listeners_fini(&worker->listeners);
    datagrams_free(worker->datagrams);
    clients_fini(&worker->clients);
    inquiries_fini(&worker->inquiries);
    timers_free(worker->drain_deadline);
    timers_free(worker->change_retry);
    timers_free(worker->leave_deadline);
    mailbox_free(worker->mailbox);
    if (worker->base != NULL)
        event_base_free(worker->base);
    free(worker);
}
