#include <config.h>

#include "echod/server.h"

#include "base/process.h"
#include "base/units.h"
#include "echod/counters.h"
#include "echod/mailbox.h"
#include "echod/lookup.h"
#include "echod/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGNAL_COUNT = 5 };

static const int signals[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};

struct server {
    struct options *options;
    struct sockets *sockets;
    struct supervise *supervise;
    struct log *log;
    struct event_base *base;
    struct event *signal_events[SIGNAL_COUNT];
    struct mailbox *mailbox;
    struct worker **workers;
    size_t worker_count;
    struct connection_limit limit;
    size_t finished_count;
    unsigned long first_new_number; /* while is_changing: of the endpoints that came */
    struct options next;            /* while is_changing: what the workers change to */
    struct lookup *lookup;          /* while is_changing: their hosts */
    size_t changed_count;           /* of workers */
    bool is_changing;               /* from a HUP until all workers have what it brought */
    bool is_change_wanted;          /* since another HUP came meanwhile */
    bool is_stop_requested;         /* by a signal */
    bool is_draining;
    bool is_stopping;
    int exit_status;
};

/* --- How much there may be. ------------------------------------------------------------------ */

/* Return how many CPUs the process may use. */
static size_t usable_cpu_count(void)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        return (size_t)CPU_COUNT(&cpus);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online > 0 ? (size_t)online : 1;
}

/*
 * Return the CPU for a worker, of those that the process may use; with more workers than CPUs,
 * several share one.
 */
static int cpu_of_worker(size_t index)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t cpus;
    size_t left;

    if (sched_getaffinity(0, sizeof cpus, &cpus) < 0)
        return WORKER_ANY_CPU;
    left = index % (size_t)CPU_COUNT(&cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &cpus) && left-- == 0)
            return cpu;
    }
#else
    (void)index;
#endif
    return WORKER_ANY_CPU;
}

size_t server_worker_count(const struct options *options)
{
    const uint64_t count = options->workers == SETTING_AUTO ? usable_cpu_count() : options->workers;

    return count > options->max_connections ? options->max_connections : count;
}

/*
 * Return how many descriptors the process needs before its first client: standard ones, those of
 * syslog, the service manager and the pid file, the main loop (epoll, libevent's signal pair, a
 * mailbox), and for each worker the same, the pipe of its shortcut, and its listeners.
 */
static uint64_t needed_files(const struct server *server)
{
    const uint64_t of_loop = 5, of_pipe = 2, listeners = sockets_count_staying(server->sockets);

    return 3 + 3 + of_loop + server->worker_count * (of_loop + of_pipe + listeners);
}

/*
 * Check that there can be a client for each worker. At the start libevent would end the process,
 * without a word of ours, when it lacks descriptors for a new loop.
 */
static int check_file_limit(const struct server *server)
{
    const uint64_t needed = needed_files(server) + server->worker_count; /* a client for each */

    if (process_file_limit() >= needed)
        return 0;
    log_write(server->log, LOG_LEVEL_ERROR,
              "the limit of open files is %" PRIu64 ", but %zu workers with %zu listeners need "
              "%" PRIu64 "; raise it (ulimit -n), or ask for fewer of them",
              process_file_limit(), server->worker_count, sockets_count_staying(server->sockets),
              needed);
    return -1;
}

/* Return how many connections there can be; some descriptors are left for what a library opens. */
static uint64_t max_connections(const struct server *server, const struct options *options)
{
    const uint64_t spare = 16, asked = options->max_connections;
    uint64_t possible = process_file_limit() - needed_files(server);

    possible = possible > spare + server->worker_count ? possible - spare : server->worker_count;
    if (asked == SETTING_AUTO)
        return possible;
    if (asked > possible)
        log_write(server->log, LOG_LEVEL_WARNING,
                  "--max-connections: the limit of open files allows about %" PRIu64
                  " connections, not %" PRIu64 "; raise it (ulimit -n, LimitNOFILE, minfds)",
                  possible, asked);
    return asked;
}

/* Return what one of `count` gets of `total`; all of them together get exactly that. */
static uint64_t share(uint64_t total, size_t index, size_t count)
{
    return total / count + (index < total % count ? 1 : 0);
}

