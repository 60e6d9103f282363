#include <config.h>

#include "echoprobe/load.h"

#include "base/clock.h"
#include "base/units.h"
#include "echoprobe/flow.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
    const struct load_plan *plan;
    struct flow_plan flows_plan;
    struct flow **flows;
    struct target_state *states; /* of the target, which the load owns, the newest first */
    uint64_t *scheduled;         /* of each flow: how many of its messages were sent or given up */
    size_t starting;             /* flows whose first attempt to connect is under way */
    bool has_connected;          /* one of these attempts succeeded */
    bool is_running, is_finishing, is_over;
    const char *step; /* that the system may refuse now, as "cannot" goes on */
    int failure;      /* errno of what it refused; 0: nothing */
    uint64_t count;   /* messages that are due in all; UINT64_MAX: no limit */
    uint64_t left;    /* of these, what was neither sent nor given up */
    uint64_t begin_ns;
    uint64_t next_due; /* the first message of the schedule that was not looked at */
    uint64_t expired_ns;
    struct event *schedule;
    struct tally tally; /* since the last on_count */
    uint64_t under_way;
};

/* --- Schedule -------------------------------------------------------------------------------- */

/* Flows take turns: message i of the schedule is the next of flow i modulo their number. */
static uint64_t due_ns(const struct load *load, size_t flow, uint64_t message)
{
    return load->begin_ns + (message * load->plan->connections + flow) * load->plan->period_ns;
}

static bool is_over(const struct load *load, uint64_t now_ns)
{
    return load->plan->duration_ns > 0 && now_ns - load->begin_ns >= load->plan->duration_ns;
}

/*
 * Tell whether the next message of a flow is due, and since when. Without a schedule it is as soon
 * as it can be sent.
 */
static bool is_due(const struct load *load, size_t flow, uint64_t now_ns, uint64_t *since_ns)
{
    const uint64_t message = load->scheduled[flow];

    if (!load->is_running || load->is_finishing || load->left == 0)
        return false;
    *since_ns = now_ns;
    if (load->plan->period_ns == 0)
        return !is_over(load, now_ns);
    *since_ns = due_ns(load, flow, message);
    return *since_ns <= now_ns && message * load->plan->connections + flow < load->count;
}

static void take_message(struct load *load, size_t flow)
{
    load->left--;
    load->scheduled[flow]++;
}

/* Give up what a flow could not send: all that is due since `until_ns` or longer. */
static void skip_due(struct load *load, struct flow *flow, uint64_t until_ns, const char *reason)
{
    const size_t index = flow_index(flow);
    uint64_t since_ns;

    while (load->plan->period_ns > 0 && is_due(load, index, until_ns, &since_ns)) {
        take_message(load, index);
        flow_skip(flow, since_ns, reason);
    }
}

/*
 * What was not sent for so long as a message has to come back is lost, whether there was no room
 * for it or no look at the clock: the process may have been stopped.
 */
static void skip_overdue(struct load *load, struct flow *flow, uint64_t now_ns)
{
    const uint64_t timeout_ns = load->plan->timeout_ns;
    char limit[UNITS_TEXT_SIZE], reason[FAULT_TEXT_SIZE];
    uint64_t since_ns;

    if (load->plan->period_ns == 0 || now_ns < load->begin_ns + timeout_ns ||
        !is_due(load, flow_index(flow), now_ns - timeout_ns, &since_ns))
        return;
    units_format_duration(timeout_ns / 1000000, limit);
    (void)snprintf(reason, sizeof reason, "could not be sent within %s", limit);
    skip_due(load, flow, now_ns - timeout_ns, reason);
}

/* Queue what is due for a flow, as far as there is room, and send it. */
static void pump(struct load *load, struct flow *flow)
{
    const size_t index = flow_index(flow);
    const uint64_t now_ns = clock_now_ns();
    uint64_t since_ns;

    if (!load->is_running || load->is_finishing)
        return;
    skip_overdue(load, flow, now_ns);
    while (flow_has_room(flow) && is_due(load, index, now_ns, &since_ns)) {
        take_message(load, index);
        flow_queue(flow, load->plan->counts_from_due ? since_ns : now_ns);
    }
    flow_send(flow);
}

