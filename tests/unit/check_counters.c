/*
 * check_counters: the table of what is counted makes sense to each of its readers: names in the log
 * and in JSON, and metrics that a monitoring system can add up.
 * Counts nothing that happened.
 * Run by make check.
 */
#include <config.h>

#include "echod/counters.h"

#include "support.h"

#include <stdbool.h>
#include <string.h>

static bool ends_in(const char *text, const char *end)
{
    return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Prometheus' rules (https://prometheus.io/docs/practices/naming/) where a tool would complain. */
START_TEST(metrics_are_named_as_prometheus_has_it)
{
    const struct counter_name *row = counters_name((enum counter)_i);
    const struct counter_metric *metric = row->metric;

    ck_assert_ptr_nonnull(metric);
    ck_assert_int_eq(strncmp(metric->name, "echod_", strlen("echod_")), 0);
    ck_assert_uint_eq(strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(metric->name));
    ck_assert(!ends_in(metric->name, "_total"));
    ck_assert_int_eq(ends_in(metric->name, "_bytes") || ends_in(metric->name, "_seconds"),
                     metric->unit != NULL);
    ck_assert_int_eq(metric->label == NULL, row->label_value == NULL);
    ck_assert_str_eq(metric->help + strlen(metric->help) - 1, ".");
    ck_assert_ptr_null(strpbrk(metric->help, "\"\\\n"));
    if (row->kind == COUNTER_OF_CONNECTIONS || row->kind == COUNTER_OF_ENDS)
        ck_assert(!metric->is_of_datagrams);
    if (row->kind == COUNTER_OF_DATAGRAMS)
        ck_assert(metric->is_of_datagrams);
}
END_TEST

START_TEST(names_are_told_apart)
{
    const struct counter_name *row = counters_name((enum counter)_i);

    for (enum counter which = 0; which < (enum counter)_i; which++) {
        const struct counter_name *other = counters_name(which);

        ck_assert_str_ne(row->json, other->json);
        if (row->kind == other->kind)
            ck_assert_str_ne(row->text, other->text);
        ck_assert_int_eq(row->metric == other->metric,
                         strcmp(row->metric->name, other->metric->name) == 0);
        if (row->metric == other->metric)
            ck_assert_str_ne(row->label_value, other->label_value);
    }
}
END_TEST

static Suite *counters_suite(void)
{
    Suite *suite = suite_create("counters");
    TCase *table = support_case(suite, "table");

    tcase_add_loop_test(table, metrics_are_named_as_prometheus_has_it, 0, COUNTER_COUNT);
    tcase_add_loop_test(table, names_are_told_apart, 0, COUNTER_COUNT);
    return suite;
}

int main(void)
{
    return support_run(counters_suite());
}
