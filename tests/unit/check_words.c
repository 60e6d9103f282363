/*
 * check_words: figures for people, tables as wide as they need be, rates, and places to ask.
 * Asks nobody; test_echoctl_answers sees what is made of whole answers.
 * Run by make check.
 */
#include <config.h>

#include "echoctl/words.h"

#include "echoctl/place.h"
#include "echoctl/rates.h"
#include "echoctl/target.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static const char *size_of(uint64_t bytes)
{
    static char text[WORDS_SIZE];

    words_size(bytes, text);
    return text;
}

static const char *duration_of(uint64_t milliseconds)
{
    static char text[WORDS_SIZE];

    words_duration(milliseconds, text);
    return text;
}

START_TEST(figures_have_two_or_three_digits)
{
    ck_assert_str_eq(size_of(0), "0");
    ck_assert_str_eq(size_of(1023), "1023");
    ck_assert_str_eq(size_of(1024), "1.0KiB");
    ck_assert_str_eq(size_of(10 * 1024), "10KiB");
    ck_assert_str_eq(size_of(1048575), "1.0MiB");
    ck_assert_str_eq(size_of(UINT64_C(5) << 40), "5.0TiB");
    ck_assert_str_eq(size_of(UINT64_MAX), "16EiB");
    ck_assert_str_eq(duration_of(0), "0ms");
    ck_assert_str_eq(duration_of(999), "999ms");
    ck_assert_str_eq(duration_of(59999), "59s");
    ck_assert_str_eq(duration_of(192000), "3m12s");
    ck_assert_str_eq(duration_of(UINT64_C(7260000)), "2h1m");
    ck_assert_str_eq(duration_of(UINT64_C(90000000)), "1d1h");
}
END_TEST

static const struct column columns_of_two[] = {
    {"NAME", false}, {"N", true}, {"END", false}, {NULL, false}};

/* Print a table of these rows; free it. */
static char *print_table(const char *const names[], size_t count)
{
    struct columns columns = columns_begin(columns_of_two);
    struct columns_row rows[4];
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    for (size_t i = 0; i < count; i++) {
        rows[i].count = 0;
        columns_add(&rows[i], names[i]);
        columns_add_count(&rows[i], strlen(names[i]) * 5);
        columns_add(&rows[i], "");
        columns_widen(&columns, &rows[i]);
    }
    columns_print_titles(&columns, stream);
    for (size_t i = 0; i < count; i++)
        columns_print(&columns, &rows[i], stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(columns_are_as_wide_as_they_need_be)
{
    const char *const names[] = {"a", "\xc3\xa4\xc3\xb6\xc3\xbc", "with a space"};
    char *text = print_table(names, 3);

    ck_assert_str_eq(text, "NAME                 N  END\n"
                           "a                    5  -\n"
                           "\xc3\xa4\xc3\xb6\xc3\xbc                 30  -\n"
                           "with\\x20a\\x20space  60  -\n");
    free(text);
}
END_TEST

START_TEST(a_cell_that_is_too_long_is_cut)
{
    char name[COLUMNS_CELL_SIZE + 1];
    struct columns_row row = {0};

    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    columns_add(&row, name);
    ck_assert_uint_eq(strlen(row.cells[0]), COLUMNS_CELL_SIZE - 1);
    ck_assert_str_eq(row.cells[0] + COLUMNS_CELL_SIZE - 5, "a...");
}
END_TEST

START_TEST(rates_are_those_of_one_run)
{
    struct service_facts before = {.pid = 1, .uptime_ms = 5000, .started = "a"}, now = before;
    const struct traffic old = {.accepted = 10, .in_bytes = 100},
                         new = {.accepted = 20, .in_bytes = 90};

    ck_assert_double_eq(rates_between(&old, &new, 2000).accepted, 5);
    ck_assert_double_eq(rates_between(&old, &new, 2000).in_bytes, 0);
    ck_assert_double_eq(rates_between(&old, &new, 0).accepted, 0);
    now.uptime_ms = 6000;
    ck_assert(rates_is_same_run(&before, &now));
    ck_assert(!rates_is_same_run(&now, &before));
    now.pid = 2;
    ck_assert(!rates_is_same_run(&before, &now));
    now.pid = 1;
    now.started[0] = 'b';
    ck_assert(!rates_is_same_run(&before, &now));
}
END_TEST

static const char *place_of(const char *text)
{
    static struct place place;
    static struct error error;

    return place_parse(text, &place, &error) == 0 ? place.text : error.text;
}

START_TEST(a_place_is_a_path_or_a_host_and_a_port)
{
    char path[200];

    ck_assert_str_eq(place_of("/run/a.sock"), "/run/a.sock");
    ck_assert_str_eq(place_of("a:b/c"), "a:b/c");
    ck_assert_str_eq(place_of("a.sock"), "a.sock");
    ck_assert_str_eq(place_of("@name"), "@name");
    ck_assert_str_eq(place_of("unix:///run/a.sock"), "/run/a.sock");
    ck_assert_str_eq(place_of("unix://@name"), "@name");
    ck_assert_str_eq(place_of("http://host"), "http://host:9265");
    ck_assert_str_eq(place_of("http://[::1]:8/"), "http://[::1]:8");
    ck_assert_str_eq(place_of("tcp://127.0.0.1:8"), "http://127.0.0.1:8");
    ck_assert_str_eq(place_of("host:8"), "http://host:8");
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    support_assert_matches(place_of(path), "^a place to ask; write for example /run/");
    support_assert_matches(place_of(""), "^a place to ask");
    support_assert_matches(place_of("https://host"), "^a place to ask");
    support_assert_matches(place_of("tls://host"), "^a place to ask");
    support_assert_matches(place_of("udp://host"), "^a place to ask");
    support_assert_matches(place_of("tls+unix:///a"), "^a place to ask");
    support_assert_matches(place_of("http://"), "^a place to ask");
    support_assert_matches(place_of("http:///"), "^a place to ask");
    support_assert_matches(place_of("http://host/path"), "^a place to ask");
    support_assert_matches(place_of("http://host:99999"), "^a place to ask");
}
END_TEST

START_TEST(a_target_encodes_what_is_not_plain)
{
    static struct target target;
    char long_text[HTTP_REQUEST_SIZE], request[HTTP_REQUEST_SIZE];

    target_begin(&target, "/listeners");
    target_add_segment(&target, "tcp://[::]:7");
    target_add_segment(&target, "..a-Z_~9");
    target_add_text(&target, "a", NULL);
    target_add_text(&target, "b", "& \xc3\xa4");
    target_add_number(&target, "c", 5);
    ck_assert_str_eq(target.text,
                     "/listeners/tcp%3A%2F%2F%5B%3A%3A%5D%3A7/..a-Z_~9?b=%26%20%C3%A4&c=5");
    memset(long_text, '/', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    target_add_text(&target, "d", long_text);
    ck_assert_uint_eq(http_message_write("GET", target.text, "a", NULL, request), 0);
}
END_TEST

static Suite *words_suite(void)
{
    Suite *suite = suite_create("words");
    TCase *words = support_case(suite, "words");

    tcase_add_test(words, figures_have_two_or_three_digits);
    tcase_add_test(words, columns_are_as_wide_as_they_need_be);
    tcase_add_test(words, a_cell_that_is_too_long_is_cut);
    tcase_add_test(words, rates_are_those_of_one_run);
    tcase_add_test(words, a_place_is_a_path_or_a_host_and_a_port);
    tcase_add_test(words, a_target_encodes_what_is_not_plain);
    return suite;
}

int main(void)
{
    return support_run(words_suite());
}
