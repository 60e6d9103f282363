#include <config.h>

#include "echod/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct control_request {
    struct control_request *next; /* of its asker */
    struct control_asker *asker;
    control_callback *on_end;
    void *owner;
    struct mailbox_message asked, answered;
    struct reload_waiter waiter;
    struct error error;
    bool has_failed;
};

/* --- In the asker's thread ------------------------------------------------------------------- */

/* Tell the end of a request that was taken out of the list, and free it. */
static void end(struct control_request *request)
{
    request->on_end(request->has_failed ? &request->error : NULL, request->owner);
    free(request);
}

static void on_answered(void *argument)
{
    struct control_request *request = argument, **link = &request->asker->first;

    while (*link != request)
        link = &(*link)->next;
    *link = request->next;
    end(request);
}

void control_asker_fini(struct control_asker *asker)
{
    struct control_request *request = asker->first;

    asker->first = NULL;
    while (request != NULL) {
        struct control_request *next = request->next;

        request->has_failed = true;
        error_set(&request->error, "echod ends");
        end(request);
        request = next;
    }
}

/* --- In the main thread ---------------------------------------------------------------------- */

static void answer(struct control_request *request)
{
    (void)mailbox_post(request->asker->mailbox, &request->answered);
}

static void drain(void *argument)
{
    struct control_request *request = argument;

    request->asker->control->drain(request->asker->control->owner);
    answer(request);
}

static void on_reloaded(struct reload_waiter *waiter, const struct error *error)
{
    struct control_request *request = waiter->owner;

    request->has_failed = error != NULL;
    if (error != NULL)
        request->error = *error;
    answer(request);
}

static void reload(void *argument)
{
    struct control_request *request = argument;

    reload_request_for(request->asker->control->reload, &request->waiter);
}

/* --- Ask ------------------------------------------------------------------------------------- */

int control_ask(struct control_asker *asker, enum control_kind kind, const char *name,
                control_callback *on_end, void *owner)
{
    mailbox_function *const function = kind == CONTROL_DRAIN ? drain : reload;
    struct control_request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return -1;
    request->next = asker->first;
    asker->first = request;
    request->asker = asker;
    request->on_end = on_end;
    request->owner = owner;
    request->waiter = (struct reload_waiter){.on_end = on_reloaded, .owner = request};
    (void)snprintf(request->waiter.name, sizeof request->waiter.name, "%s", name);
    request->asked = (struct mailbox_message){function, request, NULL, false};
    request->answered = (struct mailbox_message){on_answered, request, NULL, false};
    (void)mailbox_post(asker->control->mailbox, &request->asked);
    return 0;
}
