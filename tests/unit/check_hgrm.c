/*
 * check_hgrm: a histogram as HdrHistogram writes it, for its plotter.
 * Measures nothing; tests/system does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/hgrm.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct tally tally;

static void set_up(void)
{
    memset(&tally, 0, sizeof tally);
}

static void add(uint64_t rtt_ns)
{
    histogram_add(&tally.rtt_ns, rtt_ns);
    tally.rtt_squares += (double)rtt_ns * (double)rtt_ns;
}

static void check(const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);

    ck_assert_ptr_nonnull(stream);
    hgrm_print(stream, &tally);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
    free(text);
}

START_TEST(steps_are_smaller_near_the_end)
{
    for (uint64_t i = 1; i <= 80; i++) /* each has a step of its own */
        add(i);
    add(1000000);
    check("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
          "    0.000001 0.000000000000          1           1.00\n"
          "    0.000009 0.100000000000          9           1.11\n"
          "    0.000017 0.200000000000         17           1.25\n"
          "    0.000025 0.300000000000         25           1.43\n"
          "    0.000033 0.400000000000         33           1.67\n"
          "    0.000041 0.500000000000         41           2.00\n"
          "    0.000045 0.550000000000         45           2.22\n");
    check(" 0.700000000000         57           3.33\n"
          "    0.000061 0.750000000000         61           4.00\n"
          "    0.000063 0.775000000000         63           4.44\n");
    check("         80          80.00\n");
    check("    1.000000 1.000000000000         81\n"
          "#[Mean    =     0.012386, StdDeviation   =     0.110419]\n"
          "#[Max     =     1.000000, Total count    =           81]\n"
          "#[Buckets =           41, SubBuckets     =          128]\n");
}
END_TEST

START_TEST(one_value_is_all)
{
    add(2000000);
    check("1/(1-Percentile)\n\n    2.000000 0.000000000000          1           1.00\n"
          "    2.000000 1.000000000000          1\n#[Mean    =     2.000000, ");
}
END_TEST

START_TEST(an_empty_one_has_no_lines)
{
    check("1/(1-Percentile)\n\n#[Mean    =     0.000000, StdDeviation   =     0.000000]\n"
          "#[Max     =     0.000000, Total count    =            0]\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hgrm");
    TCase *test_case = support_case(suite, "hgrm");

    tcase_add_checked_fixture(test_case, set_up, NULL);
    tcase_add_test(test_case, steps_are_smaller_near_the_end);
    tcase_add_test(test_case, one_value_is_all);
    tcase_add_test(test_case, an_empty_one_has_no_lines);
    return support_run(suite);
}
