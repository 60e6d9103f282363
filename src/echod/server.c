#include <config.h>

#include "echod/server.h"

#include "base/clock.h"
#include "base/date.h"
#include "base/units.h"
#include "echod/admin.h"
#include "echod/admin_view.h"
#include "echod/byte_rate.h"
#include "echod/capacity.h"
#include "echod/control.h"
#include "echod/libevent_log.h"
#include "echod/listener_stats.h"
#include "echod/mailbox.h"
#include "echod/reload.h"
#include "echod/self.h"
#include "echod/tls_watch.h"
#include "echod/totals.h"
#include "echod/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGNAL_COUNT = 5 };

static const int signals[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};

/* What a worker tells, each as a message to the main thread. */
struct worker_messages {
    struct mailbox_message events[WORKER_EVENT_COUNT];
};

struct server {
    struct options *options;
    struct sockets *sockets;
    const struct sockets *admin_sockets;
    struct supervise *supervise;
    struct log *log;
    struct event_base *base;
    struct event *signal_events[SIGNAL_COUNT];
    struct mailbox *mailbox;
    struct worker **workers;
    struct worker_messages *messages; /* of each worker */
    size_t worker_count;
    struct listener_stats_list stats;
    struct connection_limit limit;
    struct self self;
    struct reload reload;
    struct tls_watch tls_watch;
    struct control control;
    struct admin_view view;
    struct admin *admin; /* NULL: nobody is answered */
    size_t finished_count;
    bool is_stop_requested; /* by a signal */
    bool is_draining;
    bool is_stopping;
    int exit_status;
};

/* --- Log ------------------------------------------------------------------------------------- */

static void log_endpoints(const struct server *server)
{
    for (size_t i = 0; i < server->sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &server->sockets->endpoints.items[i];

        endpoint_log(endpoint, endpoint->kind == ENDPOINT_CLIENT ? "serving" : "listening on",
                     server->log);
        endpoint_log_identify(endpoint, server->log);
        endpoint_log_tls(endpoint, server->log);
        endpoint_warn_of_impair(endpoint, server->log);
    }
}

static void log_failure(const struct server *server, const char *what)
{
    log_write(server->log, LOG_LEVEL_ERROR, "%s: %s", what, strerror(errno));
}

static const char *connections_word(uint64_t count)
{
    return count == 1 ? "connection" : "connections";
}

/* --- Shutdown -------------------------------------------------------------------------------- */

/* Let the clients leave; each worker says when it is done. */
static void drain(struct server *server)
{
    const uint64_t count = totals_open_connections(&server->stats);
    char timeout[UNITS_TEXT_SIZE];

    if (server->is_draining)
        return;
    server->is_draining = true;
    atomic_store(&server->view.state, ADMIN_DRAINING);
    reload_stop(&server->reload);
    units_format_duration(server->options->drain_timeout_ms, timeout);
    log_write(server->log, LOG_LEVEL_INFO, "draining: %" PRIu64 " %s, at most %s", count,
              connections_word(count), timeout);
    supervise_tell_stopping(server->supervise);
    sockets_remove_paths(server->sockets);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_drain(server->workers[i]);
}

static void stop(struct server *server)
{
    const uint64_t count = totals_open_connections(&server->stats);

    if (server->is_stopping)
        return;
    server->is_draining = true;
    server->is_stopping = true;
    atomic_store(&server->view.state, ADMIN_DRAINING);
    reload_stop(&server->reload);
    log_write(server->log, LOG_LEVEL_INFO, "stopping: %" PRIu64 " %s %s ended at once", count,
              connections_word(count), count == 1 ? "is" : "are");
    supervise_tell_stopping(server->supervise);
    sockets_remove_paths(server->sockets);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_stop(server->workers[i]);
}

/* --- Signals --------------------------------------------------------------------------------- */

static void report(struct server *server)
{
    totals_log(&server->stats, server->log);
    totals_log_listeners(&server->stats, server->log);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_report(server->workers[i]);
}

static void on_signal(evutil_socket_t number, short what, void *argument)
{
    struct server *server = argument;

    (void)what;
    if (number == SIGUSR1) {
        report(server);
        return;
    }
    if (number == SIGHUP) {
        reload_request(&server->reload);
        return;
    }
    server->is_stop_requested = true;
    if (number == SIGQUIT || server->is_draining)
        stop(server);
    else
        drain(server);
}

