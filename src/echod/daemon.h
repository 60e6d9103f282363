/*
 * daemon: all that serving takes, in order: log, sockets, pid file, privileges, server; and back.
 * Does none of it itself.
 * Called by main.
 */
#ifndef ECHOD_DAEMON_H
#define ECHOD_DAEMON_H

#include "echod/options.h"

/*
 * Serve until a stop is requested. The options are replaced whole on a reload; the caller frees
 * what they are then. Return the exit status of the process; a failure has been logged.
 */
int daemon_run(struct options *options) __attribute__((warn_unused_result));

#endif
