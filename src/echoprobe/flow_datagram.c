#include <config.h>

#include "echoprobe/flow_datagram.h"

#include "base/clock.h"
#include "echoprobe/datagram.h"
#include "echoprobe/flow_state.h"
#include "echoprobe/messages.h"
#include "echoprobe/opening.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

void flow_datagram_release(struct flow *flow)
{
    messages_release_settled(&flow->messages);
    datagram_settle(flow->datagram, flow->messages.first);
}

static void on_datagram_returned(void *argument, uint64_t sequence, const struct fault *fault)
{
    struct flow *flow = argument;
    struct messages *messages = &flow->messages;

    if (fault->kind != FAULT_NONE) {
        if (messages_is_waiting(messages, sequence))
            messages_settle_corrupted(messages, sequence);
        flow_state_report_fault(flow, sequence, fault);
    } else if (messages_was_answered(messages, sequence)) {
        flow->plan->tally->duplicated++;
    } else {
        if (sequence + 1 < flow->highest)
            flow->plan->tally->reordered++;
        flow_state_settle_echo(flow, sequence, clock_now_ns());
    }
    if (sequence + 1 > flow->highest)
        flow->highest = sequence + 1;
    flow_datagram_release(flow);
}

/* Without a schedule the next would follow at once, and be refused as well. */
static void pause_datagrams(struct flow *flow)
{
    if (!flow->plan->has_schedule)
        flow_state_retry_later(flow);
}

/* It says nothing of those behind it. */
static void on_datagram_error(void *argument, uint64_t sequence, int failure)
{
    struct flow *flow = argument;
    struct fault fault;

    if (!messages_is_waiting(&flow->messages, sequence))
        return;
    fault_set(&fault, FAULT_REFUSED, 0, 0, "%s: %s%s", flow->peer, strerror(failure),
              target_hint(flow->plan->target, failure));
    messages_settle_lost(&flow->messages, sequence);
    flow_state_report_fault(flow, sequence, &fault);
    flow_datagram_release(flow);
    pause_datagrams(flow);
}

static void on_datagram_unsent(void *argument, uint64_t sequence, int failure)
{
    struct flow *flow = argument;
    char reason[FAULT_TEXT_SIZE];

    (void)snprintf(reason, sizeof reason, "%s: %s", flow->peer, strerror(failure));
    flow_state_settle_unsent(flow, sequence, reason);
    pause_datagrams(flow);
}

static void on_datagram_turn(void *argument)
{
    flow_state_announce_room(argument);
}

static const struct datagram_events flow_datagram_events = {
    .on_identity = flow_state_report_identity,
    .on_returned = on_datagram_returned,
    .on_error = on_datagram_error,
    .on_unsent = on_datagram_unsent,
    .on_turn = on_datagram_turn,
};

/* Make a socket. Return 0, or -1 with errno. */
static int open_socket(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->target = plan->target;
    flow->peer = plan->target->places[0].text;
    flow->is_leaving = false;
    flow->connection = atomic_fetch_add(plan->next_number, 1);
    flow->datagram = datagram_new(plan->base, plan->batch, plan->target, plan->pattern,
                                  flow->connection, plan->size, &flow_datagram_events, flow);
    if (flow->datagram == NULL)
        return -1;
    datagram_settle(flow->datagram, flow->messages.first);
    return 0;
}

int flow_datagram_begin(struct flow *flow)
{
    flow->was_started = true;
    if (flow->plan->target->count > 0)
        return open_socket(flow);
    event_active(flow->retry, EV_TIMEOUT, 1); /* as an attempt to connect that fails at once */
    return 0;
}

void flow_datagram_retry(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;
    const char *reason = plan->target->problem;

    if (flow->datagram != NULL) {
        flow_state_announce_room(flow);
        return;
    }
    if (plan->target->count > 0) {
        if (open_socket(flow) == 0) {
            plan->events->on_open(plan->argument, &(struct opening){.peer = flow->peer});
            flow_state_announce_room(flow);
            return;
        }
        reason = strerror(errno);
    }
    plan->tally->connects_failed++;
    plan->tally->faults[FAULT_CONNECT]++;
    flow_state_retry_later(flow);
    plan->events->on_down(plan->argument, flow, reason);
}

/* What comes back now comes too late. */
void flow_datagram_replace(struct flow *flow)
{
    datagram_free(flow->datagram);
    flow->datagram = NULL;
    flow->messages.last_rtt_ns = 0;
    flow_state_retry_later(flow);
}

void flow_datagram_send(struct flow *flow)
{
    datagram_send(flow->datagram, flow->messages.next);
    flow_datagram_release(flow);
}
