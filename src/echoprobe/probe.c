#include <config.h>

#include "echoprobe/probe.h"

#include "base/clock.h"
#include "base/process.h"
#include "echoprobe/account.h"
#include "echoprobe/loads.h"
#include "echoprobe/recorder.h"
#include "echoprobe/report.h"
#include "echoprobe/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_MS = 200, RETRY_MIN_MS = 100, RETRY_MAX_MS = 1000 };

struct thread {
    struct probe *probe;
    struct load_plan plan;
    pthread_t handle;
    int failure;      /* errno of loads_run, 0: none */
    const char *step; /* that failed */
};

struct probe {
    const struct options *options;
    struct pattern pattern;
    struct event_base *base;
    struct signals signals;
    struct event *progress, *deadline, *ended, *interval;
    int pipe[2]; /* each thread writes a byte when it ends */
    struct thread *threads;
    size_t started, running;
    const char *step;                    /* that the system may refuse now, as "cannot" goes on */
    char refusal[ERROR_TEXT_SIZE + 256]; /* a sentence, once it has */
    uint64_t begin_ns;
    atomic_int order; /* enum load_order */
    pthread_mutex_t lines;
    struct recorder recorder;
    struct account account;
};

static void *run_thread(void *argument)
{
    struct thread *thread = argument;
    const char byte = 0;

    if (loads_run(&thread->plan, 1, &thread->step) < 0) {
        thread->failure = errno;
        atomic_store(&thread->probe->order, LOAD_BREAK);
    }
    while (write(thread->probe->pipe[1], &byte, 1) < 0 && errno == EINTR)
        continue;
    return NULL;
}

/* --- Main thread ----------------------------------------------------------------------------- */

/* The first time what is under way may return, the second time not. */
static void on_end_asked(void *argument)
{
    struct probe *probe = argument;

    atomic_store(&probe->order,
                 atomic_load(&probe->order) == LOAD_GO_ON ? LOAD_FINISH : LOAD_BREAK);
}

static void on_query(void *argument)
{
    struct probe *probe = argument;

    account_tell_interim(&probe->account, clock_now_ns() - probe->begin_ns);
}

static void on_probe_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    atomic_store(&probe->order, LOAD_BREAK);
}

static void on_probe_progress(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    account_tell_progress(&probe->account, clock_now_ns() - probe->begin_ns);
}

static void on_interval_over(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    account_record_interval(&probe->account, clock_now_ns() - probe->begin_ns);
}

static int watch_intervals(struct probe *probe)
{
    const struct timeval length = clock_timeval(RECORDER_INTERVAL_MS);

    if (!recorder_has_intervals(&probe->recorder))
        return 0;
    probe->interval = event_new(probe->base, -1, EV_PERSIST, on_interval_over, probe);
    return probe->interval == NULL ? -1 : event_add(probe->interval, &length);
}

static void on_thread_ended(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;
    char bytes[64];
    const ssize_t count = read(fd, bytes, sizeof bytes);

    (void)what;
    if (count > 0)
        probe->running -= (size_t)count;
    if (probe->running == 0)
        (void)event_base_loopbreak(probe->base);
}

