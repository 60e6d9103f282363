/*
 * check_bisect: the search finds each limit, to its tolerance, and is not misled by coincidence.
 * Knows neither silences nor datagrams; the system tests of echoprobe's checks do.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/bisect.h"

#include "support.h"

enum { MOST_TRIES = 200 };

static uint64_t tolerance_of(const struct bisect *bisect)
{
    const uint64_t part = bisect->parts == 0 ? 0 : bisect->failed / bisect->parts;

    return part > bisect->tolerance ? part : bisect->tolerance;
}

/* Search a limit, which is the largest value that passes, and return how many tries it took. */
static int search(struct bisect *bisect, uint64_t limit)
{
    uint64_t value;
    int tries = 0;

    while ((value = bisect_next(bisect)) != BISECT_NONE) {
        ck_assert_uint_ge(value, 1);
        ck_assert_uint_le(value, bisect->maximum);
        ck_assert_uint_ge(value, bisect->passed);
        ck_assert_uint_le(value, bisect->failed);
        ck_assert_int_lt(tries++, MOST_TRIES);
        if (value <= limit)
            bisect_note_passed(bisect, value);
        else
            bisect_note_failed(bisect, value, true);
    }
    return tries;
}

static void check_found(const struct bisect *bisect, uint64_t limit)
{
    ck_assert_uint_le(bisect->passed, limit);
    ck_assert_uint_gt(bisect->failed, limit);
    ck_assert_uint_le(bisect->failed - bisect->passed, tolerance_of(bisect));
}

START_TEST(each_size_is_found_exactly)
{
    const uint64_t maximum = 65507;

    for (uint64_t limit = 0; limit < maximum; limit = limit * 5 / 4 + 1) {
        struct bisect bisect = {
            .first = maximum, .maximum = maximum, .tolerance = 1, .failed = BISECT_NONE};

        ck_assert_int_le(search(&bisect, limit), 19); /* 16 bits, the first, the proof */
        check_found(&bisect, limit);
        ck_assert_uint_eq(bisect.passed, limit);
    }
}
END_TEST

START_TEST(each_silence_is_found_to_its_tolerance)
{
    const uint64_t maximum = 7440000;

    for (uint64_t limit = 0; limit < maximum; limit = limit * 11 / 10 + 1) {
        struct bisect bisect = {
            .first = 100, .maximum = maximum, .tolerance = 20, .parts = 200, .failed = BISECT_NONE};

        (void)search(&bisect, limit);
        check_found(&bisect, limit);
    }
}
END_TEST

START_TEST(a_search_from_1_on_gets_anywhere)
{
    for (uint64_t limit = 0; limit < 30; limit++) {
        struct bisect bisect = {.first = 1, .maximum = 30, .tolerance = 1, .failed = BISECT_NONE};

        (void)search(&bisect, limit);
        check_found(&bisect, limit);
        ck_assert_uint_eq(bisect.passed, limit);
    }
}
END_TEST

START_TEST(a_maximum_that_passes_ends_the_search)
{
    struct bisect bisect = {.first = 100, .maximum = 1000, .tolerance = 1, .failed = BISECT_NONE};

    ck_assert_int_le(search(&bisect, 1000), 12);
    ck_assert_uint_eq(bisect.passed, 1000);
    ck_assert_uint_eq(bisect.failed, BISECT_NONE);
}
END_TEST

START_TEST(what_failed_by_chance_passes_later)
{
    /* Whichever try fails once by chance, the answer is right. */
    for (int lost = 0; lost < 20; lost++) {
        struct bisect bisect = {
            .first = 100, .maximum = 5000, .tolerance = 10, .failed = BISECT_NONE};
        uint64_t value;

        for (int tries = 0; (value = bisect_next(&bisect)) != BISECT_NONE; tries++) {
            ck_assert_int_lt(tries, MOST_TRIES);
            if (value > 3000 || tries == lost)
                bisect_note_failed(&bisect, value, true);
            else
                bisect_note_passed(&bisect, value);
        }
        check_found(&bisect, 3000);
    }
}
END_TEST

START_TEST(other_values_than_the_next_count_too)
{
    struct bisect bisect = {.first = 100, .maximum = 9000, .tolerance = 10, .failed = BISECT_NONE};

    bisect_note_failed(&bisect, 700, true);
    ck_assert_uint_eq(bisect_next(&bisect), 350);
    bisect_note_failed(&bisect, 900, true); /* known */
    ck_assert_uint_eq(bisect.failed, 700);
    bisect_note_passed(&bisect, 500);
    bisect_note_passed(&bisect, 400);
    ck_assert_uint_eq(bisect.passed, 500);
    bisect_note_failed(&bisect, 450, true); /* less than what passed: a coincidence */
    ck_assert_uint_eq(bisect.failed, 700);
    bisect_note_passed(&bisect, 800); /* what failed was one */
    ck_assert_uint_eq(bisect.failed, BISECT_NONE);
    ck_assert_uint_eq(bisect_next(&bisect), 1000);
}
END_TEST

