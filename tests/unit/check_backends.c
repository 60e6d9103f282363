/*
 * check_backends: how identities are told apart, counted and sorted.
 * What is printed of them is in check_report and test_echoprobe_identify.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/backends.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static struct backends backends;

static void set_up(void)
{
    memset(&backends, 0, sizeof backends);
}

static const char *name(size_t place, size_t which)
{
    return backends.items[place].names[which].text;
}

START_TEST(a_backend_is_its_host_pod_process_and_address)
{
    static const char *const identities[] = {
        "echod=1 host=a pod=p supervisor_process=s local=l id=1 client=x",
        "echod=2 host=b pod=p supervisor_process=s local=l",
        "echod=1 host=a pod=q supervisor_process=s local=l",
        "echod=1 host=a pod=p supervisor_process=t local=l",
        "echod=1 host=a pod=p supervisor_process=s local=m",
        "echod=1",
    };

    for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++)
        backends_add(&backends, identities[i]);
    backends_add(&backends, "{\"echod\":\"1\",\"host\":\"a\",\"pod\":\"p\","
                            "\"supervisor_process\":\"s\",\"local\":\"l\"}");
    ck_assert_uint_eq(backends.count, 6);
    ck_assert_uint_eq(backends.total, 7);
    ck_assert_uint_eq(backends.items[0].count, 2);
    ck_assert_str_eq(name(0, 0), "a");
    ck_assert_str_eq(name(0, 3), "l");
    ck_assert_str_eq(name(5, 0), "");
    ck_assert_str_eq(backends.first, identities[0]);
}
END_TEST

START_TEST(who_answers_most_stands_first)
{
    backends_add(&backends, "echod=1 host=c");
    backends_add(&backends, "echod=1 host=b");
    backends_add(&backends, "echod=1 host=a");
    backends_add(&backends, "echod=1 host=b");
    backends_sort(&backends);
    ck_assert_str_eq(name(0, 0), "b");
    ck_assert_str_eq(name(1, 0), "a");
    ck_assert_str_eq(name(2, 0), "c");
}
END_TEST

START_TEST(there_may_be_too_many)
{
    char identity[100];

    for (unsigned i = 0; i < BACKENDS_LIMIT + 10; i++) {
        (void)snprintf(identity, sizeof identity, "echod=1 host=%u", i);
        backends_add(&backends, identity);
        backends_add(&backends, "echod=1 host=0");
    }
    ck_assert_uint_eq(backends.count, BACKENDS_LIMIT);
    ck_assert_uint_eq(backends.others, 10);
    ck_assert_uint_eq(backends.total, 2 * (BACKENDS_LIMIT + 10));
    ck_assert_uint_eq(backends.items[0].count, BACKENDS_LIMIT + 11);
}
END_TEST

START_TEST(what_is_no_identity_is_not_counted)
{
    backends_add(&backends, "something else");
    ck_assert_uint_eq(backends.total, 0);
    ck_assert_uint_eq(backends.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backends");
    TCase *test_case = support_case(suite, "backends");

    tcase_add_checked_fixture(test_case, set_up, NULL);
    tcase_add_test(test_case, a_backend_is_its_host_pod_process_and_address);
    tcase_add_test(test_case, who_answers_most_stands_first);
    tcase_add_test(test_case, there_may_be_too_many);
    tcase_add_test(test_case, what_is_no_identity_is_not_counted);
    return support_run(suite);
}
