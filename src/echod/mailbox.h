/*
 * mailbox: functions that any thread hands in, run in order in one thread's loop.
 * Knows nothing of who sends what.
 * Called by server and worker, which share nothing else.
 */
#ifndef ECHOD_MAILBOX_H
#define ECHOD_MAILBOX_H

#include <event2/event.h>
#include <stddef.h>

struct mailbox;

/* Called in the loop of the mailbox's base. */
typedef void mailbox_function(void *argument);

/*
 * Make a mailbox that holds up to `capacity` messages and runs them in the loop of `base`.
 * Return NULL with errno.
 */
struct mailbox *mailbox_new(struct event_base *base, size_t capacity);

/* Free the mailbox; messages that wait are not run. No thread may use it any more. NULL is fine. */
void mailbox_free(struct mailbox *mailbox);

/*
 * Hand in a message, from any thread; it allocates nothing.
 * Return 0, or -1 with errno EAGAIN if the mailbox is full.
 */
int mailbox_post(struct mailbox *mailbox, mailbox_function *function, void *argument)
    __attribute__((warn_unused_result));

#endif
