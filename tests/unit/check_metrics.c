/*
 * check_metrics: what has been counted of listeners stands in the metrics, under its names, in both
 * formats.
 * No client comes, and there is no worker; test_metrics.py has both.
 * Run by make check.
 */
#include <config.h>

#include "echod/metrics.h"

#include "support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 3 };

static struct {
    struct endpoint_list endpoints;
    struct listener_stats_list stats;
    struct connection_limit limit;
    struct reload_outcomes reloads;
    struct admin_view view;
    char *text; /* as it was written last */
} scene;

static struct listener_stats *add(enum endpoint_kind kind, const char *address)
{
    struct endpoint *endpoint = endpoint_add(&scene.endpoints, kind);

    ck_assert_ptr_nonnull(endpoint);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", address);
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
    return scene.endpoints.items[scene.endpoints.count - 1].stats;
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.stats.worker_count = scene.endpoints.worker_count = WORKERS;
    atomic_store(&scene.limit.max, 1000);
    scene.view = (struct admin_view){
        .log = support_log(LOG_FORMAT_TEXT),
        .stats = &scene.stats,
        .limit = &scene.limit,
        .reloads = &scene.reloads,
        .started = 1700000000,
        .state = ADMIN_RUNNING,
    };
}

static void teardown(void)
{
    free(scene.text);
    endpoint_list_close_from(&scene.endpoints, 0);
    free(scene.endpoints.items);
    listener_stats_fini(&scene.stats);
}

static void write_as(enum exposition_format format)
{
    struct text_buffer text = {.bytes = NULL};
    size_t length;

    ck_assert_int_eq(metrics_write(&scene.view, format, &text), 0);
    free(scene.text);
    scene.text = text_buffer_take(&text, &length);
    ck_assert_ptr_nonnull(scene.text);
}

/* Tell whether a line stands in the text, once. */
static void expect_line(const char *line)
{
    const size_t length = strlen(line);
    unsigned count = 0;

    for (const char *at = scene.text; (at = strstr(at, line)) != NULL; at += length) {
        if ((at == scene.text || at[-1] == '\n') && at[length] == '\n')
            count++;
    }
    ck_assert_msg(count == 1, "%s: %u times in\n%s", line, count, scene.text);
}

START_TEST(the_workers_of_a_listener_add_up)
{
    struct listener_stats *stats = add(ENDPOINT_LISTENER, "unix:///a\"b");

    counters_add(&stats->by_worker[0], COUNTER_BYTES_IN, 7);
    counters_add(&stats->by_worker[2], COUNTER_BYTES_IN, 5);
    counters_add(&stats->by_worker[1], COUNTER_REFUSED_RATE, 3);
    counters_add(&stats->by_worker[1], counters_of_end(CLOSE_IDLE), 1);
    buckets_count(&stats->by_worker[0].ages, counters_age_bounds(), 100);
    buckets_count(&stats->by_worker[1].ages, counters_age_bounds(), 60000);
    atomic_store(&stats->open, 4);
    atomic_store(&stats->max, UINT64_MAX);
    atomic_store(&stats->certificate_end_s, 1800000000);
    write_as(EXPOSITION_PROMETHEUS);
    expect_line("# TYPE echod_connection_bytes_total counter");
    expect_line("echod_connection_bytes_total{listener=\"unix:///a\\\"b\",direction=\"in\"} 12");
    expect_line("echod_connections_refused_total{listener=\"unix:///a\\\"b\",reason=\"rate\"} 3");
    expect_line(
        "echod_connections_ended_total{listener=\"unix:///a\\\"b\",reason=\"idle_timeout\"} 1");
    expect_line("echod_connection_age_seconds_bucket{listener=\"unix:///a\\\"b\",le=\"0.1\"} 1");
    expect_line("echod_connection_age_seconds_bucket{listener=\"unix:///a\\\"b\",le=\"60.0\"} 2");
    expect_line("echod_connection_age_seconds_sum{listener=\"unix:///a\\\"b\"} 60.1");
    expect_line("echod_connections_open{listener=\"unix:///a\\\"b\"} 4");
    expect_line("echod_listener_connections_limit{listener=\"unix:///a\\\"b\"} 1000");
    expect_line("echod_tls_certificate_expiry_timestamp_seconds{listener=\"unix:///a\\\"b\"} "
                "1800000000");
    ck_assert_ptr_null(strstr(scene.text, "datagram"));
}
END_TEST

/* By what has gone, and by the one client that was passed, nobody comes: no alert is to stay. */
START_TEST(a_pause_is_told_of_what_can_be_paused)
{
    (void)add(ENDPOINT_LISTENER, "tcp://[::]:7");
    (void)add(ENDPOINT_DATAGRAM, "udp://[::]:7");
    (void)add(ENDPOINT_LISTENER, "tcp://[::]:8");
    (void)add(ENDPOINT_CLIENT, "fd://0");
    listener_stats_note_places(&scene.stats, &scene.endpoints);
    scene.endpoints.items[2].is_leaving = true;
    listener_stats_note_places(&scene.stats, &scene.endpoints);
    for (size_t i = 1; i < scene.endpoints.count; i++)
        atomic_store(&scene.endpoints.items[i].stats->is_paused, true);
    write_as(EXPOSITION_PROMETHEUS);
    expect_line("echod_listener_paused{listener=\"tcp://[::]:7\"} 0");
    expect_line("echod_listener_paused{listener=\"udp://[::]:7\"} 1");
    ck_assert_uint_eq(support_count(scene.text, "\nechod_listener_paused{"), 2);
}
END_TEST

