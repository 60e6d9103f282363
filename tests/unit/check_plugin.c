/*
 * check_plugin: what a monitoring system is told of counts at and beside each threshold.
 * Whether a real path leads to these counts is for the system tests.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/plugin.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1000, RTT_US = 2000 };

static const struct fault *first; /* fault, or NULL */
static struct options options;
static struct tally tally;

/* Let a function print to a file, and return what it printed; free it. */
static char *read_output(int (*print)(void), int expected_state)
{
    int saved_stdout, fd = support_open_file(), state;
    char *text;

    (void)fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    ck_assert_int_ge(dup2(fd, STDOUT_FILENO), 0);
    state = print();
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(saved_stdout, STDOUT_FILENO), 0);
    text = support_read_file(fd);
    support_close(&saved_stdout);
    support_close(&fd);
    ck_assert_msg(state == expected_state, "%d for %s", state, text);
    return text;
}

/* All messages returned after the same time. */
static void setup(void)
{
    memset(&tally, 0, sizeof tally);
    options = (struct options){.connections = 1};
    first = NULL;
    for (int i = 0; i < MOST; i++)
        histogram_add(&tally.rtt_ns, RTT_US * UINT64_C(1000));
    tally.sent = tally.received = MOST;
}

static int print_messages(void)
{
    return plugin_print_messages(&(struct plugin_result){
        .options = &options, .peer = "a|b\n", .tally = &tally, .first = first});
}

static void check_messages(int state, const char *pattern)
{
    char *text = read_output(print_messages, state);

    support_assert_matches(text, pattern);
    free(text);
}

static void lose(uint64_t count)
{
    tally.lost += count;
    tally.received -= count;
}

START_TEST(all_that_is_well_is_ok)
{
    check_messages(PLUGIN_OK, "^ECHO OK - 1000 of 1000 messages returned from a\\?b\\\\x0a, "
                              "median 2\\.0[0-9]* ms \\| rtt=0\\.0020[0-9]*s;;;0 loss=0%;0;;0;100 "
                              "unsent=0 outages=0 downtime=0\\.000000s\n$");
}
END_TEST

START_TEST(any_loss_is_a_warning_by_default)
{
    struct fault fault;

    lose(1);
    tally.unsent = 1;
    tally.outages = 2;
    tally.downtime_ns = 1500000000;
    check_messages(PLUGIN_WARNING, " - 999 of 1000 .*, 1 unsent, 2 outages of 1\\.500 s \\| .* "
                                   "loss=0\\.1%;0;;0;100 unsent=1 outages=2 downtime=1\\.500000s");
    tally.outages = 1;
    fault_set(&fault, FAULT_LOST, 0, 0, "no | answer");
    first = &fault;
    check_messages(PLUGIN_WARNING, ", 1 outage of 1\\.500 s; lost: no \\? answer \\| rtt=");
}
END_TEST

START_TEST(a_loss_is_allowed_up_to_its_threshold)
{
    struct threshold *threshold = _i == 0 ? &options.warning : &options.critical;
    const int state = _i == 0 ? PLUGIN_WARNING : PLUGIN_CRITICAL;

    *threshold = (struct threshold){.has_loss = true, .loss_millionths = 20000};
    options.warning.is_set = true;
    options.warning.rtt_us = UINT64_MAX / 1000;
    lose(20);
    check_messages(PLUGIN_OK, "loss=2%");
    lose(1);
    check_messages(state, _i == 0 ? "loss=2\\.1%;2;;0;100 " : "loss=2\\.1%;;2;0;100 ");
}
END_TEST

START_TEST(a_round_trip_is_allowed_up_to_its_threshold)
{
    struct threshold *threshold = _i == 0 ? &options.warning : &options.critical;
    const int state = _i == 0 ? PLUGIN_WARNING : PLUGIN_CRITICAL;
    const uint64_t median_ns = histogram_quantile(&tally.rtt_ns, 0.5);

    *threshold = (struct threshold){.is_set = true, .rtt_us = (median_ns + 999) / 1000};
    check_messages(PLUGIN_OK, _i == 0 ? "s;0\\.00[0-9]+;;0 loss=" : "s;;0\\.00[0-9]+;0 loss=");
    threshold->rtt_us = RTT_US - 1;
    check_messages(state, _i == 0 ? "s;0\\.001999;;0 " : "s;;0\\.001999;0 ");
    threshold->is_set = false;
    check_messages(PLUGIN_OK, "s;;;0 ");
}
END_TEST

