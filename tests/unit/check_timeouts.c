/*
 * check_timeouts: deadlines come due in order, not too early, and not once they are cancelled.
 * Bounds no delay from above, except that a test must end some time.
 * Run by make check.
 */
#include <config.h>

#include "echod/timeouts.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { THINGS = 10, DURATION_MS = 60 };

struct thing {
    struct timeout timeout;
    unsigned due;         /* how often it came due */
    uint64_t earliest_ms; /* when it may come due */
    unsigned place;       /* how many came due before it */
    void (*action)(struct thing *thing);
};

static struct {
    struct timeout_queue queue;
    struct thing things[THINGS];
    unsigned due; /* of all things */
} scene;

static void on_due(struct timeout *timeout)
{
    struct thing *thing = (struct thing *)(void *)timeout; /* its first member */

    ck_assert_uint_ge(clock_now_ms(), thing->earliest_ms);
    ck_assert(!timeout_is_armed(timeout));
    thing->due++;
    thing->place = scene.due++;
    if (thing->action != NULL)
        thing->action(thing);
}

static void start(uint64_t duration_ms)
{
    scene.queue = (struct timeout_queue){0};
    scene.due = 0;
    for (int i = 0; i < THINGS; i++)
        scene.things[i] = (struct thing){0};
    ck_assert_int_eq(timeout_queue_init(&scene.queue, support_base(), duration_ms, on_due), 0);
}

static void setup(void)
{
    start(DURATION_MS);
}

static void teardown(void)
{
    timeout_queue_fini(&scene.queue);
}

static void touch(int number)
{
    struct thing *thing = &scene.things[number];

    thing->earliest_ms = clock_now_ms() + scene.queue.duration_ms;
    timeout_touch(&scene.queue, &thing->timeout);
    ck_assert(timeout_is_armed(&thing->timeout));
}

static void cancel(int number)
{
    timeout_cancel(&scene.queue, &scene.things[number].timeout);
    ck_assert(!timeout_is_armed(&scene.things[number].timeout));
}

/* Tell whether as many as the argument says came due. */
static bool came_due(void *argument)
{
    return scene.due >= *(const unsigned *)argument;
}

static void await(unsigned count)
{
    support_loop_until(came_due, &count);
}

/* Let so much time pass that whatever is armed comes due. */
static void pass_time(void)
{
    (void)support_loop_for(3 * DURATION_MS);
}

START_TEST(they_come_due_in_the_order_in_which_they_were_armed)
{
    static const int order[] = {3, 1, 4, 0, 5, 9, 2, 6, 8, 7};

    for (int i = 0; i < THINGS; i++)
        touch(order[i]);
    await(THINGS);
    for (unsigned i = 0; i < THINGS; i++) {
        ck_assert_uint_eq(scene.things[order[i]].place, i);
        ck_assert_uint_eq(scene.things[order[i]].due, 1);
    }
    pass_time();
    ck_assert_uint_eq(scene.due, THINGS);
}
END_TEST

START_TEST(each_comes_due_at_its_own_time)
{
    for (int i = 0; i < THINGS; i++) {
        touch(i);
        (void)support_loop_for(10);
    }
    await(THINGS);
    for (unsigned i = 0; i < THINGS; i++)
        ck_assert_uint_eq(scene.things[i].place, i);
}
END_TEST

START_TEST(a_touch_moves_the_deadline_behind_the_others)
{
    for (int i = 0; i < 3; i++)
        touch(i);
    touch(0);
    touch(2);
    touch(2);
    await(3);
    ck_assert_uint_eq(scene.things[1].place, 0);
    ck_assert_uint_eq(scene.things[0].place, 1);
    ck_assert_uint_eq(scene.things[2].place, 2);
    ck_assert_uint_eq(scene.things[2].due, 1);
}
END_TEST

START_TEST(what_is_touched_again_and_again_does_not_come_due)
{
    const uint64_t end_ms = clock_now_ms() + UINT64_C(4) * DURATION_MS;

    while (clock_now_ms() < end_ms) {
        touch(0); /* its earliest time moves along, and on_due compares */
        (void)support_loop_for(10);
    }
    await(1);
}
END_TEST