/* --- Messages of workers, in the main thread ------------------------------------------------- */

static void on_worker_finished(void *argument)
{
    struct server *server = argument;

    if (++server->finished_count == server->worker_count)
        (void)event_base_loopbreak(server->base);
}

static void on_worker_failed(void *argument)
{
    struct server *server = argument;

    log_write(server->log, LOG_LEVEL_ERROR, "the event loop of a worker failed; echod stops");
    server->exit_status = EXIT_STATUS_SYSTEM;
    stop(server);
    on_worker_finished(server);
}

/* A client that was passed is what echod was started for: without it there is nothing to stay for.
 */
static void on_client_ended(void *argument)
{
    drain(argument);
}

static void on_client_failed(void *argument)
{
    struct server *server = argument;

    if (!server->is_stop_requested) /* otherwise it was the stop that ended it */
        server->exit_status = EXIT_STATUS_SYSTEM;
    drain(server);
}

static void on_worker_changed(void *argument)
{
    struct server *server = argument;

    reload_on_worker_changed(&server->reload);
}

static mailbox_function *const event_functions[WORKER_EVENT_COUNT] = {
    [WORKER_CLIENT_ENDED] = on_client_ended, [WORKER_CLIENT_FAILED] = on_client_failed,
    [WORKER_CHANGED] = on_worker_changed,    [WORKER_FINISHED] = on_worker_finished,
    [WORKER_FAILED] = on_worker_failed,
};

/* Called in a worker's thread. */
static void on_worker_event(enum worker_event event, unsigned worker_index, void *owner)
{
    struct server *server = owner;

    (void)mailbox_post(server->mailbox, &server->messages[worker_index].events[event]);
}

/* --- Questions of the service manager -------------------------------------------------------- */

static uint64_t count_connections(void *owner)
{
    const struct server *server = owner;

    return totals_open_connections(&server->stats);
}

static bool are_workers_alive(void *owner)
{
    const struct server *server = owner;
    bool are_alive = true;

    for (size_t i = 0; i < server->worker_count; i++)
        are_alive = worker_ping(server->workers[i]) && are_alive; /* each is asked */
    return are_alive;
}

/* --- Main loop ------------------------------------------------------------------------------- */

/* Block or unblock the signals that the main thread waits for; a new thread inherits the mask. */
static void mask_signals(int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaddset(&set, signals[i]);
    (void)pthread_sigmask(how, &set, NULL);
}

static void fini_signals(struct server *server)
{
    mask_signals(SIG_BLOCK); /* without their handlers they would kill the process */
    for (size_t i = 0; i < SIGNAL_COUNT && server->signal_events[i] != NULL; i++)
        event_free(server->signal_events[i]);
}

/* Wait for the signals; they stay blocked, so that the workers' threads never see one. */
static int init_signals(struct server *server)
{
    mask_signals(SIG_BLOCK);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        struct event *event = evsignal_new(server->base, signals[i], on_signal, server);

        server->signal_events[i] = event;
        if (event == NULL || event_add(event, NULL) < 0) {
            fini_signals(server);
            return -1;
        }
    }
    return 0;
}

static void fini_loop(struct server *server)
{
    fini_signals(server);
    supervise_stop(server->supervise);
    mailbox_free(server->mailbox);
    event_base_free(server->base);
}

static int init_loop(struct server *server)
{
    const struct supervise_questions questions = {
        .count_connections = count_connections,
        .are_workers_alive = are_workers_alive,
        .owner = server,
    };

    server->base = event_base_new();
    if (server->base == NULL)
        return -1;
    server->mailbox = mailbox_new(server->base);
    if (server->mailbox == NULL)
        goto free_base;
    if (supervise_start(server->supervise, server->base, &questions) < 0)
        goto free_mailbox;
    if (init_signals(server) < 0)
        goto stop_supervise;
    return 0;

stop_supervise:
    supervise_stop(server->supervise);
free_mailbox:
    mailbox_free(server->mailbox);
free_base:
    event_base_free(server->base);
    return -1;
}

