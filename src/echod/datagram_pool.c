#include <config.h>

#include "echod/datagram_pool.h"

#include <string.h>

void datagram_pool_fini(struct datagram_pool *pool)
{
    datagram_batch_free(pool->spare);
    pool->spare = NULL;
}

struct datagram_batch *datagram_pool_take_batch(struct datagram_pool *pool)
{
    struct datagram_batch *batch = pool->spare;

    pool->spare = NULL;
    return batch != NULL ? batch : datagram_batch_new();
}

void datagram_pool_give_batch(struct datagram_pool *pool, struct datagram_batch *batch)
{
    if (pool->spare == NULL)
        pool->spare = batch;
    else
        datagram_batch_free(batch);
}

int datagram_pool_hold(struct datagram_pool *pool, size_t bytes)
{
    if (pool->held_bytes + bytes > DATAGRAM_POOL_HELD_BYTES || pool->queued_bytes == NULL ||
        gauge_get(pool->queued_bytes) + bytes > pool->max_queued_bytes)
        return -1;
    pool->held_bytes += bytes;
    gauge_change(pool->queued_bytes, bytes, 0);
    return 0;
}

void datagram_pool_release(struct datagram_pool *pool, size_t bytes)
{
    pool->held_bytes -= bytes;
    gauge_change(pool->queued_bytes, 0, bytes);
}

int datagram_pool_join(struct datagram_pool *pool, struct datagram_pool_member *member,
                       uint16_t port)
{
    if (pool->spare == NULL)
        pool->spare = datagram_batch_new();
    if (pool->spare == NULL)
        return -1;
    *member = (struct datagram_pool_member){.next = pool->members, .port = port};
    pool->members = member;
    datagram_ports_add(&pool->own_ports, port);
    return 0;
}

/* The port may be another's as well. */
void datagram_pool_leave(struct datagram_pool *pool, struct datagram_pool_member *member)
{
    struct datagram_pool_member **link = &pool->members;

    while (*link != member)
        link = &(*link)->next;
    *link = member->next;
    memset(&pool->own_ports, 0, sizeof pool->own_ports);
    for (const struct datagram_pool_member *other = pool->members; other != NULL;
         other = other->next)
        datagram_ports_add(&pool->own_ports, other->port);
}
