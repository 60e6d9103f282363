/*
 * server: the process: its workers, its signals, its report and its end.
 * Touches no connection; it asks the workers through their mailboxes.
 * Called by daemon, and by main so that it misses no signal.
 */
#ifndef ECHOD_SERVER_H
#define ECHOD_SERVER_H

#include "base/error.h"
#include "base/log.h"
#include "echod/options.h"
#include "echod/sockets.h"
#include "echod/supervise.h"

#include <stddef.h>

/*
 * Let USR1 and HUP wait until server_run answers them: the program may have been changed or asked
 * while it starts, and should neither end nor miss it. Call it before there are threads.
 */
void server_hold_signals(void);

/*
 * Let TERM, INT and QUIT end the process at once, with status 0, until server_run answers them.
 * Without a handler a container's first process would not hear them.
 */
void server_end_on_stop(void);

/*
 * Serve until a stop is requested: TERM and INT drain, a second one of them or QUIT stops at once,
 * USR1 logs the totals and a line for each connection, HUP replaces the options by what their file
 * says now, if nothing is wrong with it. A client that was passed is served to its end, which then
 * drains the rest. The service manager hears of all of it.
 * At the admin sockets, of which there may be none, operators are answered all the while.
 * Return the exit status of the process; a failure has been logged.
 */
int server_run(struct options *options, struct sockets *sockets,
               const struct sockets *admin_sockets, size_t worker_count,
               struct supervise *supervise, struct log *log);

#endif
