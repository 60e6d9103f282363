/*
 * check_capacity: how much there may be follows from the options, the CPUs and the limit of files.
 * That this holds for a whole echod, test_limits and test_workers show.
 * Run by make check.
 */
#include <config.h>

#include "echod/capacity.h"

#include "base/setting.h"
#include "support.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>

enum { WORKERS = 2, LISTENERS = 3, NEEDED = 3 + 3 + 5 + WORKERS * (5 + 2 + LISTENERS), SPARE = 16 };

static const struct capacity capacity = {.worker_count = WORKERS, .endpoint_count = LISTENERS};

static struct options options;

static void setup(void)
{
    options = (struct options){.workers = 4, .max_connections = SETTING_AUTO};
}

static void allow_files(rlim_t count)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static uint64_t max_connections(uint64_t asked)
{
    options.max_connections = asked;
    return capacity_max_connections(&capacity, &options, support_log(LOG_FORMAT_TEXT));
}

START_TEST(there_are_no_more_workers_than_connections)
{
    ck_assert_uint_eq(capacity_worker_count(&options), 4);
    options.max_connections = 4;
    ck_assert_uint_eq(capacity_worker_count(&options), 4);
    options.max_connections = 3;
    ck_assert_uint_eq(capacity_worker_count(&options), 3);
}
END_TEST

#ifdef HAVE_SCHED_GETAFFINITY

/* Let the test run on its first CPU only, and return which that is. */
static int stay_on_one_cpu(void)
{
    cpu_set_t cpus;
    int first = 0;

    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    while (!CPU_ISSET((size_t)first, &cpus))
        first++;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)first, &cpus);
    ck_assert_int_eq(sched_setaffinity(0, sizeof cpus, &cpus), 0);
    return first;
}

START_TEST(there_is_a_worker_for_each_cpu_that_may_be_used)
{
    cpu_set_t cpus;

    options.workers = SETTING_AUTO;
    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    ck_assert_uint_eq(capacity_worker_count(&options), (size_t)CPU_COUNT(&cpus));
    (void)stay_on_one_cpu();
    ck_assert_uint_eq(capacity_worker_count(&options), 1);
}
END_TEST

START_TEST(workers_have_the_cpus_in_turn)
{
    cpu_set_t cpus;
    size_t count;
    int first, last = -1;

    ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    count = (size_t)CPU_COUNT(&cpus);
    for (size_t i = 0; i < count; i++) {
        const int cpu = capacity_cpu_of_worker(i);

        ck_assert_int_gt(cpu, last);
        ck_assert(CPU_ISSET((size_t)cpu, &cpus));
        ck_assert_int_eq(capacity_cpu_of_worker(count + i), cpu);
        last = cpu;
    }
    first = stay_on_one_cpu();
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(capacity_cpu_of_worker(i), first);
}
END_TEST

#endif

START_TEST(each_worker_needs_a_descriptor_for_a_client)
{
    allow_files(NEEDED + WORKERS);
    ck_assert_int_eq(capacity_check_files(&capacity, support_log(LOG_FORMAT_TEXT)), 0);
    allow_files(NEEDED + WORKERS - 1);
    ck_assert_int_eq(capacity_check_files(&capacity, support_log(LOG_FORMAT_TEXT)), -1);
    allow_files(100);
    support_assert_matches(support_log_text(),
                           "^[^\n]* error: the limit of open files is 32, but 2 workers with 3 "
                           "listeners need 33; raise it [^\n]*\n$");
}
END_TEST

START_TEST(one_is_told_as_one)
{
    const struct capacity one = {.worker_count = 1, .endpoint_count = 1};

    allow_files(19);
    ck_assert_int_eq(capacity_check_files(&one, support_log(LOG_FORMAT_TEXT)), -1);
    allow_files(100);
    support_assert_matches(support_log_text(), "is 19, but 1 worker with 1 listener need 20;");
}
END_TEST

START_TEST(some_descriptors_are_left_for_libraries)
{
    allow_files(NEEDED + SPARE + 100);
    ck_assert_uint_eq(max_connections(SETTING_AUTO), 100);
    allow_files(NEEDED + SPARE + WORKERS + 1);
    ck_assert_uint_eq(max_connections(SETTING_AUTO), WORKERS + 1);
    allow_files(NEEDED + WORKERS); /* with so few, each worker has a client all the same */
    ck_assert_uint_eq(max_connections(SETTING_AUTO), WORKERS);
    allow_files(NEEDED + SPARE + WORKERS + 1);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(more_connections_than_files_is_warned_of)
{
    allow_files(NEEDED + SPARE + 100);
    ck_assert_uint_eq(max_connections(100), 100);
    ck_assert_uint_eq(max_connections(1), 1);
    ck_assert_uint_eq(max_connections(101), 101);
    support_assert_matches(support_log_text(),
                           "^[^\n]* warning: --max-connections: the limit of open files allows "
                           "about 100 connections, not 101; [^\n]*\n$");
}
END_TEST

START_TEST(the_queued_bytes_are_shared_to_the_last)
{
    uint64_t total = 0;

    options.max_queued_bytes = 1001;
    for (size_t i = 0; i < 4; i++)
        total += capacity_max_queued_bytes(&options, i, 4);
    ck_assert_uint_eq(total, 1001);
    ck_assert_uint_eq(capacity_max_queued_bytes(&options, 0, 4), 251);
    ck_assert_uint_eq(capacity_max_queued_bytes(&options, 3, 4), 250);
    options.max_queued_bytes = 2; /* with 0 it could read nothing */
    ck_assert_uint_eq(capacity_max_queued_bytes(&options, 3, 4), 1);
}
END_TEST

static Suite *capacity_suite(void)
{
    Suite *suite = suite_create("capacity");
    TCase *tests = support_case(suite, "capacity");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, there_are_no_more_workers_than_connections);
#ifdef HAVE_SCHED_GETAFFINITY
    tcase_add_test(tests, there_is_a_worker_for_each_cpu_that_may_be_used);
    tcase_add_test(tests, workers_have_the_cpus_in_turn);
#endif
    tcase_add_test(tests, each_worker_needs_a_descriptor_for_a_client);
    tcase_add_test(tests, one_is_told_as_one);
    tcase_add_test(tests, some_descriptors_are_left_for_libraries);
    tcase_add_test(tests, more_connections_than_files_is_warned_of);
    tcase_add_test(tests, the_queued_bytes_are_shared_to_the_last);
    return suite;
}

int main(void)
{
    return support_run(capacity_suite());
}
