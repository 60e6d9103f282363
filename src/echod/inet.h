/*
 * inet: binds the addresses that a host and a port stand for.
 * Knows no other kind of address.
 * Called by sockets.
 */
#ifndef ECHOD_INET_H
#define ECHOD_INET_H

#include "base/error.h"
#include "base/log.h"
#include "echod/endpoint.h"
#include "echod/kept.h"
#include "echod/listen.h"
#include "echod/lookup.h"

/*
 * Open a listener, or a datagram socket. A name that has several addresses gives an endpoint for
 * each; those that this machine does not have are left out with a warning while one can be bound.
 * An address that another process listens on is an error, even where SO_REUSEPORT would let both
 * have it. What was kept for it is not bound again, and if that is more than there are workers, it
 * gives more than one endpoint. Hosts are taken from `lookup`, unless it is NULL. `name` is the
 * address as text. Return 0; or -1 with a sentence in `error`, and the endpoints that were added
 * are the caller's to close.
 */
int inet_open(struct endpoint_list *list, const struct listen *listen, const char *name,
              const struct kept *kept, struct lookup *lookup, struct log *log, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Check that a host has an address. Return 0, or -1 with a sentence in `error`; errno is ENOMEM if
 * there was no memory to look it up.
 */
int inet_check(const struct address *address, const char *name, struct error *error)
    __attribute__((warn_unused_result));

#endif
