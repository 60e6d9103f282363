/*
 * timeouts: deadlines that all lie equally far ahead, in a list ordered by when they come due.
 * Knows nothing of connections: an owner embeds a struct timeout and is told when it is due.
 * Called by connection_group, which makes the queues, one for each kind of time-out; connection,
 * transfer and handshake arm their own.
 *
 * Arming, touching and cancelling move one list entry and make no system call. There is one
 * libevent timer for a queue; it may wake up early for a deadline that was touched since, and is
 * then set again.
 */
#ifndef ECHOD_TIMEOUTS_H
#define ECHOD_TIMEOUTS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct timeout {
    TAILQ_ENTRY(timeout) link;
    uint64_t due_ms; /* clock_now_ms at which it comes due; 0: not armed */
};

/*
 * Called in the loop for each deadline that passed, when the loop has looked at the sockets once
 * more: after the process was stopped, what came meanwhile was served first, or at least some of
 * it. It may end the timeout's owner.
 */
typedef void timeout_callback(struct timeout *timeout);

struct timeout_queue {
    TAILQ_HEAD(timeout_list, timeout) armed; /* the first comes due first */
    struct event *timer;
    bool is_timer_set;
    bool has_waited;      /* the loop has looked at the sockets since the timer fired */
    uint64_t duration_ms; /* 0: arming does nothing */
    timeout_callback *on_due;
};

/*
 * Prepare a queue whose deadlines lie `duration_ms` ahead (0: never come) in the loop of `base`.
 * Return 0, or -1 with errno ENOMEM.
 */
int timeout_queue_init(struct timeout_queue *queue, struct event_base *base, uint64_t duration_ms,
                       timeout_callback *on_due) __attribute__((warn_unused_result));

/* Free what the queue owns. Nothing may be armed. A queue of zero bytes is fine. */
void timeout_queue_fini(struct timeout_queue *queue);

/* Set the deadline to now plus the queue's duration, whether it was armed or not. */
void timeout_touch(struct timeout_queue *queue, struct timeout *timeout);

/* The same if it is armed; otherwise do nothing. */
void timeout_postpone(struct timeout_queue *queue, struct timeout *timeout);

/* Let it never come due. Not armed is fine. */
void timeout_cancel(struct timeout_queue *queue, struct timeout *timeout);

bool timeout_is_armed(const struct timeout *timeout);

#endif
