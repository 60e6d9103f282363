/*
 * datagram_batch: receives several datagrams at once, and sends their answers at once.
 * Decides neither which get an answer nor when: datagram_filter and datagram_echo do.
 * Called by datagram_echo and datagram_pool.
 */
#ifndef ECHOD_DATAGRAM_BATCH_H
#define ECHOD_DATAGRAM_BATCH_H

#include "echod/datagram_control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    DATAGRAM_BATCH_COUNT = 64,
    DATAGRAM_BUFFER_BYTES = 65536, /* more than any datagram or train has: 65,535 with its header */
};

/* One that has come, or a train of them that came as one. Valid until the next are received. */
struct datagram {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage; /* makes room for all kinds */
    } source;
    size_t length;
    struct datagram_arrival arrival;
};

struct datagram_batch;

/*
 * Make a batch, which takes DATAGRAM_BATCH_COUNT * DATAGRAM_BUFFER_BYTES, 4 MiB, of which what was
 * never used is no real memory. The caller frees it. Return NULL with errno ENOMEM.
 */
struct datagram_batch *datagram_batch_new(void);

/* Free the batch, and forget answers that were not sent. NULL is fine. */
void datagram_batch_free(struct datagram_batch *batch);

/*
 * Receive what waits at a socket, up to `count` datagrams, which is 1 to DATAGRAM_BATCH_COUNT. No
 * answer may wait in the batch. Never blocks.
 * Return how many came, or -1 with errno, EAGAIN if none waits.
 */
int datagram_batch_receive(struct datagram_batch *batch, int fd, unsigned count)
    __attribute__((warn_unused_result));

/* Return one of those that were received last, counted from 0. */
const struct datagram *datagram_batch_at(const struct datagram_batch *batch, unsigned index);

/*
 * Return where its bytes stand, DATAGRAM_BUFFER_BYTES: another answer may be written there, of
 * which datagram_batch_answer is told the length. If that is a train, say how long its datagrams
 * are.
 */
char *datagram_batch_bytes(struct datagram_batch *batch, unsigned index);
void datagram_batch_set_segment(struct datagram_batch *batch, unsigned index,
                                uint16_t segment_bytes);

/* Return how many datagrams there are in what came as one: 1, or the length of the train. */
uint64_t datagram_count(const struct datagram *datagram);

/*
 * Queue the answer to one of those that were received last, with the first `length` bytes that
 * stand where it was received. A train may be cut between two datagrams. `usual_hops` is what
 * datagram_control_set_hops was told last, or 0. Once for each.
 */
void datagram_batch_answer(struct datagram_batch *batch, unsigned index, size_t length,
                           uint8_t usual_hops);

enum datagram_outcome {
    DATAGRAM_SENT,  /* nothing waits any more */
    DATAGRAM_FULL,  /* the socket takes no more until it is writable */
    DATAGRAM_SHORT, /* the system is short of buffers: try again soon */
};

/* What datagram_batch_send did; it adds to these. */
struct datagram_tally {
    uint64_t count, bytes; /* sent; each datagram of a train counts */
    uint64_t failed;       /* the system refused to send */
    int failure;           /* errno of the last that failed */
};

/*
 * Send the answers that wait, in order. Never blocks. One that the system refuses harms no other,
 * and a train that it refuses leaves as single datagrams.
 */
enum datagram_outcome datagram_batch_send(struct datagram_batch *batch, int fd,
                                          struct datagram_tally *tally)
    __attribute__((warn_unused_result));

#endif
