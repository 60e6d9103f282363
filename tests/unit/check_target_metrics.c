/*
 * check_target_metrics: what is told of targets: each count under its name, times in buckets that
 * add up, and nothing of what is not known.
 * Leaves the form of the text to check_exposition.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/target_metrics.h"

#include "support.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define US UINT64_C(1000)

static struct tally tally;
static struct target_sample samples[2];
static struct target_reloads reloads;

static void set_up(void)
{
    memset(&tally, 0, sizeof tally);
    memset(samples, 0, sizeof samples);
    reloads = (struct target_reloads){.done = 3, .refused = 4, .is_last_refused = true};
    samples[0].name = "web";
    samples[0].address = "tcp://192.0.2.1:7";
    samples[1].name = "dns";
    samples[1].address = "udp://192.0.2.1:7";
}

static char *write_text(enum exposition_format format)
{
    struct text_buffer text = {.bytes = NULL};
    size_t length;
    char *written;

    target_metrics_write(&text, format, samples, 2, &reloads, 1);
    written = text_buffer_take(&text, &length);
    ck_assert_ptr_nonnull(written);
    return written;
}

/* Check that each of these lines is there. */
static void check_lines(const char *const *lines)
{
    char *text = write_text(EXPOSITION_PROMETHEUS);

    for (; *lines != NULL; lines++) {
        char line[256];

        (void)snprintf(line, sizeof line, "\n%s\n", *lines);
        ck_assert_msg(strstr(text, line) != NULL, "%s is missing in\n%s", *lines, text);
    }
    free(text);
}

START_TEST(each_count_has_its_name)
{
    static const char *const lines[] = {
        ("echoprobe_build_info{version=\"" PACKAGE_VERSION "\"} 1"),
        "echoprobe_target_info{target=\"dns\",address=\"udp://192.0.2.1:7\"} 1",
        "echoprobe_reloads_total{result=\"done\"} 3",
        "echoprobe_reloads_total{result=\"refused\"} 4",
        "echoprobe_targets_last_reload_successful 0",
        "echoprobe_up{target=\"web\"} 1",
        "echoprobe_up{target=\"dns\"} 0",
        "echoprobe_last_answer_timestamp_seconds{target=\"web\"} 1500.25",
        "echoprobe_messages_sent_total{target=\"web\"} 10",
        "echoprobe_messages_received_total{target=\"web\"} 4",
        "echoprobe_messages_lost_total{target=\"web\"} 5",
        "echoprobe_messages_corrupted_total{target=\"web\"} 1",
        "echoprobe_messages_unsent_total{target=\"web\"} 3",
        "echoprobe_connection_attempts_total{target=\"web\"} 9",
        "echoprobe_connection_failures_total{target=\"web\"} 2",
        "echoprobe_outages_total{target=\"web\"} 1",
        "echoprobe_outage_seconds_total{target=\"web\"} 1.5",
        "echoprobe_faults_total{target=\"web\",kind=\"corrupted\"} 1",
        "echoprobe_faults_total{target=\"dns\",kind=\"corrupted\"} 0",
        "echoprobe_address_changes_total{target=\"web\"} 6",
        "echoprobe_lookup_failures_total{target=\"web\"} 8",
        "echoprobe_certificate_expiry_timestamp_seconds{target=\"web\"} 2000000000",
        NULL};

    tally.sent = 10;
    tally.received = 4;
    tally.lost = 5;
    tally.corrupted = tally.faults[FAULT_CORRUPTED] = 1;
    tally.unsent = 3;
    tally.connects = 7;
    tally.connects_failed = 2;
    tally.outages = 1;
    tally.downtime_ns = UINT64_C(3000000000);
    target_metrics_take(&samples[0], &tally, 2);
    samples[0].state = (struct account_state){.is_up = true,
                                              .last_answer_ms = 1500250,
                                              .address_changes = 6,
                                              .lookup_failures = 8,
                                              .has_certificate = true,
                                              .certificate = {.ends = 2000000000}};
    check_lines(lines);
}
END_TEST