START_TEST(one_failure_proves_nothing)
{
    struct bisect bisect = {
        .first = 100, .maximum = 9000, .tolerance = 10, .passed = 500, .failed = BISECT_NONE};

    bisect_note_failed(&bisect, 505, true);
    ck_assert_uint_eq(bisect_next(&bisect), 505);
    bisect_note_failed(&bisect, 516, true); /* too far away to be a proof */
    ck_assert(!bisect.is_confirmed);
    bisect_note_failed(&bisect, 506, false); /* for the same reason, perhaps */
    ck_assert(!bisect.is_confirmed);
    bisect_note_failed(&bisect, 515, true);
    ck_assert(bisect.is_confirmed);
    bisect_note_passed(&bisect, 515); /* refuted */
    bisect_note_failed(&bisect, 520, true);
    ck_assert(!bisect.is_confirmed);
    ck_assert_uint_eq(bisect_next(&bisect), 520);
    bisect_note_failed(&bisect, 520, true);
    ck_assert(bisect.is_confirmed);
    ck_assert_uint_eq(bisect_next(&bisect), BISECT_NONE);
}
END_TEST

START_TEST(what_passed_by_chance_fails_later)
{
    struct bisect bisect = {.first = 100, .maximum = 9000, .tolerance = 10, .failed = BISECT_NONE};

    bisect_note_passed(&bisect, 900);
    bisect_note_failed(&bisect, 700, true);  /* once tells nothing */
    bisect_note_failed(&bisect, 710, false); /* nor does it again for the same reason */
    ck_assert_uint_eq(bisect.passed, 900);
    bisect_note_passed(&bisect, 800); /* says nothing of the larger */
    bisect_note_failed(&bisect, 705, true);
    ck_assert_uint_eq(bisect.passed, 0);
    ck_assert_uint_eq(bisect.failed, 705);
    (void)search(&bisect, 700);
    check_found(&bisect, 700);
}
END_TEST

START_TEST(what_passes_again_is_doubted_no_more)
{
    struct bisect bisect = {
        .first = 100, .maximum = 9000, .tolerance = 10, .passed = 500, .failed = BISECT_NONE};

    bisect_note_failed(&bisect, 300, true);
    bisect_note_passed(&bisect, 500);
    bisect_note_failed(&bisect, 300, true);
    ck_assert_uint_eq(bisect.passed, 500);
}
END_TEST

START_TEST(what_passed_by_chance_proves_nothing_later)
{
    struct bisect bisect = {
        .first = 100, .maximum = 9000, .tolerance = 10, .passed = 500, .failed = BISECT_NONE};

    bisect_note_failed(&bisect, 505, true);
    bisect_note_failed(&bisect, 505, true);
    ck_assert_uint_eq(bisect_next(&bisect), BISECT_NONE);
    bisect_note_failed(&bisect, 500, true); /* as much as passed: that was chance, or this is */
    ck_assert_uint_eq(bisect.failed, 505);
    bisect_note_failed(&bisect, 300, true);
    ck_assert_uint_eq(bisect.failed, 300);
    bisect_note_passed(&bisect, 295);
    ck_assert_uint_eq(bisect_next(&bisect), 300); /* for it has failed but once */
    bisect_note_failed(&bisect, 200, true);
    ck_assert_uint_eq(bisect.passed, 295); /* once tells nothing, again */
}
END_TEST

static Suite *bisect_suite(void)
{
    Suite *suite = suite_create("bisect");
    TCase *tests = support_case(suite, "bisect");

    tcase_add_test(tests, each_size_is_found_exactly);
    tcase_add_test(tests, each_silence_is_found_to_its_tolerance);
    tcase_add_test(tests, a_search_from_1_on_gets_anywhere);
    tcase_add_test(tests, a_maximum_that_passes_ends_the_search);
    tcase_add_test(tests, what_failed_by_chance_passes_later);
    tcase_add_test(tests, other_values_than_the_next_count_too);
    tcase_add_test(tests, what_passed_by_chance_fails_later);
    tcase_add_test(tests, what_passed_by_chance_proves_nothing_later);
    tcase_add_test(tests, what_passes_again_is_doubted_no_more);
    tcase_add_test(tests, one_failure_proves_nothing);
    return suite;
}

int main(void)
{
    return support_run(bisect_suite());
}
