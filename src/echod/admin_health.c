#include <config.h>

#include "echod/admin_health.h"

#include <stdatomic.h>

static const char text[] = "text/plain; charset=utf-8";

void admin_health_answer_live(struct http_request *request, const struct admin_context *context,
                              const char *rest)
{
    (void)context;
    (void)rest;
    http_answer_text(request, 200, text, "ok\n");
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
        http_answer_text(request, 200, text, "ready\n");
        break;
    case ADMIN_DRAINING:
        http_answer_text(request, 503, text, "draining\n");
        break;
    }
}
