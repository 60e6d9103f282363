/*
 * check_byte_rate: a bucket and a line let their rate pass, and no more than the burst besides; in
 * a line everybody has a turn. Time is a number here. Run by make check.
 */
#include <config.h>

#include "echod/byte_rate.h"

#include "support.h"

#include <string.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define BEGIN  (5 * SECOND)

enum { RATE = 10000, BURST = 1000, SENDERS = 5 };

static struct byte_bucket bucket;
static struct byte_line line;

static void setup(void)
{
    memset(&bucket, 0, sizeof bucket);
    memset(&line, 0, sizeof line);
}

/* --- A bucket -------------------------------------------------------------------------------- */

START_TEST(a_bucket_holds_a_burst_and_then_its_rate)
{
    ck_assert_uint_eq(byte_rate_burst(RATE), BURST);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN), BURST);
    byte_bucket_take(&bucket, RATE, BURST, BEGIN);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN), 0);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN + 7 * MS), 70);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN + SECOND), BURST);
}
END_TEST

START_TEST(a_bucket_tells_when_there_is_room)
{
    byte_bucket_take(&bucket, RATE, BURST, BEGIN);
    ck_assert_uint_eq(byte_bucket_when(&bucket, RATE, 100), BEGIN + 10 * MS);
    byte_bucket_take(&bucket, RATE, 50, BEGIN); /* is owed */
    ck_assert_uint_eq(byte_bucket_when(&bucket, RATE, 100), BEGIN + 15 * MS);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN + 5 * MS), 0);
    ck_assert_uint_eq(byte_bucket_room(&bucket, RATE, BEGIN + 15 * MS), 100);
}
END_TEST

static const uint64_t rates[] = {1, 7, 1000, 1048576, 999999937, BYTE_RATE_MAX};

/* Take whatever there is room for every millisecond of ten seconds. */
START_TEST(over_a_long_time_the_rate_is_exact)
{
    const uint64_t rate = rates[_i];
    uint64_t sum = 0;

    for (uint64_t now = BEGIN; now < BEGIN + 10 * SECOND; now += MS) {
        const uint64_t room = byte_bucket_room(&bucket, rate, now);

        ck_assert_uint_le(room, byte_rate_burst(rate));
        byte_bucket_take(&bucket, rate, room, now);
        sum += room;
    }
    ck_assert_uint_le(sum, 10 * rate + byte_rate_burst(rate));
    ck_assert_uint_ge(sum, 10 * rate - rate / 50);
}
END_TEST

START_TEST(there_is_room_when_a_bucket_said)
{
    const uint64_t rate = rates[_i], burst = byte_rate_burst(rate);

    byte_bucket_take(&bucket, rate, burst, BEGIN);
    ck_assert_uint_ge(burst, 1);
    ck_assert_uint_ge(byte_bucket_room(&bucket, rate, byte_bucket_when(&bucket, rate, 1)), 1);
    ck_assert_uint_eq(byte_bucket_room(&bucket, rate, byte_bucket_when(&bucket, rate, burst)),
                      burst);
}
END_TEST

/* --- A line ---------------------------------------------------------------------------------- */

START_TEST(a_line_without_a_rate_lets_everything_pass)
{
    ck_assert_uint_ge(byte_line_slice(&line), 65536);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_le(byte_line_book(&line, 65536, BEGIN), BEGIN);
    byte_line_return(&line, 65536);
    ck_assert_uint_eq(byte_line_next(&line), 0);
}
END_TEST

START_TEST(a_slice_is_never_more_than_a_full_line_lets_pass)
{
    byte_line_set(&line, rates[_i]);
    ck_assert_uint_ge(byte_line_slice(&line), 1);
    ck_assert_uint_le(byte_line_slice(&line), 65536);
    ck_assert_uint_le(byte_line_book(&line, byte_line_slice(&line), BEGIN), BEGIN);
}
END_TEST

