/*
 * control: what another thread may ask of the process: to drain, and to reload.
 * Does neither itself; the main thread does, in its loop.
 * Called by server, by admin, and by admin_actions, which asks.
 */
#ifndef ECHOD_CONTROL_H
#define ECHOD_CONTROL_H

#include "base/error.h"
#include "echod/mailbox.h"
#include "echod/reload.h"

/* Whom to ask. All of it outlives whoever asks. */
struct control {
    struct mailbox *mailbox; /* of the main loop */
    struct reload *reload;
    void (*drain)(void *owner); /* in the main thread; the second time it does nothing */
    void *owner;
};

struct control_request;

/* Who asks. Set the members up to the list, and leave the rest zero. */
struct control_asker {
    const struct control *control;
    struct mailbox *mailbox; /* of the asker's loop */
    struct control_request *first;
};

enum control_kind { CONTROL_DRAIN, CONTROL_RELOAD };

/* Called in the asker's loop: NULL, or why nothing came of it, in a sentence. */
typedef void control_callback(const struct error *error, void *owner);

/*
 * Ask for it, under the name of who does, for the log; the answer comes later.
 * Return 0, or -1 with errno ENOMEM.
 */
int control_ask(struct control_asker *asker, enum control_kind kind, const char *name,
                control_callback *on_end, void *owner) __attribute__((warn_unused_result));

/* Answer all that wait, once the main loop does not turn any more. */
void control_asker_fini(struct control_asker *asker);

#endif
