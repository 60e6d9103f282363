/*
 * admin_audit: a line in the log for what an operator asks echod to do, with who that is.
 * Allows and refuses nothing.
 * Called by admin_connections and admin_actions.
 */
#ifndef ECHOD_ADMIN_AUDIT_H
#define ECHOD_ADMIN_AUDIT_H

#include "base/http_request.h"
#include "echod/admin_context.h"

/* Write it, in the callback of the request: "operator (uid 0, pid 12) asks to close 17". */
void admin_audit(const struct http_request *request, const struct admin_context *context,
                 const char *format, ...) __attribute__((format(printf, 3, 4)));

enum { ADMIN_AUDIT_NAME_SIZE = 64 };

/* Write who asks, in the same words: "operator (uid 0, pid 12)". */
void admin_audit_name(const struct http_request *request, char name[ADMIN_AUDIT_NAME_SIZE]);

#endif
