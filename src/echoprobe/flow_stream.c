#include <config.h>

#include "echoprobe/flow_stream.h"

#include "base/clock.h"
#include "echoprobe/flow_state.h"
#include "echoprobe/messages.h"
#include "echoprobe/opening.h"
#include "echoprobe/stream.h"
#include "echoprobe/tally.h"

#include <errno.h>

/* --- Handshakes ----------------------------------------------------------------------------------
 */

static void note_opening(struct flow *flow, const struct opening *opening)
{
    flow->plan->tally->connects++;
    flow->has_handshake = opening->tls != NULL;
    if (opening->tls == NULL)
        return;
    flow->handshake_ns = opening->tls->handshake_ns;
    flow->is_resumed = opening->tls->is_resumed;
}

void flow_stream_count_handshake(struct flow *flow)
{
    struct tally *tally = flow->plan->tally;

    if (!flow->has_handshake)
        return;
    flow->has_handshake = false;
    histogram_add(&tally->handshake_ns, flow->handshake_ns);
    if (flow->is_resumed)
        tally->resumed++;
}

/* It looked open, but the other end had not judged our end of the handshake. */
static void revoke_opening(struct flow *flow)
{
    struct tally *tally = flow->plan->tally;

    flow->has_handshake = false;
    tally->connects--; /* may have been added up already: a sum undoes it */
    tally->connects_failed++;
}

/* --- What the stream reports ---------------------------------------------------------------------
 */

static void on_stream_open(void *argument, const struct opening *opening)
{
    struct flow *flow = argument;

    flow->peer = opening->peer;
    note_opening(flow, opening);
    flow->plan->events->on_open(flow->plan->argument, opening);
    if (flow->messages.first < flow->messages.next)
        flow_stream_send(flow); /* of churn, what was queued before */
    flow_state_announce_start(flow, true);
    flow_state_announce_room(flow);
}

/* Return the message that a position stands in. */
static uint64_t sequence_holding(const struct flow *flow, uint64_t position)
{
    return flow->stream_sequence + position / flow->plan->size;
}

/* All before this message came back; those that were changed are settled. */
static void settle_returned(struct flow *flow, uint64_t whole)
{
    struct messages *messages = &flow->messages;
    const uint64_t now_ns = clock_now_ns();

    for (; messages->first < whole; messages_release_first(messages)) {
        if (messages_may_return(messages, messages->first))
            flow_state_settle_echo(flow, messages->first, now_ns);
    }
}

static void on_stream_returned(void *argument, uint64_t position)
{
    struct flow *flow = argument;
    const struct messages *messages = &flow->messages;
    const uint64_t whole = sequence_holding(flow, position);

    flow_stream_count_handshake(flow);
    if (whole == messages->first)
        return;
    settle_returned(flow, whole);
    if (flow->plan->is_churn && messages->first == messages->next) {
        stream_free(flow->stream);
        flow->stream = NULL;
    }
    flow_state_announce_room(flow);
}

/* The messages that the wrong bytes stand in are corrupted. */
static void on_stream_fault(void *argument, const struct fault *fault)
{
    struct flow *flow = argument;
    const uint64_t wrong = sequence_holding(flow, fault->offset);
    const uint64_t last = sequence_holding(flow, fault->offset + fault->extent - 1);

    for (uint64_t i = wrong; i <= last; i++) {
        const bool was_waiting = messages_is_waiting(&flow->messages, i);

        messages_settle_corrupted(&flow->messages, i);
        if (was_waiting && i > wrong)
            flow_state_report_failed(flow, i, FAULT_CORRUPTED);
    }
    flow_state_report_fault(flow, wrong, fault);
}

static bool spoils_bytes(enum fault_kind kind)
{
    return kind == FAULT_DUPLICATED || kind == FAULT_REORDERED || kind == FAULT_FOREIGN ||
           kind == FAULT_INSERTED;
}

/*
 * No connection was made. What was due has failed with it, and is reported; before the first
 * message the attempt itself is.
 */
