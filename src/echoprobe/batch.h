/*
 * batch: many datagrams in one system call, or one after the other where that is not there or is
 * refused.
 * Knows nothing of what they hold.
 * Called by datagram, and by loads, which makes room for one.
 */
#ifndef ECHOPROBE_BATCH_H
#define ECHOPROBE_BATCH_H

#include <stddef.h>
#include <sys/socket.h>

enum {
    BATCH_DATAGRAMS = 64,
    BATCH_BYTES = 65536, /* of one; no datagram is larger (RFC 768) */
};

/* Memory that the sockets of a thread share. Of what is not used the system keeps no page. */
struct batch {
    struct batch_slot {
        unsigned char bytes[BATCH_BYTES];
        size_t length;
        struct sockaddr_storage from;
        socklen_t from_length;
    } slots[BATCH_DATAGRAMS];
};

/*
 * Send the first `count` datagrams to an address. Return how many the system took, at least one, or
 * -1 with the errno of the first; EAGAIN if the socket has no room.
 */
int batch_send(int fd, struct batch *batch, size_t count, const struct sockaddr *to,
               socklen_t to_length) __attribute__((warn_unused_result));

/*
 * Receive what is there, up to BATCH_DATAGRAMS. Return how many that are, at least one, or -1 with
 * errno; EAGAIN if there is nothing.
 */
int batch_receive(int fd, struct batch *batch) __attribute__((warn_unused_result));

#endif
