#include <config.h>

#include "echoprobe/flow.h"

#include "base/clock.h"
#include "base/units.h"
#include "echoprobe/outage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum state { STATE_WAITING, STATE_ANSWERED, STATE_LOST, STATE_LATE /* lost, and came after all */ };

struct message {
    uint64_t due_ns;
    uint64_t number; /* among all that were due, sent or not */
    enum state state;
};

struct flow {
    struct flow_plan *plan;
    size_t index;
    const char *peer;
    struct stream *stream;
    struct datagram *datagram;
    struct event *retry; /* pending while a new connection has to wait */
    uint64_t opened_ns;
    bool was_started;
    bool is_down;             /* the last attempt to connect failed */
    uint64_t connection;      /* number of the last */
    uint64_t first, next;     /* messages that hold a place in the ring */
    uint64_t next_number;     /* of the next message that is due */
    uint64_t stream_sequence; /* the message at position 0 of the stream */
    uint64_t highest;         /* one more than the last that came back */
    uint64_t last_rtt_ns;     /* 0: none yet */
    struct outage outage;
    struct message *messages; /* a ring of `window` */
};

/* --- Messages. ------------------------------------------------------------------------------- */

static struct message *message_at(const struct flow *flow, uint64_t sequence)
{
    return &flow->messages[sequence % flow->plan->window];
}

static bool is_waiting(const struct flow *flow, uint64_t sequence)
{
    return sequence >= flow->first && sequence < flow->next &&
           message_at(flow, sequence)->state == STATE_WAITING;
}

static void note_rtt(struct flow *flow, uint64_t rtt_ns)
{
    struct tally *tally = flow->plan->tally;

    tally->received++;
    histogram_add(&tally->rtt_ns, rtt_ns);
    if (flow->last_rtt_ns != 0) {
        tally->jitter_total_ns +=
            rtt_ns > flow->last_rtt_ns ? rtt_ns - flow->last_rtt_ns : flow->last_rtt_ns - rtt_ns;
        tally->jitter_count++;
    }
    flow->last_rtt_ns = rtt_ns;
}

static void settle_echo(struct flow *flow, uint64_t sequence, uint64_t now_ns)
{
    struct message *message = message_at(flow, sequence);
    const uint64_t rtt_ns = now_ns > message->due_ns ? now_ns - message->due_ns : 0;
    const bool is_late = message->state == STATE_LOST;

    message->state = is_late ? STATE_LATE : STATE_ANSWERED;
    if (is_late) {
        flow->plan->tally->late++;
        return;
    }
    note_rtt(flow, rtt_ns);
    flow->plan->events->on_echo(flow->plan->argument, flow, message->number, rtt_ns);
}

static void settle_corrupted(struct flow *flow, uint64_t sequence)
{
    message_at(flow, sequence)->state = STATE_ANSWERED;
    flow->plan->tally->corrupted++;
}

static void settle_lost(struct flow *flow, uint64_t sequence)
{
    message_at(flow, sequence)->state = STATE_LOST;
    flow->plan->tally->lost++;
}

/* Return the number of a message; of one that is not in the ring, as if it came next or before. */
static uint64_t number_of(const struct flow *flow, uint64_t sequence)
{
    if (sequence < flow->next && sequence + flow->plan->window >= flow->next)
        return message_at(flow, sequence)->number;
    return flow->next_number - (flow->next - sequence);
}

static void report_fault(struct flow *flow, uint64_t sequence, const struct fault *fault)
{
    flow->plan->tally->faults[fault->kind]++;
    flow->plan->events->on_fault(flow->plan->argument, flow, number_of(flow, sequence), fault);
}

/* The first message leaves the ring; it is settled. */
static void release_first(struct flow *flow)
{
    const struct message *message = message_at(flow, flow->first++);

    if (message->state == STATE_ANSWERED)
        outage_end(&flow->outage, message->due_ns, flow->plan->tally);
    else
        outage_note_lost(&flow->outage, message->due_ns, flow->plan->tally);
}

static void release_settled(struct flow *flow)
{
    while (flow->first < flow->next && !is_waiting(flow, flow->first))
        release_first(flow);
}

/* Give up everything that is under way. */
static void abandon(struct flow *flow)
{
    for (; flow->first < flow->next; release_first(flow)) {
        if (is_waiting(flow, flow->first))
            settle_lost(flow, flow->first);
    }
}

/* The same, where it never left: there was no connection for it. */
static void abandon_unsent(struct flow *flow, const char *reason)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s", reason);
    for (uint64_t i = flow->first; i < flow->next; i++) {
        flow->plan->tally->unsent++;
        report_fault(flow, i, &fault);
    }
    abandon(flow);
}