/* Return a worker's share of what may be queued. */
static uint64_t max_queued_bytes(const struct server *server, const struct options *options,
                                 size_t index)
{
    const uint64_t bytes = share(options->max_queued_bytes, index, server->worker_count);

    return bytes > 0 ? bytes : 1;
}

/* --- What it logs. --------------------------------------------------------------------------- */

static uint64_t total(const struct server *server, enum counter which)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < server->worker_count; i++)
        sum += counters_get(worker_counters(server->workers[i]), which);
    return sum;
}

static uint64_t open_connections(const struct server *server)
{
    const uint64_t ended = total(server, COUNTER_CONNECTIONS_ENDED);

    return total(server, COUNTER_CONNECTIONS_ACCEPTED) - ended;
}

static void log_totals(const struct server *server)
{
    const uint64_t open = open_connections(server);
    const uint64_t accepted = total(server, COUNTER_CONNECTIONS_ACCEPTED);
    const uint64_t refused = total(server, COUNTER_CONNECTIONS_REFUSED);
    const uint64_t in = total(server, COUNTER_BYTES_IN);
    const uint64_t out = total(server, COUNTER_BYTES_OUT);
    const uint64_t shortages = total(server, COUNTER_ACCEPT_SHORTAGES);
    const uint64_t limits = total(server, COUNTER_ACCEPT_LIMITS);
    const uint64_t dropped = log_dropped_count(server->log);

    log_write_fields(server->log, LOG_LEVEL_INFO,
                     (const struct log_field[]){
                         {.name = "open", .number = open},
                         {.name = "accepted", .number = accepted},
                         {.name = "refused", .number = refused},
                         {.name = "in_bytes", .number = in},
                         {.name = "out_bytes", .number = out},
                         {.name = "accept_shortages", .number = shortages},
                         {.name = "accept_limits", .number = limits},
                         {.name = "log_dropped", .number = dropped},
                     },
                     8,
                     "totals: open=%" PRIu64 " accepted=%" PRIu64 " refused=%" PRIu64 " in=%" PRIu64
                     " out=%" PRIu64 " accept_shortages=%" PRIu64 " accept_limits=%" PRIu64
                     " log_dropped=%" PRIu64,
                     open, accepted, refused, in, out, shortages, limits, dropped);
}

/* The same of datagrams, where there were any. */
static void log_datagram_totals(const struct server *server)
{
    static const struct {
        enum counter which;
        const char *name;
    } totals[] = {
        {COUNTER_DATAGRAMS_IN, "in"},
        {COUNTER_DATAGRAMS_OUT, "out"},
        {COUNTER_DATAGRAM_BYTES_IN, "in_bytes"},
        {COUNTER_DATAGRAM_BYTES_OUT, "out_bytes"},
        {COUNTER_DATAGRAMS_FROM_LOW_PORT, "from_low_port"},
        {COUNTER_DATAGRAMS_FROM_OWN_PORT, "from_own_port"},
        {COUNTER_DATAGRAMS_FROM_NO_HOST, "from_no_host"},
        {COUNTER_DATAGRAMS_TO_MANY, "to_many"},
        {COUNTER_DATAGRAMS_WITHOUT_HOPS, "without_hops"},
        {COUNTER_DATAGRAMS_ABOVE_RATE, "above_rate"},
        {COUNTER_DATAGRAMS_FAILED, "failed"},
        {COUNTER_DATAGRAMS_OVERFLOWED, "overflowed"},
    };
    enum { COUNT = sizeof totals / sizeof totals[0] };
    struct log_field fields[COUNT];
    char text[512] = ""; /* more than the names and the largest numbers */

    for (size_t i = 0, length = 0; i < COUNT; i++) {
        fields[i] = (struct log_field){
            .name = totals[i].name,
            .number = total(server, totals[i].which),
        };
        length += (size_t)snprintf(text + length, sizeof text - length, " %s=%" PRIu64,
                                   fields[i].name, fields[i].number);
    }
    if (total(server, COUNTER_DATAGRAMS_IN) + total(server, COUNTER_DATAGRAMS_OVERFLOWED) > 0)
        log_write_fields(server->log, LOG_LEVEL_INFO, fields, COUNT, "datagrams:%s", text);
}

