/*
 * admin_context: what a handler of the admin endpoint works with, as plain data.
 * Called by admin, which makes it, and by admin_routes and the handlers.
 */
#ifndef ECHOD_ADMIN_CONTEXT_H
#define ECHOD_ADMIN_CONTEXT_H

#include "base/http_request.h"
#include "echod/admin_view.h"
#include "echod/control.h"
#include "echod/inspection.h"
#include "echod/mailbox.h"

#include <event2/event.h>

/* There is one for each address; all but `host` is the same. Stays until the thread ends. */
struct admin_context {
    const struct admin_view *view;
    struct event_base *base;       /* of the admin thread's loop */
    struct mailbox *mailbox;       /* of the same: where workers post what was asked for */
    struct inspector *inspector;   /* asks the workers, and answers there too */
    struct control_asker *control; /* asks the main thread, and answers there too */
    struct event *due;             /* of the server: see admin_context_note_answer */
    const char *host;              /* of the address as it was written; empty for a Unix socket */
};

/* Let the server go on, after a request was answered that had to wait. */
static inline void admin_context_note_answer(const struct admin_context *context)
{
    event_active(context->due, EV_TIMEOUT, 1);
}

/*
 * Answer a request, exactly once: at once, or later in the admin thread. `rest` is what stands in
 * the path for the "*" of the route, decoded, and is gone when this returns, as is all that is read
 * of the request. Unknown parameters and clients who may not do this have been refused.
 */
typedef void admin_handler(struct http_request *request, const struct admin_context *context,
                           const char *rest);

#endif
