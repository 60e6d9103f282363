/*
 * serve_tls: how a connection with TLS is served, once its handshake is over.
 * Knows nothing of records and errors of TLS; tls_session does.
 * Called by connection, which chooses a service for each group, by serve_impaired and
 * serve_limited.
 */
#ifndef ECHOD_SERVE_TLS_H
#define ECHOD_SERVE_TLS_H

#include "echod/connection_group.h"
#include "echod/transfer.h"

#include <event2/bufferevent.h>
#include <event2/util.h>

const struct connection_service *serve_tls(void);

/* Begin to echo after the handshake. Return 0, or -1 if the loop has no memory for it. */
int serve_tls_begin(struct connection *connection) __attribute__((warn_unused_result));

/* The handshake failed: count the client, and end it when it had time to read why. */
void serve_tls_refuse(struct connection *connection);

/* Of these, serve_impaired and serve_limited have some as well; the argument of a callback is the
 * connection. */
void serve_tls_on_event(struct bufferevent *bufferevent, short what, void *argument);
void serve_tls_on_socket(evutil_socket_t fd, short what, void *argument);
void serve_tls_settle(struct connection *connection, enum transfer_outcome outcome);
int serve_tls_open(struct connection *connection, int input_fd, int output_fd);
void serve_tls_finish(struct connection *connection);

#endif
