/*
 * check_units: amounts and durations in text, there and back.
 * Tests no bound or default; check_settings does.
 * Run by make check.
 */
#include <config.h>

#include "base/units.h"

#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef int parse_function(const char *text, uint64_t *value);

/* A text and what is read from it; an error leaves no value. */
struct form {
    const char *text;
    uint64_t value;
    int error;
};

static void check_form(parse_function *parse, const struct form *form)
{
    uint64_t value = 0;
    int status;

    errno = 0;
    status = parse(form->text, &value);
    if (form->error == 0) {
        ck_assert_msg(status == 0, "\"%s\" was refused: %s", form->text, strerror(errno));
        ck_assert_msg(value == form->value, "\"%s\" is %" PRIu64 ", but was read as %" PRIu64,
                      form->text, form->value, value);
    } else {
        ck_assert_msg(status == -1, "\"%s\" was read as %" PRIu64, form->text, value);
        ck_assert_msg(errno == form->error, "\"%s\" gives %s instead of %s", form->text,
                      strerror(errno), strerror(form->error));
    }
}

#define KI UINT64_C(1024)
#define MI (KI * KI)
#define GI (KI * MI)
#define TI (KI * GI)

static const struct form counts[] = {
    {"0", 0, 0},
    {"1", 1, 0},
    {"007", 7, 0},
    {"13265", 13265, 0},
    {"18446744073709551615", UINT64_MAX, 0},
    {"000000000000000000000000000000012", 12, 0},
    {"18446744073709551616", 0, ERANGE},
    {"18446744073709551619", 0, ERANGE},
    {"18446744073709551620", 0, ERANGE},
    {"28446744073709551615", 0, ERANGE},
    {"184467440737095516150", 0, ERANGE},
    {"99999999999999999999999999999999999999999", 0, ERANGE},
    {"", 0, EINVAL},
    {" ", 0, EINVAL},
    {" 1", 0, EINVAL},
    {"1 ", 0, EINVAL},
    {"\t1", 0, EINVAL},
    {"1\n", 0, EINVAL},
    {"+1", 0, EINVAL},
    {"-1", 0, EINVAL},
    {"-0", 0, EINVAL},
    {"0x10", 0, EINVAL},
    {"1e3", 0, EINVAL},
    {"1.0", 0, EINVAL},
    {"1,000", 0, EINVAL},
    {"1_000", 0, EINVAL},
    {"1k", 0, EINVAL},
    {"auto", 0, EINVAL},
    {"\xd9\xa1", 0, EINVAL}, /* an Arabic-Indic digit one */
    {"\xb2", 0, EINVAL},     /* a superscript two in ISO 8859-1 */
};

