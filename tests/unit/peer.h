/*
 * peer: the other end of what echoprobe opens: targets that lead to sockets of the test's, and what
 * an echo server may do to a connection.
 * Judges nothing; the tests do.
 * Called by streaming, check_stream, check_datagram and check_flow.
 */
#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

#include "echoprobe/target.h"

#include <stddef.h>

/* Add a place to a target that leads to a new listening TCP socket, and return the socket. */
int peer_listen(struct target *target);

/* Add a place to a target where nobody listens. */
void peer_add_nobody(struct target *target);

/* Make a target that leads to a new UDP socket of the loopback, and return the socket. */
int peer_bind_udp(struct target *target);

/* Turn the loop until a client waits, and return its connection. */
int peer_accept(int listening_fd);

/* Turn the loop until so many bytes came, and keep them. */
void peer_receive(int fd, unsigned char *bytes, size_t length);

/* Send all of these bytes, turning the loop while the socket takes none. */
void peer_send(int fd, const unsigned char *bytes, size_t length);

/* Turn the loop until the client sent FIN; fails if bytes come before it. */
void peer_receive_fin(int fd);

/* Close a connection with a reset, and set the variable to -1. */
void peer_reset(int *fd);

#endif