START_TEST(nothing_that_returned_is_critical)
{
    lose(MOST);
    check_messages(PLUGIN_CRITICAL, "^ECHO CRITICAL - 0 of 1000 messages returned from "
                                    "[^,]* \\| rtt=U;;;0 loss=100%;");
    tally.sent = tally.lost = 0;
    check_messages(PLUGIN_CRITICAL, "loss=100%;");
}
END_TEST

START_TEST(each_change_is_critical)
{
    static const enum fault_kind changes[] = {FAULT_DUPLICATED, FAULT_REORDERED,
                                              FAULT_FOREIGN,    FAULT_CORRUPTED,
                                              FAULT_INSERTED,   FAULT_MISADDRESSED};

    if (_i < 6)
        tally.faults[changes[_i]] = 1;
    else
        tally.corrupted = 1;
    check_messages(PLUGIN_CRITICAL, "^ECHO CRITICAL - 1000 of 1000 ");
}
END_TEST

START_TEST(what_was_cut_off_is_judged_by_the_loss)
{
    tally.faults[FAULT_LOST] = 5;
    tally.faults[FAULT_RESET] = 5;
    check_messages(PLUGIN_OK, "^ECHO OK ");
    tally.connects_failed = 1;
    check_messages(PLUGIN_WARNING, "^ECHO WARNING ");
}
END_TEST

static int print_failure(void)
{
    return plugin_print_failure(PLUGIN_UNKNOWN, "no\tway | out");
}

START_TEST(a_failure_is_said_in_one_line_without_performance_data)
{
    char *text = read_output(print_failure, PLUGIN_UNKNOWN);

    ck_assert_str_eq(text, "ECHO UNKNOWN - no\\x09way ? out\n");
    free(text);
}
END_TEST

static struct verdict verdict;

static int print_verdict(void)
{
    return plugin_print_verdict(&(struct options){.mtu = true}, &verdict, NULL);
}

START_TEST(a_verdict_is_critical_unless_all_is_well)
{
    static const int statuses[][2] = {
        {EXIT_STATUS_UNCHANGED, PLUGIN_OK},
        {EXIT_STATUS_FAULT, PLUGIN_CRITICAL},
        {EXIT_STATUS_CONNECT, PLUGIN_CRITICAL},
        {EXIT_STATUS_SYSTEM, PLUGIN_UNKNOWN},
    };
    char *text;

    verdict = (struct verdict){.status = statuses[_i][0], .text = "as it is"};
    text = read_output(print_verdict, statuses[_i][1]);
    support_assert_matches(text, "^ECHO [A-Z]+ - mtu: as it is\n$");
    free(text);
    verdict_add(&verdict, "size", FIGURE_BYTES, 1472);
    verdict_add(&verdict, "time", FIGURE_SECONDS, 0.25);
    text = read_output(print_verdict, statuses[_i][1]);
    support_assert_matches(text, "- mtu: as it is \\| size=1472B time=0\\.250000s\n$");
    free(text);
}
END_TEST

static Suite *plugin_suite(void)
{
    Suite *suite = suite_create("plugin");
    TCase *tests = support_case(suite, "plugin");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, all_that_is_well_is_ok);
    tcase_add_test(tests, any_loss_is_a_warning_by_default);
    tcase_add_loop_test(tests, a_loss_is_allowed_up_to_its_threshold, 0, 2);
    tcase_add_loop_test(tests, a_round_trip_is_allowed_up_to_its_threshold, 0, 2);
    tcase_add_test(tests, nothing_that_returned_is_critical);
    tcase_add_loop_test(tests, each_change_is_critical, 0, 7);
    tcase_add_test(tests, what_was_cut_off_is_judged_by_the_loss);
    tcase_add_test(tests, a_failure_is_said_in_one_line_without_performance_data);
    tcase_add_loop_test(tests, a_verdict_is_critical_unless_all_is_well, 0, 4);
    return suite;
}

int main(void)
{
    return support_run(plugin_suite());
}
