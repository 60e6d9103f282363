#include <config.h>

#include "echoprobe/group.h"

#include "base/clock.h"
#include "echoprobe/loads.h"
#include "echoprobe/resolver.h"
#include "echoprobe/target_slot.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 1000, LOOKUP_MIN_MS = 1000, LOOKUP_MAX_MS = 60000 };

struct thread {
    struct group *group;
    struct load_plan *plans; /* one for each target */
    pthread_t handle;
    int failed_start; /* errno of loads_start, 0: none; known once it has begun */
    int failure;      /* errno of loads_run, 0: none; known once it was joined */
    const char *step; /* that failed */
};

struct group {
    struct group_plan plan;
    struct account *accounts; /* one for each target */
    struct thread *threads;
    size_t started, joined;
    size_t begun; /* threads that have begun, or failed to */
    pthread_mutex_t mutex;
    pthread_cond_t has_begun;
    struct load_plan *plans;   /* one for each target, of each thread */
    struct target_slot *slots; /* the same */
    struct resolver *resolver; /* NULL: there is no name to look up */
    size_t *looked_up;         /* the targets whose names it looks up, */
    size_t names;              /* and how many */
};

/* --- A thread -------------------------------------------------------------------------------- */

static void tell_begun(struct group *group)
{
    pthread_mutex_lock(&group->mutex);
    group->begun++;
    (void)pthread_cond_signal(&group->has_begun);
    pthread_mutex_unlock(&group->mutex);
}

static void tell_ended(const struct group *group)
{
    const char byte = 0;

    while (write(*group->plan.ended_fd, &byte, 1) < 0 && errno == EINTR)
        continue;
}

/* What cannot begin is told by group_start; what fails later ends the run. */
static void *run_thread(void *argument)
{
    struct thread *thread = argument;
    struct group *group = thread->group;
    struct loads *loads = loads_start(thread->plans, group->plan.count, &thread->step);

    if (loads == NULL)
        thread->failed_start = errno;
    tell_begun(group);
    if (loads != NULL && loads_run(loads, &thread->step) < 0) {
        thread->failure = errno;
        atomic_store(group->plan.shared->order, LOAD_BREAK);
    }
    tell_ended(group);
    return NULL;
}

/* --- Plans ----------------------------------------------------------------------------------- */

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
static struct load_plan plan_of(const struct group *group, size_t thread, size_t index)
{
    const struct options *options = group->plan.targets[index].options;
    const struct target *target = group->plan.targets[index].target;
    const size_t connections = (size_t)part_of(options->connections, options->threads, thread);

    return (struct load_plan){
        .target = target,
        .slot = &group->slots[thread * group->plan.count + index],
        .pattern = group->plan.pattern,
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
        .next_number = group->plan.next_number,
        .events = account_events(&group->accounts[index]),
        .argument = &group->accounts[index],
    };
}

/* --- Names ----------------------------------------------------------------------------------- */

static bool is_name_well(void *argument, size_t index)
{
    const struct group *group = argument;

    return account_is_up(&group->accounts[group->looked_up[index]]);
}

static int on_name_changed(void *argument, size_t index, const struct target *target)
{
    const struct group *group = argument;
    const size_t i = group->looked_up[index];

    for (size_t thread = 0; thread < group->plan.options->threads; thread++) {
        if (target_slot_put(&group->slots[thread * group->plan.count + i], target) < 0)
            return -1;
    }
    account_note_address(&group->accounts[i], target);
    return 0;
}

static void on_name_failed(void *argument, size_t index)
{
    const struct group *group = argument;

    account_note_lookup_failure(&group->accounts[group->looked_up[index]]);
}

/* Write which names are to be looked up, and return how many. */
static size_t list_names(struct group *group, struct resolver_name *names)
{
    size_t count = 0;

    for (size_t i = 0; i < group->plan.count; i++) {
        const struct account_target *each = &group->plan.targets[i];

        if (each->target->count > 0)
            continue;
        names[count] = (struct resolver_name){.address = each->options->target,
                                              .family = options_family(each->options),
                                              .target = *each->target};
        group->looked_up[count++] = i;
    }
    return count;
}

static int start_resolver(struct group *group, const char **step)
{
    static const struct resolver_pace pace = {.first_ms = LOOKUP_MIN_MS, .usual_ms = LOOKUP_MAX_MS};
    const struct resolver_events events = {.is_well = is_name_well,
                                           .on_change = on_name_changed,
                                           .on_failure = on_name_failed,
                                           .argument = group};
    struct resolver_name *names = calloc(group->plan.count + 1, sizeof *names); /* never none */
    size_t count;

    *step = "look up names";
    if (names == NULL)
        return -1;
    count = group->names = list_names(group, names);
    if (count > 0)
        group->resolver = resolver_start(names, count, &pace, target_look_up, &events);
    free(names);
    return count > 0 && group->resolver == NULL ? -1 : 0;
}

/* --- Threads --------------------------------------------------------------------------------- */

