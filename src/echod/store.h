/*
 * store: has a service manager keep the sockets that echod bound, so that who connects while echod
 * is started anew waits in their queues, and is not refused: FDSTORE=1 of sd_notify(3).
 * Opens nothing; what was kept before, sockets takes. Without a manager it does nothing.
 * Called by daemon, and by reload when the addresses change.
 */
#ifndef ECHOD_STORE_H
#define ECHOD_STORE_H

#include "echod/endpoint.h"
#include "echod/listen.h"
#include "echod/passed.h"
#include "echod/supervise.h"

/*
 * Close what was kept for an address that is no longer on the list, have the manager forget it, and
 * wait until it did: the address may be needed by another one that is about to be bound.
 */
void store_drop_unlisted(const struct passed *passed, const struct listen_list *addresses,
                         struct supervise *supervise);

/* Do the same with what nobody took, without waiting. */
void store_drop_rest(const struct passed *passed, struct supervise *supervise);

/*
 * Have the manager keep the sockets of the endpoints with this number and above that echod bound,
 * while they still hold them. It ignores those that it has.
 */
void store_keep(struct endpoint_list *endpoints, unsigned long first_number,
                struct supervise *supervise);

/* Have it forget those of the endpoints that are leaving. */
void store_forget_leaving(struct endpoint_list *endpoints, struct supervise *supervise);

#endif
