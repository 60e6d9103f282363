/*
 * peer: where a client comes from, in as little memory as that takes.
 * Knows nothing of the client.
 * Called by worker for each client that is accepted, by clients for each that was passed, by
 * connection, which keeps it, and by connection_log.
 */
#ifndef ECHOD_PEER_H
#define ECHOD_PEER_H

#include "base/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

union peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    sa_family_t family; /* AF_UNSPEC: standard input and output */
};

/* Keep what names a peer; of a Unix socket that is only that it is one. */
union peer peer_make(const struct sockaddr *address);

/* Write it as the log names it: "127.0.0.1:5001", "unix", "stdio". */
void peer_format(const union peer *peer, char text[ADDRESS_TEXT_SIZE]);

#endif
