/*
 * stream_impair: what a connection does wrong on purpose: a stage between its echo and its output,
 * which changes bytes, holds them back, and says when the connection is to be closed or reset.
 * Decides nothing by chance, which impair does; ends no connection.
 * Called by serve_impaired, by connection, which frees it, and by connection_state, which has it.
 *
 *     input -> stream_impair_take -> held -> stream_impair_release -> output
 *
 * What is held counts as queued, so that reading pauses for it as for output.
 */
#ifndef ECHOD_STREAM_IMPAIR_H
#define ECHOD_STREAM_IMPAIR_H

#include "echod/connection_group.h"
#include "echod/transfer.h"

#include <stdbool.h>

struct stream_impair;

/* What a stage asks for, from the loop; each gets the argument that it was made with. */
struct stream_impair_events {
    void (*on_begin)(void *argument); /* call stream_impair_begin again */
    void (*on_due)(void *argument);   /* call stream_impair_release */
};

/*
 * Prepare the pool of a group for connections that misbehave. Return 0, or -1 with errno ENOMEM.
 */
int stream_impair_prepare(struct connection_group *group) __attribute__((warn_unused_result));

/*
 * Make the stage of a connection that was just accepted; its transfer must outlive it. The
 * connection is the next one of the group's listener. Return NULL with errno ENOMEM.
 */
struct stream_impair *stream_impair_new(struct transfer *transfer,
                                        const struct stream_impair_events *events, void *argument);

/* Free it, with what it holds. NULL is fine. */
void stream_impair_free(struct stream_impair *stage);

enum stream_impair_beginning {
    STREAM_IMPAIR_BEGINS,
    STREAM_IMPAIR_WAITS, /* for on_begin */
    STREAM_IMPAIR_IS_REFUSED,
    STREAM_IMPAIR_IS_GONE, /* the client has reset it */
};

/* Tell how a connection begins. */
enum stream_impair_beginning stream_impair_begin(struct stream_impair *stage);

/* What a connection has to do. */
enum stream_impair_verdict {
    STREAM_IMPAIR_GOES_ON,
    STREAM_IMPAIR_CLOSES, /* what is held does not leave any more */
    STREAM_IMPAIR_RESETS,
    STREAM_IMPAIR_BROKEN, /* the client has reset it */
    STREAM_IMPAIR_FAILED, /* no memory */
};

/* Hold what the bufferevent has read. Return 0, or -1 if there is no memory for it. */
int stream_impair_take(struct stream_impair *stage) __attribute__((warn_unused_result));

/*
 * Account what was sent, and let what is due leave. on_due comes when there is more to do.
 * Call it after each stream_impair_take, and whenever some output was sent.
 */
enum stream_impair_verdict stream_impair_release(struct stream_impair *stage);

/* Tell what an age means for a connection that does not echo yet; on_due comes again. */
enum stream_impair_verdict stream_impair_judge_age(struct stream_impair *stage);

/*
 * Tell whether an end has to wait, though nothing is held: for the end of a stall, or for a reset
 * that is due. on_due comes then.
 */
bool stream_impair_is_waiting(const struct stream_impair *stage);

/* Throw away what is held, and hold nothing more. */
void stream_impair_discard(struct stream_impair *stage);

#endif
