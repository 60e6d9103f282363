/*
 * admin_actions: what an operator may do beside ending connections: drain, reload, change the log's
 * level, pause and resume listeners.
 * Does it through control, inspection and the log.
 * Called by admin_routes, for who came by a Unix socket.
 */
#ifndef ECHOD_ADMIN_ACTIONS_H
#define ECHOD_ADMIN_ACTIONS_H

#include "echod/admin_context.h"

/* POST /drain */
void admin_actions_drain(struct http_request *request, const struct admin_context *context,
                         const char *rest);

/* POST /reload: answered when it is over. */
void admin_actions_reload(struct http_request *request, const struct admin_context *context,
                          const char *rest);

/* PUT /log-level, with the level as the body. */
void admin_actions_set_log_level(struct http_request *request, const struct admin_context *context,
                                 const char *rest);

/* POST /listeners/NAME/pause and /listeners/NAME/resume: answered when all workers follow. */
void admin_actions_pause(struct http_request *request, const struct admin_context *context,
                         const char *rest);
void admin_actions_resume(struct http_request *request, const struct admin_context *context,
                          const char *rest);

#endif