static void announce_start(struct flow *flow, bool is_open)
{
    if (flow->was_started)
        return;
    flow->was_started = true;
    flow->plan->events->on_started(flow->plan->argument, is_open);
}

static void announce_room(struct flow *flow)
{
    flow->plan->events->on_room(flow->plan->argument, flow);
}

/* --- Streams. -------------------------------------------------------------------------------- */

static void retry_later(struct flow *flow)
{
    const struct timeval delay = clock_timeval(flow->plan->retry_ms);

    (void)event_add(flow->retry, &delay); /* without memory the flow has ended */
}

static void on_stream_open(void *argument, const char *peer)
{
    struct flow *flow = argument;

    flow->peer = peer;
    flow->is_down = false;
    flow->plan->tally->connects++;
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
    const uint64_t whole = sequence_holding(flow, position);
    uint64_t now_ns;

    if (whole == flow->first)
        return;
    now_ns = clock_now_ns();
    for (; flow->first < whole; release_first(flow)) {
        if (message_at(flow, flow->first)->state != STATE_ANSWERED)
            settle_echo(flow, flow->first, now_ns);
    }
    if (flow->plan->is_churn && flow->first == flow->next) {
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
        if (is_waiting(flow, i))
            settle_corrupted(flow, i);
        else
            message_at(flow, i)->state = STATE_ANSWERED; /* lost before, and no echo now */
    }
    report_fault(flow, wrong, fault);
}

static bool spoils_bytes(enum fault_kind kind)
{
    return kind == FAULT_DUPLICATED || kind == FAULT_REORDERED || kind == FAULT_FOREIGN ||
           kind == FAULT_INSERTED;
}

/*
 * No connection was made. What was due has failed with it, and is reported; if nothing was, the
 * first such attempt is.
 */
static void note_failed_attempt(struct flow *flow, const struct fault *fault)
{
    struct flow_plan *plan = flow->plan;
    bool was_due = flow->first < flow->next;

    plan->tally->connects_failed++;
    abandon_unsent(flow, fault->text);
    if (flow->was_started && plan->events->on_down(plan->argument, flow, fault->text))
        was_due = true;
    if (was_due || flow->is_down)
        plan->tally->faults[FAULT_CONNECT]++;
    else
        report_fault(flow, flow->first, fault);
    flow->is_down = true;
}

static void note_broken_stream(struct flow *flow, const struct fault *fault)
{
    if (spoils_bytes(fault->kind) && is_waiting(flow, flow->first))
        settle_corrupted(flow, flow->first);
    if (fault->kind != FAULT_NONE)
        report_fault(flow, flow->first, fault);
    abandon(flow);
}

static void on_stream_end(void *argument, const struct fault *fault)
{
    struct flow *flow = argument;

    stream_free(flow->stream);
    flow->stream = NULL;
    if (fault->kind == FAULT_CONNECT)
        note_failed_attempt(flow, fault);
    else
        note_broken_stream(flow, fault);
    flow->last_rtt_ns = 0;
    retry_later(flow);
    announce_start(flow, false);
    announce_room(flow);
}

static const struct stream_events flow_stream_events = {
    .on_open = on_stream_open,
    .on_returned = on_stream_returned,
    .on_fault = on_stream_fault,
    .on_end = on_stream_end,
};

static int open_stream(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->stream_sequence = flow->first;
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

/* --- Datagrams. ------------------------------------------------------------------------------ */

static void on_datagram_returned(void *argument, uint64_t sequence, const struct fault *fault)
{
    struct flow *flow = argument;
    struct tally *tally = flow->plan->tally;

    if (fault->kind != FAULT_NONE) {
        if (is_waiting(flow, sequence))
            settle_corrupted(flow, sequence);
        report_fault(flow, sequence, fault);
    } else if (sequence + flow->plan->window < flow->next ||
               message_at(flow, sequence)->state == STATE_ANSWERED ||
               message_at(flow, sequence)->state == STATE_LATE) {
        tally->duplicated++;
    } else {
        if (sequence + 1 < flow->highest)
            tally->reordered++;
        settle_echo(flow, sequence, clock_now_ns());
    }
    if (sequence + 1 > flow->highest)
        flow->highest = sequence + 1;
    release_settled(flow);
    datagram_settle(flow->datagram, flow->first);
    announce_room(flow);
}

static void on_datagram_error(void *argument, int failure)
{
    struct flow *flow = argument;
    struct fault fault;

    fault_set(&fault, FAULT_CONNECT, 0, 0, "%s: %s%s", flow->peer, strerror(failure),
              target_hint(flow->plan->target, failure));
    flow->plan->tally->connects_failed++;
    report_fault(flow, flow->first, &fault);
    abandon(flow);
    retry_later(flow);
    announce_room(flow);
}

static const struct datagram_events flow_datagram_events = {
    .on_returned = on_datagram_returned,
    .on_error = on_datagram_error,
};

static int open_datagram(struct flow *flow)
{
    struct flow_plan *plan = flow->plan;

    flow->connection = plan->next_number;
    flow->datagram = datagram_new(plan->base, plan->target, plan->pattern, plan->next_number,
                                  plan->size, &flow_datagram_events, flow);
    plan->next_number += plan->number_step;
    flow->was_started = true;
    return flow->datagram == NULL ? -1 : 0;
}

/* --- Construction and destruction. ------------------------------------------------------------ */

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
    flow->messages = calloc(plan->window, sizeof *flow->messages);
    flow->retry = evtimer_new(plan->base, on_flow_retry, flow);
    errno = ENOMEM;
    if (flow->messages != NULL && flow->retry != NULL && open_first(flow) == 0)
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
    free(flow->messages);
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
    if (flow->next - flow->first >= flow->plan->window || evtimer_pending(flow->retry, NULL))
        return false;
    if (flow->datagram != NULL)
        return true;
    if (flow->plan->is_churn)
        return flow->first == flow->next;
    return flow->stream != NULL && stream_is_open(flow->stream);
}

