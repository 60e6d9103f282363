/*
 * admin_status: how echod is doing, as JSON: itself, and each listener.
 * Counts nothing, and reads what any thread may read.
 * Called by admin_routes, and by whatever answers with a listener.
 */
#ifndef ECHOD_ADMIN_STATUS_H
#define ECHOD_ADMIN_STATUS_H

#include "base/text_buffer.h"
#include "echod/admin_context.h"
#include "echod/listener_stats.h"

/* GET /status. */
void admin_status_answer(struct http_request *request, const struct admin_context *context,
                         const char *rest);

/* Append the object of a listener. */
void admin_status_append_listener(struct text_buffer *body, const struct listener_stats *stats,
                                  const struct admin_view *view);

#endif
