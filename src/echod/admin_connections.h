/*
 * admin_connections: the connections as JSON: page by page, one by its id, and its end.
 * Touches none of them; inspection asks the workers.
 * Called by admin_routes.
 */
#ifndef ECHOD_ADMIN_CONNECTIONS_H
#define ECHOD_ADMIN_CONNECTIONS_H

#include "echod/admin_context.h"

/* GET /connections: a page in the order of ids. */
void admin_connections_answer_list(struct http_request *request,
                                   const struct admin_context *context, const char *rest);

/* GET /connections/ID */
void admin_connections_answer_one(struct http_request *request, const struct admin_context *context,
                                  const char *rest);

/* DELETE /connections/ID: it is told of once its end has begun. */
void admin_connections_end_one(struct http_request *request, const struct admin_context *context,
                               const char *rest);

#endif
