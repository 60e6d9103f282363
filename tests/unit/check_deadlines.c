/*
 * check_deadlines: deadlines come due in order, not too early, and not once they are cancelled.
 * Bounds no delay from above, except that a test must end some time.
 * Run by make check.
 */
#include <config.h>

#include "echod/deadlines.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>

enum { THINGS = 2000, STEP_NS = 20000, NS_PER_MS = 1000000 };

struct thing {
    struct deadline deadline;
    uint64_t due_ns; /* 0: it may not come due */
    unsigned count;  /* how often it came due */
};

static struct {
    struct deadlines deadlines;
    struct thing things[THINGS];
    unsigned count;   /* of all things */
    uint64_t last_ns; /* that came due */
    uint64_t again_ns;
    struct thing *victim; /* whom the next to come due cancels */
} scene;

static void on_due(struct deadline *deadline)
{
    struct thing *thing = (struct thing *)(void *)deadline; /* its first member */

    support_assert(clock_now_ns() >= thing->due_ns && thing->due_ns != 0);
    support_assert(thing->due_ns >= scene.last_ns);
    support_assert(!deadline_is_set(deadline));
    scene.last_ns = thing->due_ns;
    thing->count++;
    scene.count++;
    if (scene.victim != NULL)
        deadline_cancel(&scene.deadlines, &scene.victim->deadline);
    scene.victim = NULL;
    if (scene.again_ns != 0) {
        thing->due_ns += scene.again_ns;
        deadline_set(&scene.deadlines, deadline, thing->due_ns);
    }
    scene.again_ns = 0;
}

static void setup(void)
{
    for (int i = 0; i < THINGS; i++)
        scene.things[i] = (struct thing){0};
    scene.count = 0;
    scene.last_ns = 0;
    scene.again_ns = 0;
    ck_assert_int_eq(deadlines_init(&scene.deadlines, support_base(), on_due), 0);
    for (int i = 0; i < THINGS; i++)
        ck_assert_int_eq(deadlines_reserve(&scene.deadlines), 0);
}

static void teardown(void)
{
    for (int i = 0; i < THINGS; i++)
        deadline_cancel(&scene.deadlines, &scene.things[i].deadline);
    deadlines_fini(&scene.deadlines);
}

static void set(int number, uint64_t due_ns)
{
    scene.things[number].due_ns = due_ns;
    deadline_set(&scene.deadlines, &scene.things[number].deadline, due_ns);
    support_assert(deadline_is_set(&scene.things[number].deadline));
}

static void cancel(int number)
{
    deadline_cancel(&scene.deadlines, &scene.things[number].deadline);
    support_assert(!deadline_is_set(&scene.things[number].deadline));
    scene.things[number].due_ns = 0;
}

static bool came_due(void *argument)
{
    return scene.count >= *(const unsigned *)argument;
}

static void await(unsigned count)
{
    support_loop_until(came_due, &count);
}

START_TEST(they_come_due_in_order_whatever_the_order_in_which_they_were_set)
{
    const uint64_t now_ns = clock_now_ns();
    uint64_t seed = 1;

    for (int i = 0; i < THINGS; i++)
        set(i, now_ns + support_random(&seed) % THINGS * STEP_NS);
    await(THINGS);
    for (int i = 0; i < THINGS; i++)
        ck_assert_uint_eq(scene.things[i].count, 1);
}
END_TEST

/* Some are cancelled, some set anew, earlier or later, some both. */
START_TEST(they_stay_in_order_when_they_are_changed)
{
    const uint64_t now_ns = clock_now_ns();
    uint64_t seed = 2;
    unsigned expected = 0;

    for (int i = 0; i < THINGS; i++)
        set(i, now_ns + support_random(&seed) % THINGS * STEP_NS);
    for (int i = 0; i < 4 * THINGS; i++) {
        const int number = (int)(support_random(&seed) % THINGS);

        if (support_random(&seed) % 3 == 0)
            cancel(number);
        else
            set(number, now_ns + support_random(&seed) % THINGS * STEP_NS);
    }
    for (int i = 0; i < THINGS; i++)
        expected += scene.things[i].due_ns != 0;
    ck_assert(expected > 0 && expected < THINGS);
    await(expected);
    (void)support_loop_for(20);
    for (int i = 0; i < THINGS; i++)
        ck_assert_uint_eq(scene.things[i].count, scene.things[i].due_ns != 0);
}
END_TEST

START_TEST(one_that_was_due_long_ago_comes_at_once)
{
    set(0, 1);
    await(1);
}
END_TEST

START_TEST(an_earlier_one_does_not_wait_for_a_later_one)
{
    set(0, clock_now_ns() + UINT64_C(3600) * 1000 * NS_PER_MS);
    support_loop_settle();
    set(1, clock_now_ns() + 5 * NS_PER_MS);
    await(1);
    ck_assert_uint_eq(scene.things[1].count, 1);
    cancel(0);
}
END_TEST

START_TEST(one_may_be_set_again_where_it_comes_due)
{
    scene.again_ns = 5 * NS_PER_MS;
    set(0, clock_now_ns());
    await(2);
    ck_assert_uint_eq(scene.things[0].count, 2);
}
END_TEST

START_TEST(one_that_is_due_may_be_cancelled_by_another)
{
    set(0, 1);
    set(1, 2);
    scene.victim = &scene.things[1];
    await(1);
    (void)support_loop_for(20);
    ck_assert_uint_eq(scene.count, 1);
}
END_TEST

/* As long as nothing is due the loop sleeps. */
START_TEST(waiting_costs_few_turns)
{
    set(0, clock_now_ns() + 50 * NS_PER_MS);
    ck_assert_uint_lt(support_loop_for(40), 20);
}
END_TEST

START_TEST(what_was_never_made_can_be_freed)
{
    struct deadlines none = {0};

    deadlines_fini(&none);
    support_memory_fail(1, 1);
    errno = 0;
    ck_assert_int_eq(deadlines_init(&none, support_base(), on_due), -1);
    ck_assert_int_eq(errno, ENOMEM);
    support_memory_fail(0, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deadlines");
    TCase *test_case = support_case(suite, "heap");

    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, they_come_due_in_order_whatever_the_order_in_which_they_were_set);
    tcase_add_test(test_case, they_stay_in_order_when_they_are_changed);
    tcase_add_test(test_case, one_that_was_due_long_ago_comes_at_once);
    tcase_add_test(test_case, an_earlier_one_does_not_wait_for_a_later_one);
    tcase_add_test(test_case, one_may_be_set_again_where_it_comes_due);
    tcase_add_test(test_case, one_that_is_due_may_be_cancelled_by_another);
    tcase_add_test(test_case, waiting_costs_few_turns);
    tcase_add_test(test_case, what_was_never_made_can_be_freed);
    return support_run(suite);
}
