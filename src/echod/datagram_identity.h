/*
 * datagram_identity: puts the identity where a datagram was received, as its answer.
 * Decides neither who gets an answer nor sends one; datagram_echo does.
 * Called by datagram_echo, where a listener tells one.
 */
#ifndef ECHOD_DATAGRAM_IDENTITY_H
#define ECHOD_DATAGRAM_IDENTITY_H

#include "echod/datagram_batch.h"
#include "echod/identify.h"

#include <stddef.h>
#include <stdint.h>

/* Where a socket is bound. */
struct datagram_home {
    uint16_t port;                /* of its own, or 0 */
    char name[ADDRESS_TEXT_SIZE]; /* its address */
};

/*
 * Write the identity in place of the first `length` bytes of a datagram that was received last. Of
 * a train each datagram gets one. Each is cut to the size of its question.
 * Return how many bytes that are now.
 */
size_t datagram_identity_put(const struct identify_plan *plan, const struct datagram_home *home,
                             struct datagram_batch *batch, unsigned index, size_t length)
    __attribute__((warn_unused_result));

#endif
