/*
 * flow: messages on one connection or socket: which are under way, back or lost, and a new
 * connection where one ended; and when nobody answered.
 * Knows neither how bytes are verified (stream, datagram) nor when messages are due (load).
 * Called by load.
 */
#ifndef ECHOPROBE_FLOW_H
#define ECHOPROBE_FLOW_H

#include "echoprobe/datagram.h"
#include "echoprobe/opening.h"
#include "echoprobe/stream.h"
#include "echoprobe/tally.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow;

/* What flows of a thread report, from the loop. */
struct flow_events {
    /* The first attempt to connect succeeded or failed; once for each flow, not for churn or UDP.
     */
    void (*on_started)(void *argument, struct flow *flow, bool is_open);
    /* A connection was made, to this peer; not for UDP. */
    void (*on_open)(void *argument, const struct opening *opening);
    /* A connection or a datagram says who answers. */
    void (*on_identity)(void *argument, const char *identity);
    /* Message `number` came back unchanged; they count from 0. */
    void (*on_echo)(void *argument, struct flow *flow, uint64_t number, uint64_t rtt_ns);
    /* Something is wrong with message `number`, or with what follows it. */
    void (*on_fault)(void *argument, struct flow *flow, uint64_t number, const struct fault *fault);
    /* An attempt to connect failed: call flow_skip for what was due by now. */
    void (*on_down)(void *argument, struct flow *flow, const char *reason);
    /* The system is short of what a new connection needs: the flow cannot go on. */
    void (*on_refused)(void *argument, int failure);
    /* Messages were settled, or the connection is new: there may be room. */
    void (*on_room)(void *argument, struct flow *flow);
};

/* What the flows of a thread share. Outlives them. */
struct flow_plan {
    const struct target *target;
    const struct pattern *pattern;
    size_t size;         /* bytes of a message */
    uint64_t window;     /* messages that may be under way */
    uint64_t timeout_ns; /* a message is lost, and an attempt to connect has failed, after it */
    uint64_t retry_ms;   /* until the next attempt after a connection failed or broke */
    bool is_churn;       /* a new connection for each message */
    bool has_schedule;   /* messages are due at times of their own */

    struct event_base *base;
    struct stream_scratch *scratch;
    struct batch *batch;
    struct tally *tally;
    uint64_t next_number, number_step; /* numbers for new connections */
    const struct flow_events *events;
    void *argument;
};

/* Make a flow and begin to connect, unless it is churn. The caller frees it. Return NULL with
 * errno. */
struct flow *flow_new(struct flow_plan *plan, size_t index);

/* Close and free it. Not from an event. NULL is fine. */
void flow_free(struct flow *flow);

/* Return the index that flow_new was given. */
size_t flow_index(const struct flow *flow);

/* Return the number of its connection, as faults name it. */
uint64_t flow_connection(const struct flow *flow);

/* Return the peer as it is shown, once there was one. */
const char *flow_peer(const struct flow *flow);

/* Tell whether another message may be queued. */
bool flow_has_room(const struct flow *flow);

/* Queue a message, of which there must be room; its round trip counts from `due_ns`. */
void flow_queue(struct flow *flow, uint64_t due_ns);

/* Send what was queued. */
void flow_send(struct flow *flow);

/* Count a message that was due then and could not be sent, for this reason, as lost. */
void flow_skip(struct flow *flow, uint64_t due_ns, const char *reason);

/* Count the message that the first attempt to connect was made for as lost: it failed with it. */
void flow_miss_first(struct flow *flow);

/* Give up what did not come back in time. */
void flow_expire(struct flow *flow, uint64_t now_ns);

/* The run ends now: give up everything that is under way. */
void flow_end(struct flow *flow, uint64_t now_ns);

#endif
