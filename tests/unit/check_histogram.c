/*
 * check_histogram: what is counted, against the exact values.
 * Draws nothing; echoprobe's report does.
 * Run by make check.
 */
#include <config.h>

#include "base/histogram.h"

#include "support.h"

#include <stdlib.h>

enum { VALUES = 10000 };

static struct histogram histogram, other;

static int compare(const void *left, const void *right)
{
    const uint64_t one = *(const uint64_t *)left, two = *(const uint64_t *)right;

    return (one > two) - (one < two);
}

/* Fill with numbers of all sizes below 2^40, count them, and sort them. */
static void count_values(uint64_t values[VALUES])
{
    uint64_t seed = 1;

    for (int i = 0; i < VALUES; i++) {
        values[i] = support_random(&seed) >> (24 + support_random(&seed) % 40);
        histogram_add(i % 2 == 0 ? &histogram : &other, values[i]);
    }
    histogram_merge(&histogram, &other);
    qsort(values, VALUES, sizeof values[0], compare);
}

START_TEST(a_quantile_is_exact_to_a_step)
{
    static const double shares[] = {0.0001, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 0.9999};
    static uint64_t values[VALUES];

    count_values(values);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        const size_t rank = (size_t)(shares[i] * VALUES + 0.999999);
        const uint64_t exact = values[rank - 1];
        const uint64_t said = histogram_quantile(&histogram, shares[i]);
        const uint64_t distance = said > exact ? said - exact : exact - said;

        ck_assert_msg(distance <= exact / HISTOGRAM_STEPS, "%g: %ju, not %ju", shares[i],
                      (uintmax_t)said, (uintmax_t)exact);
    }
}
END_TEST

START_TEST(what_is_merged_counts_as_if_counted_here)
{
    static uint64_t values[VALUES];
    uint64_t total = 0;

    count_values(values);
    for (int i = 0; i < VALUES; i++)
        total += values[i];
    ck_assert_uint_eq(histogram.count, VALUES);
    ck_assert_uint_eq(histogram.total, total);
    ck_assert_uint_eq(histogram.smallest, values[0]);
    ck_assert_uint_eq(histogram.largest, values[VALUES - 1]);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), values[VALUES - 1]);
    ck_assert_uint_eq(histogram_count_between(&histogram, 0, UINT64_C(1) << 43), VALUES);
}
END_TEST

START_TEST(what_is_merged_keeps_the_smallest_and_the_largest)
{
    static struct histogram one;

    histogram_add(&one, 1000);
    histogram_add(&other, 10);
    histogram_add(&other, 100000);
    histogram_merge(&one, &other);
    ck_assert_uint_eq(one.count, 3);
    ck_assert_uint_eq(one.total, 101010);
    ck_assert_uint_eq(one.smallest, 10);
    ck_assert_uint_eq(one.largest, 100000);
    histogram_merge(&other, &one); /* which has nothing smaller, nor larger */
    ck_assert_uint_eq(other.smallest, 10);
    ck_assert_uint_eq(other.largest, 100000);
}
END_TEST

START_TEST(an_empty_one_says_nothing)
{
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 0);
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.count, 0);
    histogram_add(&other, 5);
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.smallest, 5);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 5);
}
END_TEST

START_TEST(a_day_has_room)
{
    const uint64_t day_ns = UINT64_C(24) * 3600 * 1000000000; /* the longest --timeout */

    histogram_add(&histogram, day_ns);
    ck_assert_uint_eq(histogram.largest, day_ns);
    ck_assert_uint_eq(histogram.total, day_ns);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), day_ns);
}
END_TEST

START_TEST(a_value_beyond_the_limit_counts_as_the_limit)
{
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, 1);
    ck_assert_uint_eq(histogram.largest, (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), histogram.largest);
}
END_TEST

START_TEST(values_between_two_are_counted_once)
{
    for (uint64_t value = 0; value < 100000; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_count_between(&histogram, 0, 100), 100);
    ck_assert_uint_eq(histogram_count_between(&histogram, 0, 50000) +
                          histogram_count_between(&histogram, 50000, 200000),
                      100000);
}
END_TEST

START_TEST(what_does_not_exceed_a_quantile_is_its_share)
{
    histogram = (struct histogram){0};
    ck_assert_uint_eq(histogram_count_through(&histogram, UINT64_MAX), 0);
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_count_through(&histogram, 0), 0);
    ck_assert_uint_eq(histogram_count_through(&histogram, 25), 25);
    ck_assert_uint_eq(histogram_count_through(&histogram, histogram_quantile(&histogram, 0.9)), 90);
    ck_assert_uint_eq(histogram_count_through(&histogram, UINT64_MAX), 100);
}
END_TEST

START_TEST(what_lies_between_bounds_adds_up)
{
    static const uint64_t factors[] = {7, 3, 5}; /* bounds that lie within steps */
    uint64_t seed = 1;

    for (int j = 0; j < 20000; j++) {
        const uint64_t value = support_random(&seed) >> (24 + support_random(&seed) % 40);
        uint64_t count = 0;

        histogram = (struct histogram){0};
        histogram_add(&histogram, value);
        for (uint64_t from = 0, to = 1000, i = 1; from <= value; from = to, to *= factors[i++ % 3])
            count += histogram_count_between(&histogram, from, to);
        ck_assert_msg(count == 1, "%ju counts as %ju", (uintmax_t)value, (uintmax_t)count);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *values = support_case(suite, "values");

    tcase_add_test(values, a_quantile_is_exact_to_a_step);
    tcase_add_test(values, what_is_merged_counts_as_if_counted_here);
    tcase_add_test(values, what_is_merged_keeps_the_smallest_and_the_largest);
    tcase_add_test(values, an_empty_one_says_nothing);
    tcase_add_test(values, a_day_has_room);
    tcase_add_test(values, a_value_beyond_the_limit_counts_as_the_limit);
    tcase_add_test(values, values_between_two_are_counted_once);
    tcase_add_test(values, what_does_not_exceed_a_quantile_is_its_share);
    tcase_add_test(values, what_lies_between_bounds_adds_up);
    return support_run(suite);
}
