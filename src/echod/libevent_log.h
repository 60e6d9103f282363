/*
 * libevent_log: what libevent says goes to the log, and where it cannot go on the process ends.
 * Knows nothing of what libevent does.
 * Called by server.
 */
#ifndef ECHOD_LIBEVENT_LOG_H
#define ECHOD_LIBEVENT_LOG_H

#include "base/log.h"

/* Begin. The log must outlive libevent_log_stop. Once in the process at a time. */
void libevent_log_start(struct log *log);

/* Let libevent write to standard error again. */
void libevent_log_stop(void);

#endif
