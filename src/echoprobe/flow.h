/*
 * flow: messages on one connection or socket: those that are queued, sent, and given up when they
 * are not back in time.
 * Knows neither what comes back, which flow_stream and flow_datagram do, nor when messages are due,
 * which load does.
 * Called by load.
 */
#ifndef ECHOPROBE_FLOW_H
#define ECHOPROBE_FLOW_H

#include "echoprobe/flow_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Tell whether its connection or socket, or its peer's text, is still of this state of a target. */
bool flow_uses_target(const struct flow *flow, const struct target *target);

/* Leave a place that the plan's target has no more, once nothing is under way there. */
void flow_follow_target(struct flow *flow);

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
