/*
 * serve: how a plain connection is served: by its bufferevent, or by the shortcut.
 * Keeps no account of bytes; transfer does. Decides no state; connection_state does.
 * Called by connection, which chooses a service for each group, by serve_tls, serve_impaired
 * and serve_limited.
 */
#ifndef ECHOD_SERVE_H
#define ECHOD_SERVE_H

#include "echod/connection_group.h"
#include "echod/transfer.h"

#include <event2/bufferevent.h>

/* The service that takes the canonical path, and the one that takes the shortcut. */
const struct connection_service *serve_canonically(void);
const struct connection_service *serve_by_shortcut(void);

/* Of these, other services have some as well; the argument of a callback is the connection. */
void serve_on_readable(struct bufferevent *bufferevent, void *argument);
void serve_on_writable(struct bufferevent *bufferevent, void *argument);
void serve_on_event(struct bufferevent *bufferevent, short what, void *argument);
void serve_settle(struct connection *connection, enum transfer_outcome outcome);
int serve_open(struct connection *connection, int input_fd, int output_fd);
void serve_finish(struct connection *connection);

#endif
