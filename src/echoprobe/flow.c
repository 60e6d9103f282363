#include <config.h>

#include "echoprobe/flow.h"

#include "base/clock.h"
#include "base/units.h"
#include "echoprobe/messages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flow {
    struct flow_plan *plan;
    size_t index;
    const char *peer;
    struct stream *stream;
    struct datagram *datagram;
    struct event *retry; /* pending while a new connection has to wait */
    uint64_t opened_ns;  /* when the last connection was begun */
    bool was_started;
    bool has_handshake; /* of TLS, which the other end may still refuse; not counted yet */
    bool is_resumed;    /* by that, which took so long: */
    uint64_t handshake_ns;
    uint64_t connection;      /* number of the last */
    uint64_t stream_sequence; /* the message at position 0 of the stream */
    uint64_t highest;         /* one more than the last datagram that came back */
    struct messages messages;
};

/* --- Reports --------------------------------------------------------------------------------- */

static void settle_echo(struct flow *flow, uint64_t sequence, uint64_t now_ns)
{
    const uint64_t number = messages_number(&flow->messages, sequence);
    uint64_t rtt_ns;

    if (messages_settle_echo(&flow->messages, sequence, now_ns, &rtt_ns))
        flow->plan->events->on_echo(flow->plan->argument, flow, number, rtt_ns);
}

static void report_fault(struct flow *flow, uint64_t sequence, const struct fault *fault)
{
    flow->plan->tally->faults[fault->kind]++;
    flow->plan->events->on_fault(flow->plan->argument, flow,
                                 messages_number(&flow->messages, sequence), fault);
}

/* A message could not be sent. */
static void settle_unsent(struct flow *flow, uint64_t sequence, const char *reason)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s", reason);
    messages_settle_unsent(&flow->messages, sequence);
    report_fault(flow, sequence, &fault);
}

static void announce_start(struct flow *flow, bool is_open)
{
    if (flow->was_started)
        return;
    flow->was_started = true;
    flow->plan->events->on_started(flow->plan->argument, flow, is_open);
}

static void announce_room(struct flow *flow)
{
    flow->plan->events->on_room(flow->plan->argument, flow);
}

static void report_identity(void *argument, const char *identity)
{
    const struct flow *flow = argument;

    flow->plan->events->on_identity(flow->plan->argument, identity);
}

/* --- Streams --------------------------------------------------------------------------------- */

static void retry_later(struct flow *flow)
{
    const struct timeval delay = clock_timeval(flow->plan->retry_ms);

    (void)event_add(flow->retry, &delay); /* without memory the flow has ended */
}

static void note_opening(struct flow *flow, const struct opening *opening)
{
    flow->plan->tally->connects++;
    flow->has_handshake = opening->tls != NULL;
    if (opening->tls == NULL)
        return;
    flow->handshake_ns = opening->tls->handshake_ns;
    flow->is_resumed = opening->tls->is_resumed;
}

/* The handshake stands: the other end answered behind it, or did not refuse it until the end. */
static void count_handshake(struct flow *flow)
{
    struct tally *tally = flow->plan->tally;

    if (!flow->has_handshake)
        return;
    flow->has_handshake = false;
    histogram_add(&tally->handshake_ns, flow->handshake_ns);
    if (flow->is_resumed)
        tally->resumed++;
}

static void on_stream_open(void *argument, const struct opening *opening)
{
    struct flow *flow = argument;

    flow->peer = opening->peer;
    note_opening(flow, opening);
    flow->plan->events->on_open(flow->plan->argument, opening);
    flow_send(flow); /* of churn, what was queued before */
    announce_start(flow, true);
    announce_room(flow);
}

/* Return the message that a position stands in. */
static uint64_t sequence_holding(const struct flow *flow, uint64_t position)
{
    return flow->stream_sequence + position / flow->plan->size;
}

static void on_stream_returned(void *argument, uint64_t position)
{
    struct flow *flow = argument;
    struct messages *messages = &flow->messages;
    const uint64_t whole = sequence_holding(flow, position);
    uint64_t now_ns;

    count_handshake(flow);
    if (whole == messages->first)
        return;
    now_ns = clock_now_ns();
    for (; messages->first < whole; messages_release_first(messages)) {
        if (messages_at(messages, messages->first)->state != MESSAGE_ANSWERED)
            settle_echo(flow, messages->first, now_ns);
    }
    if (flow->plan->is_churn && messages->first == messages->next) {
        stream_free(flow->stream);
        flow->stream = NULL;
    }
    announce_room(flow);
}

