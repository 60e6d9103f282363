/*
 * inherited: takes over sockets that a parent opened: fd://N and systemd://[NAME].
 * Opens nothing; which sockets systemd passed, `passed` knows.
 * Called by sockets.
 */
#ifndef ECHOD_INHERITED_H
#define ECHOD_INHERITED_H

#include "base/error.h"
#include "echod/endpoint.h"
#include "echod/passed.h"

/*
 * Take over a stream socket that listens or is connected, or a UDP socket, which systemd may have
 * passed, too.
 * `name` is the address as text.
 * Return 0; or -1 with a sentence in `error`, and what was added is the caller's to close.
 */
int inherited_take_fd(struct endpoint_list *list, const struct passed *passed, int fd,
                      const char *name, struct error *error) __attribute__((warn_unused_result));

/*
 * Take over all sockets that systemd passed under the name of a systemd:// address, or under any if
 * it is empty. The same holds.
 */
int inherited_take_systemd(struct endpoint_list *list, const struct passed *passed,
                           const struct address *address, struct error *error)
    __attribute__((warn_unused_result));

#endif
