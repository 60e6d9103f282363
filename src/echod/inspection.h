/*
 * inspection: asks the workers, and puts their answers together: which connections there are, in
 * the order of their ids, or what has become of one. Decides nothing, and knows no HTTP. Called by
 * admin_connections and admin_actions, in the admin's thread.
 *
 * Each worker has ids of its own, and tells its lowest; the lowest of all of these make a page.
 * Then the workers are asked what those are like, so a page costs memory for its own connections
 * alone.
 */
#ifndef ECHOD_INSPECTION_H
#define ECHOD_INSPECTION_H

#include "echod/inquiry.h"
#include "echod/mailbox.h"
#include "echod/snapshot.h"
#include "echod/worker.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inspection;

/* Who asks. Set the members up to the list, and leave the rest zero. */
struct inspector {
    struct worker *const *workers; /* outlive it */
    size_t worker_count;
    struct event_base *base; /* of the asker's loop */
    struct mailbox *mailbox; /* of the same */
    uint64_t patience_ms;    /* so long a worker has to answer */

    struct inspection *first;
};

/*
 * Let all inspections be over, once no worker can answer any more: their threads have ended.
 * Nothing may be asked in these callbacks.
 */
void inspector_fini(struct inspector *inspector);

enum inspection_outcome {
    INSPECTION_DONE,
    INSPECTION_OVERDUE, /* a worker did not answer in time */
    INSPECTION_ENDED,   /* by inspector_fini */
};

/* All are called in the loop, and the inspection may be dropped in the last one only. */
struct inspection_events {
    /* A connection, in the order of ids. Not called for listeners: then NULL is fine. */
    void (*on_result)(const struct inquiry_result *result, void *owner);
    /*
     * It is over, and to be dropped. `next` is what to ask for after this page, or 0 if it was the
     * last one. `worker` is which one did not answer.
     */
    void (*on_over)(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner);
};

enum { INSPECTION_PAGE_MAX = 1000 };

/*
 * Ask for connections that the filter lets pass and whose ids are above `after`: the first `limit`
 * of them, 1 to INSPECTION_PAGE_MAX. Those that are there all the time are told of exactly once
 * over all pages; those that come or go meanwhile at most once. Return NULL with errno ENOMEM.
 */
struct inspection *inspection_list(struct inspector *inspector,
                                   const struct snapshot_filter *filter, uint64_t after,
                                   size_t limit, const struct inspection_events *events,
                                   void *owner);

/*
 * Ask for one connection, INQUIRY_DESCRIBE, or let it end for CLOSE_OPERATOR, INQUIRY_CLOSE or
 * INQUIRY_RESET, and tell what it is like then; if there is none, nothing is told before on_over.
 * Return NULL with errno ENOMEM.
 */
struct inspection *inspection_of_one(struct inspector *inspector, enum inquiry_kind kind,
                                     uint64_t id, const struct inspection_events *events,
                                     void *owner);

/*
 * Let all workers pause and resume their listeners as these were told to. on_over comes when all
 * have. Return NULL with errno ENOMEM.
 */
struct inspection *inspection_of_listeners(struct inspector *inspector,
                                           const struct inspection_events *events, void *owner);

/* Forget an inspection, whether it is over or not: no callback comes any more. NULL is fine. */
void inspection_drop(struct inspection *inspection);

#endif
