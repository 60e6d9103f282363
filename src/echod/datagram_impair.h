/*
 * datagram_impair: what becomes of the answers of one datagram socket that misbehaves on purpose:
 * they are dropped, duplicated, cut, changed, overtaken and sent late.
 * Decides nothing by chance, which impair does, and receives nothing.
 * Called by datagram_echo.
 *
 * Answers leave in the order in which they were put, but those that are to be overtaken. What is
 * held is bounded, by itself and with all that is queued in a worker (datagram_pool); what comes
 * then gets no answer.
 */
#ifndef ECHOD_DATAGRAM_IMPAIR_H
#define ECHOD_DATAGRAM_IMPAIR_H

#include "echod/counters.h"
#include "echod/datagram_batch.h"
#include "echod/datagram_pool.h"
#include "echod/impair.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DATAGRAM_IMPAIR_COUNT = 65536,     /* answers that a socket holds at most */
    DATAGRAM_IMPAIR_OVERTAKABLE = 64,  /* that wait to be overtaken at a time */
    DATAGRAM_IMPAIR_OVERTAKE_MS = 200, /* then an answer waits no longer to be overtaken */
};

struct datagram_impair;

/* What it tells, each with the argument that it was made with. */
struct datagram_impair_events {
    void (*on_failure)(void *argument, int failure); /* an answer could not be sent */
    void (*on_empty)(void *argument); /* nothing is held any more; from the loop. It may free it */
};

/* Make it for a socket, with nothing to do yet. Everything must outlive it. NULL with errno. */
struct datagram_impair *datagram_impair_new(struct event_base *base, int fd,
                                            struct datagram_pool *pool,
                                            const struct datagram_impair_events *events,
                                            void *argument);

/* Free it, and count what it holds as unsent. NULL is fine. */
void datagram_impair_free(struct datagram_impair *impair);

/*
 * Do this from now on, as the worker of this number. What is held leaves when it would have left,
 * but no later than if it had come now: at once if nothing is done wrong any more. What chance
 * decides goes on if the seed and the worker are the same, else it begins anew.
 */
void datagram_impair_change(struct datagram_impair *impair, const struct impair *plan,
                            uint64_t worker);

/*
 * Answer a datagram of a batch, or a train of them, with the first `length` bytes that stand where
 * it was received, as far as there is an answer; and count what is done.
 */
void datagram_impair_put(struct datagram_impair *impair, struct datagram_batch *batch,
                         unsigned index, size_t length, struct counters *counters);

/* Tell whether answers are held. NULL holds none. */
bool datagram_impair_is_holding(const struct datagram_impair *impair);

#endif
