#include <config.h>

#include "echod/peer.h"

#include <stdio.h>
#include <string.h>

union peer peer_make(const struct sockaddr *address)
{
    union peer peer;

    memset(&peer, 0, sizeof peer);
    if (address->sa_family == AF_INET)
        memcpy(&peer.v4, address, sizeof peer.v4);
    else if (address->sa_family == AF_INET6)
        memcpy(&peer.v6, address, sizeof peer.v6);
    else
        peer.family = address->sa_family;
    return peer;
}

void peer_format(const union peer *peer, char text[ADDRESS_TEXT_SIZE])
{
    if (peer->family == AF_UNSPEC)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "stdio");
    else if (peer->family == AF_UNIX)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "unix");
    else
        address_format_socket(&peer->any, sizeof *peer, text);
}
