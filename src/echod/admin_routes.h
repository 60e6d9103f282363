/*
 * admin_routes: which method of which path is answered by whom, and for whom.
 * Answers nothing itself but what nobody should have asked.
 * Called by admin for each request.
 */
#ifndef ECHOD_ADMIN_ROUTES_H
#define ECHOD_ADMIN_ROUTES_H

#include "base/http_request.h"
#include "echod/admin_context.h"

/* Answer a request, now or later. */
void admin_routes_answer(struct http_request *request, const struct admin_context *context);

#endif
