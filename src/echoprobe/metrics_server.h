/*
 * metrics_server: serves what is counted to Prometheus, in a thread of its own, so that no scraper
 * is in the way of a message.
 * Writes no metric; metrics does.
 * Called by probe.
 */
#ifndef ECHOPROBE_METRICS_SERVER_H
#define ECHOPROBE_METRICS_SERVER_H

#include "base/address.h"
#include "base/error.h"
#include "echoprobe/account.h"

#include <stddef.h>

enum { METRICS_SERVER_FILES = 40 }; /* that it has open at most */

struct metrics_server;

/*
 * Listen on an address, and say so on standard error. The accounts must outlive the server; nobody
 * is answered before metrics_server_start. The caller frees it.
 * Return NULL with errno and a sentence in `error`: EINVAL where this build cannot serve.
 */
struct metrics_server *metrics_server_open(const struct address *address, struct account *accounts,
                                           size_t count, struct error *error);

/* Start the thread. Return 0, or -1 with errno. */
int metrics_server_start(struct metrics_server *server) __attribute__((warn_unused_result));

/* End the thread, if there is one, and free the server. NULL is fine. */
void metrics_server_free(struct metrics_server *server);

#endif
