/*
 * flow_datagram: the messages of a flow on a UDP socket: each a datagram, which comes back whole,
 * changed, twice, late or never.
 * How a datagram is known, datagram knows.
 * Called by flow.
 */
#ifndef ECHOPROBE_FLOW_DATAGRAM_H
#define ECHOPROBE_FLOW_DATAGRAM_H

#include "echoprobe/flow_plan.h"

/* Open the socket, or wait for a place to send to. Return 0, or -1 with errno. */
int flow_datagram_begin(struct flow *flow) __attribute__((warn_unused_result));

/* A pause is over: open the socket, if there is none, or go on with it. */
void flow_datagram_retry(struct flow *flow);

/* Close the socket, on which nothing is under way, and open another one a little later. */
void flow_datagram_replace(struct flow *flow);

/* Send what was queued. */
void flow_datagram_send(struct flow *flow);

/*
 * Let go what has settled. The next answer, also of the same turn, may not tell which it is: it is
 * none of these.
 */
void flow_datagram_release(struct flow *flow);

#endif