/* Each who may send books its next slice at once: two send long streams, the others little. */
START_TEST(everybody_in_a_line_has_a_turn)
{
    uint64_t turn[SENDERS], sent[SENDERS] = {0}, all = 0;

    byte_line_set(&line, RATE);
    for (int i = 0; i < SENDERS; i++)
        turn[i] = byte_line_book(&line, i < 2 ? BURST : 10, BEGIN);
    for (uint64_t now = BEGIN; now < BEGIN + 10 * SECOND; now += MS) {
        for (int i = 0; i < SENDERS; i++) {
            if (turn[i] > now)
                continue;
            sent[i] += i < 2 ? BURST : 10;
            turn[i] = byte_line_book(&line, i < 2 ? BURST : 10, now);
        }
    }
    for (int i = 0; i < SENDERS; i++)
        all += sent[i];
    ck_assert_uint_le(all, 10 * RATE + BURST);
    ck_assert_uint_ge(all, 10 * RATE - 3 * BURST);
    ck_assert_uint_le(sent[0] - sent[1], BURST);
    for (int i = 2; i < SENDERS; i++) /* a turn in each round */
        ck_assert_uint_ge(sent[i] / 10 + 1, sent[0] / BURST);
}
END_TEST

START_TEST(a_line_that_nobody_used_keeps_no_more_than_a_burst)
{
    byte_line_set(&line, RATE);
    ck_assert_uint_le(byte_line_book(&line, BURST, BEGIN), BEGIN);
    ck_assert_uint_le(byte_line_book(&line, BURST, BEGIN + 60 * SECOND), BEGIN + 60 * SECOND);
    ck_assert_uint_eq(byte_line_book(&line, 10, BEGIN + 60 * SECOND), BEGIN + 60 * SECOND + MS);
}
END_TEST

START_TEST(what_is_given_back_is_there_for_the_next)
{
    byte_line_set(&line, RATE);
    (void)byte_line_book(&line, BURST, BEGIN);
    (void)byte_line_book(&line, 500, BEGIN);
    ck_assert_uint_eq(byte_line_next(&line), BEGIN + 50 * MS);
    byte_line_return(&line, 400);
    ck_assert_uint_eq(byte_line_next(&line), BEGIN + 10 * MS);
    ck_assert_uint_eq(byte_line_book(&line, 10, BEGIN), BEGIN + 11 * MS);
}
END_TEST

/* What was booked under another rate is no debt, nor can it be given back as one. */
START_TEST(another_rate_begins_anew)
{
    byte_line_set(&line, 1);
    for (int i = 0; i < 100; i++)
        (void)byte_line_book(&line, 1, BEGIN);
    byte_line_set(&line, 1); /* no change */
    ck_assert_uint_gt(byte_line_next(&line), BEGIN + 90 * SECOND);
    byte_line_set(&line, RATE);
    ck_assert_uint_le(byte_line_next(&line), BEGIN);
    byte_line_set(&line, 1);
    byte_line_return(&line, 65536);
    ck_assert_uint_le(byte_line_book(&line, 1, BEGIN), BEGIN);
    ck_assert_uint_eq(byte_line_book(&line, 1, BEGIN), BEGIN + SECOND);
}
END_TEST

static Suite *byte_rate_suite(void)
{
    const int rate_count = (int)(sizeof rates / sizeof rates[0]);
    Suite *suite = suite_create("byte_rate");
    TCase *tests = support_case(suite, "byte_rate");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_bucket_holds_a_burst_and_then_its_rate);
    tcase_add_test(tests, a_bucket_tells_when_there_is_room);
    tcase_add_loop_test(tests, over_a_long_time_the_rate_is_exact, 0, rate_count);
    tcase_add_loop_test(tests, there_is_room_when_a_bucket_said, 0, rate_count);
    tcase_add_test(tests, a_line_without_a_rate_lets_everything_pass);
    tcase_add_loop_test(tests, a_slice_is_never_more_than_a_full_line_lets_pass, 0, rate_count);
    tcase_add_test(tests, everybody_in_a_line_has_a_turn);
    tcase_add_test(tests, a_line_that_nobody_used_keeps_no_more_than_a_burst);
    tcase_add_test(tests, what_is_given_back_is_there_for_the_next);
    tcase_add_test(tests, another_rate_begins_anew);
    return suite;
}

int main(void)
{
    return support_run(byte_rate_suite());
}
