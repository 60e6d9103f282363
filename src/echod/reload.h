/*
 * reload: other options while echod serves, from when somebody asks until all workers have them,
 * or until it is clear that something is wrong and nothing has changed.
 * Ends no connection and stops no worker.
 * Called by server, in whose loop all of it happens; admin_view tells how it went.
 */
#ifndef ECHOD_RELOAD_H
#define ECHOD_RELOAD_H

#include "base/error.h"
#include "base/log.h"
#include "echod/listener_stats.h"
#include "echod/lookup.h"
#include "echod/mailbox.h"
#include "echod/options.h"
#include "echod/sockets.h"
#include "echod/supervise.h"
#include "echod/worker.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reload_state {
    RELOAD_NONE,
    RELOAD_LOOKUP, /* the hosts of the next options are looked up */
    RELOAD_CHANGE, /* the workers change to them */
};

enum { RELOAD_ASKER_SIZE = 64 };

/* Who asked for a reload, and wants to know how it went. Set the members up to the next. */
struct reload_waiter {
    /* NULL: other options are in effect; or why not, in a sentence. Not waited any more. */
    void (*on_end)(struct reload_waiter *waiter, const struct error *error);
    void *owner;
    char name[RELOAD_ASKER_SIZE]; /* for the log: "operator (uid 0, pid 12)" */
    struct reload_waiter *next;
};

/* How reloads went, for any thread to read. */
struct reload_outcomes {
    _Atomic uint64_t done, refused;
    atomic_bool is_last_refused;
    _Atomic uint64_t options_since_s; /* when those in effect were read, in seconds since 1970 */
};

/* Set the members up to the state, and leave the rest zero. All of them outlive it. */
struct reload {
    struct options *options; /* those in effect; replaced whole at the end */
    struct sockets *sockets;
    struct listener_stats_list *stats;
    struct connection_limit *limit;
    struct supervise *supervise;
    struct event_base *base; /* of the server's loop */
    struct mailbox *mailbox; /* of the same */
    struct log *log;
    struct worker **workers;
    size_t worker_count;
    size_t admin_file_count; /* as in struct capacity */

    enum reload_state state;
    bool is_wanted;      /* somebody asked again meanwhile */
    bool is_over;        /* echod is about to end */
    struct options next; /* while there is a reload: what is changed to */
    struct lookup *lookup;
    struct event *lookup_deadline;
    struct mailbox_message looked_up;
    unsigned long first_new_number; /* of the endpoints that came */
    size_t changed_count;           /* of workers */
    struct reload_outcomes outcomes;
    char asker[RELOAD_ASKER_SIZE];      /* the first who asked for the one that is under way ... */
    char next_asker[RELOAD_ASKER_SIZE]; /* ... and for the one that has not begun; or empty */
    bool has_others, has_next_others;   /* somebody else has asked for it, too */
    struct reload_waiter *waiting;      /* for the reload that has not begun */
    struct reload_waiter *told;         /* of the end of the one that has */
    struct error error;                 /* the first that was reported of it, or empty */
};

/* Prepare the members that the caller leaves. Return 0, or -1 with errno ENOMEM. */
int reload_init(struct reload *reload) __attribute__((warn_unused_result));

/*
 * Read the options and the certificates again as a reload would, where that may have become
 * impossible (--chroot), and warn of all that would let it fail. Changes nothing.
 */
void reload_rehearse(const struct options *current, struct log *log);

/* Reload, for a HUP, at once or after the reload that is under way; not after reload_stop. */
void reload_request(struct reload *reload);

/*
 * The same for a waiter, and tell it, from the loop, how the reload went that began after this. One
 * that is under way when echod ends may never be told.
 */
void reload_request_for(struct reload *reload, struct reload_waiter *waiter);

/* A worker told WORKER_CHANGED. */
void reload_on_worker_changed(struct reload *reload);

/* Begin no other reload, since echod is about to end; the workers may finish one. */
void reload_stop(struct reload *reload);

/* Free everything, also what a reload that was not finished holds. No worker may be left. */
void reload_fini(struct reload *reload);

#endif