/* The messages that the wrong bytes stand in are corrupted. */
static void on_stream_fault(void *argument, const struct fault *fault)
{
    struct flow *flow = argument;
    const uint64_t wrong = sequence_holding(flow, fault->offset);
    const uint64_t last = sequence_holding(flow, fault->offset + fault->extent - 1);

    for (uint64_t i = wrong; i <= last; i++) {
        if (messages_is_waiting(&flow->messages, i))
            messages_settle_corrupted(&flow->messages, i);
        else
            messages_at(&flow->messages, i)->state = MESSAGE_ANSWERED; /* lost, and no echo now */
    }
    report_fault(flow, wrong, fault);
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
        settle_unsent(flow, messages->first, fault->text);
    if (!flow->was_started) {
        report_fault(flow, messages->first, fault);
        return;
    }
    plan->tally->faults[fault->kind]++;
    plan->events->on_down(plan->argument, flow, fault->text);
}

/* It looked open, but the other end had not judged our end of the handshake. */
static void revoke_opening(struct flow *flow)
{
    struct tally *tally = flow->plan->tally;

    flow->has_handshake = false;
    tally->connects--; /* may have been added up already: a sum undoes it */
    tally->connects_failed++;
}

static void note_broken_stream(struct flow *flow, const struct fault *fault)
{
    struct messages *messages = &flow->messages;

    if (fault_is_of_connecting(fault->kind))
        revoke_opening(flow);
    else
        count_handshake(flow);
    if (spoils_bytes(fault->kind) && messages_is_waiting(messages, messages->first))
        messages_settle_corrupted(messages, messages->first);
    if (fault->kind != FAULT_NONE)
        report_fault(flow, messages->first, fault);
    messages_abandon(messages);
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

    if (was_open && fault->kind == FAULT_NONE)
        count_closed(flow->plan->tally, stream_returned(flow->stream));
    stream_free(flow->stream);
    flow->stream = NULL;
    if (!was_open)
        note_failed_attempt(flow, fault);
    else
        note_broken_stream(flow, fault);
    flow->messages.last_rtt_ns = 0;
    retry_later(flow);
    announce_start(flow, false);
    announce_room(flow);
}

static const struct stream_events flow_stream_events = {
    .on_open = on_stream_open,
    .on_identity = report_identity,
    .on_returned = on_stream_returned,
    .on_fault = on_stream_fault,
    .on_end = on_stream_end,
};

static int open_stream(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->stream_sequence = flow->messages.first;
    flow->opened_ns = clock_now_ns();
    flow->connection = plan->next_number;
    flow->stream = stream_new(plan->base, plan->scratch, plan->target, plan->pattern,
                              plan->next_number, &flow_stream_events, flow);
    plan->next_number += plan->number_step;
    return flow->stream == NULL ? -1 : 0;
}

static void on_flow_retry(evutil_socket_t fd, short what, void *argument)
{
    struct flow *flow = argument;

    (void)fd;
    (void)what;
    if (!flow->plan->is_churn && flow->datagram == NULL && open_stream(flow) < 0)
        flow->plan->events->on_refused(flow->plan->argument, errno);
    else
        announce_room(flow);
}

/* --- Datagrams ------------------------------------------------------------------------------- */

/* The next answer, also of the same turn, may not tell which it is: it is none of the settled. */
static void release_datagrams(struct flow *flow)
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
        report_fault(flow, sequence, fault);
    } else if (messages_was_answered(messages, sequence)) {
        flow->plan->tally->duplicated++;
    } else {
        if (sequence + 1 < flow->highest)
            flow->plan->tally->reordered++;
        settle_echo(flow, sequence, clock_now_ns());
    }
    if (sequence + 1 > flow->highest)
        flow->highest = sequence + 1;
    release_datagrams(flow);
}

/* Without a schedule the next would follow at once, and be refused as well. */
static void pause_datagrams(struct flow *flow)
{
    if (!flow->plan->has_schedule)
        retry_later(flow);
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
    report_fault(flow, sequence, &fault);
    release_datagrams(flow);
    pause_datagrams(flow);
}

static void on_datagram_unsent(void *argument, uint64_t sequence, int failure)
{
    struct flow *flow = argument;
    char reason[FAULT_TEXT_SIZE];

    (void)snprintf(reason, sizeof reason, "%s: %s", flow->peer, strerror(failure));
    settle_unsent(flow, sequence, reason);
    pause_datagrams(flow);
}

static void on_datagram_turn(void *argument)
{
    announce_room(argument);
}

static const struct datagram_events flow_datagram_events = {
    .on_identity = report_identity,
    .on_returned = on_datagram_returned,
    .on_error = on_datagram_error,
    .on_unsent = on_datagram_unsent,
    .on_turn = on_datagram_turn,
};

