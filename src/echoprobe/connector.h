/*
 * connector: from a target to an open connection: tries its places one after the other until one
 * answers, and shakes hands where the target speaks TLS.
 * Sends none of the echo's bytes; stream does.
 * Called by stream.
 */
#ifndef ECHOPROBE_CONNECTOR_H
#define ECHOPROBE_CONNECTOR_H

#include "echoprobe/fault.h"
#include "echoprobe/preface.h"
#include "echoprobe/target.h"
#include "echoprobe/transport.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a connector reports, from the loop; it may be stopped from there. */
struct connector_events {
    /* There is a connection: connector_take it. */
    void (*on_connected)(void *argument);
    /* No place answered, for this reason, which is of connecting. */
    void (*on_failed)(void *argument, const struct fault *fault);
};

/* Its owner may read `place`, `began_ns` and `preface`. */
struct connector {
    struct event_base *base;
    const struct target *target;
    const struct connector_events *events;
    void *argument;
    size_t place;      /* of the target's, to which it connects */
    uint64_t began_ns; /* when it began to connect there */
    char refusals[FAULT_TEXT_SIZE];
    int refusal; /* the last errno of these */
    int failure; /* what failed before the loop could run */
    struct transport transport;
    struct event *reader, *writer;
    struct preface *preface; /* what stands before the first byte; NULL: nothing */
    size_t preface_left;     /* bytes of it, its last ones, that the connector did not send */
};

/*
 * Begin to connect. What is handed in must outlive it; it ends by connector_stop.
 * Return 0, or -1 with errno if the system is short of descriptors or memory, and then nothing is
 * to be stopped. What else fails is reported by on_failed.
 */
int connector_start(struct connector *connector, struct event_base *base,
                    const struct target *target, const struct connector_events *events,
                    void *argument) __attribute__((warn_unused_result));

/* Give up what is under way, and free what it owns. */
void connector_stop(struct connector *connector);

/*
 * Give up the place that did not answer, for this errno, and try the next one; it may report, as
 * its last act. A place where TLS has begun is the last one: somebody answered there.
 */
void connector_give_up(struct connector *connector, int failure);

/*
 * Hand over the connection. On a plain one the last `preface_left` bytes of the preface have to be
 * sent first; TLS has them behind it.
 */
struct transport connector_take(struct connector *connector);

#endif
