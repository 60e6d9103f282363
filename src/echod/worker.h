/*
 * worker: one thread with its own event base, listeners, table and connections.
 * Shares nothing with other workers; knows no signal and no process.
 * Called by server, which makes as many as were asked for, and by reload, which changes them.
 */
#ifndef ECHOD_WORKER_H
#define ECHOD_WORKER_H

#include "base/log.h"
#include "echod/capacity.h"
#include "echod/inquiry.h"
#include "echod/listeners.h"
#include "echod/loop_lag.h"
#include "echod/options.h"
#include "echod/self.h"
#include "echod/sockets.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

/* What a worker tells its owner. */
enum worker_event {
    WORKER_CLIENT_ENDED,  /* the client of an ENDPOINT_CLIENT got everything back and is gone */
    WORKER_CLIENT_FAILED, /* it is gone, but not everything got back */
    WORKER_CHANGED,       /* what worker_change asked for is in effect, and what left is closed */
    WORKER_FINISHED,      /* drained or stopped: nothing is left, and the thread ends */
    WORKER_FAILED,        /* the event loop failed, and the thread ends */
};

/* Called in the worker's thread. */
typedef void worker_event_callback(enum worker_event event, unsigned worker_index, void *owner);

enum { WORKER_EVENT_COUNT = WORKER_FAILED + 1 };

struct worker_place {
    unsigned index;                 /* 0 to count - 1; the first serves what was passed, too */
    unsigned count;                 /* of all workers */
    int cpu;                        /* where its thread stays, or CAPACITY_ANY_CPU */
    uint64_t max_queued_bytes;      /* this worker's share */
    struct connection_limit *limit; /* outlives the workers, as does the next */
    const struct self *self;
};

/*
 * Make a worker with everything it needs to serve; nothing happens before worker_start. The sockets
 * and the log must outlive it, the options need not; descriptors in `sockets` become its own.
 * Return NULL with errno.
 */
struct worker *worker_new(const struct worker_place *place, const struct options *options,
                          struct sockets *sockets, struct log *log, worker_event_callback *on_event,
                          void *owner);

/* Start the thread. Return 0, or -1 with errno from pthread_create. */
int worker_start(struct worker *worker) __attribute__((warn_unused_result));

/* Wait for the thread, if it was started: then all who asked have their answer. NULL is fine. */
void worker_join(struct worker *worker);

/* Do that, and free the worker. NULL is fine. */
void worker_free(struct worker *worker);

/*
 * Ask the worker, from the one thread that owns it, to accept no more and finish once its clients
 * have left or the drain time-out is over. Once.
 */
void worker_drain(struct worker *worker);

/* Ask the worker in the same way to end every connection and finish at once. Once. */
void worker_stop(struct worker *worker);

/* Ask the worker in the same way to log a line for each connection; ignored while it still does. */
void worker_report(struct worker *worker);

/*
 * Ask the worker in the same way for a sign of life. Return false if it has yet to answer the last
 * call, and has not finished: its loop did not turn in between.
 */
bool worker_ping(struct worker *worker);

/*
 * Ask the worker in the same way to take over other options, for clients that come from now on, to
 * serve the listeners that were added to its sockets, and to close those that are leaving, after
 * it has accepted who waits there. Not again, and no change to the sockets and these options,
 * before it tells WORKER_CHANGED; not after worker_drain and worker_stop.
 */
void worker_change(struct worker *worker, const struct options *options, uint64_t max_queued_bytes);

/* Ask the worker in the same way to pause and resume its listeners as their stats say by now. */
void worker_follow_pauses(struct worker *worker);

/*
 * Ask the worker, from the one thread that measures, to say when its loop comes to it (loop_lag).
 * Nothing is asked while the last question waits.
 */
void worker_measure_lag(struct worker *worker);

/* What a worker is like at a moment. */
struct worker_reading {
    uint64_t queued_bytes; /* for its clients, that have yet to leave */
    uint64_t lag_ns;       /* how long its loop keeps waiting whatever comes; 0: it has finished */
    struct buckets_reading lags; /* all that were measured; in the bounds of loop_lag */
};

/* Read that, from any thread. */
void worker_read(const struct worker *worker, struct worker_reading *reading);

/*
 * Ask the worker, from any thread, and as often as there are inquiries. It answers each, at the
 * latest when it has finished; what it did not get to by then, it has not found.
 */
void worker_ask(struct worker *worker, struct inquiry *inquiry);

#endif