static const struct form sizes[] = {
    {"0", 0, 0},
    {"12", 12, 0},
    {"12B", 12, 0},
    {"12b", 12, 0},
    {"1KiB", KI, 0},
    {"2MiB", 2 * MI, 0},
    {"3GiB", 3 * GI, 0},
    {"4TiB", 4 * TI, 0},
    {"1K", KI, 0},
    {"2M", 2 * MI, 0},
    {"3G", 3 * GI, 0},
    {"4T", 4 * TI, 0},
    {"1kB", 1000, 0},
    {"2MB", 2000000, 0},
    {"3GB", UINT64_C(3000000000), 0},
    {"4TB", UINT64_C(4000000000000), 0},
    {"1k", KI, 0},
    {"1kib", KI, 0},
    {"1KIB", KI, 0},
    {"1kIb", KI, 0},
    {"1KB", 1000, 0},
    {"1kb", 1000, 0},
    {"1mb", 1000000, 0},
    {"1t", TI, 0},
    {"0TiB", 0, 0},
    {"064KiB", 64 * KI, 0},
    {"18446744073709551615", UINT64_MAX, 0},
    {"18446744073709551615B", UINT64_MAX, 0},
    {"18014398509481983KiB", UINT64_MAX - 1023, 0},
    {"16777215TiB", 16777215 * TI, 0},
    {"18446744TB", UINT64_C(18446744000000000000), 0},
    {"18446744073709551kB", UINT64_C(18446744073709551000), 0},
    {"18014398509481984KiB", 0, ERANGE},
    {"17592186044416M", 0, ERANGE},
    {"17179869184GiB", 0, ERANGE},
    {"16777216TiB", 0, ERANGE},
    {"18446745TB", 0, ERANGE},
    {"18446744073709552kB", 0, ERANGE},
    {"18446744073709551616", 0, ERANGE},
    {"18446744073709551616B", 0, ERANGE},
    {"99999999999999999999999KiB", 0, ERANGE},
    {"", 0, EINVAL},
    {"B", 0, EINVAL},
    {"KiB", 0, EINVAL},
    {"1Ki", 0, EINVAL},
    {"1iB", 0, EINVAL},
    {"1i", 0, EINVAL},
    {"1BB", 0, EINVAL},
    {"1KiBB", 0, EINVAL},
    {"1KiB ", 0, EINVAL},
    {" 1KiB", 0, EINVAL},
    {"1 KiB", 0, EINVAL},
    {"-1KiB", 0, EINVAL},
    {"+1KiB", 0, EINVAL},
    {"1.5KiB", 0, EINVAL},
    {"1KiB1", 0, EINVAL},
    {"1K1M", 0, EINVAL},
    {"1PiB", 0, EINVAL},
    {"1E", 0, EINVAL},
    {"12x", 0, EINVAL},
    {"0x10", 0, EINVAL},
    {"1s", 0, EINVAL},
    {"64\xe2\x84\xaaiB", 0, EINVAL}, /* a Kelvin sign, whose lower case is k */
};

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct form durations[] = {
    {"0", 0, 0},
    {"1", 1000, 0},
    {"30", 30000, 0},
    {"0.5", 500, 0},
    {"1.25", 1250, 0},
    {"0.001", 1, 0},
    {"18446744073709551.615", UINT64_MAX, 0},
    {"18446744073709551.616", 0, ERANGE},
    {"0.0001", 0, EINVAL},
    {"0.", 0, EINVAL},
    {".5", 0, EINVAL},
    {"0.5s", 0, EINVAL},
    {"250ms", 250, 0},
    {"2s", 2000, 0},
    {"3m", 3 * MINUTE, 0},
    {"4h", 4 * HOUR, 0},
    {"5d", 5 * DAY, 0},
    {"1m30s", 90000, 0},
    {"1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4005, 0},
    {"1d5ms", DAY + 5, 0},
    {"1h1ms", HOUR + 1, 0},
    {"0d0h0m0s0ms", 0, 0},
    {"0ms", 0, 0},
    {"90m", 90 * MINUTE, 0},
    {"1m90s", 150000, 0},
    {"18446744073709551615ms", UINT64_MAX, 0},
    {"18446744073709551s615ms", UINT64_MAX, 0},
    {"18446744073709551", UINT64_C(18446744073709551000), 0},
    {"213503982334d", 213503982334 * DAY, 0},
    {"18446744073709551s616ms", 0, ERANGE},
    {"18446744073709551616ms", 0, ERANGE},
    {"18446744073709552", 0, ERANGE},
    {"18446744073709552s", 0, ERANGE},
    {"307445734561826m", 0, ERANGE},
    {"5124095576031h", 0, ERANGE},
    {"213503982335d", 0, ERANGE},
    {"213503982334d24h", 0, ERANGE},
    {"99999999999999999999999s", 0, ERANGE},
    {"", 0, EINVAL},
    {"s", 0, EINVAL},
    {"ms", 0, EINVAL},
    {"1x", 0, EINVAL},
    {"1ss", 0, EINVAL},
    {"1mm", 0, EINVAL},
    {"1mss", 0, EINVAL},
    {"1 s", 0, EINVAL},
    {" 1s", 0, EINVAL},
    {"1s ", 0, EINVAL},
    {"1m 30s", 0, EINVAL},
    {"-1s", 0, EINVAL},
    {"+1s", 0, EINVAL},
    {"1m-1s", 0, EINVAL},
    {"1.5s", 0, EINVAL},
    {"1s1s", 0, EINVAL},
    {"1ms1ms", 0, EINVAL},
    {"1s1m", 0, EINVAL},
    {"30s1m", 0, EINVAL},
    {"1ms1s", 0, EINVAL},
    {"1h1d", 0, EINVAL},
    {"1d1h1d", 0, EINVAL},
    {"1m30", 0, EINVAL},
    {"30 ", 0, EINVAL},
    {"1us", 0, EINVAL},
    {"1w", 0, EINVAL},
    {"1KiB", 0, EINVAL},
    {"auto", 0, EINVAL},
};

static const struct form intervals[] = {
    {"0", 0, 0},
    {"1", 1000000, 0},
    {"0.2", 200000, 0},
    {"1.000001", 1000001, 0},
    {"0.10", 100000, 0},
    {"500us", 500, 0},
    {"18446744073709551615us", UINT64_MAX, 0},
    {"1ms500us", 1500, 0},
    {"1m30s", 90000000, 0},
    {"18446744073709.551615", UINT64_MAX, 0},
    {"18446744073709.551616", 0, ERANGE},
    {"18446744073710", 0, ERANGE},
    {"18446744073709551616", 0, ERANGE},
    {"213503983d", 0, ERANGE},
    {"0.0000001", 0, EINVAL},
    {"0.", 0, EINVAL},
    {".5", 0, EINVAL},
    {"0.5s", 0, EINVAL},
    {"1us1ms", 0, EINVAL},
    {"1u", 0, EINVAL},
    {"-1", 0, EINVAL},
    {"", 0, EINVAL},
};

static const struct {
    const char *text;
    double per_second;
    int error;
} rates[] = {
    {"0", 0, 0},
    {"1000", 1000, 0},
    {"1000/s", 1000, 0},
    {"900/m", 15, 0},
    {"300/m", 5, 0},
    {"7200/h", 2, 0},
    {"5k/s", 5000, 0},
    {"1.5M", 1500000, 0},
    {"0.5/s", 0.5, 0},
    {"5K/s", 0, EINVAL},
    {"30/m", 0.5, 0},
    {"2.5k", 2500, 0},
    {"1./s", 0, EINVAL},
    {"1/d", 0, EINVAL},
    {"k/s", 0, EINVAL},
    {"0.0000001/s", 0, EINVAL},
    {"/s", 0, EINVAL},
    {"1000/s ", 0, EINVAL},
    {"", 0, EINVAL},
    {"18446744073709551616/s", 0, ERANGE},
    {"1/", 0, EINVAL},
    {"-1/s", 0, EINVAL},
    {"4500M/s", 4.5e9, 0},
    {"4504M/s", 0, ERANGE},
    {"18446744073709.551", 0, ERANGE},
    {"18446744073709k", 0, ERANGE},
    {"0000000000000000000000000000000000000000000000001/s", 0, EINVAL}, /* longer than any */
};

/* What is written is read back as the same. */
static const struct {
    const char *text, *written;
} written_rates[] = {
    {"0", "0"},
    {"1000", "1000/s"},
    {"0.5/s", "0.5/s"},
    {"30/m", "0.5/s"},
    {"1/m", "1/m"},
    {"7200/h", "2/s"},
    {"1/h", "1/h"},
    {"0.1/h", "0.1/h"},
    {"1.5M", "1500000/s"},
    {"100/m", "100/m"},
    {"0.000001/s", "0.000001/s"},
    {"1000M", "1000000000/s"},
    {"4503599627.370496/s", "4503599627.370496/s"},
    {"16212958658533.785599/h", "4503599627.370496/s"}, /* the highest of all */
    {"1000000003.000001/h", "1000000003.000001/h"},     /* a double holds it nearly */
};

START_TEST(a_rate_is_written)
{
    char text[UNITS_TEXT_SIZE];
    double rate = -1;

    ck_assert_int_eq(units_parse_rate(written_rates[_i].text, &rate), 0);
    units_format_rate(rate, text);
    ck_assert_str_eq(text, written_rates[_i].written);
}
END_TEST

START_TEST(an_interval_is_read_or_refused)
{
    check_form(units_parse_interval, &intervals[_i]);
}
END_TEST

static const struct form percents[] = {
    {"0%", 0, 0},
    {"100%", 1000000, 0},
    {"20%", 200000, 0},
    {"0.5%", 5000, 0},
    {"0.0001%", 1, 0},
    {"99.9999%", 999999, 0},
    {"100.0001%", 0, ERANGE},
    {"101%", 0, ERANGE},
    {"0.00001%", 0, EINVAL},
    {"20", 0, EINVAL},
    {"%", 0, EINVAL},
    {"1.%", 0, EINVAL},
    {"-1%", 0, EINVAL},
    {"20% ", 0, EINVAL},
};

START_TEST(a_percent_is_read_or_refused)
{
    check_form(units_parse_percent, &percents[_i]);
}
END_TEST

START_TEST(a_rate_is_read_or_refused)
{
    double rate = -1;

    errno = 0;
    ck_assert_int_eq(units_parse_rate(rates[_i].text, &rate), rates[_i].error == 0 ? 0 : -1);
    ck_assert_int_eq(errno, rates[_i].error);
    if (rates[_i].error == 0)
        ck_assert_double_eq_tol(rate, rates[_i].per_second, 1e-12);
}
END_TEST

START_TEST(an_interval_is_written_from_large_to_small)
{
    char text[UNITS_TEXT_SIZE];

    units_format_interval(90000500, text);
    ck_assert_str_eq(text, "1m30s500us");
    units_format_interval(0, text);
    ck_assert_str_eq(text, "0");
}
END_TEST

START_TEST(a_count_is_read_or_refused)
{
    check_form(units_parse_count, &counts[_i]);
}
END_TEST

START_TEST(a_size_is_read_or_refused)
{
    check_form(units_parse_size, &sizes[_i]);
}
END_TEST

START_TEST(a_duration_is_read_or_refused)
{
    check_form(units_parse_duration, &durations[_i]);
}
END_TEST

static const struct form size_texts[] = {
    {"0", 0, 0},
    {"1", 1, 0},
    {"1000", 1000, 0},
    {"1023", 1023, 0},
    {"1KiB", KI, 0},
    {"1025", 1025, 0},
    {"256KiB", 256 * KI, 0},
    {"1536KiB", 1536 * KI, 0},
    {"1MiB", MI, 0},
    {"256MiB", 256 * MI, 0},
    {"5GiB", 5 * GI, 0},
    {"1024TiB", 1024 * TI, 0},
    {"18446744073709551615", UINT64_MAX, 0},
    {"16777215TiB", 16777215 * TI, 0},
};

static const struct form duration_texts[] = {
    {"0", 0, 0},
    {"1ms", 1, 0},
    {"250ms", 250, 0},
    {"1s", 1000, 0},
    {"1s1ms", 1001, 0},
    {"1m30s", 90000, 0},
    {"2m", 2 * MINUTE, 0},
    {"1h", HOUR, 0},
    {"2h4m", 2 * HOUR + 4 * MINUTE, 0},
    {"1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4005, 0},
    {"1d5ms", DAY + 5, 0},
    {"30d", 30 * DAY, 0},
};

START_TEST(a_size_is_written_with_the_largest_unit_that_divides_it)
{
    char text[UNITS_TEXT_SIZE];

    units_format_size(size_texts[_i].value, text);
    ck_assert_str_eq(text, size_texts[_i].text);
}
END_TEST

START_TEST(a_duration_is_written_from_large_to_small)
{
    char text[UNITS_TEXT_SIZE];

    units_format_duration(duration_texts[_i].value, text);
    ck_assert_str_eq(text, duration_texts[_i].text);
}
END_TEST

static void check_round_trip(uint64_t value)
{
    char text[UNITS_TEXT_SIZE];

    units_format_size(value, text);
    check_form(units_parse_size, &(struct form){text, value, 0});
    units_format_duration(value, text);
    check_form(units_parse_duration, &(struct form){text, value, 0});
}

START_TEST(what_is_written_is_read_as_the_same_value)
{
    static const uint64_t factors[] = {1,       1000, 1000000, MINUTE, HOUR, DAY,
                                       DAY + 1, KI,   MI,      GI,     TI};
    uint64_t seed = 1;

    for (uint64_t value = 0; value < 5000; value++) {
        check_round_trip(value);
        check_round_trip(UINT64_MAX - value);
    }
    for (int i = 0; i < COUNT_OF(factors); i++) {
        for (uint64_t value = 0; value < 300; value++)
            check_round_trip(factors[i] * value);
    }
    for (int bits = 1; bits < 64; bits++) {
        for (int i = 0; i < 200; i++)
            check_round_trip(support_random(&seed) >> bits);
    }
}
END_TEST

START_TEST(one_byte_is_no_bytes)
{
    ck_assert_str_eq(units_bytes(0), "bytes");
    ck_assert_str_eq(units_bytes(1), "byte");
    ck_assert_str_eq(units_bytes(2), "bytes");
}
END_TEST

static Suite *units_suite(void)
{
    Suite *suite = suite_create("units");
    TCase *parse = support_case(suite, "parse");
    TCase *format = support_case(suite, "format");

    tcase_add_loop_test(parse, a_count_is_read_or_refused, 0, COUNT_OF(counts));
    tcase_add_loop_test(parse, a_size_is_read_or_refused, 0, COUNT_OF(sizes));
    tcase_add_loop_test(parse, a_duration_is_read_or_refused, 0, COUNT_OF(durations));
    tcase_add_loop_test(parse, an_interval_is_read_or_refused, 0, COUNT_OF(intervals));
    tcase_add_loop_test(parse, a_rate_is_read_or_refused, 0, COUNT_OF(rates));
    tcase_add_loop_test(parse, a_rate_is_written, 0, COUNT_OF(written_rates));
    tcase_add_loop_test(parse, a_percent_is_read_or_refused, 0, COUNT_OF(percents));
    tcase_add_test(format, an_interval_is_written_from_large_to_small);
    tcase_add_loop_test(format, a_size_is_written_with_the_largest_unit_that_divides_it, 0,
                        COUNT_OF(size_texts));
    tcase_add_loop_test(format, a_duration_is_written_from_large_to_small, 0,
                        COUNT_OF(duration_texts));
    tcase_add_test(format, one_byte_is_no_bytes);
    tcase_add_test(format, what_is_written_is_read_as_the_same_value);
    return suite;
}

int main(void)
{
    return support_run_together(units_suite());
}
