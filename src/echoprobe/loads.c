#include <config.h>

#include "echoprobe/loads.h"

#include "base/clock.h"
#include "echoprobe/batch.h"
#include "echoprobe/stream.h"
#include "echoprobe/target_slot.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

enum { TICK_MS = 10, SLOW_LOOKUP_TICKS = 3 };

static const uint64_t exact_below_ns = UINT64_C(100000000); /* shorter periods need exact timers */

struct item {
    struct load *load; /* NULL: not yet, or not any more */
    bool has_begun;
};

struct loads {
    const struct load_plan *plans;
    size_t count, running;
    uint64_t begin_ns;
    struct item *items; /* one for each plan */
    struct load_shared shared;
    struct event *tick;
    const char *step; /* that the system may refuse now, as "cannot" goes on */
    int failure;      /* errno of what it refused; 0: nothing */
    struct stream_scratch scratch;
    struct batch batch; /* large, but used only as far as there are datagrams */
};

/* --- Loads --------------------------------------------------------------------------------------
 */

static int start_load(struct loads *loads, size_t index, uint64_t begin_ns)
{
    struct item *item = &loads->items[index];

    item->has_begun = true;
    item->load = load_start(&loads->plans[index], &loads->shared, begin_ns, &loads->step);
    return item->load == NULL ? -1 : 0;
}

static bool has_target(const struct load_plan *plan)
{
    return plan->target->count > 0 || target_slot_is_full(plan->slot);
}

/*
 * Start what waits for the first look-up of its target. That may take as long as an attempt to
 * connect; longer, and the name stands for nothing yet, as at the end.
 */
static void start_when_it_can(struct loads *loads, size_t index, uint64_t now_ns)
{
    const struct load_plan *plan = &loads->plans[index];
    const uint64_t waited_ns = now_ns - loads->begin_ns;
    /* Our ticks are no part of a round trip, and a slow look-up is. */
    const bool is_late =
        plan->period_ns > 0 && waited_ns > SLOW_LOOKUP_TICKS * TICK_MS * UINT64_C(1000000);

    if (!has_target(plan) && waited_ns < plan->timeout_ns &&
        plan->events->order(plan->argument) == LOAD_GO_ON)
        return;
    if (start_load(loads, index, is_late ? loads->begin_ns : now_ns) < 0) {
        loads->failure = errno;
        loads->running--;
        (void)event_base_loopbreak(loads->shared.base);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    struct loads *loads = argument;
    const uint64_t now_ns = clock_now_ns();

    (void)fd;
    (void)what;
    for (size_t i = 0; i < loads->count; i++) {
        if (loads->items[i].load != NULL)
            load_tick(loads->items[i].load, now_ns);
        else if (!loads->items[i].has_begun)
            start_when_it_can(loads, i, now_ns);
    }
}

static int start_loads(struct loads *loads)
{
    loads->running = loads->count;
    loads->begin_ns = clock_now_ns();
    for (size_t i = 0; i < loads->count; i++) {
        if (has_target(&loads->plans[i]) && start_load(loads, i, loads->begin_ns) < 0)
            return -1;
    }
    return 0;
}

static void end_load(struct loads *loads, size_t index)
{
    if (load_end(loads->items[index].load, &loads->step) < 0 && loads->failure == 0)
        loads->failure = errno;
    loads->items[index].load = NULL;
    loads->running--;
    loads->plans[index].events->on_end(loads->plans[index].argument);
}

static void end_those_that_are_over(struct loads *loads)
{
    for (size_t i = 0; i < loads->count; i++) {
        if (loads->items[i].load != NULL && load_is_over(loads->items[i].load))
            end_load(loads, i);
    }
}

/* --- The thread ----------------------------------------------------------------------------------
 */

static bool needs_exact_timers(const struct loads *loads)
{
    for (size_t i = 0; i < loads->count; i++) {
        if (loads->plans[i].period_ns > 0 && loads->plans[i].period_ns < exact_below_ns)
            return true;
    }
    return false;
}

static struct event_base *make_base(bool needs_exact_timer)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config == NULL)
        return NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        (!needs_exact_timer || event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0))
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static int prepare_loads(struct loads *loads)
{
    const struct timeval tick = clock_timeval(TICK_MS);

    loads->step = "make an event loop";
    errno = ENOMEM;
    loads->shared = (struct load_shared){.base = make_base(needs_exact_timers(loads)),
                                         .scratch = &loads->scratch,
                                         .batch = &loads->batch};
    loads->items = calloc(loads->count, sizeof *loads->items);
    if (loads->items == NULL || loads->shared.base == NULL)
        return -1;
    loads->tick = event_new(loads->shared.base, -1, EV_PERSIST, on_tick, loads);
    return loads->tick == NULL ? -1 : event_add(loads->tick, &tick);
}

/* Each load that comes to its end breaks the loop. */
static int turn_loop(struct loads *loads)
{
    end_those_that_are_over(loads);
    while (loads->running > 0 && loads->failure == 0) {
        loads->step = "wait for events";
        if (event_base_dispatch(loads->shared.base) < 0)
            return -1;
        end_those_that_are_over(loads);
    }
    return 0;
}

static void free_loads(struct loads *loads)
{
    for (size_t i = 0; loads->items != NULL && i < loads->count; i++) {
        if (loads->items[i].load != NULL)
            end_load(loads, i);
    }
    if (loads->tick != NULL)
        event_free(loads->tick);
    if (loads->shared.base != NULL)
        event_base_free(loads->shared.base);
    free(loads->items);
    free(loads);
}

struct loads *loads_start(const struct load_plan *plans, size_t count, const char **step)
{
    struct loads *loads = calloc(1, sizeof *loads);
    int failure;

    *step = "begin";
    if (loads == NULL)
        return NULL;
    loads->plans = plans;
    loads->count = count;
    if (prepare_loads(loads) == 0 && start_loads(loads) == 0)
        return loads;
    failure = errno;
    *step = loads->step;
    free_loads(loads);
    errno = failure;
    return NULL;
}

int loads_run(struct loads *loads, const char **step)
{
    int failure = turn_loop(loads) < 0 ? errno : loads->failure;

    *step = loads->step;
    free_loads(loads);
    errno = failure;
    return failure == 0 ? 0 : -1;
}