static void expire(struct load *load, struct flow *flow, uint64_t now_ns)
{
    flow_expire(flow, now_ns);
    skip_overdue(load, flow, now_ns);
}

static void skip_all(struct load *load, uint64_t now_ns)
{
    for (size_t i = 0; i < load->plan->connections; i++)
        skip_due(load, load->flows[i], now_ns, "could not be sent before the end");
}

/* Return how many messages are due in all: those of the count and, on a schedule, the duration. */
static uint64_t count_of(const struct load_plan *plan)
{
    uint64_t in_time;

    if (plan->period_ns == 0 || plan->duration_ns == 0)
        return plan->count;
    in_time = (plan->duration_ns + plan->period_ns - 1) / plan->period_ns;
    return in_time < plan->count ? in_time : plan->count;
}

static void wait_for_schedule(struct load *load, uint64_t now_ns)
{
    const uint64_t due = load->begin_ns + load->next_due * load->plan->period_ns;
    const uint64_t delay_us = due > now_ns ? (due - now_ns + 999) / 1000 : 0;
    const struct timeval delay = {
        .tv_sec = (time_t)(delay_us / 1000000),
        .tv_usec = (suseconds_t)(delay_us % 1000000),
    };

    (void)event_add(load->schedule, &delay); /* the tick asks again */
}

/* Look at every flow that has a message due. */
static void follow_schedule(struct load *load)
{
    const uint64_t now_ns = clock_now_ns();
    uint64_t due_count;

    if (!load->is_running || load->is_finishing || load->plan->period_ns == 0)
        return;
    due_count = (now_ns - load->begin_ns) / load->plan->period_ns + 1;
    if (due_count > load->next_due + load->plan->connections)
        load->next_due = due_count - load->plan->connections; /* pump takes all that is due */
    for (; load->next_due < due_count; load->next_due++)
        pump(load, load->flows[load->next_due % load->plan->connections]);
    wait_for_schedule(load, now_ns);
}

static void on_schedule(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    follow_schedule(argument);
}

/* --- Start and end --------------------------------------------------------------------------- */

static void publish(struct load *load)
{
    if (tally_is_empty(&load->tally))
        return;
    load->under_way += load->tally.sent;
    load->under_way -= load->tally.received + load->tally.lost + load->tally.corrupted;
    load->plan->events->on_count(load->plan->argument, &load->tally);
    memset(&load->tally, 0, sizeof load->tally);
}

static bool has_settled(const struct load *load)
{
    const struct tally *tally = &load->tally;

    return load->under_way + tally->sent == tally->received + tally->lost + tally->corrupted;
}

/*
 * Tell whether nothing more is due. What the duration alone ends lasts as long as that, so that no
 * rate looks better than it was.
 */
static bool is_complete(const struct load *load)
{
    const bool is_on_schedule = load->plan->period_ns > 0;

    if (!load->is_running)
        return false;
    if (load->left == 0 && load->count == load->plan->count)
        return true;
    return is_over(load, clock_now_ns()) && (!is_on_schedule || load->left == 0);
}

static void end(struct load *load)
{
    load->is_over = true;
    (void)event_base_loopbreak(load->flows_plan.base);
}

static void end_if_done(struct load *load)
{
    if (is_complete(load))
        load->is_finishing = true;
    if (load->is_finishing && has_settled(load))
        end(load);
}

static void begin(struct load *load, uint64_t begin_ns)
{
    load->is_running = true;
    load->begin_ns = begin_ns;
    if (load->plan->period_ns > 0) {
        follow_schedule(load);
        return;
    }
    for (size_t i = 0; i < load->plan->connections; i++)
        pump(load, load->flows[i]);
}

/* Obey an order from outside. What is due by then has to be sent no more. */
static void obey(struct load *load, enum load_order order, uint64_t now_ns)
{
    if (order != LOAD_GO_ON && !load->is_finishing) {
        skip_all(load, now_ns);
        load->is_finishing = true;
    }
    if (order == LOAD_BREAK || load->failure != 0)
        end(load);
}

