/*
 * mailbox: functions that any thread hands in, run in order in one thread's loop.
 * Knows nothing of who sends what, and allocates no message: each belongs to its sender.
 * Called by admin, reload, server and worker, which share nothing else.
 */
#ifndef ECHOD_MAILBOX_H
#define ECHOD_MAILBOX_H

#include <event2/event.h>
#include <stdbool.h>

struct mailbox;

/* Called in the loop of the mailbox's base. */
typedef void mailbox_function(void *argument);

/*
 * A message, embedded in whatever sends it. Set the function and the argument once, and leave the
 * rest zero. It waits in one mailbox at a time, for as long as that is there.
 */
struct mailbox_message {
    mailbox_function *function;
    void *argument;
    struct mailbox_message *next;
    bool is_waiting;
};

/* Make a mailbox that runs messages in the loop of `base`. Return NULL with errno. */
struct mailbox *mailbox_new(struct event_base *base);

/* Free the mailbox; messages that wait are not run. No thread may use it any more. NULL is fine. */
void mailbox_free(struct mailbox *mailbox);

/*
 * Hand in a message, from any thread. One that waits already is left where it is: it will be run
 * after this call all the same. It may be handed in again from its own function.
 * Return false if the mailbox is closed: it will not be run.
 */
bool mailbox_post(struct mailbox *mailbox, struct mailbox_message *message);

/* Run what waits, in the loop's thread, though the loop does not turn any more, and take no more.
 */
void mailbox_close(struct mailbox *mailbox);

#endif
