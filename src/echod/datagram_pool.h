/*
 * datagram_pool: what the datagram sockets of one worker share: a batch that is used in turn,
 * the ports that are theirs, and how much they hold back on purpose, which counts as queued.
 * Receives and sends nothing.
 * Called by datagram_echo and datagram_impair; datagrams has it.
 */
#ifndef ECHOD_DATAGRAM_POOL_H
#define ECHOD_DATAGRAM_POOL_H

#include "echod/datagram_batch.h"
#include "echod/datagram_guard.h"
#include "echod/gauge.h"

#include <stddef.h>
#include <stdint.h>

enum { DATAGRAM_POOL_HELD_BYTES = 16 << 20 }; /* so that datagrams leave room for streams */

/* A socket of the pool, embedded in what serves it. */
struct datagram_pool_member {
    struct datagram_pool_member *next;
    uint16_t port; /* 0: none */
};

/* All zero: there is none yet, and nothing may be held. */
struct datagram_pool {
    struct datagram_pool_member *members;
    struct datagram_batch *spare;    /* used by whoever's turn it is */
    struct datagram_ports own_ports; /* of all members */
    size_t held_bytes;               /* of all answers that are held back, with what is kept */
    struct gauge *queued_bytes;      /* of the worker, these among them; not owned */
    uint64_t max_queued_bytes;
};

/* Free what is left when the last socket is closed. */
void datagram_pool_fini(struct datagram_pool *pool);

/* Take a member in, with this port. Return 0, or -1 with errno ENOMEM. */
int datagram_pool_join(struct datagram_pool *pool, struct datagram_pool_member *member,
                       uint16_t port) __attribute__((warn_unused_result));

/* Let one go that has joined. */
void datagram_pool_leave(struct datagram_pool *pool, struct datagram_pool_member *member);

/*
 * Account an answer that is held back. Return 0, or -1 if there is no room for it: among those that
 * are held, which have DATAGRAM_POOL_HELD_BYTES, or in all that is queued.
 */
int datagram_pool_hold(struct datagram_pool *pool, size_t bytes)
    __attribute__((warn_unused_result));

/* Account that it is gone. */
void datagram_pool_release(struct datagram_pool *pool, size_t bytes);

/* Return a batch, or NULL with errno ENOMEM; give it back. */
struct datagram_batch *datagram_pool_take_batch(struct datagram_pool *pool);
void datagram_pool_give_batch(struct datagram_pool *pool, struct datagram_batch *batch);

#endif