/* --- Another address ------------------------------------------------------------------------- */

static bool is_in_use(const struct load *load, const struct target *target)
{
    for (size_t i = 0; i < load->plan->connections; i++) {
        if (flow_uses_target(load->flows[i], target))
            return true;
    }
    return false;
}

/* Let go the older states that no flow stands on any more. */
static void free_unused_states(struct load *load)
{
    struct target_state **link = &load->states->older;

    while (*link != NULL) {
        struct target_state *state = *link;

        if (is_in_use(load, &state->target)) {
            link = &state->older;
            continue;
        }
        *link = state->older;
        free(state);
    }
}

/* Take over what the name stands for now, if that is new. */
static void take_new_state(struct load *load)
{
    struct target_state *state = target_slot_take(load->plan->slot);

    if (state == NULL)
        return;
    state->older = load->states;
    load->states = state;
    load->flows_plan.target = &state->target;
}

static void follow_target(struct load *load)
{
    if (load->plan->slot == NULL)
        return;
    take_new_state(load);
    if (load->states == NULL)
        return;
    for (size_t i = 0; i < load->plan->connections; i++)
        flow_follow_target(load->flows[i]);
    free_unused_states(load);
}

void load_tick(struct load *load, uint64_t now_ns)
{
    const enum load_order order = load->plan->events->order(load->plan->argument);

    follow_target(load);
    /* Look at each flow ten times in a time-out, and at the clock more often. */
    if (now_ns - load->expired_ns >= load->plan->timeout_ns / 10) {
        load->expired_ns = now_ns;
        for (size_t i = 0; i < load->plan->connections; i++)
            expire(load, load->flows[i], now_ns);
    }
    follow_schedule(load);
    obey(load, order, now_ns);
    publish(load);
    end_if_done(load);
}

/* --- Events of flows ------------------------------------------------------------------------- */

/* An attempt is made for the first message of its flow, if one is due there at all. */
static void miss_first(struct load *load, struct flow *flow)
{
    if (load->left == 0 || flow_index(flow) >= load->count)
        return;
    take_message(load, flow_index(flow));
    flow_miss_first(flow);
}

static void on_flow_started(void *argument, struct flow *flow, bool is_open)
{
    struct load *load = argument;

    load->has_connected |= is_open;
    if (!is_open)
        miss_first(load, flow);
    if (--load->starting > 0)
        return;
    if (load->has_connected)
        begin(load, clock_now_ns());
    else
        load->is_finishing = true; /* nobody is there */
}

static void on_flow_open(void *argument, const struct opening *opening)
{
    struct load *load = argument;

    load->plan->events->on_open(load->plan->argument, opening);
}

static void on_flow_identity(void *argument, const char *identity)
{
    struct load *load = argument;

    load->plan->events->on_identity(load->plan->argument, identity);
}

static void on_flow_echo(void *argument, struct flow *flow, uint64_t number, uint64_t rtt_ns)
{
    struct load *load = argument;

    load->plan->events->on_echo(load->plan->argument, flow_peer(flow), flow_connection(flow),
                                number, rtt_ns);
}

static void on_flow_fault(void *argument, struct flow *flow, uint64_t number,
                          const struct fault *fault)
{
    struct load *load = argument;

    load->plan->events->on_fault(load->plan->argument, flow_connection(flow), number, fault);
}

static void on_flow_failed(void *argument, struct flow *flow, uint64_t number, enum fault_kind kind)
{
    const struct load *load = argument;

    if (load->plan->events->on_failed != NULL)
        load->plan->events->on_failed(load->plan->argument, flow_connection(flow), number, kind);
}

/* Without a schedule it is one message that the attempt was made for; churn has queued it. */
static void on_flow_down(void *argument, struct flow *flow, const char *reason)
{
    struct load *load = argument;
    const uint64_t now_ns = clock_now_ns();
    uint64_t since_ns;

    if (load->plan->period_ns > 0) {
        skip_due(load, flow, now_ns, reason);
    } else if (!load->plan->is_churn && is_due(load, flow_index(flow), now_ns, &since_ns)) {
        take_message(load, flow_index(flow));
        flow_skip(flow, since_ns, reason);
    }
}

