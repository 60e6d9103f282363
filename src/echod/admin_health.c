#include <config.h>

#include "echod/admin_health.h"

#include "echod/worker.h"

#include <stdatomic.h>
#include <stdio.h>

enum { PATIENCE_MS = 2000 };

static const char text[] = "text/plain; charset=utf-8";

void admin_health_answer_live(struct http_request *request, const struct admin_context *context,
                              const char *rest)
{
    (void)context;
    (void)rest;
    http_answer_text(request, 200, text, "ok\n");
}

/* Answer that a worker's loop stands, if one does. */
static bool answer_for_workers(struct http_request *request, const struct admin_view *view)
{
    for (size_t i = 0; i < view->worker_count; i++) {
        struct worker_reading reading;
        char line[64];

        worker_read(view->workers[i], &reading);
        if (reading.lag_ns < PATIENCE_MS * UINT64_C(1000000))
            continue;
        (void)snprintf(line, sizeof line, "worker %zu does not answer\n", i);
        http_answer_text(request, 503, text, line);
        return true;
    }
    return false;
}

void admin_health_answer_ready(struct http_request *request, const struct admin_context *context,
                               const char *rest)
{
    (void)rest;
    switch ((enum admin_state)atomic_load(&context->view->state)) {
    case ADMIN_STARTING:
        http_answer_text(request, 503, text, "starting\n");
        break;
    case ADMIN_RUNNING:
        if (!answer_for_workers(request, context->view))
            http_answer_text(request, 200, text, "ready\n");
        break;
    case ADMIN_DRAINING:
        http_answer_text(request, 503, text, "draining\n");
        break;
    }
}
