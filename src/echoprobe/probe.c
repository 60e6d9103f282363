#include <config.h>

#include "echoprobe/probe.h"

#include "base/clock.h"
#include "base/process.h"
#include "echoprobe/account.h"
#include "echoprobe/metrics_server.h"
#include "echoprobe/outcome.h"
#include "echoprobe/pattern.h"
#include "echoprobe/recorder.h"
#include "echoprobe/report.h"
#include "echoprobe/roster.h"
#include "echoprobe/signals.h"
#include "echoprobe/targets.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_MS = 200 };

struct probe {
    const struct options *options;
    const struct command_words *words; /* NULL: one target */
    struct event_base *base;
    struct signals signals;
    struct event *progress, *deadline, *ended, *interval;
    int pipe[2];      /* each thread writes a byte when it ends */
    const char *step; /* that the system may refuse now, as "cannot" goes on */
    atomic_int order; /* enum load_order */
    pthread_mutex_t lines;
    struct recorder recorder;
    struct account_shared shared;
    struct pattern pattern;
    _Atomic uint64_t next_number; /* of a connection */
    struct roster roster;
};

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

    for (size_t i = 0; i < probe->roster.count; i++)
        account_tell_interim(probe->roster.accounts[i], clock_now_ns());
}

/* Read the file of targets again. */
static int renew_targets(struct probe *probe, struct error *error)
{
    struct targets list;

    if (targets_read(&list, probe->options->targets, probe->words->count, probe->words->words,
                     error) == 0)
        return roster_renew(&probe->roster, &list, error);
    targets_free(&list);
    return -1;
}

static void on_renewal_asked(void *argument)
{
    struct probe *probe = argument;
    struct error error = {""};
    bool is_done;

    if (atomic_load(&probe->order) != LOAD_GO_ON)
        return;
    is_done = renew_targets(probe, &error) == 0;
    if (!is_done)
        (void)fprintf(stderr, "echoprobe: %s; the targets stay as they were\n", error.text);
    if (probe->roster.metrics != NULL)
        metrics_server_note_reload(probe->roster.metrics, is_done);
}

static void on_probe_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    atomic_store(&probe->order, LOAD_BREAK);
}

static struct outcome outcome_of(struct probe *probe)
{
    return (struct outcome){.options = probe->options,
                            .accounts = probe->roster.accounts,
                            .count = probe->roster.count,
                            .recorder = &probe->recorder};
}

static void on_probe_progress(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;
    struct outcome outcome = outcome_of(probe);

    (void)fd;
    (void)what;
    roster_sweep(&probe->roster, &outcome);
    for (size_t i = 0; i < probe->roster.count; i++)
        account_tell_progress(probe->roster.accounts[i], clock_now_ns());
}

static void on_interval_over(evutil_socket_t fd, short what, void *argument)
{
    struct probe *probe = argument;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < probe->roster.count; i++)
        account_record_interval(probe->roster.accounts[i], clock_now_ns());
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
        probe->roster.running -= (size_t)count;
    if (probe->roster.running == 0)
        (void)event_base_loopbreak(probe->base);
}

static int prepare_probe(struct probe *probe)
{
    const struct timeval progress = clock_timeval(PROGRESS_MS);
    const struct timeval deadline = clock_timeval(probe->options->deadline_ms);

    probe->step = "make a pipe";
    if (pipe(probe->pipe) < 0)
        return -1;
    probe->step = "make an event loop";
    errno = ENOMEM;
    probe->base = event_base_new();
    if (probe->base == NULL)
        return -1;
    probe->signals = (struct signals){.on_end = on_end_asked,
                                      .on_query = on_query,
                                      .on_hangup = probe->words == NULL ? NULL : on_renewal_asked,
                                      .argument = probe};
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
}

static int start_metrics(struct probe *probe)
{
    struct metrics_server *metrics = probe->roster.metrics;

    if (metrics == NULL)
        return 0;
    if (metrics_server_set(metrics, probe->roster.accounts, probe->roster.count) < 0)
        return -1;
    return metrics_server_start(metrics);
}

/* Return 0, or errno of what failed. */
static int run_probe(struct probe *probe)
{
    struct outcome outcome;
    const char *step = probe->step;
    int failure = 0, failure_of_thread;

    probe->step = "begin";
    if (prepare_probe(probe) < 0)
        return errno;
    probe->step = "get random numbers";
    if (pattern_init(&probe->pattern) < 0)
        return errno;
    probe->step = "start a thread";
    if (start_metrics(probe) < 0 || roster_start(&probe->roster, &probe->step) < 0) {
        failure = errno;
        atomic_store(&probe->order, LOAD_BREAK);
    }
    if (probe->roster.running > 0)
        (void)event_base_dispatch(probe->base);
    outcome = outcome_of(probe);
    failure_of_thread = roster_join(&probe->roster, &outcome, &step);
    if (failure != 0 || failure_of_thread == 0)
        return failure;
    probe->step = step;
    return failure_of_thread;
}

