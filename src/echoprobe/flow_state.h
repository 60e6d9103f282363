/*
 * flow_state: what is known of a flow, and what is told of it.
 * Sends and receives nothing.
 * Called by flow, flow_stream and flow_datagram, which are one thing to others.
 */
#ifndef ECHOPROBE_FLOW_STATE_H
#define ECHOPROBE_FLOW_STATE_H

#include "echoprobe/fault.h"
#include "echoprobe/flow_plan.h"
#include "echoprobe/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct datagram;
struct event;
struct stream;

struct flow {
    struct flow_plan *plan;
    const struct target *target; /* as the last connection or socket was begun to it */
    bool is_leaving;             /* the target has this place no more: begin nothing there */
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

/* Tell whether what was due then has had its time to come back. */
bool flow_state_is_over(const struct flow *flow, uint64_t due_ns, uint64_t now_ns);

/* A message did not come back in time, but for so many bytes: it is lost. */
void flow_state_settle_lost(struct flow *flow, uint64_t sequence, uint64_t returned);

/* A message came back unchanged: count it and tell of it, unless it was lost, or is by now. */
void flow_state_settle_echo(struct flow *flow, uint64_t sequence, uint64_t now_ns);

/* Count a fault, and tell of it with the message where it was met. */
void flow_state_report_fault(struct flow *flow, uint64_t sequence, const struct fault *fault);

/* A message could not be sent, for this reason. */
void flow_state_settle_unsent(struct flow *flow, uint64_t sequence, const char *reason);

/* A message shares the fate of one whose fault was told: tell of it alone. */
void flow_state_report_failed(struct flow *flow, uint64_t sequence, enum fault_kind kind);

/* All that are under way are lost. */
void flow_state_abandon(struct flow *flow);

/* Tell how the first attempt to connect went, once. */
void flow_state_announce_start(struct flow *flow, bool is_open);

/* There may be room for messages. */
void flow_state_announce_room(struct flow *flow);

/* Pass on who answers. The argument is the flow. */
void flow_state_report_identity(void *argument, const char *identity);

/* Wait before the next attempt. */
void flow_state_retry_later(struct flow *flow);

#endif