static int prepare_probe(struct probe *probe)
{
    const struct timeval progress = clock_timeval(PROGRESS_MS);
    const struct timeval deadline = clock_timeval(probe->options->deadline_ms);

    probe->step = "get random numbers";
    if (pattern_init(&probe->pattern) < 0)
        return -1;
    probe->step = "make a pipe";
    if (pipe(probe->pipe) < 0)
        return -1;
    probe->step = "make an event loop";
    errno = ENOMEM;
    probe->base = event_base_new();
    if (probe->base == NULL)
        return -1;
    probe->signals =
        (struct signals){.on_end = on_end_asked, .on_query = on_query, .argument = probe};
    probe->progress = event_new(probe->base, -1, EV_PERSIST, on_probe_progress, probe);
    probe->deadline = evtimer_new(probe->base, on_probe_deadline, probe);
    probe->ended =
        event_new(probe->base, probe->pipe[0], EV_READ | EV_PERSIST, on_thread_ended, probe);
    if (probe->progress == NULL || probe->deadline == NULL || probe->ended == NULL ||
        watch_intervals(probe) < 0 || event_add(probe->progress, &progress) < 0 ||
        event_add(probe->ended, NULL) < 0 ||
        (probe->options->deadline_ms > 0 && event_add(probe->deadline, &deadline) < 0))
        return -1;
    probe->step = "watch for signals";
    return signals_init(&probe->signals, probe->base);
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void clean_up_probe(struct probe *probe)
{
    signals_fini(&probe->signals);
    free_event(probe->progress);
    free_event(probe->deadline);
    free_event(probe->interval);
    free_event(probe->ended);
    if (probe->base != NULL)
        event_base_free(probe->base);
    if (probe->pipe[0] >= 0) {
        (void)close(probe->pipe[0]);
        (void)close(probe->pipe[1]);
    }
    free(probe->threads);
}

/* Share out a number among threads as evenly as it goes. */
static uint64_t part_of(uint64_t whole, uint64_t threads, size_t index)
{
    return whole / threads + (index < whole % threads ? 1 : 0);
}

/* Return how long this thread waits from one message to the next; 0: not at all. */
static uint64_t period_ns(const struct options *options, size_t connections)
{
    const double rate = options->rate * (double)connections / (double)options->connections;
    uint64_t period;

    if (options->rate > 0) {
        period = (uint64_t)(1e9 / rate);
        return (double)period * rate < 1e9 ? period + 1 : period; /* never more than the rate */
    }
    return (options->interval_us * 1000 + connections - 1) / connections;
}

/* A ping tries to connect as often as it sends, within limits, and a load as often as it may. */
static uint64_t retry_ms(const struct options *options)
{
    const uint64_t interval_ms = options->interval_us / 1000;

    if (options->is_load || interval_ms < RETRY_MIN_MS)
        return RETRY_MIN_MS;
    return interval_ms < RETRY_MAX_MS ? interval_ms : RETRY_MAX_MS;
}

static struct load_plan plan_of(struct probe *probe, const struct target *target, size_t index)
{
    const struct options *options = probe->options;
    const size_t connections = (size_t)part_of(options->connections, options->threads, index);

    return (struct load_plan){
        .target = target,
        .pattern = &probe->pattern,
        .connections = connections,
        .size = (size_t)options->size_bytes,
        .window = options->window,
        .timeout_ns = options->timeout_ms * 1000000,
        .retry_ms = retry_ms(options),
        .count =
            options->count == 0 ? UINT64_MAX : part_of(options->count, options->threads, index),
        .period_ns = period_ns(options, connections),
        .duration_ns = options->duration_ms * 1000000,
        .counts_from_due = options->rate > 0,
        .is_churn = options->churn,
        .first_number = index + 1,
        .number_step = options->threads,
        .events = account_events(&probe->account),
        .argument = &probe->account,
    };
}

/* Signals are the main thread's. */
static int start_threads(struct probe *probe, const struct target *target)
{
    sigset_t all, before;
    int failure = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < probe->options->threads && failure == 0; i++) {
        struct thread *thread = &probe->threads[i];

        thread->probe = probe;
        thread->plan = plan_of(probe, target, i);
        failure = pthread_create(&thread->handle, NULL, run_thread, thread);
        if (failure == 0)
            probe->started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    probe->running = probe->started;
    errno = failure;
    return failure == 0 ? 0 : -1;
}

/* Return 0 or the first errno of a thread. */
static int join_threads(struct probe *probe)
{
    int failure = 0;

    for (size_t i = 0; i < probe->started; i++) {
        (void)pthread_join(probe->threads[i].handle, NULL);
        if (failure != 0 || probe->threads[i].failure == 0)
            continue;
        failure = probe->threads[i].failure;
        probe->step = probe->threads[i].step;
    }
    return failure;
}

static int run_probe(struct probe *probe, const struct target *target)
{
    int failure = 0;

    probe->step = "begin";
    probe->threads = calloc((size_t)probe->options->threads, sizeof *probe->threads);
    if (probe->threads == NULL || prepare_probe(probe) < 0)
        return errno;
    probe->begin_ns = clock_now_ns();
    probe->step = "start a thread";
    if (start_threads(probe, target) < 0) {
        failure = errno;
        atomic_store(&probe->order, LOAD_BREAK);
    }
    if (probe->running > 0)
        (void)event_base_dispatch(probe->base);
    if (failure == 0)
        return join_threads(probe);
    (void)join_threads(probe);
    return failure;
}

/*
 * Tell it as a fault of the connection if the run ended before there was one. The message that it
 * was to carry is lost: nobody answered all the time.
 */
static void note_no_connection(struct probe *probe, const struct target *target,
                               uint64_t elapsed_ns)
{
    struct tally *tally = &probe->account.tally;
    struct fault fault;

    if (tally->sent > 0 || tally->connects_failed > 0 || probe->account.report.output_failure != 0)
        return;
    fault_set(&fault, FAULT_CONNECT, 0, 0, "%s: no connection yet when it had to end",
              target->places[0].text);
    tally->connects_failed = tally->faults[FAULT_CONNECT] = tally->faults[FAULT_UNSENT] = 1;
    tally->sent = tally->lost = tally->unsent = tally->outages = 1;
    tally->longest_outage_ns = elapsed_ns;
    tally->downtime_ns = elapsed_ns * probe->options->connections;
    account_note_fault(&probe->account, &fault);
}

/* Connections that never came about are no loss of the path. */
static int status_of_tally(const struct tally *tally)
{
    uint64_t faults = 0;

    if (tally->connects_failed + tally->faults[FAULT_REFUSED] > 0 && tally->connects == 0 &&
        tally->received == 0)
        return EXIT_STATUS_CONNECT;
    for (int kind = FAULT_CONNECT; kind < FAULT_KINDS; kind++)
        faults += fault_is_of_connecting((enum fault_kind)kind) ? 0 : tally->faults[kind];
    if (tally->lost + tally->corrupted + faults > 0)
        return EXIT_STATUS_FAULT;
    return tally->connects_failed > 0 ? EXIT_STATUS_CONNECT : EXIT_STATUS_UNCHANGED;
}

/*
 * Return how many files a run has open: the standard ones, the pipe of the threads, for each loop
 * epoll, a timer and libevent's pair for signals, and the connections.
 */
static uint64_t files_of_run(const struct options *options)
{
    return 3 + 2 + 4 * (1 + options->threads) + options->connections +
           (recorder_is_wanted(options) ? RECORDER_FILES : 0);
}

static int refuse_files(const struct options *options)
{
    char text[160];

    (void)snprintf(text, sizeof text,
                   "the limit of open files is %" PRIu64 ", but %" PRIu64 " %s about %" PRIu64
                   "; raise it (ulimit -n), or ask for fewer of them",
                   process_file_limit(), options->connections,
                   options->connections == 1 ? "connection needs" : "connections need",
                   files_of_run(options));
    return report_failure(options, EXIT_STATUS_SYSTEM, text);
}

/* The system refused something: say so, and what was counted until then. */
static int refuse_step(struct probe *probe, const struct target *target, uint64_t elapsed_ns,
                       int failure)
{
    struct account *account = &probe->account;
    struct error error = {""};
    bool is_recorded;

    account_record_end(account, elapsed_ns);
    is_recorded = recorder_close(&probe->recorder, &error) == 0;
    (void)snprintf(probe->refusal, sizeof probe->refusal, "cannot %s: %s%s%s%s", probe->step,
                   strerror(failure), target_hint(target, failure), is_recorded ? "" : "; ",
                   error.text);
    if (account->tally.sent == 0)
        return report_failure(probe->options, EXIT_STATUS_SYSTEM, probe->refusal);
    account->report.refusal = probe->refusal;
    return report_messages(&account->report, &account->tally, elapsed_ns, EXIT_STATUS_SYSTEM);
}

/* Say what came of a run that ended as it should. */
static int report_run(struct probe *probe, const struct target *target, uint64_t elapsed_ns)
{
    struct account *account = &probe->account;
    struct error error = {""};
    int status;

    note_no_connection(probe, target, elapsed_ns);
    status = status_of_tally(&account->tally);
    account_record_end(account, elapsed_ns);
    if (recorder_close(&probe->recorder, &error) < 0) {
        status = EXIT_STATUS_SYSTEM;
        (void)snprintf(probe->refusal, sizeof probe->refusal, "%s", error.text);
        account->report.refusal = probe->refusal;
    }
    return report_messages(&account->report, &account->tally, elapsed_ns, status);
}

int probe_run(const struct options *options, const struct target *target)
{
    static struct probe probe; /* large, and one to a process */
    struct error error = {""};
    uint64_t elapsed_ns;
    int failure, status;

    if (process_file_limit() < files_of_run(options))
        return refuse_files(options);
    if (recorder_open(&probe.recorder, options, &error) < 0)
        return report_failure(options, EXIT_STATUS_SYSTEM, error.text);
    probe.options = options;
    probe.pipe[0] = probe.pipe[1] = -1;
    (void)pthread_mutex_init(&probe.lines, NULL);
    account_init(&probe.account, options, target,
                 &(struct account_shared){&probe.recorder, &probe.order, &probe.lines});
    failure = run_probe(&probe, target);
    elapsed_ns = clock_now_ns() - probe.begin_ns;
    status = failure == 0 ? report_run(&probe, target, elapsed_ns)
                          : refuse_step(&probe, target, elapsed_ns, failure);
    clean_up_probe(&probe);
    account_fini(&probe.account);
    (void)pthread_mutex_destroy(&probe.lines);
    return status;
}
