/*
 * stream_limit: how much may be read from a connection now, so that no more is echoed than its rate
 * and the rates that it shares let pass; and how long it has to wait, unread, where that is
 * nothing. Decides when; byte_rate says how fast. Reads nothing, and ends no connection. Called by
 * serve_limited, by connection, which frees it, and by connection_state, which has it.
 */
#ifndef ECHOD_STREAM_LIMIT_H
#define ECHOD_STREAM_LIMIT_H

#include "echod/connection_group.h"
#include "echod/transfer.h"

#include <stdbool.h>
#include <stddef.h>

struct stream_limit;

/* Called in the loop when a connection that was held back may ask again. */
typedef void stream_limit_callback(void *argument);

/* Prepare the pool of a group for connections that are limited. Return 0, or -1 with errno ENOMEM.
 */
int stream_limit_prepare(struct connection_group *group) __attribute__((warn_unused_result));

/* Limit a connection, whose transfer must outlive this. Return NULL with errno ENOMEM. */
struct stream_limit *stream_limit_new(struct transfer *transfer, stream_limit_callback *on_turn,
                                      void *argument);

/* Free it; what it has booked and not used is the others'. NULL is fine. */
void stream_limit_free(struct stream_limit *limit);

/*
 * Return how much may be read of what waits to be read, or 0: nothing before on_turn comes. Of
 * nothing, such as the client's end, something may be read at any time.
 */
size_t stream_limit_ask(struct stream_limit *limit, size_t waiting_bytes);

/* Count what was read, after stream_limit_ask has let it. */
void stream_limit_note_read(struct stream_limit *limit, size_t count);

/* Tell whether a connection is held back, and so not idle. NULL: it has no limit. */
bool stream_limit_is_holding(const struct stream_limit *limit);

#endif
