#include <config.h>

#include "echod/admin_actions.h"

#include "base/log.h"
#include "base/text_buffer.h"
#include "echod/admin_answer.h"
#include "echod/admin_audit.h"
#include "echod/admin_status.h"
#include "echod/control.h"
#include "echod/inspection.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* An answer that waits. */
struct action {
    struct http_request *request;
    const struct admin_context *context;
    struct inspection *inspection;
    struct listener_stats *stats; /* of the listener that it is about */
    bool is_pause;                /* or a resume ... */
    int failure;                  /* ... that failed, with this errno */
};

/* Make one. Return NULL after an answer. */
static struct action *new_action(struct http_request *request, const struct admin_context *context)
{
    struct action *action = calloc(1, sizeof *action);

    if (action == NULL) {
        admin_answer_error(request, 503, "Memory is short.");
        return NULL;
    }
    action->request = request;
    action->context = context;
    return action;
}

/* It was answered. */
static void free_action(struct action *action)
{
    admin_context_note_answer(action->context);
    inspection_drop(action->inspection);
    free(action);
}

static void fail_for_memory(struct action *action)
{
    admin_answer_error(action->request, 503, "Memory is short.");
    free_action(action);
}

static void answer_text(struct http_request *request, unsigned status, const char *json)
{
    struct text_buffer body = {.bytes = NULL};

    text_buffer_append_text(&body, json);
    admin_answer_json(request, status, &body);
}

/* --- The process ----------------------------------------------------------------------------- */

static void on_draining(const struct error *error, void *owner)
{
    struct action *action = owner;

    (void)error; /* it ends, which is what was asked for */
    answer_text(action->request, 202, "{\"state\":\"draining\"}\n");
    free_action(action);
}

static void on_reloaded(const struct error *error, void *owner)
{
    struct action *action = owner;

    if (error == NULL)
        answer_text(action->request, 200, "{\"reloaded\":true}\n");
    else
        admin_answer_error(action->request, 409, "%s", error->text);
    free_action(action);
}

static void ask_process(struct http_request *request, const struct admin_context *context,
                        enum control_kind kind, control_callback *on_end)
{
    struct action *action = new_action(request, context);
    char name[ADMIN_AUDIT_NAME_SIZE];

    admin_audit_name(request, name);
    if (action != NULL && control_ask(context->control, kind, name, on_end, action) < 0)
        fail_for_memory(action);
}

void admin_actions_drain(struct http_request *request, const struct admin_context *context,
                         const char *rest)
{
    (void)rest;
    admin_audit(request, context, "drain");
    ask_process(request, context, CONTROL_DRAIN, on_draining);
}

void admin_actions_reload(struct http_request *request, const struct admin_context *context,
                          const char *rest)
{
    (void)rest;
    admin_audit(request, context, "reload");
    ask_process(request, context, CONTROL_RELOAD, on_reloaded);
}

/* --- The log --------------------------------------------------------------------------------- */

