/*
 * check_exposition: metrics as both formats have them, byte by byte, and which of them a client
 * gets. What is expected here is what promtool takes.
 * Tests no metric of echod's.
 * Run by make check.
 */
#include <config.h>

#include "base/exposition.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static struct text_buffer text;

/* Tell whether exactly this was written, and begin anew. */
static void assert_written(const char *expected)
{
    size_t length;
    char *written = text_buffer_take(&text, &length);

    ck_assert_ptr_nonnull(written);
    ck_assert_uint_eq(length, strlen(written));
    ck_assert_str_eq(written, expected);
    free(written);
}

static struct exposition begin(enum exposition_format format)
{
    text = (struct text_buffer){.bytes = NULL};
    return (struct exposition){.text = &text, .format = format};
}

static const struct exposition_metric sent = {EXPOSITION_COUNTER, "sent_bytes", "bytes",
                                              "What was sent."};
static const struct exposition_metric open_now = {EXPOSITION_GAUGE, "open", NULL, "What is open."};
static const struct exposition_metric build = {EXPOSITION_INFO, "build", NULL, "What this is."};
static const struct exposition_metric age = {EXPOSITION_HISTOGRAM, "age_seconds", "seconds",
                                             "How old it was."};

/* Write a metric of each kind. */
static void write_all(struct exposition *exposition)
{
    static const struct exposition_label labels[] = {{"from", "a"}, {"to", "b"}};

    exposition_begin(exposition, &sent);
    exposition_add(exposition, labels, 2, UINT64_MAX);
    exposition_add(exposition, labels, 1, 0);
    exposition_begin(exposition, &open_now);
    exposition_add(exposition, NULL, 0, 7);
    exposition_begin(exposition, &build);
    exposition_add(exposition, labels, 1, 1);
    exposition_end(exposition);
}

START_TEST(prometheus_describes_samples)
{
    struct exposition exposition = begin(EXPOSITION_PROMETHEUS);

    write_all(&exposition);
    assert_written("# HELP sent_bytes_total What was sent.\n"
                   "# TYPE sent_bytes_total counter\n"
                   "sent_bytes_total{from=\"a\",to=\"b\"} 18446744073709551615\n"
                   "sent_bytes_total{from=\"a\"} 0\n"
                   "# HELP open What is open.\n"
                   "# TYPE open gauge\n"
                   "open 7\n"
                   "# HELP build_info What this is.\n"
                   "# TYPE build_info gauge\n"
                   "build_info{from=\"a\"} 1\n");
}
END_TEST

START_TEST(openmetrics_describes_metrics_and_says_when_it_ends)
{
    struct exposition exposition = begin(EXPOSITION_OPENMETRICS);

    write_all(&exposition);
    assert_written("# HELP sent_bytes What was sent.\n"
                   "# TYPE sent_bytes counter\n"
                   "# UNIT sent_bytes bytes\n"
                   "sent_bytes_total{from=\"a\",to=\"b\"} 18446744073709551615\n"
                   "sent_bytes_total{from=\"a\"} 0\n"
                   "# HELP open What is open.\n"
                   "# TYPE open gauge\n"
                   "open 7\n"
                   "# HELP build What this is.\n"
                   "# TYPE build info\n"
                   "build_info{from=\"a\"} 1\n"
                   "# EOF\n");
}
END_TEST

START_TEST(a_histogram_adds_up_its_buckets)
{
    static const uint64_t bounds[] = {1, 250, 1000, 60000};
    static const uint64_t counts[] = {1, 0, 2, 3, 4};
    static const struct exposition_label label = {"listener", "a"};
    const struct exposition_histogram histogram = {bounds, counts, 4, 1234567, 3};
    struct exposition exposition = begin(EXPOSITION_PROMETHEUS);

    exposition_begin(&exposition, &age);
    exposition_add_histogram(&exposition, &label, 1, &histogram);
    exposition_end(&exposition);
    assert_written("# HELP age_seconds How old it was.\n"
                   "# TYPE age_seconds histogram\n"
                   "age_seconds_bucket{listener=\"a\",le=\"0.001\"} 1\n"
                   "age_seconds_bucket{listener=\"a\",le=\"0.25\"} 1\n"
                   "age_seconds_bucket{listener=\"a\",le=\"1.0\"} 3\n"
                   "age_seconds_bucket{listener=\"a\",le=\"60.0\"} 6\n"
                   "age_seconds_bucket{listener=\"a\",le=\"+Inf\"} 10\n"
                   "age_seconds_sum{listener=\"a\"} 1234.567\n"
                   "age_seconds_count{listener=\"a\"} 10\n");
}
END_TEST