/* Return 0, or errno. */
static int start_thread(struct group *group, size_t index)
{
    struct thread *thread = &group->threads[index];
    int failure;

    thread->group = group;
    thread->plans = &group->plans[index * group->plan.count];
    for (size_t i = 0; i < group->plan.count; i++)
        thread->plans[i] = plan_of(group, index, i);
    failure = pthread_create(&thread->handle, NULL, run_thread, thread);
    if (failure == 0)
        group->started++;
    return failure;
}

/* Signals are the main thread's. Return 0, or errno. */
static int start_threads(struct group *group)
{
    sigset_t all, before;
    int failure = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < group->plan.options->threads && failure == 0; i++)
        failure = start_thread(group, i);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

/* Return 0, or the first errno of a thread that could not begin, and its step. */
static int wait_for_begin(struct group *group, const char **step)
{
    pthread_mutex_lock(&group->mutex);
    while (group->begun < group->started)
        (void)pthread_cond_wait(&group->has_begun, &group->mutex);
    pthread_mutex_unlock(&group->mutex);
    for (size_t i = 0; i < group->started; i++) {
        if (group->threads[i].failed_start == 0)
            continue;
        *step = group->threads[i].step;
        return group->threads[i].failed_start;
    }
    return 0;
}

int group_join(struct group *group, const char **step)
{
    int failure = 0;

    for (; group->joined < group->started; group->joined++) {
        const struct thread *thread = &group->threads[group->joined];

        (void)pthread_join(thread->handle, NULL);
        if (failure != 0 || thread->failure == 0)
            continue;
        failure = thread->failure;
        *step = thread->step;
    }
    return failure;
}

/* --- Calls ----------------------------------------------------------------------------------- */

static int make_room(struct group *group)
{
    const size_t threads = (size_t)group->plan.options->threads, count = group->plan.count;

    group->threads = calloc(threads, sizeof *group->threads);
    group->plans = calloc(threads * count, sizeof *group->plans);
    group->slots = calloc(threads * count, sizeof *group->slots);
    group->looked_up = calloc(count, sizeof *group->looked_up);
    group->accounts = calloc(count, sizeof *group->accounts);
    if (group->threads == NULL || group->plans == NULL || group->slots == NULL ||
        group->looked_up == NULL || group->accounts == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        account_init(&group->accounts[i], &group->plan.targets[i], group->plan.shared);
        atomic_store(&group->accounts[i].loads, threads);
    }
    return 0;
}

struct group *group_new(const struct group_plan *plan)
{
    struct group *group = calloc(1, sizeof *group);

    if (group == NULL)
        return NULL;
    group->plan = *plan;
    (void)pthread_mutex_init(&group->mutex, NULL);
    (void)pthread_cond_init(&group->has_begun, NULL);
    if (make_room(group) == 0)
        return group;
    group_free(group);
    errno = ENOMEM;
    return NULL;
}

size_t group_count(const struct group *group)
{
    return group->plan.count;
}

struct account *group_account(struct group *group, size_t index)
{
    return &group->accounts[index];
}

/* For each loop epoll, a timer and libevent's pair for signals; and the connections. */
uint64_t group_files(const struct group *group)
{
    uint64_t files = 4 * group->plan.options->threads;

    for (size_t i = 0; i < group->plan.count; i++)
        files += group->accounts[i].is_told ? 0 : group->accounts[i].options->connections;
    return files;
}

int group_start(struct group *group, size_t *started, const char **step)
{
    int failure, failed_start;

    *started = 0;
    for (size_t i = 0; i < group->plan.count; i++)
        group->accounts[i].begin_ns = clock_now_ns();
    if (start_resolver(group, step) < 0)
        return -1;
    *step = "start a thread";
    failure = start_threads(group);
    *started = group->started;
    failed_start = wait_for_begin(group, step);
    errno = failed_start != 0 ? failed_start : failure;
    return errno == 0 ? 0 : -1;
}

void group_end_gone(struct group *group)
{
    for (size_t i = 0; i < group->plan.count; i++) {
        if (group->accounts[i].is_gone)
            atomic_store(&group->accounts[i].order, LOAD_FINISH);
    }
    for (size_t i = 0; i < group->names; i++) {
        if (group->accounts[group->looked_up[i]].is_gone)
            resolver_forget(group->resolver, i);
    }
}

void group_stop_lookups(struct group *group)
{
    resolver_free(group->resolver);
    group->resolver = NULL;
    group->names = 0;
}

void group_free(struct group *group)
{
    const char *step;

    if (group == NULL)
        return;
    group_stop_lookups(group);
    for (size_t i = 0; group->accounts != NULL && i < group->plan.count; i++)
        atomic_store(&group->accounts[i].order, LOAD_BREAK);
    (void)group_join(group, &step);
    for (size_t i = 0; group->accounts != NULL && i < group->plan.count; i++)
        account_fini(&group->accounts[i]);
    for (size_t i = 0; group->slots != NULL && i < group->plan.count * group->plan.options->threads;
         i++)
        target_slot_fini(&group->slots[i]);
    free(group->accounts);
    free(group->threads);
    free(group->looked_up);
    free(group->slots);
    free(group->plans);
    (void)pthread_cond_destroy(&group->has_begun);
    (void)pthread_mutex_destroy(&group->mutex);
    free(group);
}
