/*
 * check_messages: messages that settle in any order, late or not at all, and what is counted then.
 * Sends none; check_flow does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/messages.h"

#include "support.h"

#include <string.h>

enum { WINDOW = 4 };

static struct messages messages;
static struct tally tally;

static void set_up(void)
{
    memset(&tally, 0, sizeof tally);
    ck_assert_int_eq(messages_init(&messages, WINDOW, &tally), 0);
}

static void tear_down(void)
{
    messages_fini(&messages);
    ck_assert_uint_eq(tally.sent, tally.received + tally.lost + tally.corrupted);
}

static void add(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        ck_assert_uint_eq(messages_add(&messages, 100 * messages.next), messages.next - 1);
}

static void settle_echo(uint64_t sequence, uint64_t now_ns, uint64_t expected_ns)
{
    uint64_t rtt_ns = 0;

    ck_assert(messages_settle_echo(&messages, sequence, now_ns, &rtt_ns));
    ck_assert_uint_eq(rtt_ns, expected_ns);
}

START_TEST(the_window_is_full_until_the_first_is_released)
{
    add(WINDOW);
    ck_assert(!messages_have_room(&messages));
    settle_echo(1, 150, 50);
    messages_release_settled(&messages);
    ck_assert(!messages_have_room(&messages));
    settle_echo(0, 170, 170);
    messages_release_settled(&messages);
    ck_assert_uint_eq(messages.first, 2);
    ck_assert(messages_have_room(&messages));
    messages_end(&messages, 1000);
    ck_assert_uint_eq(tally.lost, 2);
}
END_TEST

START_TEST(the_jitter_is_between_one_round_trip_and_the_next)
{
    add(3);
    settle_echo(0, 30, 30);
    settle_echo(1, 150, 50);
    settle_echo(2, 210, 10);
    ck_assert_uint_eq(tally.jitter_count, 2);
    ck_assert_uint_eq(tally.jitter_total_ns, 60);
    ck_assert(tally.rtt_squares == 30 * 30 + 50 * 50 + 10 * 10);
    ck_assert_uint_eq(tally.rtt_ns.count, 3);
    ck_assert_uint_eq(tally.rtt_ns.total, 90);
    messages_end(&messages, 1000);
}
END_TEST

START_TEST(what_comes_after_it_was_lost_is_late)
{
    uint64_t rtt_ns;

    add(2);
    messages_settle_lost(&messages, 0);
    ck_assert(!messages_was_answered(&messages, 0));
    ck_assert(!messages_settle_echo(&messages, 0, 500, &rtt_ns));
    ck_assert(messages_was_answered(&messages, 0));
    ck_assert_uint_eq(tally.late, 1);
    settle_echo(1, 500, 400);
    messages_end(&messages, 1000);
    ck_assert_uint_eq(tally.lost, 1);
    ck_assert_uint_eq(tally.outages, 1); /* though late, it was lost */
    ck_assert_uint_eq(tally.downtime_ns, 100);
}
END_TEST

START_TEST(an_outage_is_seen_in_the_order_of_messages_not_of_answers)
{
    add(4);
    settle_echo(3, 350, 50);
    settle_echo(0, 400, 400);
    messages_release_settled(&messages);
    messages_settle_lost(&messages, 1);
    messages_settle_lost(&messages, 2);
    messages_release_settled(&messages);
    ck_assert_uint_eq(tally.outages, 1);
    ck_assert_uint_eq(tally.downtime_ns, 200);
}
END_TEST

START_TEST(an_outage_lasts_until_the_end_if_nothing_comes_any_more)
{
    add(3);
    settle_echo(0, 30, 30);
    messages_settle_lost(&messages, 1);
    messages_end(&messages, 1000);
    ck_assert_uint_eq(tally.lost, 2);
    ck_assert_uint_eq(tally.outages, 1);
    ck_assert_uint_eq(tally.downtime_ns, 900);
}
END_TEST

START_TEST(what_cannot_be_sent_begins_an_outage)
{
    add(1);
    settle_echo(0, 30, 30);
    messages_release_settled(&messages);
    ck_assert_uint_eq(messages.first, messages.next);
    (void)messages_skip(&messages, 200);
    messages_end(&messages, 1000);
    ck_assert_uint_eq(tally.outages, 1);
    ck_assert_uint_eq(tally.downtime_ns, 800);
}
END_TEST