START_TEST(a_busy_one_keeps_no_silent_one_from_coming_due)
{
    const uint64_t end_ms = clock_now_ms() + UINT64_C(100) * DURATION_MS;

    touch(0);
    while (scene.things[0].due == 0) {
        ck_assert_uint_lt(clock_now_ms(), end_ms);
        touch(1);
        (void)support_loop_for(DURATION_MS / 4);
    }
}
END_TEST

START_TEST(a_wait_takes_few_turns_of_the_loop)
{
    unsigned turns;

    touch(0);
    (void)support_loop_for(DURATION_MS / 2);
    touch(0);
    turns = support_loop_for(UINT64_C(3) * DURATION_MS);
    ck_assert_uint_eq(scene.due, 1);
    ck_assert_uint_lt(turns, 50);
}
END_TEST

/* More sockets than epoll tells of in the loop's first turn. */
enum { SOCKETS = 60 };

static int read_count;

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    char byte;

    (void)what;
    (void)argument;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    read_count++;
}

static void expect_all_read(struct thing *thing)
{
    (void)thing;
    ck_assert_int_eq(read_count, SOCKETS);
}

START_TEST(after_a_pause_of_the_loop_sockets_are_read_first)
{
    struct event *events[SOCKETS];
    int pairs[SOCKETS][2];

    read_count = 0;
    scene.things[0].action = expect_all_read;
    touch(0);
    for (int i = 0; i < SOCKETS; i++) {
        support_unix_pair(pairs[i]);
        events[i] = event_new(support_base(), pairs[i][0], EV_READ | EV_PERSIST, on_readable, NULL);
        ck_assert_int_eq(event_add(events[i], NULL), 0);
        ck_assert_int_eq(write(pairs[i][1], "", 1), 1);
    }
    while (clock_now_ms() <= scene.things[0].earliest_ms)
        (void)poll(NULL, 0, 1);
    await(1);
    for (int i = 0; i < SOCKETS; i++) {
        event_free(events[i]);
        support_close(&pairs[i][0]);
        support_close(&pairs[i][1]);
    }
}
END_TEST

START_TEST(a_postponement_moves_only_what_is_armed)
{
    timeout_postpone(&scene.queue, &scene.things[0].timeout);
    ck_assert(!timeout_is_armed(&scene.things[0].timeout));
    touch(1);
    touch(2);
    (void)support_loop_for(20);
    scene.things[1].earliest_ms = clock_now_ms() + DURATION_MS;
    timeout_postpone(&scene.queue, &scene.things[1].timeout);
    await(2);
    ck_assert_uint_eq(scene.things[2].place, 0);
    ck_assert_uint_eq(scene.things[1].place, 1);
    pass_time();
    ck_assert_uint_eq(scene.due, 2);
}
END_TEST

START_TEST(what_is_cancelled_does_not_come_due)
{
    for (int i = 0; i < 4; i++)
        touch(i);
    cancel(0); /* the first, for which the timer is set */
    cancel(2);
    cancel(2);
    cancel(5); /* was never armed */
    await(2);
    ck_assert_uint_eq(scene.things[1].due, 1);
    ck_assert_uint_eq(scene.things[3].due, 1);
    pass_time();
    ck_assert_uint_eq(scene.due, 2);
}
END_TEST

START_TEST(an_empty_queue_may_be_armed_again)
{
    for (unsigned round = 0; round < 3; round++) {
        touch(0);
        cancel(0);
        pass_time();
        ck_assert_uint_eq(scene.due, round);
        touch(0);
        await(round + 1);
    }
}
END_TEST

START_TEST(a_duration_of_zero_never_comes_due)
{
    timeout_queue_fini(&scene.queue);
    start(0);
    for (int i = 0; i < 3; i++) {
        timeout_touch(&scene.queue, &scene.things[i].timeout);
        ck_assert(!timeout_is_armed(&scene.things[i].timeout));
    }
    timeout_postpone(&scene.queue, &scene.things[0].timeout);
    cancel(0);
    (void)support_loop_for(DURATION_MS);
    ck_assert_uint_eq(scene.due, 0);
}
END_TEST

