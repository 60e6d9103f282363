/*
 * metrics: all that is measured, as a monitoring system reads it; echod-metrics(7) says what it
 * means.
 * Measures nothing. Reads what any thread may read, and so waits for nobody.
 * Called by admin_routes.
 */
#ifndef ECHOD_METRICS_H
#define ECHOD_METRICS_H

#include "base/exposition.h"
#include "echod/admin_context.h"
#include "echod/admin_view.h"

/* Answer GET /metrics, in the format that the client prefers; an admin_handler. */
void metrics_answer(struct http_request *request, const struct admin_context *context,
                    const char *rest);

/* Write all of it. Return 0, or -1 if memory is short, and what was written is no answer. */
int metrics_write(const struct admin_view *view, enum exposition_format format,
                  struct text_buffer *text) __attribute__((warn_unused_result));

#endif