static void log_endpoint(const struct server *server, const struct endpoint *endpoint,
                         const char *what)
{
    log_write_fields(server->log, LOG_LEVEL_INFO,
                     &(const struct log_field){.name = "address", .text = endpoint->name}, 1,
                     "%s %s", what, endpoint->name);
}

static void log_endpoints(const struct server *server)
{
    for (size_t i = 0; i < server->sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &server->sockets->endpoints.items[i];

        log_endpoint(server, endpoint,
                     endpoint->kind == ENDPOINT_CLIENT ? "serving" : "listening on");
    }
}

static void log_error(const struct error *error, void *argument)
{
    log_write(argument, LOG_LEVEL_ERROR, "%s", error->text);
}

static void log_warning(const struct error *error, void *argument)
{
    log_write(argument, LOG_LEVEL_WARNING, "%s", error->text);
}

/* --- How it ends. ---------------------------------------------------------------------------- */

/* Let the clients leave; each worker says when it is done. */
static void drain(struct server *server)
{
    char timeout[UNITS_TEXT_SIZE];

    if (server->is_draining)
        return;
    server->is_draining = true;
    units_format_duration(server->options->drain_timeout_ms, timeout);
    log_write(server->log, LOG_LEVEL_INFO, "draining: %" PRIu64 " connections, at most %s",
              open_connections(server), timeout);
    supervise_tell_stopping(server->supervise);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_drain(server->workers[i]);
}

static void stop(struct server *server)
{
    if (server->is_stopping)
        return;
    server->is_draining = true;
    server->is_stopping = true;
    log_write(server->log, LOG_LEVEL_INFO, "stopping: %" PRIu64 " connections are ended at once",
              open_connections(server));
    supervise_tell_stopping(server->supervise);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_stop(server->workers[i]);
}

static void report(struct server *server)
{
    log_totals(server);
    log_datagram_totals(server);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_report(server->workers[i]);
}

/* --- How it changes. ------------------------------------------------------------------------- */

static void drop_change(struct server *server)
{
    lookup_free(server->lookup);
    server->lookup = NULL;
    options_free(&server->next);
    server->is_changing = false;
}

static void refuse_change(const struct server *server)
{
    log_write(server->log, LOG_LEVEL_WARNING, "HUP: the configuration is not changed");
    supervise_tell_reload_failed(server->supervise);
}

/*
 * Open the sockets that are to come, and mark those that are to go.
 * Return 0, or -1 if that cannot be: it was logged, and nothing has changed.
 */
static int open_sockets(struct server *server)
{
    server->first_new_number = server->sockets->endpoints.next_number;
    if (sockets_change(server->sockets, &server->next.listen, server->lookup, server->log,
                       log_error, server->log) < 0)
        return -1;
    if (check_file_limit(server) == 0)
        return 0;
    sockets_undo_change(server->sockets, server->first_new_number);
    return -1;
}

/* There are no more workers than connections at the start; more connections make no thread. */
static void warn_of_workers(const struct server *server)
{
    const size_t count = server_worker_count(&server->next);

    if (count > server->worker_count)
        log_write(server->log, LOG_LEVEL_WARNING,
                  "workers: with this max-connections there are %zu when echod is restarted; until "
                  "then there are %zu",
                  count, server->worker_count);
}

/* Let the workers take over the next options. */
static void change_workers(struct server *server)
{
    warn_of_workers(server);
    server->changed_count = 0;
    log_change(server->log, server->next.log_level, server->next.log_format);
    atomic_store(&server->limit.max, max_connections(server, &server->next));
    for (size_t i = 0; i < server->worker_count; i++)
        worker_change(server->workers[i], &server->next,
                      max_queued_bytes(server, &server->next, i));
}

static void request_change(struct server *server);

/* The hosts of the next options have been looked up. */
static void on_names(void *argument)
{
    struct server *server = argument;

    if (server->is_draining) {
        drop_change(server);
    } else if (open_sockets(server) == 0) {
        change_workers(server);
    } else {
        drop_change(server);
        refuse_change(server);
        if (server->is_change_wanted)
            request_change(server);
    }
}

