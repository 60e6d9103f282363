/*
 * flow_stream: the messages of a flow on a connection: which of them its bytes make whole, or
 * spoil, and a new connection where one ended. Knows positions in the stream by their messages; how
 * bytes are verified, stream knows. Called by flow.
 */
#ifndef ECHOPROBE_FLOW_STREAM_H
#define ECHOPROBE_FLOW_STREAM_H

#include "echoprobe/flow_plan.h"

#include <stdint.h>

/* Begin to connect. Return 0, or -1 with errno. */
int flow_stream_open(struct flow *flow) __attribute__((warn_unused_result));

/* Send what was queued; of churn, connect first. */
void flow_stream_send(struct flow *flow);

/* Return how many bytes of a message came back, of which not all did. */
uint64_t flow_stream_returned_of(const struct flow *flow, uint64_t sequence);

/* All that the window holds is lost: go on with a new connection. */
void flow_stream_replace(struct flow *flow);

/* The handshake stands: the other end answered behind it, or did not refuse it until the end. */
void flow_stream_count_handshake(struct flow *flow);

#endif
