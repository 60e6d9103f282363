/*
 * place: where the service is asked: the path of a Unix socket, or the URL of a host and a port.
 * Connects to nothing; http_client does.
 * Called by options, and carried to http_client.
 */
#ifndef ECHOCTL_PLACE_H
#define ECHOCTL_PLACE_H

#include "base/address.h"
#include "base/error.h"

enum { PLACE_PORT = 9265 }; /* where a URL names none */

/* Plain data. */
struct place {
    struct address address;       /* ADDRESS_UNIX or ADDRESS_TCP */
    char text[ADDRESS_TEXT_SIZE]; /* as a sentence names it: a path, or http://HOST:PORT */
};

/*
 * Read a path, also a relative one, @NAME, unix:///PATH, http://HOST[:PORT], tcp://HOST[:PORT] or
 * HOST:PORT. Return as setting_parse does.
 */
int place_parse(const char *text, void *place, struct error *error)
    __attribute__((warn_unused_result));

#endif
