#include <config.h>

#include "echod/timeouts.h"

#include "base/clock.h"

/* The most deadlines that one turn of the loop handles, so that clients are served in between. */
enum { DUE_PER_TURN = 256 };

/* Where it fails for lack of memory, the next timeout_touch tries again. */
static void set_timer(struct timeout_queue *queue, uint64_t delay_ms)
{
    const struct timeval delay = clock_timeval(delay_ms);

    queue->is_timer_set = event_add(queue->timer, &delay) == 0;
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    struct timeout_queue *queue = argument;
    const uint64_t now_ms = clock_now_ms();
    struct timeout *next;

    (void)fd;
    (void)what;
    queue->is_timer_set = false;
    queue->has_waited = !queue->has_waited;
    if (queue->has_waited) {
        set_timer(queue, 0);
        return;
    }
    for (int i = 0; i < DUE_PER_TURN; i++) {
        next = TAILQ_FIRST(&queue->armed);
        if (next == NULL || next->due_ms > now_ms)
            break;
        timeout_cancel(queue, next);
        queue->on_due(next);
    }
    next = TAILQ_FIRST(&queue->armed);
    if (next != NULL)
        set_timer(queue, next->due_ms > now_ms ? next->due_ms - now_ms : 0);
}

int timeout_queue_init(struct timeout_queue *queue, struct event_base *base, uint64_t duration_ms,
                       timeout_callback *on_due)
{
    *queue = (struct timeout_queue){.duration_ms = duration_ms, .on_due = on_due};
    TAILQ_INIT(&queue->armed);
    queue->timer = evtimer_new(base, on_timer, queue);
    return queue->timer == NULL ? -1 : 0;
}

void timeout_queue_fini(struct timeout_queue *queue)
{
    if (queue->timer != NULL)
        event_free(queue->timer);
    queue->timer = NULL;
}

void timeout_touch(struct timeout_queue *queue, struct timeout *timeout)
{
    if (queue->duration_ms == 0)
        return;
    timeout_cancel(queue, timeout);
    timeout->due_ms = clock_now_ms() + queue->duration_ms;
    TAILQ_INSERT_TAIL(&queue->armed, timeout, link);
    if (!queue->is_timer_set)
        set_timer(queue, queue->duration_ms);
}

void timeout_postpone(struct timeout_queue *queue, struct timeout *timeout)
{
    if (timeout_is_armed(timeout))
        timeout_touch(queue, timeout);
}

void timeout_cancel(struct timeout_queue *queue, struct timeout *timeout)
{
    if (!timeout_is_armed(timeout))
        return;
    TAILQ_REMOVE(&queue->armed, timeout, link);
    timeout->due_ms = 0;
}

bool timeout_is_armed(const struct timeout *timeout)
{
    return timeout->due_ms != 0;
}