START_TEST(a_histogram_needs_no_label)
{
    static const uint64_t counts[] = {5};
    const struct exposition_histogram histogram = {NULL, counts, 0, 0, 9};
    struct exposition exposition = begin(EXPOSITION_PROMETHEUS);

    exposition_begin(&exposition, &age);
    text_buffer_clear(&text);
    exposition_add_histogram(&exposition, NULL, 0, &histogram);
    assert_written("age_seconds_bucket{le=\"+Inf\"} 5\nage_seconds_sum 0.0\nage_seconds_count 5\n");
}
END_TEST

/* A value, its decimals and how it is written. */
static const struct {
    uint64_t value;
    unsigned decimals;
    const char *shown;
} numbers[] = {
    {0, 9, "open 0.0\n"},    {1, 9, "open 0.000000001\n"},
    {1500, 3, "open 1.5\n"}, {12000000000, 9, "open 12.0\n"},
    {7, 0, "open 7.0\n"},    {UINT64_MAX, 19, "open 1.8446744073709551615\n"},
};

START_TEST(decimals_are_exact)
{
    struct exposition exposition = begin(EXPOSITION_PROMETHEUS);

    exposition_begin(&exposition, &open_now);
    text_buffer_clear(&text);
    exposition_add_decimal(&exposition, NULL, 0, numbers[_i].value, numbers[_i].decimals);
    assert_written(numbers[_i].shown);
}
END_TEST

START_TEST(labels_are_escaped)
{
    static const struct exposition_label label = {"listener", "a\"b\\c\nd\xff"};
    struct exposition exposition = begin(EXPOSITION_PROMETHEUS);

    exposition_begin(&exposition, &open_now);
    text_buffer_clear(&text);
    exposition_add(&exposition, &label, 1, 3);
    assert_written("open{listener=\"a\\\"b\\\\c\\\\x0ad\\\\xff\"} 3\n");
}
END_TEST

/* A header Accept, and what it gets. */
static const struct {
    const char *accept;
    enum exposition_format format;
} choices[] = {
    {NULL, EXPOSITION_PROMETHEUS},
    {"", EXPOSITION_PROMETHEUS},
    {"*/*", EXPOSITION_PROMETHEUS}, /* curl */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", EXPOSITION_PROMETHEUS},
    {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
    {"application/openmetrics-text; version=1.0.0; charset=utf-8", EXPOSITION_OPENMETRICS},
    {"application/openmetrics-text;version=2.0.0,text/plain;q=0.1", EXPOSITION_PROMETHEUS},
    /* Prometheus 2.42 and 3.0, and one that was told to prefer text */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     EXPOSITION_OPENMETRICS},
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
     "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     EXPOSITION_OPENMETRICS},
    {"text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2",
     EXPOSITION_PROMETHEUS},
};

START_TEST(the_client_chooses_the_format)
{
    ck_assert_int_eq(exposition_choose_format(choices[_i].accept), choices[_i].format);
    ck_assert_ptr_nonnull(strstr(exposition_content_type(choices[_i].format), "charset=utf-8"));
}
END_TEST

static Suite *exposition_suite(void)
{
    Suite *suite = suite_create("exposition");
    TCase *formats = support_case(suite, "formats");

    tcase_add_test(formats, prometheus_describes_samples);
    tcase_add_test(formats, openmetrics_describes_metrics_and_says_when_it_ends);
    tcase_add_test(formats, a_histogram_adds_up_its_buckets);
    tcase_add_test(formats, a_histogram_needs_no_label);
    tcase_add_loop_test(formats, decimals_are_exact, 0, COUNT_OF(numbers));
    tcase_add_test(formats, labels_are_escaped);
    tcase_add_loop_test(formats, the_client_chooses_the_format, 0, COUNT_OF(choices));
    return suite;
}

int main(void)
{
    return support_run(exposition_suite());
}
