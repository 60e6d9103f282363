/*
 * kept: the sockets that a service manager kept for echod since an earlier process, by their names.
 * Neither hands a socket to the manager nor has it forget one; store does.
 * Called by sockets, by inet and unix, which take them, and by store.
 */
#ifndef ECHOD_KEPT_H
#define ECHOD_KEPT_H

#include "echod/endpoint.h"
#include "echod/listen.h"
#include "echod/passed.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { KEPT_NAME_SIZE = 255 + 1 }; /* FDNAME of sd_notify(3) */

/* What an address on the list asks for. */
struct kept {
    const struct passed *passed; /* NULL: nothing was */
    char name[KEPT_NAME_SIZE];
};

/*
 * Return what was kept for an address of a list. Its name has the address as it was written, how
 * many equal ones stand before it, and what else counts only when a socket is bound; so another
 * value asks for another socket. A Unix socket's also tells which file is its path now.
 */
struct kept kept_for(const struct passed *passed, const struct listen_list *addresses,
                     size_t index);

/*
 * Write the name under which the sockets of an endpoint are kept: printable ASCII without a colon.
 * Return false if it would be too long.
 */
bool kept_name_endpoint(const struct endpoint *endpoint, char name[KEPT_NAME_SIZE]);

/* Tell whether one is there that nobody took, bound to this address, if there is one, and port. */
bool kept_has(const struct kept *kept, const struct sockaddr *address, socklen_t length);

/*
 * Take such a socket, non-blocking and close-on-exec; it belongs to the caller. A port of 0 fits
 * any. Return -1 without one.
 */
int kept_take(const struct kept *kept, const struct sockaddr *address, socklen_t length)
    __attribute__((warn_unused_result));

#endif
