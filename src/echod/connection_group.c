#include <config.h>

#include "echod/connection_group.h"

int connection_pool_init(struct connection_pool *pool)
{
    pool->queued_bytes = (struct gauge){0};
    pool->deadlines = pool->held_back = (struct deadlines){0};
    pool->tls_reserve.memory = NULL;
    return echo_scratch_init(&pool->scratch);
}

void connection_pool_fini(struct connection_pool *pool)
{
    deadlines_fini(&pool->held_back);
    deadlines_fini(&pool->deadlines);
    tls_reserve_fini(&pool->tls_reserve);
    echo_scratch_fini(&pool->scratch);
}

int connection_group_init(struct connection_group *group,
                          const struct connection_deadlines *deadlines)
{
    const struct connection_limits *limits = &group->limits;

    group->count = 0;
    if (timeout_queue_init(&group->handshake, group->base, limits->handshake_timeout_ms,
                           deadlines->on_handshake_overdue) < 0)
        return -1;
    if (timeout_queue_init(&group->idle, group->base, limits->idle_timeout_ms, deadlines->on_idle) <
        0)
        goto fini_handshake;
    if (timeout_queue_init(&group->lifetime, group->base, limits->lifetime_ms,
                           deadlines->on_lifetime_over) < 0)
        goto fini_idle;
    if (timeout_queue_init(&group->write_stall, group->base, limits->write_timeout_ms,
                           deadlines->on_write_due) < 0)
        goto fini_lifetime;
    if (timeout_queue_init(&group->closing, group->base, limits->linger_timeout_ms,
                           deadlines->on_closing_overdue) < 0)
        goto fini_write_stall;
    return 0;

fini_write_stall:
    timeout_queue_fini(&group->write_stall);
fini_lifetime:
    timeout_queue_fini(&group->lifetime);
fini_idle:
    timeout_queue_fini(&group->idle);
fini_handshake:
    timeout_queue_fini(&group->handshake);
    return -1;
}

void connection_group_fini(struct connection_group *group)
{
    timeout_queue_fini(&group->closing);
    timeout_queue_fini(&group->write_stall);
    timeout_queue_fini(&group->lifetime);
    timeout_queue_fini(&group->idle);
    timeout_queue_fini(&group->handshake);
}