static void on_flow_refused(void *argument, int failure)
{
    struct load *load = argument;

    load->step = "open a socket";
    load->failure = failure; /* the tick ends it */
}

static void on_flow_room(void *argument, struct flow *flow)
{
    struct load *load = argument;

    pump(load, flow);
    if (load->is_finishing || load->left == 0)
        end_if_done(load);
}

static const struct flow_events flow_events = {
    .on_started = on_flow_started,
    .on_open = on_flow_open,
    .on_identity = on_flow_identity,
    .on_echo = on_flow_echo,
    .on_fault = on_flow_fault,
    .on_failed = on_flow_failed,
    .on_down = on_flow_down,
    .on_refused = on_flow_refused,
    .on_room = on_flow_room,
};

/* --- Construction and destruction ------------------------------------------------------------ */

static int open_flows(struct load *load)
{
    const size_t count = load->plan->connections;

    if (!load->plan->is_churn && !load->plan->is_lasting && !load->flows_plan.target->is_datagram)
        load->starting = count;
    for (size_t i = 0; i < count; i++) {
        load->flows[i] = flow_new(&load->flows_plan, i);
        if (load->flows[i] == NULL)
            return -1;
    }
    return 0;
}

static int prepare_load(struct load *load, const struct load_shared *shared)
{
    const struct load_plan *plan = load->plan;

    load->left = load->count = count_of(plan);
    load->flows = calloc(plan->connections, sizeof(struct flow *));
    load->scheduled = calloc(plan->connections, sizeof *load->scheduled);
    load->flows_plan = (struct flow_plan){
        .target = plan->target,
        .pattern = plan->pattern,
        .size = plan->size,
        .window = plan->window,
        .timeout_ns = plan->timeout_ns,
        .retry_ms = plan->retry_ms,
        .is_churn = plan->is_churn,
        .is_lasting = plan->is_lasting,
        .has_schedule = plan->period_ns > 0,
        .base = shared->base,
        .scratch = shared->scratch,
        .batch = shared->batch,
        .tally = &load->tally,
        .next_number = plan->next_number,
        .events = &flow_events,
        .argument = load,
    };
    if (plan->target->count == 0)
        take_new_state(load);
    errno = ENOMEM;
    if (load->flows == NULL || load->scheduled == NULL)
        return -1;
    load->schedule = evtimer_new(shared->base, on_schedule, load);
    if (load->schedule == NULL)
        return -1;
    load->step = "open a socket";
    return open_flows(load);
}

static void free_load(struct load *load)
{
    for (size_t i = 0; load->flows != NULL && i < load->plan->connections; i++)
        flow_free(load->flows[i]);
    while (load->states != NULL) {
        struct target_state *older = load->states->older;

        free(load->states);
        load->states = older;
    }
    if (load->schedule != NULL)
        event_free(load->schedule);
    free(load->scheduled);
    free(load->flows);
    free(load);
}

struct load *load_start(const struct load_plan *plan, const struct load_shared *shared,
                        uint64_t begin_ns, const char **step)
{
    struct load *load = calloc(1, sizeof *load);
    int failure;

    *step = "begin";
    if (load == NULL)
        return NULL;
    load->plan = plan;
    load->step = *step;
    if (prepare_load(load, shared) < 0) {
        failure = errno;
        *step = load->step;
        free_load(load);
        errno = failure;
        return NULL;
    }
    if (load->flows_plan.target->is_datagram && load->flows_plan.target->count > 0)
        on_flow_open(load, &(struct opening){.peer = load->flows_plan.target->places[0].text});
    if (load->starting == 0)
        begin(load, begin_ns);
    return load;
}

bool load_is_over(const struct load *load)
{
    return load->is_over;
}

int load_end(struct load *load, const char **step)
{
    const uint64_t now_ns = clock_now_ns();
    const int failure = load->failure;

    for (size_t i = 0; i < load->plan->connections; i++)
        flow_end(load->flows[i], now_ns);
    publish(load);
    if (failure != 0)
        *step = load->step;
    free_load(load);
    errno = failure;
    return failure == 0 ? 0 : -1;
}
