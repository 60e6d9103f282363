/*
 * admin: a thread that answers operators: an event base, a mailbox, and an HTTP server for each
 * address. Touches no connection.
 * Knows no resource; admin_routes does.
 * Called by server.
 */
#ifndef ECHOD_ADMIN_H
#define ECHOD_ADMIN_H

#include "echod/admin_view.h"
#include "echod/sockets.h"

#include <stddef.h>

struct admin;

/*
 * What the endpoint bounds, for each address. A client that asks for the next thing on the same
 * connection has a minute for that, more than most scrapers wait; one that is answered, or asks,
 * has ten seconds in all, more than any answer takes.
 */
enum {
    ADMIN_MAX_CONNECTIONS = 64,
    ADMIN_MAX_HEADER_BYTES = 16 * 1024,
    ADMIN_MAX_BODY_BYTES = 4096,
    ADMIN_REQUEST_TIMEOUT_MS = 10 * 1000,
    ADMIN_IDLE_TIMEOUT_MS = 60 * 1000,
    ADMIN_WORKER_TIMEOUT_MS = 5 * 1000, /* so long a worker has to answer before it is told */
};

enum { ADMIN_LAG_INTERVAL_MS = 100 }; /* between two looks at the workers' loops */

/*
 * Make what answers at these sockets, each of which listens and has one worker; nothing happens
 * before admin_start. Both have to outlive it. Return NULL with errno.
 */
struct admin *admin_new(const struct sockets *sockets, const struct admin_view *view)
    __attribute__((warn_unused_result));

/* Start the thread. Return 0, or -1 with errno from pthread_create. */
int admin_start(struct admin *admin) __attribute__((warn_unused_result));

/*
 * Answer nobody any more: stop the thread, if it was started, and free everything. The workers have
 * to be there still, and their threads to have ended. NULL is fine.
 */
void admin_free(struct admin *admin);

/* Return how many descriptors it takes at most for so many addresses, without their own. */
size_t admin_file_count(size_t address_count);

#endif
