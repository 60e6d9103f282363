/*
 * check_report: what is printed of a tally and a verdict: texts that fit, counts that are there,
 * JSON that is whole. Measures nothing; tests/system does. Run by make check.
 */
#include <config.h>

#include "echoprobe/report.h"
#include "echoprobe/summary.h"
#include "echoprobe/text.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct options options;
static struct target target;
static struct tally tally;
static struct report report;
static int saved_stdout, saved_stderr, output_fd;

/* --- Fixture. -------------------------------------------------------------------------------- */

/* Let both outputs go to a file. */
static void set_up(void)
{
    (void)fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    saved_stderr = dup(STDERR_FILENO);
    output_fd = support_open_file();
    ck_assert_int_ge(dup2(output_fd, STDOUT_FILENO), 0);
    ck_assert_int_ge(dup2(output_fd, STDERR_FILENO), 0);
    memset(&tally, 0, sizeof tally);
    memset(&target, 0, sizeof target);
    options = (struct options){.connections = 1, .threads = 1, .size_bytes = 64};
    target.count = 1;
    (void)snprintf(target.name, sizeof target.name, "tcp://name:7");
    (void)snprintf(target.places[0].text, sizeof target.places[0].text, "192.0.2.1:7");
    report_begin(&report, &options, &target);
}

static void tear_down(void)
{
    (void)fflush(stdout);
    ck_assert_int_ge(dup2(saved_stdout, STDOUT_FILENO), 0);
    ck_assert_int_ge(dup2(saved_stderr, STDERR_FILENO), 0);
    support_close(&saved_stdout);
    support_close(&saved_stderr);
    support_close(&output_fd);
}

/* Check that all that was printed matches a pattern of grep -E. */
static void check_output(const char *pattern)
{
    char *text;

    (void)fflush(stdout);
    text = support_read_file(output_fd);
    ck_assert_msg(support_matches(text, pattern), "\"%s\" does not match \"%s\"", text, pattern);
    free(text);
}

static void add_round_trips(void)
{
    static const uint64_t rtts_ns[] = {1000000, 2000000, 3000000, 6000000};

    for (size_t i = 0; i < 4; i++) {
        histogram_add(&tally.rtt_ns, rtts_ns[i]);
        tally.rtt_squares += (double)rtts_ns[i] * (double)rtts_ns[i];
        tally.sent++;
        tally.received++;
    }
}

/* --- Lines. ---------------------------------------------------------------------------------- */

START_TEST(the_first_line_names_who_answered)
{
    report_open(&report, &(struct opening){.peer = "192.0.2.2:7"});
    report_echo(&report, "192.0.2.2:7", 0, 1500000);
    check_output("^echoprobe tcp://name:7 \\(192.0.2.2:7\\), 64 bytes\n"
                 "64 bytes from 192.0.2.2:7: seq=1 time=1.500 ms\n$");
}
END_TEST

START_TEST(before_anybody_answered_it_names_who_is_asked)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNSENT, 0, 0, "Connection refused");
    options.connections = 3;
    report_fault(&report, 1, 0, &fault);
    report_open(&report, &(struct opening){.peer = "192.0.2.2:7"});
    check_output("^echoprobe tcp://name:7 \\(192.0.2.1:7\\), 64 bytes, 3 connections\n"
                 "seq=1 unsent: Connection refused\n$");
}
END_TEST

START_TEST(a_load_names_the_connection_and_stops_after_ten)
{
    struct fault fault;

    fault_set(&fault, FAULT_LOST, 0, 0, "no answer");
    options.connections = 2;
    options.is_load = true;
    for (uint64_t i = 0; i < 12; i++)
        report_fault(&report, 2, i, &fault);
    check_output("connection 2 seq=1 lost: no answer\n(.*\n)*"
                 ".*seq=10 lost: no answer\nechoprobe: further faults are only counted\n$");
}
END_TEST

START_TEST(quiet_leaves_faults_out)
{
    struct fault fault;

    fault_set(&fault, FAULT_LOST, 0, 0, "no answer");
    options.quiet = true;
    report_fault(&report, 1, 0, &fault);
    check_output("^$");
}
END_TEST

START_TEST(what_comes_from_outside_is_escaped)
{
    text_print(stdout, "a%cb%s", '\n', "\x1b[31m");
    check_output("^a\\\\x0ab\\\\x1b\\[31m\n$");
}
END_TEST

