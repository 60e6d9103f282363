/*
 * stream: one TCP or Unix connection: bytes of the pattern go out, behind the target's preface if
 * it has one, and what comes back is verified. Knows positions in the stream, but no messages and
 * no time-outs; flow does. Called by flow and flow_stream, by loads for what streams share, and by
 * the checks of a path.
 */
#ifndef ECHOPROBE_STREAM_H
#define ECHOPROBE_STREAM_H

#include "echoprobe/fault.h"
#include "echoprobe/opening.h"
#include "echoprobe/pattern.h"
#include "echoprobe/target.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

/* What a stream reports, from the loop. It may be freed from there, but not in on_fault and
   on_identity. */
struct stream_events {
    void (*on_open)(void *argument, const struct opening *opening);
    /* The target says who it is; position 0 stands behind that. NULL is fine. */
    void (*on_identity)(void *argument, const char *identity);
    /* All bytes before this position came back unchanged, or were reported by on_fault. */
    void (*on_returned)(void *argument, uint64_t position);
    /* Bytes were changed in place (FAULT_CORRUPTED); on_returned or on_end follows. */
    void (*on_fault)(void *argument, const struct fault *fault);
    /* It is over, for this fault; FAULT_NONE: the other end closed, and nothing is missing. */
    void (*on_end)(void *argument, const struct fault *fault);
};

/* What all streams of a thread share: memory for sending and receiving. */
struct stream_scratch {
    unsigned char bytes[131072];
};

/*
 * Make a stream with a number of its own and begin to connect, to each place of the target until
 * one answers. Everything that is handed in must outlive it. The caller frees it.
 * Return NULL with errno if the system is short of descriptors or memory. What else goes wrong, and
 * what goes wrong later, is reported by on_end.
 */
struct stream *stream_new(struct event_base *base, struct stream_scratch *scratch,
                          const struct target *target, const struct pattern *pattern,
                          uint64_t number, const struct stream_events *events, void *argument);

/* Close it. NULL is fine. */
void stream_free(struct stream *stream);

/*
 * Send all bytes before a position, as the socket takes them. Before the connection is open it only
 * notes the position: call it again from on_open.
 */
void stream_send(struct stream *stream, uint64_t position);

/* Send FIN behind them. */
void stream_finish(struct stream *stream);

/* Return how much was sent and has left the system, as far as that can be known. */
uint64_t stream_delivered(const struct stream *stream);

/* Return how much came back: unchanged, or reported by on_fault. */
uint64_t stream_returned(const struct stream *stream);

bool stream_is_open(const struct stream *stream);

/* Return when it began to connect to the place that it tries, or that answered. */
uint64_t stream_began_ns(const struct stream *stream);

/*
 * Nothing more will come: judge the bytes that were wrong and are kept until then, or give up an
 * attempt to connect (`failure` is what the sentence says then) for the target's next place, or end
 * where the identity did not come.
 * Return whether there was one of these; it may have reported, as its last act.
 */
bool stream_judge(struct stream *stream, int failure);

#endif