/* --- Workers --------------------------------------------------------------------------------- */

/* Who asked them has an answer then; until then operators are answered. */
static void join_workers(const struct server *server)
{
    for (size_t i = 0; i < server->worker_count && server->workers != NULL; i++)
        worker_join(server->workers[i]);
}

static void free_workers(struct server *server)
{
    for (size_t i = 0; i < server->worker_count && server->workers != NULL; i++)
        worker_free(server->workers[i]);
    free(server->workers);
    free(server->messages);
    listener_stats_fini(&server->stats);
}

static struct worker *new_worker(struct server *server, size_t index)
{
    const struct options *options = server->options;
    const struct worker_place place = {
        .index = (unsigned)index,
        .count = (unsigned)server->worker_count,
        .cpu = options->pin_workers ? capacity_cpu_of_worker(index) : CAPACITY_ANY_CPU,
        .limit = &server->limit,
        .self = &server->self,
        .max_queued_bytes = capacity_max_queued_bytes(options, index, server->worker_count),
    };

    for (size_t i = 0; i < WORKER_EVENT_COUNT; i++)
        server->messages[index].events[i] =
            (struct mailbox_message){event_functions[i], server, NULL, false};
    return worker_new(&place, options, server->sockets, server->log, on_worker_event, server);
}

/* Make all workers. Return 0, or -1 after a line in the log; free_workers frees what was made. */
static int make_workers(struct server *server)
{
    const size_t count = server->worker_count;

    if (server->options->pin_workers && capacity_cpu_of_worker(0) == CAPACITY_ANY_CPU)
        log_write(server->log, LOG_LEVEL_WARNING, "this system cannot pin workers to CPUs");
    server->stats.worker_count = count;
    server->workers = calloc(count, sizeof(struct worker *));
    server->messages = calloc(count, sizeof *server->messages);
    if (server->workers == NULL || server->messages == NULL ||
        listener_stats_find(&server->stats, &server->sockets->endpoints) < 0) {
        log_failure(server, "the workers cannot be made");
        return -1;
    }
    listener_stats_note_certificates(&server->stats, &server->sockets->endpoints);
    listener_stats_note_places(&server->stats, &server->sockets->endpoints);
    for (size_t i = 0; i < count; i++) {
        server->workers[i] = new_worker(server, i);
        if (server->workers[i] == NULL) {
            log_failure(server, "a worker cannot be made");
            return -1;
        }
    }
    return 0;
}

/* Start the threads. Where one cannot be had, stop those that run; worker_free waits for them. */
static int start_workers(struct server *server)
{
    for (size_t i = 0; i < server->worker_count; i++) {
        if (worker_start(server->workers[i]) == 0)
            continue;
        while (i > 0)
            worker_stop(server->workers[--i]);
        return -1;
    }
    return 0;
}

/* --- Operators ------------------------------------------------------------------------------- */

static void on_drain_asked(void *owner)
{
    struct server *server = owner;

    server->is_stop_requested = true;
    drain(server);
}

/* Let operators be answered, if that was asked for. Return 0, or -1 after a line in the log. */
static int start_admin(struct server *server)
{
    server->control = (struct control){
        .mailbox = server->mailbox,
        .reload = &server->reload,
        .drain = on_drain_asked,
        .owner = server,
    };
    server->view = (struct admin_view){
        .control = &server->control,
        .log = server->log,
        .stats = &server->stats,
        .limit = &server->limit,
        .workers = server->workers,
        .worker_count = server->worker_count,
        .self = &server->self,
        .reloads = &server->reload.outcomes,
        .started = date_now().tv_sec,
        .started_ms = clock_now_ms(),
    };
    if (server->admin_sockets->endpoints.count == 0)
        return 0;
    server->admin = admin_new(server->admin_sockets, &server->view);
    if (server->admin != NULL && admin_start(server->admin) == 0)
        return 0;
    log_failure(server, "operators cannot be answered");
    return -1;
}

static void log_admin(const struct server *server)
{
    const struct endpoint_list *endpoints = &server->admin_sockets->endpoints;

    for (size_t i = 0; i < endpoints->count; i++)
        endpoint_log(&endpoints->items[i], "operators are answered at", server->log);
}

/* --- Service --------------------------------------------------------------------------------- */

