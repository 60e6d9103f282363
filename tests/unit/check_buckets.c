/*
 * check_buckets: each value is counted in the bucket whose bound it does not exceed.
 * Run by make check.
 */
#include <config.h>

#include "base/buckets.h"

#include "support.h"

#include <pthread.h>

enum { VALUES = 100000 };

static const uint64_t bounds_values[] = {10, 20, 40};
static const struct buckets_bounds bounds = {bounds_values, 3};

START_TEST(a_bound_belongs_to_its_bucket)
{
    static const uint64_t values[] = {0, 10, 11, 20, 21, 40, 41, UINT64_MAX / 2};
    struct buckets buckets = {{0}, 0};
    struct buckets_reading reading = {{0}, 0};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        buckets_count(&buckets, &bounds, values[i]);
    buckets_read(&buckets, &reading);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(reading.counts[i], 2);
    for (size_t i = 4; i < BUCKETS_MAX; i++)
        ck_assert_uint_eq(reading.counts[i], 0);
    ck_assert_uint_eq(reading.sum, 10 + 11 + 20 + 21 + 40 + 41 + UINT64_MAX / 2);
}
END_TEST

START_TEST(readings_add_up)
{
    struct buckets one = {{0}, 0}, other = {{0}, 0};
    struct buckets_reading reading = {{0}, 0};

    buckets_count(&one, &bounds, 5);
    buckets_count(&other, &bounds, 6);
    buckets_count(&other, &bounds, 15);
    buckets_read(&one, &reading);
    buckets_read(&other, &reading);
    ck_assert_uint_eq(reading.counts[0], 2);
    ck_assert_uint_eq(reading.counts[1], 1);
    ck_assert_uint_eq(reading.sum, 26);
}
END_TEST

static void *count_values(void *argument)
{
    for (unsigned i = 0; i < VALUES; i++)
        buckets_count(argument, &bounds, i % 50);
    return NULL;
}

static uint64_t count_of(const struct buckets *buckets)
{
    struct buckets_reading reading = {{0}, 0};
    uint64_t count = 0;

    buckets_read(buckets, &reading);
    for (size_t i = 0; i < BUCKETS_MAX; i++)
        count += reading.counts[i];
    return count;
}

/* The sanitizer of threads looks on. */
START_TEST(another_thread_may_read)
{
    struct buckets buckets = {{0}, 0};
    uint64_t last = 0;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, count_values, &buckets), 0);
    for (int i = 0; i < 1000; i++) {
        const uint64_t count = count_of(&buckets);

        ck_assert_uint_ge(count, last);
        last = count;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(count_of(&buckets), VALUES);
}
END_TEST

static Suite *buckets_suite(void)
{
    Suite *suite = suite_create("buckets");
    TCase *values = support_case(suite, "values");

    tcase_add_test(values, a_bound_belongs_to_its_bucket);
    tcase_add_test(values, readings_add_up);
    tcase_add_test(values, another_thread_may_read);
    return suite;
}

int main(void)
{
    return support_run(buckets_suite());
}
