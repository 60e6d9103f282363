#include <config.h>

#include "echoprobe/probe.h"

#include "base/clock.h"
#include "base/process.h"
#include "echoprobe/account.h"
#include "echoprobe/loads.h"
#include "echoprobe/metrics_server.h"
#include "echoprobe/outcome.h"
#include "echoprobe/recorder.h"
#include "echoprobe/report.h"
#include "echoprobe/resolver.h"
#include "echoprobe/signals.h"
#include "echoprobe/target_slot.h"

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

enum {
    PROGRESS_MS = 200,
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 1000,
    LOOKUP_MIN_MS = 1000,
    LOOKUP_MAX_MS = 60000
};

struct thread {
    struct probe *probe;
    struct load_plan *plans; /* one for each target */
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
    const char *step; /* that the system may refuse now, as "cannot" goes on */
    uint64_t begin_ns;
    atomic_int order; /* enum load_order */
    pthread_mutex_t lines;
    struct recorder recorder;

    const struct account_target *targets;
    size_t count;
    struct account *accounts;       /* one for each target */
    struct load_plan *plans;        /* one for each target, of each thread */
    struct target_slot *slots;      /* the same */
    struct metrics_server *metrics; /* NULL: nobody asks */
    struct resolver *resolver;      /* NULL: there is no name to look up */
    size_t *looked_up;              /* the targets whose names it looks up */
};

