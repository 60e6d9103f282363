/*
 * serve_impaired: how a connection is served that misbehaves on purpose.
 * Decides nothing that goes wrong; stream_impair does.
 * Called by connection, which chooses a service for each group.
 */
#ifndef ECHOD_SERVE_IMPAIRED_H
#define ECHOD_SERVE_IMPAIRED_H

#include "echod/connection_group.h"

/* The service of plain connections, and that of those with TLS. */
const struct connection_service *serve_impaired(void);
const struct connection_service *serve_impaired_tls(void);

/* The same of those whose rate is limited besides. */
const struct connection_service *serve_impaired_limited(void);
const struct connection_service *serve_impaired_limited_tls(void);

/* Begin well, now or later, and then misbehave. Return 0, or -1 if there is no memory for it. */
int serve_impaired_begin(struct connection *connection) __attribute__((warn_unused_result));

#endif
