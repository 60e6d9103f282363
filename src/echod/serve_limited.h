/*
 * serve_limited: how a connection is served whose rate is limited: read no faster than that.
 * Decides no rate; stream_limit does. What was read goes the way that it goes elsewhere.
 * Called by connection, which chooses a service for each group, and by serve_impaired.
 */
#ifndef ECHOD_SERVE_LIMITED_H
#define ECHOD_SERVE_LIMITED_H

#include "echod/connection_group.h"

#include <event2/util.h>

/* The service of plain connections, and that of those with TLS. */
const struct connection_service *serve_limited(void);
const struct connection_service *serve_limited_tls(void);

/* Of these, serve_impaired has some as well; the argument of a callback is the connection. */
void serve_limited_on_socket(evutil_socket_t fd, short what, void *argument);
void serve_limited_on_tls_socket(evutil_socket_t fd, short what, void *argument);
int serve_limited_open(struct connection *connection, int input_fd, int output_fd);

#endif