static void note_failed_attempt(struct flow *flow, const struct fault *fault)
{
    struct flow_plan *plan = flow->plan;
    struct messages *messages = &flow->messages;

    plan->tally->connects_failed++;
    for (; messages->first < messages->next; messages_release_first(messages))
        flow_state_settle_unsent(flow, messages->first, fault->text);
    if (!flow->was_started) {
        flow_state_report_fault(flow, messages->first, fault);
        return;
    }
    plan->tally->faults[fault->kind]++;
    plan->events->on_down(plan->argument, flow, fault->text);
}

/*
 * What came back before the end, together with it, is an echo as any other. Of bytes that belong
 * nowhere the last message takes the blame.
 */
static void settle_whole(struct flow *flow, uint64_t returned, const struct fault *fault)
{
    const bool is_spoilt = spoils_bytes(fault->kind);
    const uint64_t whole = sequence_holding(flow, is_spoilt ? fault->offset : returned);
    const uint64_t next = flow->messages.next;

    settle_returned(flow, is_spoilt && whole == next && next > 0 ? next - 1 : whole);
}

static void note_broken_stream(struct flow *flow, const struct fault *fault, uint64_t returned)
{
    struct messages *messages = &flow->messages;

    if (fault_is_of_connecting(fault->kind))
        revoke_opening(flow);
    else
        flow_stream_count_handshake(flow);
    settle_whole(flow, returned, fault);
    if (spoils_bytes(fault->kind) && messages_is_waiting(messages, messages->first))
        messages_settle_corrupted(messages, messages->first);
    if (fault->kind != FAULT_NONE) {
        flow_state_report_fault(flow, messages->first, fault);
        if (messages_is_waiting(messages, messages->first))
            messages_settle_lost(messages, messages->first);
    }
    flow_state_abandon(flow);
}

/* The other end closed between messages. That is its right, and worth to know. */
static void count_closed(struct tally *tally, uint64_t bytes)
{
    if (tally->closed++ == 0)
        tally->closed_after_bytes = bytes;
}

static void on_stream_end(void *argument, const struct fault *fault)
{
    struct flow *flow = argument;
    const bool was_open = stream_is_open(flow->stream);
    const uint64_t returned = stream_returned(flow->stream);

    if (was_open && fault->kind == FAULT_NONE)
        count_closed(flow->plan->tally, returned);
    stream_free(flow->stream);
    flow->stream = NULL;
    if (!was_open)
        note_failed_attempt(flow, fault);
    else
        note_broken_stream(flow, fault, returned);
    flow->messages.last_rtt_ns = 0;
    flow_state_retry_later(flow);
    flow_state_announce_start(flow, false);
    flow_state_announce_room(flow);
}

static const struct stream_events flow_stream_events = {
    .on_open = on_stream_open,
    .on_identity = flow_state_report_identity,
    .on_returned = on_stream_returned,
    .on_fault = on_stream_fault,
    .on_end = on_stream_end,
};

/* --- Calls ---------------------------------------------------------------------------------------
 */

int flow_stream_open(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->target = plan->target;
    flow->peer = plan->target->places[0].text; /* until another one answers */
    flow->is_leaving = false;
    flow->stream_sequence = flow->messages.first;
    flow->opened_ns = clock_now_ns();
    flow->connection = atomic_fetch_add(plan->next_number, 1);
    flow->stream = stream_new(plan->base, plan->scratch, plan->target, plan->pattern,
                              flow->connection, &flow_stream_events, flow);
    return flow->stream == NULL ? -1 : 0;
}

void flow_stream_send(struct flow *flow)
{
    if (flow->stream == NULL && flow_stream_open(flow) < 0) {
        flow->plan->events->on_refused(flow->plan->argument, errno);
        return;
    }
    stream_send(flow->stream, (flow->messages.next - flow->stream_sequence) * flow->plan->size);
}

uint64_t flow_stream_returned_of(const struct flow *flow, uint64_t sequence)
{
    const uint64_t position = (sequence - flow->stream_sequence) * flow->plan->size;
    const uint64_t returned = flow->stream == NULL ? 0 : stream_returned(flow->stream);

    return returned > position ? returned - position : 0;
}

void flow_stream_replace(struct flow *flow)
{
    flow_stream_count_handshake(flow);
    stream_free(flow->stream);
    flow->stream = NULL;
    flow_state_abandon(flow);
    flow->messages.last_rtt_ns = 0;
    flow_state_retry_later(flow);
}