/* What the system does not take is lost. */
static void send_datagram(struct flow *flow, uint64_t sequence)
{
    struct fault fault;

    if (datagram_send(flow->datagram, sequence) == 0)
        return;
    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s: %s", flow->peer, strerror(errno));
    settle_lost(flow, sequence);
    flow->plan->tally->unsent++;
    report_fault(flow, sequence, &fault);
    release_settled(flow);
    datagram_settle(flow->datagram, flow->first);
    (void)flow->plan->events->on_down(flow->plan->argument, flow, fault.text);
    retry_later(flow);
}

void flow_queue(struct flow *flow, uint64_t due_ns)
{
    const uint64_t sequence = flow->next++;

    *message_at(flow, sequence) =
        (struct message){.due_ns = due_ns, .number = flow->next_number++, .state = STATE_WAITING};
    flow->plan->tally->sent++;
    if (flow->datagram != NULL)
        send_datagram(flow, sequence);
}

void flow_send(struct flow *flow)
{
    if (flow->datagram != NULL || flow->first == flow->next)
        return;
    if (flow->stream == NULL && open_stream(flow) < 0) {
        flow->plan->events->on_refused(flow->plan->argument, errno);
        return;
    }
    stream_send(flow->stream, (flow->next - flow->stream_sequence) * flow->plan->size);
}

void flow_skip(struct flow *flow, uint64_t due_ns, const char *reason)
{
    struct flow_plan *plan = flow->plan;
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "%s", reason);
    plan->tally->sent++;
    plan->tally->lost++;
    plan->tally->unsent++;
    plan->tally->faults[FAULT_UNSENT]++;
    outage_note_lost(&flow->outage, due_ns, plan->tally);
    plan->events->on_fault(plan->argument, flow, flow->next_number++, &fault);
}

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
    stream_free(flow->stream);
    flow->stream = NULL;
    abandon(flow);
    flow->last_rtt_ns = 0;
    retry_later(flow);
}

void flow_expire(struct flow *flow, uint64_t now_ns)
{
    const bool is_connecting = flow->stream != NULL && !stream_is_open(flow->stream);
    struct fault fault;
    bool has_lost = false;

    if (is_connecting && is_over(flow, flow->opened_ns, now_ns)) {
        (void)stream_judge(flow->stream, ETIMEDOUT);
        return;
    }
    if (is_connecting || flow->first == flow->next ||
        !is_over(flow, message_at(flow, flow->first)->due_ns, now_ns) ||
        (flow->stream != NULL && stream_judge(flow->stream, 0)))
        return;
    for (uint64_t i = flow->first;
         i < flow->next && is_over(flow, message_at(flow, i)->due_ns, now_ns); i++) {
        if (!is_waiting(flow, i))
            continue;
        describe_loss(flow, i, &fault);
        settle_lost(flow, i);
        report_fault(flow, i, &fault);
        has_lost = true;
    }
    if (flow->datagram != NULL) {
        release_settled(flow);
        datagram_settle(flow->datagram, flow->first);
    } else if (flow->next - flow->first == flow->plan->window &&
               !is_waiting(flow, flow->next - 1)) {
        replace_stream(flow);
    }
    if (has_lost)
        announce_room(flow);
}

void flow_end(struct flow *flow, uint64_t now_ns)
{
    abandon(flow);
    outage_end(&flow->outage, now_ns, flow->plan->tally);
}