static int open_datagram(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->connection = plan->next_number;
    flow->datagram = datagram_new(plan->base, plan->batch, plan->target, plan->pattern,
                                  plan->next_number, plan->size, &flow_datagram_events, flow);
    plan->next_number += plan->number_step;
    flow->was_started = true;
    return flow->datagram == NULL ? -1 : 0;
}

/* --- Construction and destruction ------------------------------------------------------------ */

static int open_first(struct flow *flow)
{
    if (flow->plan->target->is_datagram)
        return open_datagram(flow);
    flow->was_started = flow->plan->is_churn;
    return flow->plan->is_churn ? 0 : open_stream(flow);
}

struct flow *flow_new(struct flow_plan *plan, size_t index)
{
    struct flow *flow = calloc(1, sizeof *flow);
    int failure;

    if (flow == NULL)
        return NULL;
    flow->plan = plan;
    flow->index = index;
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
    if (!messages_have_room(&flow->messages) || evtimer_pending(flow->retry, NULL))
        return false;
    if (flow->datagram != NULL)
        return true;
    if (flow->plan->is_churn)
        return flow->messages.first == flow->messages.next;
    return flow->stream != NULL && stream_is_open(flow->stream);
}

void flow_queue(struct flow *flow, uint64_t due_ns)
{
    (void)messages_add(&flow->messages, due_ns);
}

static void send_datagrams(struct flow *flow)
{
    datagram_send(flow->datagram, flow->messages.next);
    release_datagrams(flow);
}

static void send_stream(struct flow *flow)
{
    if (flow->stream == NULL && open_stream(flow) < 0) {
        flow->plan->events->on_refused(flow->plan->argument, errno);
        return;
    }
    stream_send(flow->stream, (flow->messages.next - flow->stream_sequence) * flow->plan->size);
}

void flow_send(struct flow *flow)
{
    if (flow->messages.first == flow->messages.next)
        return;
    if (flow->datagram != NULL)
        send_datagrams(flow);
    else
        send_stream(flow);
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

static bool is_over(const struct flow *flow, uint64_t since_ns, uint64_t now_ns)
{
    return now_ns >= since_ns + flow->plan->timeout_ns;
}

/* Return how many bytes of a message came back, of which not all did. */
static uint64_t returned_of(const struct flow *flow, uint64_t sequence)
{
    const uint64_t position = (sequence - flow->stream_sequence) * flow->plan->size;
    const uint64_t returned = flow->stream == NULL ? 0 : stream_returned(flow->stream);

    return returned > position ? returned - position : 0;
}

static void describe_loss(const struct flow *flow, uint64_t sequence, struct fault *fault)
{
    const uint64_t returned = returned_of(flow, sequence);
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

/* All that the window holds is lost: go on with a new connection. */
static void replace_stream(struct flow *flow)
{
    count_handshake(flow);
    stream_free(flow->stream);
    flow->stream = NULL;
    messages_abandon(&flow->messages);
    flow->messages.last_rtt_ns = 0;
    retry_later(flow);
}

static bool is_first_over(const struct flow *flow, uint64_t now_ns)
{
    const struct messages *messages = &flow->messages;

    return messages->first < messages->next &&
           is_over(flow, messages_at(messages, messages->first)->due_ns, now_ns);
}

static void expire_message(struct flow *flow, uint64_t sequence)
{
    struct fault fault;

    if (flow->datagram != NULL && sequence >= datagram_sent(flow->datagram)) {
        settle_unsent(flow, sequence, "the system did not take it");
        return;
    }
    describe_loss(flow, sequence, &fault);
    messages_settle_lost(&flow->messages, sequence);
    report_fault(flow, sequence, &fault);
}

/* Return whether there were any. */
static bool expire_messages(struct flow *flow, uint64_t now_ns)
{
    struct messages *messages = &flow->messages;
    bool has_lost = false;

    for (uint64_t i = messages->first;
         i < messages->next && is_over(flow, messages_at(messages, i)->due_ns, now_ns); i++) {
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

    if (is_connecting && is_over(flow, stream_began_ns(flow->stream), now_ns)) {
        (void)stream_judge(flow->stream, ETIMEDOUT);
        return;
    }
    if (is_connecting || !is_first_over(flow, now_ns) ||
        (flow->stream != NULL && stream_judge(flow->stream, 0)))
        return;
    has_lost = expire_messages(flow, now_ns);
    if (flow->datagram != NULL)
        release_datagrams(flow);
    else if (!messages_have_room(messages) && !messages_is_waiting(messages, messages->next - 1))
        replace_stream(flow);
    if (has_lost)
        announce_room(flow);
}

void flow_end(struct flow *flow, uint64_t now_ns)
{
    count_handshake(flow);
    messages_end(&flow->messages, now_ns);
}