/* The same, in the thread that looked them up. */
static void on_names_found(void *argument)
{
    struct server *server = argument;

    if (mailbox_post(server->mailbox, on_names, server) < 0)
        abort(); /* it has room for one such message */
}

/* Read the options again, and begin to look up their hosts. Return 0, or -1 after a report. */
static int read_change(struct server *server)
{
    struct options *next = &server->next;

    if (options_read_again(next, server->options, log_error, log_warning, server->log) < 0)
        goto free_next;
    if (next->config_path == NULL) {
        log_write(server->log, LOG_LEVEL_WARNING, "there is no configuration file to read again");
        goto free_next;
    }
    server->lookup = lookup_start(&next->listen, on_names_found, server);
    if (server->lookup != NULL)
        return 0;
    log_write(server->log, LOG_LEVEL_ERROR, "no thread can look up hosts: %s", strerror(errno));

free_next:
    options_free(next);
    return -1;
}

/* Change in three steps: this one, what follows in on_names, and the end in finish_change. */
static void change(struct server *server)
{
    supervise_tell_reloading(server->supervise);
    server->is_change_wanted = false;
    server->is_changing = read_change(server) == 0;
    if (!server->is_changing)
        refuse_change(server);
}

/* Change, at once or after the change that is under way; not on the way out. */
static void request_change(struct server *server)
{
    if (server->is_draining)
        log_write(server->log, LOG_LEVEL_INFO, "HUP: echod is about to end, and changes no more");
    else if (server->is_changing)
        server->is_change_wanted = true;
    else
        change(server);
}

/* Whoever passed a socket keeps it, and the kernel goes on to connect clients there. */
static void warn_of_passed(const struct server *server, const struct endpoint *endpoint)
{
    log_write(server->log, LOG_LEVEL_WARNING,
              "%s: clients may go on to connect there, and nobody serves them while whoever passed "
              "it keeps it open; stop its socket unit, or listen there again and restart echod",
              endpoint->name);
}

/* All workers have the new options: forget the old ones, and close what is leaving. */
static void finish_change(struct server *server)
{
    for (size_t i = 0; i < server->sockets->endpoints.count; i++) {
        const struct endpoint *endpoint = &server->sockets->endpoints.items[i];

        if (endpoint->is_leaving)
            log_endpoint(server, endpoint, "no longer listening on");
        else if (endpoint->number >= server->first_new_number)
            log_endpoint(server, endpoint, "listening on");
        if (endpoint->is_leaving && endpoint->is_passed)
            warn_of_passed(server, endpoint);
    }
    sockets_close_leaving(server->sockets);
    options_free(server->options);
    *server->options = server->next;
    server->is_changing = false;
    lookup_free(server->lookup);
    server->lookup = NULL;
    if (!server->is_draining)
        supervise_tell_ready(server->supervise);
    log_write(server->log, LOG_LEVEL_INFO, "HUP: the configuration of %s is in effect",
              server->options->config_path);
}

static void on_worker_changed(void *argument)
{
    struct server *server = argument;

    if (++server->changed_count < server->worker_count)
        return;
    finish_change(server);
    if (server->is_change_wanted)
        request_change(server);
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
        request_change(server);
        return;
    }
    server->is_stop_requested = true;
    if (number == SIGQUIT || server->is_draining)
        stop(server);
    else
        drain(server);
}

/* --- What the workers tell it, each in the main thread. -------------------------------------- */

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

/* Called in a worker's thread. */
static void on_worker_event(enum worker_event event, void *owner)
{
    struct server *server = owner;
    mailbox_function *function = NULL;

    switch (event) {
    case WORKER_CLIENT_ENDED:
        function = on_client_ended;
        break;
    case WORKER_CLIENT_FAILED:
        function = on_client_failed;
        break;
    case WORKER_CHANGED:
        function = on_worker_changed;
        break;
    case WORKER_FINISHED:
        function = on_worker_finished;
        break;
    case WORKER_FAILED:
        function = on_worker_failed;
        break;
    }
    if (mailbox_post(server->mailbox, function, server) < 0)
        abort(); /* it has room for one end and one change of each worker, and for each passed
                    client */
}

/* --- What the service manager wants to know. ------------------------------------------------- */

static uint64_t count_connections(void *owner)
{
    return open_connections(owner);
}

