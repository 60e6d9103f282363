#include <config.h>

#include "echoprobe/resolver.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct name {
    struct address address;
    int family;
    struct target target; /* as it was told last */
    bool was_told;
    bool is_forgotten;
    uint64_t looked_up_ns; /* when it was last; 0: never */
    uint64_t wait_ms;      /* from then on, while not all is well */
};

/* Owned by the caller and the thread together; the last of them frees it. */
struct resolver {
    struct resolver_pace pace;
    resolver_look_up *look_up;
    struct resolver_events events;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows up to the names; held during each event */
    pthread_cond_t ended;
    bool is_looking_up;
    bool is_abandoned; /* the caller has freed it, */
    bool is_left;      /* and waits for nobody: the thread frees the rest */
    size_t count;
    struct name names[];
};

static void destroy(struct resolver *resolver)
{
    (void)pthread_cond_destroy(&resolver->ended);
    (void)pthread_mutex_destroy(&resolver->mutex);
    free(resolver);
}

/* --- The thread ----------------------------------------------------------------------------------
 */

/* Return how long to wait until a name is looked up again. */
static uint64_t pause_ms(const struct resolver *resolver, size_t index)
{
    const struct name *name = &resolver->names[index];

    if (name->looked_up_ns == 0)
        return 0;
    if (name->target.count > 0 && resolver->events.is_well(resolver->events.argument, index))
        return resolver->pace.usual_ms;
    return name->wait_ms;
}

/* Look longer away each time while it does not help. */
static void plan_next(struct resolver *resolver, size_t index)
{
    struct name *name = &resolver->names[index];
    const uint64_t usual_ms = resolver->pace.usual_ms;

    if (name->wait_ms == 0 ||
        (name->target.count > 0 && resolver->events.is_well(resolver->events.argument, index)))
        name->wait_ms = resolver->pace.first_ms;
    else
        name->wait_ms = 2 * name->wait_ms < usual_ms ? 2 * name->wait_ms : usual_ms;
}

/* The first time it is told in any case. */
static void tell(struct resolver *resolver, size_t index, const struct target *found, int status)
{
    struct name *name = &resolver->names[index];
    const struct resolver_events *events = &resolver->events;

    if (status < 0)
        events->on_failure(events->argument, index);
    if (name->was_told && (status < 0 || target_has_same_places(&name->target, found)))
        return;
    if (events->on_change(events->argument, index, found) < 0)
        return;
    name->was_told = true;
    name->target = *found;
}

/* Look up a name, without the lock. */
static void renew(struct resolver *resolver, size_t index)
{
    struct name *name = &resolver->names[index];
    struct target found = name->target;
    struct error error = {""};
    int status;

    resolver->is_looking_up = true;
    pthread_mutex_unlock(&resolver->mutex);
    status = resolver->look_up(&found, &name->address, name->family, &error);
    (void)snprintf(found.problem, sizeof found.problem, "%s", error.text);
    pthread_mutex_lock(&resolver->mutex);
    resolver->is_looking_up = false;
    if (resolver->is_abandoned || name->is_forgotten)
        return;
    name->looked_up_ns = clock_now_ns();
    tell(resolver, index, &found, status);
    plan_next(resolver, index);
}

/* Look up what is due. Return how long nothing will be, as far as is known. */
static uint64_t renew_all(struct resolver *resolver)
{
    uint64_t shortest_ms = resolver->pace.first_ms; /* to see soon that not all is well */

    for (size_t i = 0; i < resolver->count && !resolver->is_abandoned; i++) {
        uint64_t passed_ms, wait_ms;

        if (resolver->names[i].is_forgotten)
            continue;
        passed_ms = (clock_now_ns() - resolver->names[i].looked_up_ns) / 1000000;
        wait_ms = pause_ms(resolver, i);
        if (passed_ms >= wait_ms)
            renew(resolver, i);
        else if (wait_ms - passed_ms < shortest_ms)
            shortest_ms = wait_ms - passed_ms;
    }
    return shortest_ms;
}

static void wait_for_end(struct resolver *resolver, uint64_t wait_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&resolver->ended, &resolver->mutex, &until);
}

static void *run(void *argument)
{
    struct resolver *resolver = argument;
    bool is_left;

    pthread_mutex_lock(&resolver->mutex);
    while (!resolver->is_abandoned) {
        const uint64_t wait_ms = renew_all(resolver);

        if (!resolver->is_abandoned)
            wait_for_end(resolver, wait_ms);
    }
    is_left = resolver->is_left;
    pthread_mutex_unlock(&resolver->mutex);
    if (is_left)
        destroy(resolver);
    return NULL;
}

/* --- Calls ---------------------------------------------------------------------------------------
 */

/* Start the thread; signals are for others. */
static int start(struct resolver *resolver)
{
    sigset_t all, before;
    int failure;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&resolver->thread, NULL, run, resolver);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct resolver *resolver_start(const struct resolver_name *names, size_t count,
                                const struct resolver_pace *pace, resolver_look_up *look_up,
                                const struct resolver_events *events)
{
    struct resolver *resolver = calloc(1, sizeof *resolver + count * sizeof(struct name));
    int failure;

    if (resolver == NULL)
        return NULL;
    resolver->pace = *pace;
    resolver->look_up = look_up;
    resolver->events = *events;
    resolver->count = count;
    (void)pthread_mutex_init(&resolver->mutex, NULL);
    init_condition(&resolver->ended);
    for (size_t i = 0; i < count; i++)
        resolver->names[i] = (struct name){
            .address = names[i].address, .family = names[i].family, .target = names[i].target};
    failure = start(resolver);
    if (failure == 0)
        return resolver;
    destroy(resolver);
    errno = failure;
    return NULL;
}

void resolver_forget(struct resolver *resolver, size_t index)
{
    pthread_mutex_lock(&resolver->mutex);
    resolver->names[index].is_forgotten = true;
    pthread_mutex_unlock(&resolver->mutex);
}

void resolver_free(struct resolver *resolver)
{
    bool is_looking_up;
    pthread_t thread;

    if (resolver == NULL)
        return;
    thread = resolver->thread;
    pthread_mutex_lock(&resolver->mutex);
    is_looking_up = resolver->is_left = resolver->is_looking_up;
    resolver->is_abandoned = true;
    (void)pthread_cond_signal(&resolver->ended);
    pthread_mutex_unlock(&resolver->mutex);
    if (is_looking_up) {
        (void)pthread_detach(thread);
        return;
    }
    (void)pthread_join(thread, NULL);
    destroy(resolver);
}
