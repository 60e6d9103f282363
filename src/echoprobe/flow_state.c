#include <config.h>

#include "echoprobe/flow_state.h"

#include "base/clock.h"
#include "base/units.h"
#include "echoprobe/tally.h"

#include <event2/event.h>
#include <inttypes.h>

bool flow_state_is_over(const struct flow *flow, uint64_t due_ns, uint64_t now_ns)
{
    return now_ns >= due_ns + flow->plan->timeout_ns;
}

static void describe_loss(const struct flow *flow, uint64_t returned, struct fault *fault)
{
    const uint64_t missing = flow->plan->size - returned;
    char limit[UNITS_TEXT_SIZE];

    units_format_duration(flow->plan->timeout_ns / 1000000, limit);
    if (returned == 0)
        fault_set(fault, FAULT_LOST, 0, missing, "no answer within %s", limit);
    else
        fault_set(fault, FAULT_LOST, returned, missing,
                  "only %" PRIu64 " of %zu bytes came back within %s", returned, flow->plan->size,
                  limit);
}

void flow_state_settle_lost(struct flow *flow, uint64_t sequence, uint64_t returned)
{
    struct fault fault;

    describe_loss(flow, returned, &fault);
    messages_settle_lost(&flow->messages, sequence);
    flow_state_report_fault(flow, sequence, &fault);
}

/* The clock is looked at more seldom than answers come: what is too late may still be waited for.
 */
void flow_state_settle_echo(struct flow *flow, uint64_t sequence, uint64_t now_ns)
{
    struct messages *messages = &flow->messages;
    const uint64_t number = messages_number(messages, sequence);
    uint64_t rtt_ns;

    if (messages_is_waiting(messages, sequence) &&
        flow_state_is_over(flow, messages_at(messages, sequence)->due_ns, now_ns))
        flow_state_settle_lost(flow, sequence, 0);
    if (messages_settle_echo(messages, sequence, now_ns, &rtt_ns))
        flow->plan->events->on_echo(flow->plan->argument, flow, number, rtt_ns);
}

void flow_state_report_fault(struct flow *flow, uint64_t sequence, const struct fault *fault)
{
    flow->plan->tally->faults[fault->kind]++;
    flow->plan->events->on_fault(flow->plan->argument, flow,
                                 messages_number(&flow->messages, sequence), fault);
}

void flow_state_settle_unsent(struct flow *flow, uint64_t sequence, const char *reason)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s", reason);
    messages_settle_unsent(&flow->messages, sequence);
    flow_state_report_fault(flow, sequence, &fault);
}

void flow_state_report_failed(struct flow *flow, uint64_t sequence, enum fault_kind kind)
{
    const struct flow_plan *plan = flow->plan;

    if (plan->events->on_failed != NULL)
        plan->events->on_failed(plan->argument, flow, messages_number(&flow->messages, sequence),
                                kind);
}

void flow_state_abandon(struct flow *flow)
{
    struct messages *messages = &flow->messages;

    for (uint64_t i = messages->first; i < messages->next; i++) {
        if (messages_is_waiting(messages, i))
            flow_state_report_failed(flow, i, FAULT_LOST);
    }
    messages_abandon(messages);
}

void flow_state_announce_start(struct flow *flow, bool is_open)
{
    if (flow->was_started)
        return;
    flow->was_started = true;
    flow->plan->events->on_started(flow->plan->argument, flow, is_open);
}

void flow_state_announce_room(struct flow *flow)
{
    flow->plan->events->on_room(flow->plan->argument, flow);
}

void flow_state_report_identity(void *argument, const char *identity)
{
    const struct flow *flow = argument;

    flow->plan->events->on_identity(flow->plan->argument, identity);
}

void flow_state_retry_later(struct flow *flow)
{
    const struct timeval delay = clock_timeval(flow->plan->retry_ms);

    (void)event_add(flow->retry, &delay); /* without memory the flow has ended */
}