START_TEST(a_name_may_be_that_of_a_listener_of_either_kind)
{
    struct listener_stats *stats;

    (void)add(ENDPOINT_LISTENER, "tcp://[::]:7");
    stats = add(ENDPOINT_DATAGRAM, "udp://[::]:7");
    counters_add(&stats->by_worker[0], COUNTER_DATAGRAMS_IN, 2);
    write_as(EXPOSITION_OPENMETRICS);
    expect_line("# TYPE echod_datagrams counter");
    expect_line("echod_datagrams_total{listener=\"udp://[::]:7\",direction=\"in\"} 2");
    expect_line("echod_connections_accepted_total{listener=\"tcp://[::]:7\"} 0");
    ck_assert_ptr_null(strstr(scene.text, "echod_connections_accepted_total{listener=\"udp"));
    ck_assert_ptr_null(strstr(scene.text, "echod_datagrams_total{listener=\"tcp"));
    expect_line("# EOF");
}
END_TEST

/* Whatever is counted has a sample, since all of it is in one table. */
START_TEST(every_counter_is_told)
{
    const struct counter_name *name = counters_name((enum counter)_i);
    struct listener_stats *stats =
        add(name->metric->is_of_datagrams ? ENDPOINT_DATAGRAM : ENDPOINT_LISTENER, "tcp://[::]:7");
    char line[256];

    counters_add(&stats->by_worker[1], (enum counter)_i, 41);
    write_as(EXPOSITION_PROMETHEUS);
    if (name->metric->label == NULL)
        (void)snprintf(line, sizeof line, "%s_total{listener=\"tcp://[::]:7\"} 41",
                       name->metric->name);
    else
        (void)snprintf(line, sizeof line, "%s_total{listener=\"tcp://[::]:7\",%s=\"%s\"} 41",
                       name->metric->name, name->metric->label, name->label_value);
    expect_line(line);
}
END_TEST

START_TEST(reloads_and_a_drain_are_told)
{
    atomic_store(&scene.reloads.done, 3);
    atomic_store(&scene.reloads.refused, 1);
    atomic_store(&scene.reloads.is_last_refused, true);
    atomic_store(&scene.reloads.options_since_s, 1700000123);
    atomic_store(&scene.view.state, ADMIN_DRAINING);
    write_as(EXPOSITION_PROMETHEUS);
    expect_line("echod_reloads_total{result=\"done\"} 3");
    expect_line("echod_reloads_total{result=\"refused\"} 1");
    expect_line("echod_config_last_reload_successful 0");
    expect_line("echod_config_last_reload_success_timestamp_seconds 1700000123");
    expect_line("echod_draining 1");
    expect_line("echod_connections_limit 1000");
    expect_line("echod_log_lines_dropped_total 0");
    expect_line("process_start_time_seconds 1700000000");
}
END_TEST

/* Return the value of a metric of the process. */
static uint64_t process_value(const char *name)
{
    char line[64];
    const char *found;

    (void)snprintf(line, sizeof line, "\n%s ", name);
    found = strstr(scene.text, line);
    ck_assert_msg(found != NULL, "no %s in\n%s", name, scene.text);
    return strtoull(found + strlen(line), NULL, 10);
}

/* Count the threads by the entries that the system has of them, or return 0. */
static uint64_t count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;
    uint64_t count = 0;

    if (directory == NULL)
        return 0;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

START_TEST(the_process_is_as_the_system_has_it)
{
    const uint64_t threads = count_threads();

    if (threads == 0)
        support_skip("it needs /proc");
    write_as(EXPOSITION_PROMETHEUS);
    if (process_value("process_threads") == 0)
        support_skip("it needs a system that is not emulated");
    ck_assert_uint_eq(process_value("process_threads"), threads);
    ck_assert_uint_gt(process_value("process_resident_memory_bytes"), 0);
    ck_assert_uint_ge(process_value("process_virtual_memory_bytes"),
                      process_value("process_resident_memory_bytes"));
}
END_TEST

static Suite *metrics_suite(void)
{
    Suite *suite = suite_create("metrics");
    TCase *metrics = support_case(suite, "metrics");

    tcase_add_checked_fixture(metrics, setup, teardown);
    tcase_add_test(metrics, the_workers_of_a_listener_add_up);
    tcase_add_test(metrics, a_pause_is_told_of_what_can_be_paused);
    tcase_add_test(metrics, a_name_may_be_that_of_a_listener_of_either_kind);
    tcase_add_loop_test(metrics, every_counter_is_told, 0, COUNTER_COUNT);
    tcase_add_test(metrics, reloads_and_a_drain_are_told);
    tcase_add_test(metrics, the_process_is_as_the_system_has_it);
    return suite;
}

int main(void)
{
    return support_run(metrics_suite());
}
