#include <config.h>

#include "echoprobe/flow.h"

#include "echoprobe/datagram.h"
#include "echoprobe/flow_datagram.h"
#include "echoprobe/flow_state.h"
#include "echoprobe/messages.h"
#include "echoprobe/flow_stream.h"
#include "echoprobe/stream.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- Construction and destruction ----------------------------------------------------------------
 */

static void on_flow_retry(evutil_socket_t fd, short what, void *argument)
{
    struct flow *flow = argument;

    (void)fd;
    (void)what;
    if (flow->plan->target->is_datagram)
        flow_datagram_retry(flow);
    else if (!flow->plan->is_churn && flow_stream_open(flow) < 0)
        flow->plan->events->on_refused(flow->plan->argument, errno);
    else
        flow_state_announce_room(flow);
}

static int open_first(struct flow *flow)
{
    flow->was_started = flow->plan->is_churn || flow->plan->is_lasting;
    if (flow->plan->target->is_datagram)
        return flow_datagram_begin(flow);
    return flow->plan->is_churn ? 0 : flow_stream_open(flow);
}

struct flow *flow_new(struct flow_plan *plan, size_t index)
{
    struct flow *flow = calloc(1, sizeof *flow);
    int failure;

    if (flow == NULL)
        return NULL;
    flow->plan = plan;
    flow->index = index;
    flow->target = plan->target;
    flow->peer = plan->target->places[0].text;
    flow->retry = evtimer_new(plan->base, on_flow_retry, flow);
    errno = ENOMEM;
    if (messages_init(&flow->messages, plan->window, plan->tally) == 0 && flow->retry != NULL &&
        open_first(flow) == 0)
        return flow;
    failure = errno;
    flow_free(flow);
    errno = failure;
    return NULL;
}

void flow_free(struct flow *flow)
{
    if (flow == NULL)
        return;
    stream_free(flow->stream);
    datagram_free(flow->datagram);
    if (flow->retry != NULL)
        event_free(flow->retry);
    messages_fini(&flow->messages);
    free(flow);
}

/* --- Messages ------------------------------------------------------------------------------------
 */

size_t flow_index(const struct flow *flow)
{
    return flow->index;
}

uint64_t flow_connection(const struct flow *flow)
{
    return flow->connection;
}

const char *flow_peer(const struct flow *flow)
{
    return flow->peer;
}

bool flow_has_room(const struct flow *flow)
{
    if (!messages_have_room(&flow->messages) || evtimer_pending(flow->retry, NULL) ||
        flow->is_leaving)
        return false;
    if (flow->datagram != NULL)
        return true;
    if (flow->plan->is_churn)
        return flow->messages.first == flow->messages.next;
    return flow->stream != NULL && stream_is_open(flow->stream);
}

bool flow_uses_target(const struct flow *flow, const struct target *target)
{
    return flow->target == target;
}

/* Tell whether it has an open connection, or a socket. */
static bool is_somewhere(const struct flow *flow)
{
    return flow->datagram != NULL || (flow->stream != NULL && stream_is_open(flow->stream));
}

static void stay(struct flow *flow)
{
    if (!flow->is_leaving)
        return;
    flow->is_leaving = false;
    flow_state_announce_room(flow);
}

void flow_follow_target(struct flow *flow)
{
    const struct messages *messages = &flow->messages;

    if (flow->target == flow->plan->target)
        return;
    if (!is_somewhere(flow) || target_has_place(flow->plan->target, flow->peer)) {
        stay(flow);
        return;
    }
    flow->is_leaving = true;
    if (messages->first < messages->next)
        return;
    if (flow->datagram != NULL)
        flow_datagram_replace(flow);
    else
        flow_stream_replace(flow);
}

void flow_queue(struct flow *flow, uint64_t due_ns)
{
    (void)messages_add(&flow->messages, due_ns);
}

void flow_send(struct flow *flow)
{
    if (flow->messages.first == flow->messages.next)
        return;
    if (flow->datagram != NULL)
        flow_datagram_send(flow);
    else
        flow_stream_send(flow);
}

void flow_skip(struct flow *flow, uint64_t due_ns, const char *reason)
{
    struct flow_plan *plan = flow->plan;
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s", reason);
    plan->tally->faults[FAULT_UNSENT]++;
    plan->events->on_fault(plan->argument, flow, messages_skip(&flow->messages, due_ns), &fault);
}

void flow_miss_first(struct flow *flow)
{
    flow->plan->tally->faults[FAULT_UNSENT]++; /* the attempt was reported */
    (void)messages_skip(&flow->messages, flow->opened_ns);
}

/* --- Time-outs ------------------------------------------------------------------------------- */

static bool is_first_over(const struct flow *flow, uint64_t now_ns)
{
    const struct messages *messages = &flow->messages;

    return messages->first < messages->next &&
           flow_state_is_over(flow, messages_at(messages, messages->first)->due_ns, now_ns);
}

static void expire_message(struct flow *flow, uint64_t sequence)
{
    if (flow->datagram != NULL && sequence >= datagram_sent(flow->datagram))
        flow_state_settle_unsent(flow, sequence, "the system did not take it");
    else
        flow_state_settle_lost(flow, sequence, flow_stream_returned_of(flow, sequence));
}

/* Return whether there were any. */
static bool expire_messages(struct flow *flow, uint64_t now_ns)
{
    struct messages *messages = &flow->messages;
    bool has_lost = false;

    for (uint64_t i = messages->first;
         i < messages->next && flow_state_is_over(flow, messages_at(messages, i)->due_ns, now_ns);
         i++) {
        if (!messages_is_waiting(messages, i))
            continue;
        expire_message(flow, i);
        has_lost = true;
    }
    return has_lost;
}

void flow_expire(struct flow *flow, uint64_t now_ns)
{
    const struct messages *messages = &flow->messages;
    const bool is_connecting = flow->stream != NULL && !stream_is_open(flow->stream);
    bool has_lost;

    if (is_connecting && flow_state_is_over(flow, stream_began_ns(flow->stream), now_ns)) {
        (void)stream_judge(flow->stream, ETIMEDOUT);
        return;
    }
    if (is_connecting || !is_first_over(flow, now_ns) ||
        (flow->stream != NULL && stream_judge(flow->stream, 0)))
        return;
    has_lost = expire_messages(flow, now_ns);
    if (flow->datagram != NULL)
        flow_datagram_release(flow);
    else if (!messages_have_room(messages) && !messages_is_waiting(messages, messages->next - 1))
        flow_stream_replace(flow);
    if (has_lost)
        flow_state_announce_room(flow);
}

void flow_end(struct flow *flow, uint64_t now_ns)
{
    flow_stream_count_handshake(flow);
    flow_state_abandon(flow);
    messages_end(&flow->messages, now_ns);
}