/* Read a level of so many bytes, behind which may be a line feed. Return 0, or -1. */
static int parse_level(const char *text, size_t size, enum log_level *level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const size_t length = strcspn(text, "\r\n");

    if (length + strspn(text + length, "\r\n") != size)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == length && strncmp(names[i], text, length) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

void admin_actions_set_log_level(struct http_request *request, const struct admin_context *context,
                                 const char *rest)
{
    size_t size;
    const char *body = http_request_body(request, &size);
    struct text_buffer answer = {.bytes = NULL};
    enum log_level level;

    (void)rest;
    if (parse_level(body, size, &level) < 0) {
        admin_answer_error(request, 400, "The body is error, warning, info or debug, not \"%s\".",
                           body);
        return;
    }
    admin_audit(request, context, "set the log level to %.*s", (int)strcspn(body, "\r\n"), body);
    log_set_level(context->view->log, level);
    text_buffer_printf(&answer, "{\"log_level\":\"%.*s\"}\n", (int)strcspn(body, "\r\n"), body);
    admin_answer_json(request, 200, &answer);
}

/* --- Listeners ------------------------------------------------------------------------------- */

/* Tell whether clients come by a listener of a name. */
static bool is_way_in(const struct listener_stats *stats, const char *name)
{
    return strcmp(stats->label, name) == 0 && listener_stats_is_way_in(stats);
}

/* Return the first listener of a name, or NULL: over TCP and UDP there may be one each. */
static struct listener_stats *find_way_in(const struct admin_context *context, const char *name)
{
    struct listener_stats *stats = context->view->stats->first;

    while (stats != NULL && !is_way_in(stats, name))
        stats = stats->next;
    return stats;
}

/*
 * Say that all listeners of a name are to be paused, or resumed, also one that is gone, and would
 * come back as it was; the workers have to be told.
 */
static void set_paused(const struct admin_context *context, const char *name, bool is_paused)
{
    for (struct listener_stats *stats = context->view->stats->first; stats != NULL;
         stats = stats->next) {
        if (strcmp(stats->label, name) != 0)
            continue;
        atomic_store(&stats->resume_errno, 0);
        atomic_store(&stats->is_paused, is_paused);
    }
}

/* Return why a listener of a name could not be resumed, as an errno, or 0. */
static int find_failure(const struct admin_context *context, const char *name)
{
    int failure = 0;

    for (struct listener_stats *stats = context->view->stats->first; stats != NULL && failure == 0;
         stats = stats->next) {
        if (is_way_in(stats, name))
            failure = atomic_load(&stats->resume_errno);
    }
    return failure;
}

static void answer_failure(struct action *action)
{
    admin_answer_error(action->request, 500,
                       "%s stays paused: its address cannot be listened at: %s.",
                       action->stats->label, strerror(action->failure));
    free_action(action);
}

static void on_taken_back(enum inspection_outcome outcome, uint64_t next, size_t worker,
                          void *owner)
{
    (void)outcome, (void)next, (void)worker;
    answer_failure(owner);
}

/* Not all workers listen again: then none does, and the listener is what it is said to be. */
static void take_back(struct action *action)
{
    static const struct inspection_events events = {.on_over = on_taken_back};

    set_paused(action->context, action->stats->label, true);
    inspection_drop(action->inspection);
    action->inspection = inspection_of_listeners(action->context->inspector, &events, action);
    if (action->inspection == NULL)
        answer_failure(action);
}

/* The workers have done what they were told, or tried. */
static void answer_followed(struct action *action)
{
    struct text_buffer body = {.bytes = NULL};

    if (!action->is_pause)
        action->failure = find_failure(action->context, action->stats->label);
    if (action->failure != 0) { /* a reload may have paused it again */
        take_back(action);
        return;
    }
    if (atomic_load(&action->stats->is_paused) != action->is_pause) {
        admin_answer_error(action->request, 409, "Another operator %s %s meanwhile.",
                           action->is_pause ? "resumed" : "paused", action->stats->label);
        free_action(action);
        return;
    }
    admin_status_append_listener(&body, action->stats, action->context->view);
    text_buffer_append_text(&body, "\n");
    admin_answer_json(action->request, 200, &body);
    free_action(action);
}

static void on_followed(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner)
{
    struct action *action = owner;

    (void)next;
    switch (outcome) {
    case INSPECTION_DONE:
        answer_followed(action);
        return;
    case INSPECTION_OVERDUE:
        admin_answer_error(action->request, 503,
                           "Worker %zu does not answer; when it does, it %s %s.", worker,
                           action->is_pause ? "pauses" : "resumes", action->stats->label);
        break;
    case INSPECTION_ENDED:
        admin_answer_error(action->request, 503, "echod ends.");
        break;
    }
    free_action(action);
}

/* Pause or resume all listeners of a name, and answer when the workers have. */
static void tell_workers(struct action *action)
{
    static const struct inspection_events events = {.on_over = on_followed};
    const char *name = action->stats->label;
    const bool was_paused = atomic_load(&action->stats->is_paused);

    set_paused(action->context, name, action->is_pause);
    action->inspection = inspection_of_listeners(action->context->inspector, &events, action);
    if (action->inspection != NULL)
        return;
    set_paused(action->context, name, was_paused);
    fail_for_memory(action);
}

static void pause_or_resume(struct http_request *request, const struct admin_context *context,
                            const char *name, bool is_pause)
{
    struct listener_stats *stats = find_way_in(context, name);
    struct action *action;

    if (stats == NULL) {
        admin_answer_error(request, 404, "There is no listener \"%s\" that clients come by.", name);
        return;
    }
    if (atomic_load(&context->view->state) == ADMIN_DRAINING) {
        admin_answer_error(request, 409, "echod is draining: no more clients come by %s.", name);
        return;
    }
    admin_audit(request, context, "%s listener %s", is_pause ? "pause" : "resume", name);
    action = new_action(request, context);
    if (action == NULL)
        return;
    action->stats = stats;
    action->is_pause = is_pause;
    tell_workers(action);
}

void admin_actions_pause(struct http_request *request, const struct admin_context *context,
                         const char *rest)
{
    pause_or_resume(request, context, rest, true);
}

void admin_actions_resume(struct http_request *request, const struct admin_context *context,
                          const char *rest)
{
    pause_or_resume(request, context, rest, false);
}