static bool are_workers_alive(void *owner)
{
    const struct server *server = owner;
    bool are_alive = true;

    for (size_t i = 0; i < server->worker_count; i++)
        are_alive = worker_ping(server->workers[i]) && are_alive; /* each is asked */
    return are_alive;
}

/* --- libevent's own log. --------------------------------------------------------------------- */

/* The one mutable global: libevent hands its log callback nothing but the message. */
static struct log *libevent_log;

static void on_libevent_log(int severity, const char *message)
{
    enum log_level level = LOG_LEVEL_ERROR;

    if (severity == EVENT_LOG_DEBUG)
        level = LOG_LEVEL_DEBUG;
    else if (severity == EVENT_LOG_MSG)
        level = LOG_LEVEL_INFO;
    else if (severity == EVENT_LOG_WARN)
        level = LOG_LEVEL_WARNING;
    log_write(libevent_log, level, "libevent: %s", message);
}

/* libevent calls this where it cannot go on; what it said is in the log. */
static void on_libevent_fatal(int error)
{
    (void)error;
    (void)log_flush(libevent_log);
    _exit(EXIT_STATUS_SYSTEM);
}

/* --- Its life. ------------------------------------------------------------------------------- */

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
    server->mailbox =
        mailbox_new(server->base, 2 * server->worker_count + server->sockets->endpoints.count + 1);
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

static void log_failure(const struct server *server, const char *what)
{
    log_write(server->log, LOG_LEVEL_ERROR, "%s: %s", what, strerror(errno));
}

static void free_workers(struct server *server)
{
    for (size_t i = 0; i < server->worker_count; i++)
        worker_free(server->workers[i]);
    free(server->workers);
}

static int make_workers(struct server *server)
{
    const size_t count = server->worker_count;

    if (server->options->pin_workers && cpu_of_worker(0) == WORKER_ANY_CPU)
        log_write(server->log, LOG_LEVEL_WARNING, "this system cannot pin workers to CPUs");
    server->limit.max = max_connections(server, server->options);
    server->workers = calloc(count, sizeof(struct worker *));
    if (server->workers == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const struct worker_place place = {
            .index = (unsigned)i,
            .count = (unsigned)count,
            .cpu = server->options->pin_workers ? cpu_of_worker(i) : WORKER_ANY_CPU,
            .limit = &server->limit,
            .max_queued_bytes = max_queued_bytes(server, server->options, i),
        };

        server->workers[i] = worker_new(&place, server->options, server->sockets, server->log,
                                        on_worker_event, server);
        if (server->workers[i] == NULL) {
            log_failure(server, "a worker cannot be made");
            free_workers(server);
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

/* Serve until all workers have finished. */
static void serve(struct server *server)
{
    if (start_workers(server) < 0) {
        log_failure(server, "a worker's thread cannot be started");
        server->exit_status = EXIT_STATUS_SYSTEM;
        return;
    }
    mask_signals(SIG_UNBLOCK);
    log_endpoints(server);
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

int server_run(struct options *options, struct sockets *sockets, size_t worker_count,
               struct supervise *supervise, struct log *log)
{
    struct server server = {
        .options = options,
        .sockets = sockets,
        .supervise = supervise,
        .log = log,
        .worker_count = worker_count,
        .exit_status = EXIT_STATUS_STOPPED,
    };

    libevent_log = log;
    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_fatal);
    if (check_file_limit(&server) < 0) {
        server.exit_status = EXIT_STATUS_SYSTEM;
    } else if (init_loop(&server) < 0) {
        log_failure(&server, "the main event loop cannot be made");
        server.exit_status = EXIT_STATUS_SYSTEM;
    } else if (make_workers(&server) < 0) {
        server.exit_status = EXIT_STATUS_SYSTEM;
        fini_loop(&server);
    } else {
        serve(&server);
        log_totals(&server);
        log_datagram_totals(&server);
        free_workers(&server);
        if (server.is_changing)
            drop_change(&server);
        fini_loop(&server);
    }
    log_write(log, LOG_LEVEL_INFO, "stopped");
    event_set_log_callback(NULL);
    event_set_fatal_callback(NULL);
    libevent_global_shutdown(); /* so that leak checkers see nothing of it */
    return server.exit_status;
}
