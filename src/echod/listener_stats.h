/*
 * listener_stats: what has been counted of each listener, by worker, since the start: also of those
 * that are gone, and of one that came back.
 * Counts nothing itself: whoever serves a client adds to the counters of its listener.
 * Called by server and reload, which look a listener up before the workers get it; by totals; the
 * workers have what was looked up.
 */
#ifndef ECHOD_LISTENER_STATS_H
#define ECHOD_LISTENER_STATS_H

#include "base/address.h"
#include "echod/admission.h"
#include "echod/byte_rate.h"
#include "echod/counters.h"
#include "echod/endpoint.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a listener is now, or was last. Never changes, and stays as long as the list. */
struct listener_place {
    struct listener_place *before; /* that which it replaced, which a reader may have still */
    bool is_open;                  /* or else nobody listens there any more */
    bool is_client;                /* one that was passed: no others come by it */
    bool is_tls;
    char addresses[]; /* "tcp://127.0.0.1:7, tcp://[::1]:7" */
};

/* Of all listeners of one label together: a name may have several addresses. */
struct listener_stats {
    _Atomic(struct listener_stats *) next;
    _Atomic(struct listener_place *) place; /* NULL: it is about to come */
    char label[ADDRESS_TEXT_SIZE];          /* the name, or else the address */
    bool is_of_datagrams;
    _Atomic uint64_t open;     /* connections, of all workers */
    _Atomic uint64_t max;      /* that there may be */
    atomic_bool is_paused;     /* by an operator; the workers are told to follow it */
    _Atomic int resume_errno;  /* a worker could not listen again since it was resumed; 0: none */
    _Atomic uint64_t impaired; /* connections that were accepted to misbehave: their ordinals */
    /* When the first of its certificates ends, in seconds since 1970; 0: it has none. */
    _Atomic uint64_t certificate_end_s;
    struct byte_line rate;       /* how fast they may be, of all workers */
    struct admission *admission; /* who may come in, of all workers; NULL for datagrams */
    struct counters by_worker[];
};

/* All zero: empty. Any thread may follow it; what is in it once stays. */
struct listener_stats_list {
    _Atomic(struct listener_stats *) first;
    size_t worker_count; /* set it before the first listener_stats_find */
};

/*
 * Give each endpoint what is counted of its listener, or begin to count; it stays where it is for
 * as long as the list. Of an endpoint that has a next name, it is that one's. Memory that
 * its limits need is taken as well. Return 0, or -1 with errno, and nothing has changed.
 */
int listener_stats_find(struct listener_stats_list *list, struct endpoint_list *endpoints)
    __attribute__((warn_unused_result));

/* Note when the certificates of these endpoints end: of who has none, that there is none. */
void listener_stats_note_certificates(const struct listener_stats_list *list,
                                      const struct endpoint_list *endpoints);

/*
 * Note where the listeners are by now. Of one that there is no memory for, it is as before; the
 * next call finds it.
 */
void listener_stats_note_places(const struct listener_stats_list *list,
                                const struct endpoint_list *endpoints);

/* Tell whether clients come by a listener now, or would if it was not paused. */
bool listener_stats_is_way_in(const struct listener_stats *stats);

/*
 * Pause each listener that a worker could not resume, so that it is what it is said to be. Return
 * whether there is any, of which the workers have to be told.
 */
bool listener_stats_pause_failed(const struct listener_stats_list *list);

/* Add up a counter of one listener, over the workers, or of all. */
uint64_t listener_stats_sum(const struct listener_stats *stats, size_t worker_count,
                            enum counter which);
uint64_t listener_stats_total(const struct listener_stats_list *list, enum counter which);

/* Free everything. No worker may be left. */
void listener_stats_fini(struct listener_stats_list *list);

#endif
