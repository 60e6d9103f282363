/*
 * check_datagram_width: a turn receives many datagrams where many come, and one where they come
 * alone.
 * Opens no socket.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_batch.h"
#include "echod/datagram_width.h"

#include "support.h"

enum { SMALL = 64, LARGE = 16384, TURN_BYTES = 256 << 10, LONELY_TURNS = 16 };

static struct datagram_width width;

static void setup(void)
{
    datagram_width_init(&width);
}

START_TEST(the_first_comes_alone_and_the_next_turn_looks_for_more)
{
    ck_assert_uint_eq(width.count, 1);
    ck_assert(datagram_width_adapt(&width, 1, SMALL));
    ck_assert_uint_eq(width.count, DATAGRAM_BATCH_COUNT);
}
END_TEST

START_TEST(lonely_ones_are_received_alone_but_for_each_sixteenth_turn)
{
    (void)datagram_width_adapt(&width, 1, SMALL);
    for (unsigned turn = 0; turn < 3 * LONELY_TURNS; turn++) {
        ck_assert(!datagram_width_adapt(&width, 1, SMALL)); /* that looked for more */
        for (unsigned i = 1; i < LONELY_TURNS; i++) {
            ck_assert_uint_eq(width.count, 1);
            ck_assert(!datagram_width_adapt(&width, 1, SMALL));
        }
        ck_assert(datagram_width_adapt(&width, 1, SMALL));
        ck_assert_uint_eq(width.count, DATAGRAM_BATCH_COUNT);
    }
}
END_TEST

START_TEST(turns_stay_wide_while_more_than_one_comes)
{
    (void)datagram_width_adapt(&width, 1, SMALL);
    for (unsigned i = 0; i < 3 * LONELY_TURNS; i++) {
        ck_assert(!datagram_width_adapt(&width, 2, 2 * SMALL));
        ck_assert_uint_eq(width.count, DATAGRAM_BATCH_COUNT);
    }
}
END_TEST

START_TEST(a_turn_of_large_ones_is_as_many_as_its_bytes_allow)
{
    (void)datagram_width_adapt(&width, 1, SMALL);
    (void)datagram_width_adapt(&width, 4, UINT64_C(4) * LARGE);
    ck_assert_uint_eq(width.count, TURN_BYTES / LARGE - 1);
    (void)datagram_width_adapt(&width, 4, UINT64_C(4) * TURN_BYTES);
    ck_assert_uint_eq(width.count, 2); /* else it would not see that many come */
    (void)datagram_width_adapt(&width, 2, 0);
    ck_assert_uint_eq(width.count, DATAGRAM_BATCH_COUNT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datagram_width");
    TCase *widths = support_case(suite, "width");

    tcase_add_checked_fixture(widths, setup, NULL);
    tcase_add_test(widths, the_first_comes_alone_and_the_next_turn_looks_for_more);
    tcase_add_test(widths, lonely_ones_are_received_alone_but_for_each_sixteenth_turn);
    tcase_add_test(widths, turns_stay_wide_while_more_than_one_comes);
    tcase_add_test(widths, a_turn_of_large_ones_is_as_many_as_its_bytes_allow);
    return support_run(suite);
}
