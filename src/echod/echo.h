/*
 * echo: how bytes get from a client's input to its output.
 * Knows buffers and descriptors, not connections: limits, deadlines and ends are connection's.
 * Called by transfer whenever input has come, and by echo_tls.
 */
#ifndef ECHOD_ECHO_H
#define ECHOD_ECHO_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The canonical path: move everything in `input` to the end of `output`, in order. While output is
 * empty the memory itself moves and nothing is copied; behind what is queued, bytes are copied
 * into its last piece, so that small messages which wait need no more memory than their bytes.
 * Return 0, or -1 with errno ENOMEM; then input still holds what was not moved.
 */
int echo_input(struct evbuffer *input, struct evbuffer *output) __attribute__((warn_unused_result));

/*
 * Put bytes that the socket did not take into output, in pieces that cost hardly more memory than
 * they hold. Return 0, or -1 with errno ENOMEM.
 */
int echo_queue(struct evbuffer *output, const unsigned char *bytes, size_t length)
    __attribute__((warn_unused_result));

enum {
    ECHO_SCRATCH_SIZE = 64 << 10, /* larger falls out of the cache, smaller costs system calls */
    ECHO_PIECE_SIZE = 16320,      /* libevent rounds a piece and its header up to a power of two */
};

/* What a worker lends the shortcut for the time of a call; between calls both are empty. */
struct echo_scratch {
    unsigned char *bytes; /* ECHO_SCRATCH_SIZE */
    int pipe[2];          /* -1 where splice(2) cannot be had */
    bool is_room_true;    /* sockets have always taken what they said they had room for */
};

/* Make the scratch of a worker. Return 0, or -1 with errno ENOMEM. Without a pipe it works too. */
int echo_scratch_init(struct echo_scratch *scratch) __attribute__((warn_unused_result));

void echo_scratch_fini(struct echo_scratch *scratch);

enum echo_outcome {
    ECHO_SENT,   /* what was read, if anything, is with the kernel again; there may be more */
    ECHO_QUEUED, /* the socket takes no more: what was read and is not sent is in output */
    ECHO_ENDED,  /* the client's FIN came, and all before it was sent */
    ECHO_FAILED, /* errno says why: an error of the socket, or ENOMEM */
};

/* How many bytes a call received and sent; what it received and did not send is in output. */
struct echo_progress {
    size_t received, sent;
};

/* Return how much to receive at once where output has this room: 4 KiB at least. */
size_t echo_size(uint64_t room_bytes);

/*
 * The shortcut of a plain stream socket on which nothing is queued: receive and send at once, and
 * hand only what the socket does not take to `output`, at most `room_bytes` or 4 KiB. (The first
 * time that a socket takes less than the system said, it may be 512 KiB.) It does a bounded amount
 * of work. What streams goes through splice(2) and never enters our memory; `is_streaming` is where
 * the connection remembers that it does, false at first.
 */
enum echo_outcome echo_socket(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                              uint64_t room_bytes, bool *is_streaming,
                              struct echo_progress *progress);

/*
 * The same, of at most `size` bytes, up to ECHO_SCRATCH_SIZE: one read and one write. What the
 * socket does not take of them goes to output.
 */
enum echo_outcome echo_socket_once(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                                   size_t size, struct echo_progress *progress);

#endif
