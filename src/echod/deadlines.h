/*
 * deadlines: deadlines at any distance, in a heap with one timer.
 * Knows nothing of connections: an owner embeds a struct deadline and is told when it is due. Those
 * that all lie equally far ahead cost less in timeouts.
 * Called by stream_impair, for all connections of a worker.
 */
#ifndef ECHOD_DEADLINES_H
#define ECHOD_DEADLINES_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
    uint64_t due_ns; /* clock_now_ns at which it comes due */
    size_t place;    /* in the heap, from 1 on; 0: not set */
};

/* Called in the loop for each deadline that passed, never before. It may end the owner. */
typedef void deadline_callback(struct deadline *deadline);

struct deadlines {
    struct deadline **heap; /* the one at 2n and at 2n + 1 come due no earlier than that at n */
    size_t count, room;
    size_t reserved;
    struct event *timer; /* NULL: it was not initialised */
    uint64_t timer_ns;   /* when it fires; 0: it is not set */
    deadline_callback *on_due;
};

/* Prepare an empty set in the loop of `base`. Return 0, or -1 with errno ENOMEM. */
int deadlines_init(struct deadlines *deadlines, struct event_base *base, deadline_callback *on_due)
    __attribute__((warn_unused_result));

/* Free what the set owns. Nothing may be set. One of zero bytes is fine. */
void deadlines_fini(struct deadlines *deadlines);

/* Make room for one more, so that to set it cannot fail. Return 0, or -1 with errno ENOMEM. */
int deadlines_reserve(struct deadlines *deadlines) __attribute__((warn_unused_result));

/* Give the room of one back, which is not set. */
void deadlines_release(struct deadlines *deadlines);

/* Let it come due then, whether it was set or not. There is room for it. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t due_ns);

/* Let it never come due. Not set is fine. */
void deadline_cancel(struct deadlines *deadlines, struct deadline *deadline);

bool deadline_is_set(const struct deadline *deadline);

#endif