START_TEST(an_opening_that_was_revoked_lets_no_count_shrink)
{
    tally.connects = 3;
    target_metrics_take(&samples[0], &tally, 1);
    tally.connects--;
    tally.connects_failed++;
    target_metrics_take(&samples[1], &tally, 1);
    ck_assert_uint_eq(samples[0].attempts, samples[1].attempts);
    ck_assert_uint_lt(samples[0].attempts_failed, samples[1].attempts_failed);
}
END_TEST

START_TEST(what_is_not_known_is_not_told)
{
    char *text = write_text(EXPOSITION_PROMETHEUS);

    ck_assert_ptr_null(strstr(text, "echoprobe_last_answer_timestamp_seconds{"));
    ck_assert_ptr_null(strstr(text, "echoprobe_certificate_expiry_timestamp_seconds{"));
    ck_assert_ptr_null(strstr(text, "echoprobe_tls_handshake_seconds_count{"));
    ck_assert_ptr_nonnull(strstr(text, "echoprobe_round_trip_seconds_count{target=\"dns\"} 0\n"));
    free(text);
}
END_TEST

START_TEST(times_stand_in_the_bucket_of_their_bound)
{
    static const char *const lines[] = {
        "echoprobe_round_trip_seconds_bucket{target=\"web\",le=\"0.00001\"} 1",
        "echoprobe_round_trip_seconds_bucket{target=\"web\",le=\"0.00005\"} 1",
        "echoprobe_round_trip_seconds_bucket{target=\"web\",le=\"0.0001\"} 3",
        "echoprobe_round_trip_seconds_bucket{target=\"web\",le=\"10.0\"} 4",
        "echoprobe_round_trip_seconds_bucket{target=\"web\",le=\"+Inf\"} 5",
        "echoprobe_round_trip_seconds_sum{target=\"web\"} 32.000178",
        "echoprobe_round_trip_seconds_count{target=\"web\"} 5",
        NULL};
    static const uint64_t times[] = {8 * US, 70 * US, 100 * US, UINT64_C(2000000000),
                                     UINT64_C(30000000000)};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        histogram_add(&tally.rtt_ns, times[i]);
    target_metrics_take(&samples[0], &tally, 1);
    check_lines(lines);
}
END_TEST

/* Each value stands below a bound that is at most 0.8 % too small for it, and above the next. */
START_TEST(buckets_add_up_whatever_the_times_are)
{
    uint64_t all = 0;

    for (uint64_t time = 1; time < UINT64_C(60000000000); time = time * 11 / 10 + 1)
        histogram_add(&tally.rtt_ns, time);
    target_metrics_take(&samples[0], &tally, 1);
    for (size_t i = 0; i <= TARGET_METRICS_BOUNDS; i++)
        all += samples[0].round_trips.counts[i];
    ck_assert_uint_eq(all, tally.rtt_ns.count);
    ck_assert_uint_eq(samples[0].round_trips.sum_ns, tally.rtt_ns.total);
}
END_TEST

START_TEST(openmetrics_has_its_end)
{
    char *text = write_text(EXPOSITION_OPENMETRICS);

    ck_assert_str_eq(text + strlen(text) - strlen("# EOF\n"), "# EOF\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target_metrics");
    TCase *texts = support_case(suite, "texts");

    tcase_add_checked_fixture(texts, set_up, NULL);
    tcase_add_test(texts, each_count_has_its_name);
    tcase_add_test(texts, an_opening_that_was_revoked_lets_no_count_shrink);
    tcase_add_test(texts, what_is_not_known_is_not_told);
    tcase_add_test(texts, times_stand_in_the_bucket_of_their_bound);
    tcase_add_test(texts, buckets_add_up_whatever_the_times_are);
    tcase_add_test(texts, openmetrics_has_its_end);
    return support_run(suite);
}
