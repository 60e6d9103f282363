/*
 * metrics_server: serves what is counted to Prometheus, in a thread of its own, so that no scraper
 * is in the way of a message.
 * Writes no metric; target_metrics does.
 * Called by probe and roster.
 */
#ifndef ECHOPROBE_METRICS_SERVER_H
#define ECHOPROBE_METRICS_SERVER_H

#include "base/address.h"
#include "base/error.h"
#include "echoprobe/account.h"

#include <stdbool.h>
#include <stddef.h>

enum { METRICS_SERVER_FILES = 40 }; /* that it has open at most */

struct metrics_server;

/*
 * Listen on an address, and say so on standard error. It has no accounts, and nobody is answered
 * before metrics_server_start. The caller frees it.
 * Return NULL with errno and a sentence in `error`: EINVAL where this build cannot serve.
 */
struct metrics_server *metrics_server_open(const struct address *address, struct error *error);

/*
 * Tell of these accounts from now on, and of no others. They and the list must outlive the server,
 * or be replaced first. Return 0; or -1 with errno ENOMEM, and then it tells of those before.
 */
int metrics_server_set(struct metrics_server *server, struct account *const *accounts, size_t count)
    __attribute__((warn_unused_result));

/* Tell of other targets that were asked for, and come or do not. */
void metrics_server_note_reload(struct metrics_server *server, bool is_done);

/* Start the thread. Return 0, or -1 with errno. */
int metrics_server_start(struct metrics_server *server) __attribute__((warn_unused_result));

/* End the thread, if there is one, and free the server. NULL is fine. */
void metrics_server_free(struct metrics_server *server);

#endif
