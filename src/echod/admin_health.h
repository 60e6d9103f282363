/*
 * admin_health: whether echod lives, and whether it is ready for clients, in a word.
 * Decides nothing.
 * Called by admin_routes.
 */
#ifndef ECHOD_ADMIN_HEALTH_H
#define ECHOD_ADMIN_HEALTH_H

#include "echod/admin_context.h"

/* GET /healthz: who gets an answer knows that the admin thread turns. */
void admin_health_answer_live(struct http_request *request, const struct admin_context *context,
                              const char *rest);

/* GET /readyz: 200 if clients are served, or 503. */
void admin_health_answer_ready(struct http_request *request, const struct admin_context *context,
                               const char *rest);

#endif
