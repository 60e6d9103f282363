/*
 * echo_tls: the shortcut of a TLS session on which nothing is queued.
 * Knows no limit, deadline or end of a connection; transfer and connection do.
 * Called by transfer whenever the socket can be read.
 */
#ifndef ECHOD_ECHO_TLS_H
#define ECHOD_ECHO_TLS_H

#include "echod/echo.h"
#include "echod/tls_session.h"

#include <event2/buffer.h>
#include <stdint.h>

/*
 * Receive what came and send it at once, small records together, and hand only what the socket does
 * not take to `output`: at most echo_size of `room_bytes`. It does a bounded amount of work. Once
 * output waits, what came may still be inside (tls_session_has_pending). ECHO_ENDED may come with
 * bytes that are in output.
 */
enum echo_outcome echo_tls(struct echo_scratch *scratch, struct tls_session *session,
                           struct evbuffer *output, uint64_t room_bytes,
                           struct echo_progress *progress);

/*
 * The same, of at most `size` bytes, up to ECHO_SCRATCH_SIZE: what came besides may still be inside
 * whether output waits or not.
 */
enum echo_outcome echo_tls_once(struct echo_scratch *scratch, struct tls_session *session,
                                struct evbuffer *output, size_t size,
                                struct echo_progress *progress);

#endif
