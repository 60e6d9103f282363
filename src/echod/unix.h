/*
 * unix: binds the paths of Unix sockets, and knows which of them are its own.
 * Knows no other kind of address.
 * Called by sockets.
 */
#ifndef ECHOD_UNIX_H
#define ECHOD_UNIX_H

#include "base/error.h"
#include "echod/endpoint.h"
#include "echod/kept.h"
#include "echod/listen.h"

#include <sys/types.h>

/*
 * Open a listener in place of a socket that nobody listens on any more, or take the one that was
 * kept. `name` is the address as text. Return 0; or -1 with a sentence in `error`, and what was
 * added is the caller's to close.
 */
int unix_open(struct endpoint_list *list, const struct listen *listen, const char *name,
              const struct kept *kept, struct error *error) __attribute__((warn_unused_result));

/*
 * Check what can be known without opening it: that a path has a directory, and an abstract name no
 * permissions. Return 0, or -1 with a sentence in `error`.
 */
int unix_check(const struct listen *listen, const char *name, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Hand over what was bound at a path, as chown(2) does, and nothing that was put there since: where
 * the system lets us hold on to it, what is looked at is what is handed over.
 * Return 0, or -1 with errno.
 */
int unix_change_owner(const struct endpoint *endpoint, uid_t uid, gid_t gid)
    __attribute__((warn_unused_result));

#endif
