/*
 * check_lowest: of the numbers that come in any order the lowest are kept, in their order.
 * Knows nothing of ids.
 * Run by make check.
 */
#include <config.h>

#include "echod/lowest.h"

#include "support.h"

enum { ROOM = 50, SHOWN = 1000 };

static uint64_t room[ROOM];

static void show(struct lowest *lowest, uint64_t number)
{
    if (lowest_would_keep(lowest, number))
        lowest_keep(lowest, number);
}

/* Show the numbers from 0 on in an order that the seed decides. */
static void show_shuffled(struct lowest *lowest, size_t count, uint64_t seed)
{
    uint64_t numbers[SHOWN];

    for (size_t i = 0; i < count; i++)
        numbers[i] = i;
    for (size_t i = count; i > 1; i--) {
        const size_t other = (size_t)(support_random(&seed) % i);
        const uint64_t number = numbers[i - 1];

        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
    for (size_t i = 0; i < count; i++)
        show(lowest, numbers[i]);
}

START_TEST(the_lowest_are_kept_in_order_whatever_order_they_come_in)
{
    for (size_t size = 1; size <= ROOM; size++) {
        struct lowest lowest = {.numbers = room, .size = size};

        show_shuffled(&lowest, SHOWN, size);
        ck_assert_uint_eq(lowest.count, size);
        lowest_sort(&lowest);
        for (size_t i = 0; i < size; i++)
            support_assert(room[i] == i);
    }
}
END_TEST

START_TEST(where_there_are_fewer_all_are_kept)
{
    for (size_t count = 0; count <= ROOM; count++) {
        struct lowest lowest = {.numbers = room, .size = ROOM};

        show_shuffled(&lowest, count, count);
        ck_assert_uint_eq(lowest.count, count);
        lowest_sort(&lowest);
        for (size_t i = 0; i < count; i++)
            support_assert(room[i] == i);
    }
}
END_TEST

START_TEST(what_would_not_be_kept_is_told_before)
{
    struct lowest lowest = {.numbers = room, .size = 2};

    show(&lowest, 5);
    show(&lowest, 7);
    ck_assert(!lowest_would_keep(&lowest, 7));
    ck_assert(lowest_would_keep(&lowest, 6));
    show(&lowest, 1);
    ck_assert(!lowest_would_keep(&lowest, 6));
}
END_TEST

static Suite *lowest_suite(void)
{
    Suite *suite = suite_create("lowest");
    TCase *all = support_case(suite, "all");

    tcase_add_test(all, the_lowest_are_kept_in_order_whatever_order_they_come_in);
    tcase_add_test(all, where_there_are_fewer_all_are_kept);
    tcase_add_test(all, what_would_not_be_kept_is_told_before);
    return suite;
}

int main(void)
{
    return support_run(lowest_suite());
}