START_TEST(a_list_is_broken_between_items)
{
    struct text_list list = text_list_begin(stdout);

    list.columns = 20;
    text_list_add(&list, "%s", "0123456789");
    text_list_add(&list, "%s", "01234567");
    text_list_add(&list, "%s", "0");
    text_list_end(&list);
    text_list_end(&list);
    check_output("^0123456789,\n01234567, 0\n$");
}
END_TEST

/* --- Summary. -------------------------------------------------------------------------------- */

START_TEST(the_summary_has_all_that_was_counted)
{
    add_round_trips();
    tally.sent += 3;
    tally.lost = 3;
    tally.unsent = 2;
    tally.outages = 1;
    tally.downtime_ns = tally.longest_outage_ns = 1500000000;
    tally.faults[FAULT_UNSENT] = 2;
    tally.faults[FAULT_LOST] = 1;
    tally.connects = 1;
    tally.connects_failed = 2;
    tally.closed = 1;
    tally.closed_after_bytes = 128;
    summary_print(&options, "tcp://name:7", &tally, NULL, 1000000000);
    check_output("^--- tcp://name:7 ---\n"
                 "7 sent, 4 received, 3 lost \\(42.9%\\), 0 corrupted, 2 unsent\n"
                 "1 outage, 1.500 s without an answer\n"
                 "faults: 2 unsent, 1 lost\n"
                 "2 of 3 attempts to connect failed\n"
                 "1 connection was closed by the other end, after 128 bytes\n"
                 "min 1.000 ms, mean 3.000 ms, max 6.000 ms, deviation 1.871 ms\n"
                 "median [0-9.]+ ms, p95 [0-9.]+ ms, p99 [0-9.]+ ms, jitter 0.000 ms\n$");
}
END_TEST

START_TEST(of_several_connections_the_downtime_is_the_mean)
{
    options.connections = 4;
    tally.outages = 2;
    tally.downtime_ns = 2000000000;
    tally.longest_outage_ns = 1500000000;
    summary_print(&options, "x", &tally, NULL, 1000000000);
    check_output("\n2 outages, 0.500 s without an answer on average, the longest 1.500 s\n");
}
END_TEST

START_TEST(of_several_that_were_closed_the_first_is_told)
{
    struct tally total = {0};

    tally.closed = 2;
    tally.closed_after_bytes = 1;
    tally_merge(&total, &(struct tally){0});
    tally_merge(&total, &tally);
    tally.closed_after_bytes = 64;
    tally_merge(&total, &tally);
    summary_print(&options, "x", &total, NULL, 1000000000);
    check_output("\n4 connections were closed by the other end, the first after 1 byte\n");
}
END_TEST

static void check_doubts(bool has_any)
{
    summary_print(&options, "x", &tally, NULL, 1000000000);
    check_output(has_any ? "uncertain\n$" : "jitter 0.000 ms\n$");
}

START_TEST(where_identities_may_be_those_of_others_it_says_so)
{
    options.identify = true;
    options.target.scheme = ADDRESS_UDP;
    add_round_trips();
    tally.sent += 2;
    tally.lost = 2;
    tally.unsent = tally.faults[FAULT_REFUSED] = 1;
    check_doubts(false); /* what the network refused is known */
    tally.duplicated = 1;
    check_doubts(true);
    tally.duplicated = 0;
    tally.sent++;
    tally.lost++;
    options.identify = false;
    check_doubts(false);
    options.identify = true;
    check_doubts(true);
    options.target.scheme = ADDRESS_TCP;
    check_doubts(false);
}
END_TEST

START_TEST(a_load_has_bytes_and_bits)
{
    add_round_trips();
    options.is_load = true;
    options.connections = 2;
    summary_print(&options, "x", &tally, NULL, 2000000000);
    check_output("\n2.00 s, 2 connections, 1 thread\n2.00 echoes/s, 128 B/s \\(1.02 kbit/s\\) each "
                 "way\nround trips, each bar up to\n");
    options.target.scheme = ADDRESS_UDP;
    ck_assert_str_eq(summary_connections(&options), "sockets");
}
END_TEST

START_TEST(large_numbers_have_prefixes)
{
    char text[SUMMARY_TEXT_SIZE];

    summary_format_per_second(0, "B", text);
    ck_assert_str_eq(text, "0 B/s");
    summary_format_per_second(999, "bit", text);
    ck_assert_str_eq(text, "999 bit/s");
    summary_format_per_second(3.53e6, "B", text);
    ck_assert_str_eq(text, "3.53 MB/s");
}
END_TEST

