/*
 * check_outage: outages that begin, go on and end, counted and timed.
 * Loses no message; check_flow does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/outage.h"

#include "support.h"

static struct outage outage;
static struct tally tally;

static void set_up(void)
{
    outage = (struct outage){0};
    tally = (struct tally){0};
}

static void check_tally(uint64_t outages, uint64_t downtime_ns, uint64_t longest_ns)
{
    ck_assert_uint_eq(tally.outages, outages);
    ck_assert_uint_eq(tally.downtime_ns, downtime_ns);
    ck_assert_uint_eq(tally.longest_outage_ns, longest_ns);
}

START_TEST(without_loss_there_is_none)
{
    outage_end(&outage, 100, &tally);
    outage_end(&outage, 200, &tally);
    check_tally(0, 0, 0);
}
END_TEST

START_TEST(it_lasts_from_the_first_lost_to_the_next_answered)
{
    outage_end(&outage, 100, &tally);
    outage_note_lost(&outage, 200, &tally);
    check_tally(1, 0, 0);
    outage_note_lost(&outage, 300, &tally);
    check_tally(1, 100, 100); /* counted as it goes on */
    outage_end(&outage, 450, &tally);
    check_tally(1, 250, 250);
    outage_end(&outage, 500, &tally);
    check_tally(1, 250, 250);
}
END_TEST

START_TEST(several_add_up_and_the_longest_stands_out)
{
    outage_note_lost(&outage, 0, &tally);
    outage_end(&outage, 10, &tally);
    outage_note_lost(&outage, 100, &tally);
    outage_end(&outage, 130, &tally);
    outage_note_lost(&outage, 200, &tally);
    outage_end(&outage, 220, &tally);
    check_tally(3, 60, 30);
}
END_TEST

START_TEST(what_comes_out_of_order_takes_no_time_back)
{
    outage_note_lost(&outage, 200, &tally);
    outage_note_lost(&outage, 300, &tally);
    outage_note_lost(&outage, 250, &tally);
    outage_end(&outage, 280, &tally);
    check_tally(1, 100, 100);
}
END_TEST

START_TEST(tallies_add_up)
{
    struct tally other = {.outages = 2, .downtime_ns = 70, .longest_outage_ns = 50, .unsent = 4};

    outage_note_lost(&outage, 200, &tally);
    outage_end(&outage, 230, &tally);
    tally_merge(&tally, &other);
    check_tally(3, 100, 50);
    ck_assert_uint_eq(tally.unsent, 4);
    tally_merge(&other, &tally);
    ck_assert_uint_eq(other.longest_outage_ns, 50);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outage");
    TCase *outages = support_case(suite, "outages");

    tcase_add_checked_fixture(outages, set_up, NULL);
    tcase_add_test(outages, without_loss_there_is_none);
    tcase_add_test(outages, it_lasts_from_the_first_lost_to_the_next_answered);
    tcase_add_test(outages, several_add_up_and_the_longest_stands_out);
    tcase_add_test(outages, what_comes_out_of_order_takes_no_time_back);
    tcase_add_test(outages, tallies_add_up);
    return support_run(suite);
}