/* Serve until all workers have finished. */
static void serve(struct server *server)
{
    if (start_workers(server) < 0) {
        log_failure(server, "a worker's thread cannot be started");
        server->exit_status = EXIT_STATUS_SYSTEM;
        return;
    }
    atomic_store(&server->view.state, ADMIN_RUNNING);
    mask_signals(SIG_UNBLOCK);
    log_endpoints(server);
    log_admin(server);
    supervise_tell_ready(server->supervise);
    if (event_base_dispatch(server->base) < 0) {
        log_failure(server, "the event loop failed");
        server->exit_status = EXIT_STATUS_SYSTEM;
        stop(server);
    }
}

void server_hold_signals(void)
{
    sigset_t held;

    (void)sigemptyset(&held);
    (void)sigaddset(&held, SIGUSR1);
    (void)sigaddset(&held, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &held, NULL);
}

static void on_early_stop(int number)
{
    (void)number;
    _exit(EXIT_STATUS_STOPPED);
}

void server_end_on_stop(void)
{
    const struct sigaction action = {.sa_handler = on_early_stop};

    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (signals[i] != SIGUSR1 && signals[i] != SIGHUP)
            (void)sigaction(signals[i], &action, NULL);
    }
}

/* Prepare what reloads the options. Return 0, or -1 after a line in the log. */
static int init_reload(struct server *server)
{
    server->reload = (struct reload){
        .options = server->options,
        .sockets = server->sockets,
        .stats = &server->stats,
        .limit = &server->limit,
        .supervise = server->supervise,
        .base = server->base,
        .mailbox = server->mailbox,
        .log = server->log,
        .workers = server->workers,
        .worker_count = server->worker_count,
        .admin_file_count = admin_file_count(server->admin_sockets->endpoints.count),
    };
    if (reload_init(&server->reload) == 0)
        return 0;
    log_failure(server, "reloads cannot be prepared");
    return -1;
}

/* Let there be warnings of certificates. Return 0, or -1 after a line in the log. */
static int start_tls_watch(struct server *server)
{
    if (tls_watch_start(&server->tls_watch, server->base, &server->sockets->endpoints,
                        server->log) == 0)
        return 0;
    log_failure(server, "certificates cannot be watched");
    return -1;
}

/* Make the workers, serve, and say what has been counted. */
static void run(struct server *server)
{
    if (make_workers(server) < 0 || init_reload(server) < 0 || start_tls_watch(server) < 0 ||
        start_admin(server) < 0) {
        server->exit_status = EXIT_STATUS_SYSTEM;
    } else {
        serve(server);
        totals_log(&server->stats, server->log);
    }
    join_workers(server);
    admin_free(server->admin);
    free_workers(server);
    tls_watch_stop(&server->tls_watch);
    reload_fini(&server->reload);
}

int server_run(struct options *options, struct sockets *sockets,
               const struct sockets *admin_sockets, size_t worker_count,
               struct supervise *supervise, struct log *log)
{
    const struct capacity capacity = {
        .worker_count = worker_count,
        .endpoint_count = sockets_count_staying(sockets),
        .admin_file_count = admin_file_count(admin_sockets->endpoints.count),
    };
    struct server server = {
        .options = options,
        .sockets = sockets,
        .admin_sockets = admin_sockets,
        .supervise = supervise,
        .log = log,
        .worker_count = worker_count,
        .exit_status = EXIT_STATUS_STOPPED,
    };

    self_read(&server.self);
    libevent_log_start(log);
    if (capacity_check_files(&capacity, log) < 0) {
        server.exit_status = EXIT_STATUS_SYSTEM;
    } else if (init_loop(&server) < 0) {
        log_failure(&server, "the main event loop cannot be made");
        server.exit_status = EXIT_STATUS_SYSTEM;
    } else {
        server.limit.max = capacity_max_connections(&capacity, options, log);
        byte_line_set(&server.limit.rate, options->rate_limit_total);
        run(&server);
        fini_loop(&server);
    }
    log_write(log, LOG_LEVEL_INFO, "stopped");
    libevent_log_stop();
    libevent_global_shutdown(); /* so that leak checkers see nothing of it */
    return server.exit_status;
}
