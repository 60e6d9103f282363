/*
 * admin_view: what the admin thread may look at, as plain data: everything in it may be read by any
 * thread, and outlives that thread.
 * Called by server, which fills it, by admin, and by whatever answers a request.
 */
#ifndef ECHOD_ADMIN_VIEW_H
#define ECHOD_ADMIN_VIEW_H

#include "base/log.h"
#include "echod/connection_limit.h"
#include "echod/control.h"
#include "echod/listener_stats.h"
#include "echod/reload.h"
#include "echod/self.h"
#include "echod/worker.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum admin_state { ADMIN_STARTING, ADMIN_RUNNING, ADMIN_DRAINING };

/* Set all but the atomic members before there is a thread. */
struct admin_view {
    struct log *log;
    const struct listener_stats_list *stats;
    const struct connection_limit *limit;
    struct worker *const *workers;
    size_t worker_count;
    const struct self *self;
    const struct reload_outcomes *reloads;
    const struct control *control; /* of the process */
    time_t started;                /* when, of the wall clock ... */
    uint64_t started_ms;           /* ... and of clock_now_ms */
    _Atomic unsigned state;        /* enum admin_state */
};

#endif
