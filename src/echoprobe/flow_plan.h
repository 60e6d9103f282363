/*
 * flow_plan: what the flows of a thread share, are told and report, as plain data.
 * Does nothing.
 * Called by flow and flow_state; load fills it in.
 */
#ifndef ECHOPROBE_FLOW_PLAN_H
#define ECHOPROBE_FLOW_PLAN_H

#include "echoprobe/fault.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct event_base;
struct flow;
struct opening;
struct pattern;
struct stream_scratch;
struct tally;
struct target;

/* What flows of a thread report, from the loop. */
struct flow_events {
    /* The first attempt to connect succeeded or failed; once for each flow, not for churn or UDP.
     */
    void (*on_started)(void *argument, struct flow *flow, bool is_open);
    /* A connection was made, to this peer; for UDP it is the first of a lasting run, or another. */
    void (*on_open)(void *argument, const struct opening *opening);
    /* A connection or a datagram says who answers. */
    void (*on_identity)(void *argument, const char *identity);
    /* Message `number` came back unchanged; they count from 0. */
    void (*on_echo)(void *argument, struct flow *flow, uint64_t number, uint64_t rtt_ns);
    /* Something is wrong with message `number`, or with what follows it. */
    void (*on_fault)(void *argument, struct flow *flow, uint64_t number, const struct fault *fault);
    /* Message `number` failed together with one that on_fault told. NULL is fine. */
    void (*on_failed)(void *argument, struct flow *flow, uint64_t number, enum fault_kind kind);
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
    bool is_lasting;     /* a place that is not there yet may come: the first attempt is like all */
    bool has_schedule;   /* messages are due at times of their own */

    struct event_base *base;
    struct stream_scratch *scratch;
    struct batch *batch;
    struct tally *tally;
    _Atomic uint64_t *next_number; /* for a new connection, of all threads */
    const struct flow_events *events;
    void *argument;
};

#endif
