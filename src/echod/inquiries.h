/*
 * inquiries: questions about the connections of one worker, answered one after the other, a little
 * in each turn of the loop, so that its clients have their turn in between.
 * Asks nothing; inspection does, in other threads.
 * Called by worker.
 *
 * However many ask, and however many connections there are, a turn spends no more than
 * INQUIRIES_TURN_NS on it, and one step.
 */
#ifndef ECHOD_INQUIRIES_H
#define ECHOD_INQUIRIES_H

#include "echod/inquiry.h"
#include "echod/table.h"

#include <event2/event.h>
#include <stdbool.h>

enum { INQUIRIES_TURN_NS = 500000 };

/* Set the first two members, and leave the rest zero. */
struct inquiries {
    struct event_base *base;
    const struct table *table; /* of connections */

    struct event *turn;
    struct inquiry *first;
    struct inquiry **end; /* where the next one is put */
};

/* Prepare the members that the caller leaves. Return 0, or -1 with errno ENOMEM. */
int inquiries_init(struct inquiries *inquiries) __attribute__((warn_unused_result));

/* Free everything. None may be left. Zeros are fine. */
void inquiries_fini(struct inquiries *inquiries);

/* Answer an inquiry, from the loop. It may end connections. */
void inquiries_add(struct inquiries *inquiries, struct inquiry *inquiry);

/* Answer all with what is known, since the loop does not turn any more. */
void inquiries_end(struct inquiries *inquiries);

#endif