/* --- JSON. ----------------------------------------------------------------------------------- */

START_TEST(an_object_has_counts_figures_and_sentences)
{
    struct fault fault;

    options.json = true;
    add_round_trips();
    tally.lost = tally.unsent = 1;
    tally.sent++;
    tally.closed = 3;
    fault_set(&fault, FAULT_UNSENT, 0, 0, "a \"quoted\" sentence");
    report_fault(&report, 1, 4, &fault);
    ck_assert_int_eq(report_messages(&report, &tally, 1000000000, EXIT_STATUS_FAULT),
                     EXIT_STATUS_FAULT);
    check_output(
        "^\\{\"target\": \"tcp://name:7\", \"address\": \"192.0.2.1:7\", "
        "\"transport\": \"tcp\".*\"sent\": 5, \"received\": 4, \"lost\": 1, \"unsent\": 1, "
        ".*\"closed\": 3, \"outages\": 0, \"downtime_seconds\": 0.000000.*"
        "\"first_faults\": \\[\"unsent: a \\\\\"quoted\\\\\" sentence\"\\].*"
        "\"mean\": 3000.000, \"deviation\": 1870.829.*\"status\": 1\\}\n$");
}
END_TEST

START_TEST(without_a_round_trip_there_are_no_figures_of_any)
{
    options.json = true;
    ck_assert_int_eq(report_messages(&report, &tally, 0, EXIT_STATUS_CONNECT), EXIT_STATUS_CONNECT);
    check_output("\"rate_per_second\": 0.000.*\"rtt_us\": null, \"histogram_us\": \\[\\]");
}
END_TEST

START_TEST(a_verdict_has_its_figures_with_their_units)
{
    struct verdict verdict = {.status = EXIT_STATUS_UNCHANGED, .text = "all is well"};

    options.json = true;
    options.mtu = true;
    verdict_add(&verdict, "largest", FIGURE_BYTES, 1472);
    verdict_add(&verdict, "time", FIGURE_SECONDS, 1.5);
    ck_assert_int_eq(report_verdict(&report, &verdict, 1000000000), EXIT_STATUS_UNCHANGED);
    check_output("\"check\": \"mtu\", \"verdict\": \"all is well\", \"largest_bytes\": 1472, "
                 "\"time_seconds\": 1.500000, \"status\": 0\\}\n$");
}
END_TEST

START_TEST(a_failure_is_an_object_too)
{
    options.json = true;
    options.target = (struct address){.scheme = ADDRESS_TCP, .host = "name", .port = 7};
    ck_assert_int_eq(report_failure(&options, EXIT_STATUS_CONNECT, "nobody"), EXIT_STATUS_CONNECT);
    check_output("\\{\"target\": \"tcp://name:7\", \"error\": \"nobody\", \"status\": 2\\}\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *lines = support_case(suite, "lines");
    TCase *summary = support_case(suite, "summary");
    TCase *json = support_case(suite, "json");

    tcase_add_checked_fixture(lines, set_up, tear_down);
    tcase_add_test(lines, the_first_line_names_who_answered);
    tcase_add_test(lines, before_anybody_answered_it_names_who_is_asked);
    tcase_add_test(lines, a_load_names_the_connection_and_stops_after_ten);
    tcase_add_test(lines, quiet_leaves_faults_out);
    tcase_add_test(lines, what_comes_from_outside_is_escaped);
    tcase_add_test(lines, a_list_is_broken_between_items);
    tcase_add_checked_fixture(summary, set_up, tear_down);
    tcase_add_test(summary, the_summary_has_all_that_was_counted);
    tcase_add_test(summary, of_several_connections_the_downtime_is_the_mean);
    tcase_add_test(summary, of_several_that_were_closed_the_first_is_told);
    tcase_add_test(summary, where_identities_may_be_those_of_others_it_says_so);
    tcase_add_test(summary, a_load_has_bytes_and_bits);
    tcase_add_test(summary, large_numbers_have_prefixes);
    tcase_add_checked_fixture(json, set_up, tear_down);
    tcase_add_test(json, an_object_has_counts_figures_and_sentences);
    tcase_add_test(json, without_a_round_trip_there_are_no_figures_of_any);
    tcase_add_test(json, a_verdict_has_its_figures_with_their_units);
    tcase_add_test(json, a_failure_is_an_object_too);
    return support_run(suite);
}
