/*
 * inquiry: a question to one worker, from another thread, and the answer to it, as plain data.
 * Answers none; inquiries does, in the worker's loop.
 * Called by inspection, which asks; inquiries and worker know what is asked.
 */
#ifndef ECHOD_INQUIRY_H
#define ECHOD_INQUIRY_H

#include "echod/lowest.h"
#include "echod/mailbox.h"
#include "echod/snapshot.h"
#include "echod/table.h"
#include "echod/tls_session.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many slots or connections are looked at in one step: each may cost what memory costs that is
 * in no cache. */
enum { INQUIRY_STEP = 64 };

enum inquiry_kind {
    INQUIRY_FIND,      /* the lowest ids of those that the filter lets pass */
    INQUIRY_DESCRIBE,  /* what some are like, by their ids */
    INQUIRY_CLOSE,     /* the same, and let them end: their output leaves first, then FIN */
    INQUIRY_RESET,     /* or end at once */
    INQUIRY_LISTENERS, /* nothing: pause and resume as listeners were told to, and answer then */
};

/* What was found under one id; that is 0 if nothing was. */
struct inquiry_result {
    struct snapshot snapshot;
    bool has_tls;
    struct tls_facts tls;
};

/* The answer reports itself to the asker's mailbox. Until then all of this is the worker's. */
struct inquiry {
    enum inquiry_kind kind;
    const struct snapshot_filter *filter; /* FIND */
    uint64_t after;                       /* FIND: ids above it */
    struct lowest found;                  /* FIND: the answer; not in order */
    const uint64_t *ids;                  /* others: of whatever workers */
    struct inquiry_result *results;       /* the answer, where the id is one of this worker's */
    size_t count;
    const atomic_bool *is_pointless; /* whoever asked has gone: any answer will do, soon */
    struct mailbox *home;
    struct mailbox_message answered;
    void *asker;

    /* The worker's; begin with zeros. */
    struct mailbox_message asked;
    void *worker;
    struct table_cursor cursor;
    struct inquiry *next;
};

/* Report that it is answered. It is the asker's again. */
static inline void inquiry_report(struct inquiry *inquiry)
{
    (void)mailbox_post(inquiry->home, &inquiry->answered);
}

#endif