static void *run_thread(void *argument)
{
    struct thread *thread = argument;
    const char byte = 0;

    if (loads_run(thread->plans, thread->probe->count, &thread->step) < 0) {
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

    for (size_t i = 0; i < probe->count; i++)
        account_tell_interim(&probe->accounts[i], clock_now_ns() - probe->begin_ns);
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
    for (size_t i = 0; i < probe->count; i++)
        account_tell_progress(&probe->accounts[i], clock_now_ns() - probe->begin_ns);
}

static void on_interval_over(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < probe->count; i++)
        account_record_interval(&probe->accounts[i], clock_now_ns() - probe->begin_ns);
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
    free(probe->looked_up);
    for (size_t i = 0; probe->slots != NULL && i < probe->count * probe->options->threads; i++)
        target_slot_fini(&probe->slots[i]);
    free(probe->slots);
    free(probe->plans);
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

/* The plan of a target in a thread. */
static struct load_plan plan_of(const struct probe *probe, size_t thread, size_t index)
{
    const struct options *options = probe->targets[index].options;
    const struct target *target = probe->targets[index].target;
    const size_t connections = (size_t)part_of(options->connections, options->threads, thread);

    return (struct load_plan){
        .target = target->count > 0 ? target : NULL,
        .slot = &probe->slots[thread * probe->count + index],
        .pattern = &probe->pattern,
        .connections = connections,
        .size = (size_t)options->size_bytes,
        .window = options->window,
        .timeout_ns = options->timeout_ms * 1000000,
        .retry_ms = retry_ms(options),
        .count =
            options->count == 0 ? UINT64_MAX : part_of(options->count, options->threads, thread),
        .period_ns = period_ns(options, connections),
        .duration_ns = options->duration_ms * 1000000,
        .counts_from_due = options->rate > 0,
        .is_churn = options->churn,
        .is_lasting = options->is_lasting,
        .first_number = 1 + thread + index * options->threads,
        .number_step = options->threads * probe->count,
        .events = account_events(&probe->accounts[index]),
        .argument = &probe->accounts[index],
    };
}

/* --- Names --------------------------------------------------------------------------------------
 */

static bool is_name_well(void *argument, size_t index)
{
    const struct probe *probe = argument;

    return account_is_up(&probe->accounts[probe->looked_up[index]]);
}

static int on_name_changed(void *argument, size_t index, const struct target *target)
{
    const struct probe *probe = argument;
    const size_t i = probe->looked_up[index];

    for (size_t thread = 0; thread < probe->options->threads; thread++) {
        if (target_slot_put(&probe->slots[thread * probe->count + i], target) < 0)
            return -1;
    }
    account_note_address(&probe->accounts[i], target);
    return 0;
}

static void on_name_failed(void *argument, size_t index)
{
    const struct probe *probe = argument;

    account_note_lookup_failure(&probe->accounts[probe->looked_up[index]]);
}

/* Write which names are to be looked up, and return how many. */
static size_t list_names(struct probe *probe, struct resolver_name *names)
{
    size_t count = 0;

    for (size_t i = 0; i < probe->count; i++) {
        const struct account_target *each = &probe->targets[i];

        if (each->target->count > 0)
            continue;
        names[count] = (struct resolver_name){.address = each->options->target,
                                              .family = options_family(each->options),
                                              .target = *each->target};
        probe->looked_up[count++] = i;
    }
    return count;
}

static int start_resolver(struct probe *probe)
{
    static const struct resolver_pace pace = {.first_ms = LOOKUP_MIN_MS, .usual_ms = LOOKUP_MAX_MS};
    const struct resolver_events events = {.is_well = is_name_well,
                                           .on_change = on_name_changed,
                                           .on_failure = on_name_failed,
                                           .argument = probe};
    struct resolver_name *names = calloc(probe->count, sizeof *names);
    size_t count;

    probe->step = "look up names";
    if (names == NULL)
        return -1;
    count = list_names(probe, names);
    if (count > 0)
        probe->resolver = resolver_start(names, count, &pace, target_look_up, &events);
    free(names);
    return count > 0 && probe->resolver == NULL ? -1 : 0;
}

/* --- Threads -------------------------------------------------------------------------------------
 */

/* Signals are the main thread's. */
static int start_threads(struct probe *probe)
{
    sigset_t all, before;
    int failure = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < probe->options->threads && failure == 0; i++) {
        struct thread *thread = &probe->threads[i];

        thread->probe = probe;
        thread->plans = &probe->plans[i * probe->count];
        for (size_t k = 0; k < probe->count; k++)
            thread->plans[k] = plan_of(probe, i, k);
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

static int make_room(struct probe *probe)
{
    const size_t threads = (size_t)probe->options->threads;

    probe->threads = calloc(threads, sizeof *probe->threads);
    probe->plans = calloc(threads * probe->count, sizeof *probe->plans);
    probe->slots = calloc(threads * probe->count, sizeof *probe->slots);
    probe->looked_up = calloc(probe->count, sizeof *probe->looked_up);
    if (probe->threads == NULL || probe->plans == NULL || probe->slots == NULL ||
        probe->looked_up == NULL)
        return -1;
    return 0;
}

static int run_probe(struct probe *probe)
{
    int failure = 0;

    probe->step = "begin";
    if (make_room(probe) < 0 || prepare_probe(probe) < 0 || start_resolver(probe) < 0)
        return errno;
    probe->begin_ns = clock_now_ns();
    probe->step = "start a thread";
    if ((probe->metrics != NULL && metrics_server_start(probe->metrics) < 0) ||
        start_threads(probe) < 0) {
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

/* --- A run ---------------------------------------------------------------------------------------
 */

/*
 * Return how many files a run has open: the standard ones, the pipe of the threads, for each loop
 * epoll, a timer and libevent's pair for signals, and the connections.
 */
static uint64_t files_of_run(const struct options *options, size_t targets)
{
    return 3 + 2 + 4 * (1 + options->threads) + options->connections * targets +
           (recorder_is_wanted(options) ? RECORDER_FILES : 0) +
           (options->metrics.is_set ? METRICS_SERVER_FILES : 0);
}

static int refuse_files(const struct options *options, size_t targets)
{
    const uint64_t connections = options->connections * targets;
    char text[160];

    (void)snprintf(text, sizeof text,
                   "the limit of open files is %" PRIu64 ", but %" PRIu64 " %s about %" PRIu64
                   "; raise it (ulimit -n), or ask for fewer of them",
                   process_file_limit(), connections,
                   connections == 1 ? "connection needs" : "connections need",
                   files_of_run(options, targets));
    return report_failure(options, EXIT_STATUS_SYSTEM, text);
}

static int open_accounts(struct probe *probe)
{
    const struct account_shared shared = {&probe->recorder, &probe->order, &probe->lines};

    probe->accounts = calloc(probe->count, sizeof *probe->accounts);
    if (probe->accounts == NULL)
        return -1;
    (void)pthread_mutex_init(&probe->lines, NULL);
    for (size_t i = 0; i < probe->count; i++)
        account_init(&probe->accounts[i], &probe->targets[i], &shared);
    return 0;
}

static void close_accounts(struct probe *probe)
{
    for (size_t i = 0; i < probe->count; i++)
        account_fini(&probe->accounts[i]);
    free(probe->accounts);
    (void)pthread_mutex_destroy(&probe->lines);
}

static int report_outcome(struct probe *probe, uint64_t elapsed_ns, int failure)
{
    struct outcome outcome = {.options = probe->options,
                              .accounts = probe->accounts,
                              .count = probe->count,
                              .recorder = &probe->recorder};
    char sentence[ERROR_TEXT_SIZE];

    if (failure == 0)
        return outcome_report(&outcome, elapsed_ns);
    (void)snprintf(sentence, sizeof sentence, "cannot %s: %s%s", probe->step, strerror(failure),
                   target_hint(probe->targets[0].target, failure));
    return outcome_refuse(&outcome, sentence, elapsed_ns);
}

static int open_metrics(struct probe *probe, struct error *error)
{
    const struct metrics_plan *plan = &probe->options->metrics;

    if (!plan->is_set)
        return 0;
    probe->metrics = metrics_server_open(&plan->address, probe->accounts, probe->count, error);
    return probe->metrics == NULL ? -1 : 0;
}

/* Return 0; or an exit status, and a sentence in `error`. */
static int open_outputs(struct probe *probe, struct error *error)
{
    if (open_metrics(probe, error) < 0)
        return errno == EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_SYSTEM;
    return recorder_open(&probe->recorder, probe->options, error) < 0 ? EXIT_STATUS_SYSTEM : 0;
}

int probe_run(const struct options *options, const struct account_target *targets, size_t count)
{
    static struct probe probe; /* large, and one to a process */
    struct error error = {""};
    uint64_t elapsed_ns;
    int failure, status;

    if (process_file_limit() < files_of_run(options, count))
        return refuse_files(options, count);
    probe.options = options;
    probe.targets = targets;
    probe.count = count;
    probe.pipe[0] = probe.pipe[1] = -1;
    if (open_accounts(&probe) < 0)
        return report_failure(options, EXIT_STATUS_SYSTEM, strerror(errno));
    status = open_outputs(&probe, &error);
    if (status != 0) {
        metrics_server_free(probe.metrics);
        close_accounts(&probe);
        return report_failure(options, status, error.text);
    }
    failure = run_probe(&probe);
    elapsed_ns = clock_now_ns() - probe.begin_ns;
    metrics_server_free(probe.metrics); /* before the accounts are changed without their locks */
    resolver_free(probe.resolver);
    status = report_outcome(&probe, elapsed_ns, failure);
    clean_up_probe(&probe);
    close_accounts(&probe);
    return status;
}
