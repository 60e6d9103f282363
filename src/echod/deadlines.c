#include <config.h>

#include "echod/deadlines.h"

#include "base/clock.h"
#include "echod/timers.h"

#include <errno.h>
#include <stdlib.h>

enum {
    DUE_PER_TURN = 256, /* then the clients are served */
    FIRST_ROOM = 16,
    NS_PER_MS = 1000000,
};

/* --- Heap ------------------------------------------------------------------------------------ */

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

/* Put a deadline where it belongs, from this place on towards the first. */
static void move_up(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    struct deadline **heap = deadlines->heap;

    while (place > 1 && deadline->due_ns < heap[place / 2]->due_ns) {
        put(deadlines, place, heap[place / 2]);
        place /= 2;
    }
    put(deadlines, place, deadline);
}

/* The same towards the last. */
static void move_down(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    struct deadline **heap = deadlines->heap;
    const size_t count = deadlines->count;

    while (2 * place <= count) {
        size_t next = 2 * place;

        if (next < count && heap[next + 1]->due_ns < heap[next]->due_ns)
            next++;
        if (deadline->due_ns <= heap[next]->due_ns)
            break;
        put(deadlines, place, heap[next]);
        place = next;
    }
    put(deadlines, place, deadline);
}

/* Put a deadline where it belongs, instead of the one at this place. */
static void settle(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    if (place > 1 && deadline->due_ns < deadlines->heap[place / 2]->due_ns)
        move_up(deadlines, place, deadline);
    else
        move_down(deadlines, place, deadline);
}

static void take_out(struct deadlines *deadlines, struct deadline *deadline)
{
    struct deadline *last = deadlines->heap[deadlines->count--];

    if (last != deadline)
        settle(deadlines, deadline->place, last);
    deadline->place = 0;
}

/* --- Timer ----------------------------------------------------------------------------------- */

/*
 * Set the timer for the first deadline, unless it fires earlier. The loop's clock is a coarse one,
 * so it may fire too early, and is set again then.
 */
static void update_timer(struct deadlines *deadlines)
{
    const uint64_t now_ns = clock_now_ns();
    uint64_t due_ns;

    if (deadlines->count == 0)
        return;
    due_ns = deadlines->heap[1]->due_ns;
    if (deadlines->timer_ns != 0 && deadlines->timer_ns <= due_ns)
        return;
    deadlines->timer_ns = due_ns;
    timers_set_or_run(deadlines->timer,
                      due_ns <= now_ns ? 0 : (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    struct deadlines *deadlines = argument;
    const uint64_t now_ns = clock_now_ns();

    (void)fd;
    (void)what;
    for (int i = 0; i < DUE_PER_TURN && deadlines->count > 0; i++) {
        struct deadline *first = deadlines->heap[1];

        if (first->due_ns > now_ns)
            break;
        take_out(deadlines, first);
        deadlines->on_due(first);
    }
    deadlines->timer_ns = 0;
    update_timer(deadlines);
}

/* --- Deadlines ------------------------------------------------------------------------------- */

int deadlines_init(struct deadlines *deadlines, struct event_base *base, deadline_callback *on_due)
{
    *deadlines = (struct deadlines){.on_due = on_due};
    deadlines->timer = evtimer_new(base, on_timer, deadlines);
    errno = ENOMEM;
    return deadlines->timer == NULL ? -1 : 0;
}

void deadlines_fini(struct deadlines *deadlines)
{
    timers_free(deadlines->timer);
    free(deadlines->heap);
    *deadlines = (struct deadlines){0};
}

/* The place 0 of the heap is not used. */
int deadlines_reserve(struct deadlines *deadlines)
{
    const size_t room = deadlines->room == 0 ? FIRST_ROOM : 2 * deadlines->room;
    struct deadline **heap;

    if (deadlines->reserved + 1 >= deadlines->room) {
        heap = realloc(deadlines->heap, room * sizeof(struct deadline *));
        if (heap == NULL)
            return -1;
        deadlines->heap = heap;
        deadlines->room = room;
    }
    deadlines->reserved++;
    return 0;
}

void deadlines_release(struct deadlines *deadlines)
{
    deadlines->reserved--;
}

void deadline_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t due_ns)
{
    const bool is_new = !deadline_is_set(deadline);

    deadline->due_ns = due_ns;
    if (is_new)
        move_up(deadlines, ++deadlines->count, deadline);
    else
        settle(deadlines, deadline->place, deadline);
    update_timer(deadlines);
}

void deadline_cancel(struct deadlines *deadlines, struct deadline *deadline)
{
    if (deadline_is_set(deadline))
        take_out(deadlines, deadline);
}

bool deadline_is_set(const struct deadline *deadline)
{
    return deadline->place != 0;
}