START_TEST(a_queue_of_zero_bytes_may_be_freed)
{
    struct timeout_queue queue = {0};

    timeout_queue_fini(&queue);
}
END_TEST

START_TEST(without_memory_no_queue_is_made)
{
    struct timeout_queue queue = {0};
    int status;

    support_memory_fail(1, 1);
    status = timeout_queue_init(&queue, support_base(), DURATION_MS, on_due);
    ck_assert(support_memory_has_failed());
    ck_assert_int_eq(status, -1);
    ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

/* Callbacks that touch the queue. */

static void cancel_others(struct thing *thing)
{
    for (int i = 0; i < THINGS; i++) {
        if (&scene.things[i] != thing)
            cancel(i);
    }
}

START_TEST(a_callback_may_cancel_all_others)
{
    for (int i = 0; i < THINGS; i++) {
        scene.things[i].action = cancel_others;
        touch(i);
    }
    pass_time();
    await(1);
    ck_assert_uint_eq(scene.things[0].due, 1);
    ck_assert_uint_eq(scene.due, 1);
}
END_TEST

static void touch_self_twice(struct thing *thing)
{
    if (thing->due < 3)
        touch((int)(thing - scene.things));
}

START_TEST(a_callback_may_arm_its_own_again)
{
    scene.things[0].action = touch_self_twice;
    touch(0);
    await(3);
    pass_time();
    ck_assert_uint_eq(scene.things[0].due, 3);
    ck_assert(!timeout_is_armed(&scene.things[0].timeout));
}
END_TEST

static void touch_next(struct thing *thing)
{
    touch((int)(thing - scene.things) + 1);
}

START_TEST(a_callback_may_postpone_what_is_due_as_well)
{
    touch(0);
    touch(1);
    touch(2);
    scene.things[0].action = touch_next;
    await(3);
    ck_assert_uint_eq(scene.things[2].place, 1);
    ck_assert_uint_eq(scene.things[1].place, 2);
}
END_TEST

static void cancel_self(struct thing *thing)
{
    cancel((int)(thing - scene.things));
}

START_TEST(a_callback_may_cancel_its_own)
{
    scene.things[0].action = cancel_self;
    touch(0);
    touch(1);
    await(2);
    ck_assert_uint_eq(scene.things[0].due, 1);
}
END_TEST

/* Owners on the heap, which end each other: whatever touches one that is gone, a checker sees. */
static struct thing *heap_things[THINGS];

static void end_thing(struct thing *thing)
{
    for (int i = 0; i < THINGS; i++) {
        if (heap_things[i] == thing)
            heap_things[i] = NULL;
    }
    timeout_cancel(&scene.queue, &thing->timeout);
    free(thing);
}

/* End this one, the next one and the last one. */
static void end_three(struct thing *thing)
{
    struct thing *next = NULL, *last = NULL;

    for (int i = 0; i < THINGS; i++) {
        if (heap_things[i] == NULL || heap_things[i] == thing)
            continue;
        if (next == NULL)
            next = heap_things[i];
        last = heap_things[i];
    }
    end_thing(thing);
    if (next != NULL)
        end_thing(next);
    if (last != NULL && last != next)
        end_thing(last);
}

static bool are_all_ended(void *argument)
{
    (void)argument;
    for (int i = 0; i < THINGS; i++) {
        if (heap_things[i] != NULL)
            return false;
    }
    return true;
}

START_TEST(a_callback_may_end_its_owner_and_others)
{
    for (int i = 0; i < THINGS; i++) {
        heap_things[i] = calloc(1, sizeof *heap_things[i]);
        ck_assert_ptr_nonnull(heap_things[i]);
        heap_things[i]->action = end_three;
        timeout_touch(&scene.queue, &heap_things[i]->timeout);
    }
    support_loop_until(are_all_ended, NULL);
    ck_assert_uint_eq(scene.due, (THINGS + 2) / 3);
}
END_TEST

START_TEST(two_queues_do_not_disturb_each_other)
{
    struct timeout_queue other;
    struct thing thing = {0};

    ck_assert_int_eq(timeout_queue_init(&other, support_base(), 1, on_due), 0);
    touch(0);
    thing.earliest_ms = clock_now_ms() + 1;
    timeout_touch(&other, &thing.timeout);
    await(1);
    ck_assert_uint_eq(thing.due, 1);
    await(2);
    ck_assert_uint_eq(thing.due, 1);
    timeout_queue_fini(&other);
}
END_TEST

START_TEST(ten_thousand_come_due)
{
    enum { COUNT = 10000 };
    struct thing *things = calloc(COUNT, sizeof *things);
    unsigned count = COUNT;

    ck_assert_ptr_nonnull(things);
    for (int i = 0; i < COUNT; i++) {
        things[i].earliest_ms = clock_now_ms() + DURATION_MS;
        timeout_touch(&scene.queue, &things[i].timeout);
    }
    await(count);
    for (unsigned i = 0; i < COUNT; i++)
        support_assert(things[i].due == 1 && things[i].place == i);
    free(things);
}
END_TEST

static const struct {
    uint64_t ms;
    struct timeval expected;
} durations[] = {
    {0, {0, 0}},
    {1, {0, 1000}},
    {999, {0, 999000}},
    {1000, {1, 0}},
    {3599999, {3599, 999000}},
    {UINT64_C(365) * 86400000, {365 * 86400, 0}},
};

START_TEST(a_duration_lasts_neither_more_nor_less_for_libevent)
{
    const struct timeval duration = clock_timeval(durations[_i].ms);

    ck_assert_int_eq(duration.tv_sec, durations[_i].expected.tv_sec);
    ck_assert_int_eq(duration.tv_usec, durations[_i].expected.tv_usec);
}
END_TEST

static Suite *timeouts_suite(void)
{
    Suite *suite = suite_create("timeouts");
    TCase *queue = support_case(suite, "queue");
    TCase *callback = support_case(suite, "callback");
    TCase *duration = support_case(suite, "duration");

    tcase_add_checked_fixture(queue, setup, teardown);
    tcase_add_test(queue, they_come_due_in_the_order_in_which_they_were_armed);
    tcase_add_test(queue, each_comes_due_at_its_own_time);
    tcase_add_test(queue, a_touch_moves_the_deadline_behind_the_others);
    tcase_add_test(queue, what_is_touched_again_and_again_does_not_come_due);
    tcase_add_test(queue, a_busy_one_keeps_no_silent_one_from_coming_due);
    tcase_add_test(queue, a_wait_takes_few_turns_of_the_loop);
    tcase_add_test(queue, after_a_pause_of_the_loop_sockets_are_read_first);
    tcase_add_test(queue, a_postponement_moves_only_what_is_armed);
    tcase_add_test(queue, what_is_cancelled_does_not_come_due);
    tcase_add_test(queue, an_empty_queue_may_be_armed_again);
    tcase_add_test(queue, a_duration_of_zero_never_comes_due);
    tcase_add_test(queue, a_queue_of_zero_bytes_may_be_freed);
    tcase_add_test(queue, without_memory_no_queue_is_made);
    tcase_add_test(queue, two_queues_do_not_disturb_each_other);
    tcase_add_test(queue, ten_thousand_come_due);

    tcase_add_checked_fixture(callback, setup, teardown);
    tcase_add_test(callback, a_callback_may_cancel_all_others);
    tcase_add_test(callback, a_callback_may_arm_its_own_again);
    tcase_add_test(callback, a_callback_may_postpone_what_is_due_as_well);
    tcase_add_test(callback, a_callback_may_cancel_its_own);
    tcase_add_test(callback, a_callback_may_end_its_owner_and_others);

    tcase_add_loop_test(duration, a_duration_lasts_neither_more_nor_less_for_libevent, 0,
                        sizeof durations / sizeof durations[0]);
    return suite;
}

int main(void)
{
    return support_run(timeouts_suite());
}