START_TEST(what_cannot_be_sent_has_a_number_and_no_place)
{
    add(1);
    ck_assert_uint_eq(messages_skip(&messages, 10), 1);
    add(1);
    ck_assert_uint_eq(messages_number(&messages, 0), 0);
    ck_assert_uint_eq(messages_number(&messages, 1), 2);
    ck_assert_uint_eq(messages_number(&messages, 2), 3); /* the next */
    ck_assert_uint_eq(tally.unsent, 1);
    messages_settle_unsent(&messages, 1);
    ck_assert_uint_eq(tally.unsent, 2);
    settle_echo(0, 10, 10);
}
END_TEST

/* Add as many as have places beside the first, and settle them. */
static void fill_places(void)
{
    for (uint64_t i = 1; i < WINDOW + MESSAGES_KEPT; i++) {
        add(1);
        settle_echo(messages.next - 1, 100 * messages.next, 100);
        messages_release_settled(&messages);
    }
}

START_TEST(the_place_of_an_old_one_is_anothers)
{
    enum { LAST = WINDOW + MESSAGES_KEPT };

    ck_assert(!messages_is_waiting(&messages, 0)); /* nor was it ever sent */
    add(1);
    (void)messages_skip(&messages, 10);
    messages_settle_lost(&messages, 0);
    messages_release_settled(&messages);
    fill_places();
    ck_assert_uint_eq(messages_number(&messages, 0), 0);
    ck_assert(!messages_was_answered(&messages, 0)); /* and may be yet */
    add(1);
    ck_assert_uint_eq(messages_number(&messages, LAST), LAST + 1);
    ck_assert_uint_eq(messages_number(&messages, 0), 1); /* as if none had been skipped */
    ck_assert(messages_was_answered(&messages, 0));      /* nobody knows any more */
    ck_assert(!messages_is_waiting(&messages, 0));
    ck_assert(!messages_is_waiting(&messages, LAST + 1));
    messages_end(&messages, 1000);
}
END_TEST

START_TEST(what_comes_back_changed_after_it_was_lost_stays_lost)
{
    add(2);
    messages_settle_lost(&messages, 0);
    ck_assert(messages_may_return(&messages, 0));
    messages_settle_corrupted(&messages, 0);
    ck_assert(!messages_may_return(&messages, 0));
    settle_echo(1, 150, 50);
    ck_assert(!messages_may_return(&messages, 1));
    messages_end(&messages, 1000);
    ck_assert_uint_eq(tally.lost, 1);
    ck_assert_uint_eq(tally.corrupted, 0);
    ck_assert_uint_eq(tally.outages, 1);
    ck_assert_uint_eq(tally.downtime_ns, 100);
}
END_TEST

START_TEST(a_corrupted_one_was_answered)
{
    add(1);
    messages_settle_corrupted(&messages, 0);
    ck_assert(messages_was_answered(&messages, 0));
    messages_end(&messages, 10);
    ck_assert_uint_eq(tally.outages, 0);
    ck_assert_uint_eq(tally.corrupted, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("messages");
    TCase *all = support_case(suite, "messages");

    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, the_window_is_full_until_the_first_is_released);
    tcase_add_test(all, the_jitter_is_between_one_round_trip_and_the_next);
    tcase_add_test(all, what_comes_after_it_was_lost_is_late);
    tcase_add_test(all, an_outage_is_seen_in_the_order_of_messages_not_of_answers);
    tcase_add_test(all, an_outage_lasts_until_the_end_if_nothing_comes_any_more);
    tcase_add_test(all, what_cannot_be_sent_begins_an_outage);
    tcase_add_test(all, what_cannot_be_sent_has_a_number_and_no_place);
    tcase_add_test(all, the_place_of_an_old_one_is_anothers);
    tcase_add_test(all, what_comes_back_changed_after_it_was_lost_stays_lost);
    tcase_add_test(all, a_corrupted_one_was_answered);
    return support_run(suite);
}