/* --- A run ---------------------------------------------------------------------------------------
 */

/*
 * Return how many files a run has open besides those of its groups: the standard ones, the pipe of
 * the threads, four of the loop, and what is written and served.
 */
static uint64_t other_files(const struct options *options)
{
    uint64_t files = 3 + 2 + 4;

    if (recorder_is_wanted(options))
        files += RECORDER_FILES;
    if (options->metrics.is_set)
        files += METRICS_SERVER_FILES;
    return files;
}

static int refuse_files(const struct probe *probe)
{
    const uint64_t connections = probe->options->connections * probe->roster.count;
    char text[160];

    (void)snprintf(text, sizeof text,
                   "the limit of open files is %" PRIu64 ", but %" PRIu64 " %s about %" PRIu64
                   "; raise it (ulimit -n), or ask for fewer of them",
                   process_file_limit(), connections,
                   connections == 1 ? "connection needs" : "connections need",
                   roster_files(&probe->roster, NULL));
    return report_failure(probe->options, EXIT_STATUS_SYSTEM, text);
}

static int report_outcome(struct probe *probe, uint64_t now_ns, int failure)
{
    struct outcome outcome = outcome_of(probe);
    char sentence[ERROR_TEXT_SIZE];

    if (failure == 0)
        return outcome_report(&outcome, now_ns);
    (void)snprintf(sentence, sizeof sentence, "cannot %s: %s%s", probe->step, strerror(failure),
                   target_hint(probe->roster.plan.targets[0].target, failure));
    return outcome_refuse(&outcome, sentence, now_ns);
}

static int open_metrics(struct probe *probe, struct error *error)
{
    const struct metrics_plan *plan = &probe->options->metrics;

    if (!plan->is_set)
        return 0;
    probe->roster.metrics = metrics_server_open(&plan->address, error);
    return probe->roster.metrics == NULL ? -1 : 0;
}

/* Return 0; or an exit status, and a sentence in `error`. */
static int open_outputs(struct probe *probe, struct error *error)
{
    if (open_metrics(probe, error) < 0)
        return errno == EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_SYSTEM;
    return recorder_open(&probe->recorder, probe->options, error) < 0 ? EXIT_STATUS_SYSTEM : 0;
}

static int open_roster(struct probe *probe, const struct account_target *targets, size_t count)
{
    const struct group_plan plan = {.targets = targets,
                                    .count = count,
                                    .options = probe->options,
                                    .shared = &probe->shared,
                                    .pattern = &probe->pattern,
                                    .next_number = &probe->next_number,
                                    .ended_fd = &probe->pipe[1]};

    probe->shared = (struct account_shared){&probe->recorder, &probe->order, &probe->lines};
    probe->next_number = 1;
    probe->roster.other_files = other_files(probe->options);
    return roster_init(&probe->roster, &plan);
}

/* Return 0; or an exit status, and that is reported. */
static int open_probe(struct probe *probe, const struct account_target *targets, size_t count)
{
    struct error error = {""};
    int status;

    if (open_roster(probe, targets, count) < 0)
        return report_failure(probe->options, EXIT_STATUS_SYSTEM, strerror(ENOMEM));
    if (process_file_limit() < roster_files(&probe->roster, NULL))
        return refuse_files(probe);
    status = open_outputs(probe, &error);
    return status == 0 ? 0 : report_failure(probe->options, status, error.text);
}

static void close_metrics(struct probe *probe)
{
    metrics_server_free(probe->roster.metrics);
    probe->roster.metrics = NULL;
}

static int run_and_report(struct probe *probe)
{
    const int failure = run_probe(probe);
    const uint64_t end_ns = clock_now_ns();

    close_metrics(probe); /* before accounts are changed without their locks */
    return report_outcome(probe, end_ns, failure);
}

int probe_run(const struct options *options, const struct account_target *targets, size_t count,
              const struct command_words *words)
{
    static struct probe probe; /* large, and one to a process */
    int status;

    probe.options = options;
    probe.words = words;
    probe.pipe[0] = probe.pipe[1] = -1;
    (void)pthread_mutex_init(&probe.lines, NULL);
    status = open_probe(&probe, targets, count);
    if (status == 0)
        status = run_and_report(&probe);
    clean_up_probe(&probe);
    close_metrics(&probe);
    roster_free(&probe.roster);
    (void)pthread_mutex_destroy(&probe.lines);
    return status;
}
