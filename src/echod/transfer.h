/*
 * transfer: the bytes of one connection: from input to output, the account of what waits, and when
 * reading pauses for it.
 * Knows no state of a connection and ends none: what it meets it returns.
 * Called by connection_state, whose struct has one, through that by who serves it, and by
 * stream_impair for what it holds.
 */
#ifndef ECHOD_TRANSFER_H
#define ECHOD_TRANSFER_H

#include "echod/channel.h"
#include "echod/connection_group.h"
#include "echod/timeouts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its channel is opened by whoever has it; the other members begin as zeros. */
struct transfer {
    struct connection_group *group;
    struct channel channel;
    uint64_t bytes_in, bytes_out;
    uint64_t moved_ms;        /* clock_now_ms when they last grew; before that the caller's */
    size_t queued_bytes;      /* of output, when that was last accounted */
    int unacknowledged_bytes; /* when the write time-out was last armed */
    bool is_streaming;        /* echo_socket's */
    struct timeout idle, write_stall;
};

enum transfer_outcome {
    TRANSFER_GOES_ON,
    TRANSFER_ENDED,  /* the client's FIN came, and all before it was echoed */
    TRANSFER_FAILED, /* errno says why: an error of the socket, or ENOMEM */
};

/* Begin to read. Return 0, or -1 if there is no memory for it. */
int transfer_start(struct transfer *transfer) __attribute__((warn_unused_result));

/* Forget its deadlines and what it had queued. It still has its channel. */
void transfer_fini(struct transfer *transfer);

/* Echo what the bufferevent has read. Return 0, or -1 if there is no memory for it. */
int transfer_echo_input(struct transfer *transfer) __attribute__((warn_unused_result));

/*
 * Send bytes that are no echo, before the first byte of it, and before transfer_start. They count
 * as output that waits, and the write time-out is theirs as well. Return 0, or -1 if there is no
 * memory for it.
 */
int transfer_greet(struct transfer *transfer, const void *bytes, size_t length)
    __attribute__((warn_unused_result));

/* Account what was sent of them since the last time. Return whether all of it was. */
bool transfer_note_greeted(struct transfer *transfer);

/* Throw away what the bufferevent has read. */
void transfer_discard_input(struct transfer *transfer);

/* Receive and echo by the shortcut, now that its socket `fd` can be read; and update reading. */
enum transfer_outcome transfer_echo_socket(struct transfer *transfer, int fd)
    __attribute__((warn_unused_result));

/* The same for a TLS session. */
enum transfer_outcome transfer_echo_tls(struct transfer *transfer)
    __attribute__((warn_unused_result));

/*
 * Receive at most so much and echo it, now that the socket can be read, be it a TLS session; and
 * update reading. Return how that went.
 */
enum transfer_outcome transfer_echo_some(struct transfer *transfer, size_t size)
    __attribute__((warn_unused_result));

/* Receive at most so much, and let input have it, as if the bufferevent had read it. */
enum transfer_outcome transfer_feed(struct transfer *transfer, size_t size)
    __attribute__((warn_unused_result));

/* Account what was sent since the last time. */
void transfer_note_sent(struct transfer *transfer);

/* Count bytes that were received. */
void transfer_count_received(struct transfer *transfer, size_t count);

/*
 * Account what waits where something stands before output: `added_bytes` came since the last time,
 * and `held_bytes` of all that came stand there now.
 */
void transfer_account(struct transfer *transfer, size_t added_bytes, size_t held_bytes);

/* Account bytes that were held and are gone, and will not be sent. */
void transfer_forget(struct transfer *transfer, size_t count);

/*
 * Pause reading at the high mark and go on at the low one, whichever is due. While reading pauses,
 * output waits, and comes here again when some of it was sent.
 * Return 0, or -1 if there is no memory for it.
 */
int transfer_update_reading(struct transfer *transfer) __attribute__((warn_unused_result));

/* Let the write time-out begin, if there is one: the client has to take something. Or end it. */
void transfer_expect_progress(struct transfer *transfer);
void transfer_expect_nothing(struct transfer *transfer);

/*
 * No output was sent for the whole write time-out: tell whether the client took nothing in all that
 * time. Otherwise it has that time once more.
 */
bool transfer_has_stalled(struct transfer *transfer);

#endif
