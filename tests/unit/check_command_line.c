/*
 * check_command_line: what a command line makes of a table of settings.
 * Knows none of the programs' options; check_options does.
 * Run by make check.
 */
#include <config.h>

#include "base/command_line.h"

#include "support.h"
#include "things.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int parse(const char *const arguments[], struct error *error)
{
    return things_parse_into(things_table, &things, arguments, error);
}

static void check_parse(const char *const arguments[])
{
    struct error error;
    int status = parse(arguments, &error);

    ck_assert_msg(status == 0, "%s was refused: %s", arguments[0], error.text);
}

static void check_list(const struct listen_list *list, const char *const expected[])
{
    size_t count = 0;

    for (; expected[count] != NULL; count++) {
        char text[ADDRESS_TEXT_SIZE];

        ck_assert_uint_lt(count, list->count);
        address_format(&list->items[count].address, text);
        ck_assert_str_eq(text, expected[count]);
    }
    ck_assert_uint_eq(list->count, count);
}

static void check_defaults(void)
{
    check_list(&things.listen, ARGUMENTS("tcp://127.0.0.1:13265"));
    check_list(&things.extra, ARGUMENTS("unix:///extra"));
    ck_assert_uint_eq(things.count, SETTING_AUTO);
    ck_assert_uint_eq(things.count_limit, 7);
    ck_assert_uint_eq(things.size, 65536);
    ck_assert_uint_eq(things.duration, 90000);
    ck_assert_uint_eq(things.level, 1);
    ck_assert(!things.quiet);
    ck_assert(!things.verbose);
    ck_assert(!things.help);
}

START_TEST(defaults_are_set_and_an_empty_line_leaves_them)
{
    struct error error;

    check_defaults();
    check_parse(ARGUMENTS(NULL));
    check_defaults();
    ck_assert_int_eq(command_line_parse(things_table, &things, NULL, 0, (char *[]){NULL}, &error),
                     0);
    check_defaults();
}
END_TEST

START_TEST(each_type_is_read)
{
    check_parse(ARGUMENTS("--count", "3", "--size", "2KiB", "--duration", "2s", "--level", "high",
                          "--quiet", "--listen", "unix:///a"));
    ck_assert_uint_eq(things.count, 3);
    ck_assert_uint_eq(things.size, 2048);
    ck_assert_uint_eq(things.duration, 2000);
    ck_assert_uint_eq(things.level, 2);
    ck_assert(things.quiet);
    ck_assert(!things.verbose);
    check_list(&things.listen, ARGUMENTS("unix:///a"));
    check_list(&things.extra, ARGUMENTS("unix:///extra"));
}
END_TEST

/* One way to write the same command line. */
static const char *const spellings[][6] = {
    {"--count", "42", "--quiet"},
    {"--count=42", "--quiet"},
    {"-c", "42", "-q"},
    {"-c42", "-q"},
    {"-qc42"},
    {"-qc", "42"},
    {"-n", "42", "-q"},
    {"-qn42"},
    {"--quie", "--count", "42"},
    {"--qui", "--count=42", "--"},
    {"--count", "7", "--quiet", "--count", "42"},
    {"--count", "auto", "--quiet", "-c42"},
    {"-q", "-q", "--count=042"},
};

START_TEST(every_spelling_means_the_same)
{
    check_parse(spellings[_i]);
    ck_assert_uint_eq(things.count, 42);
    ck_assert(things.quiet);
    ck_assert(!things.verbose);
    ck_assert(!things.help);
}
END_TEST

START_TEST(bounds_are_allowed_themselves)
{
    check_parse(ARGUMENTS("--count=2", "--size=1024", "--duration=250ms", "--count-limit=0"));
    ck_assert_uint_eq(things.count, 2);
    ck_assert_uint_eq(things.size, 1024);
    ck_assert_uint_eq(things.duration, 250);
    ck_assert_uint_eq(things.count_limit, 0);
    check_parse(ARGUMENTS("--count=1000", "--size=1MiB", "--duration=1h",
                          "--count-limit=18446744073709551614"));
    ck_assert_uint_eq(things.count, 1000);
    ck_assert_uint_eq(things.size, 1024 * 1024);
    ck_assert_uint_eq(things.duration, 3600000);
    ck_assert_uint_eq(things.count_limit, UINT64_MAX - 1);
}
END_TEST

START_TEST(auto_is_read_where_it_is_allowed)
{
    check_parse(ARGUMENTS("--count=3", "--size=2KiB"));
    check_parse(ARGUMENTS("--count=auto", "--size", "auto"));
    ck_assert_uint_eq(things.count, SETTING_AUTO);
    ck_assert_uint_eq(things.size, SETTING_AUTO);
}
END_TEST

START_TEST(the_first_value_of_a_list_replaces_its_default_and_others_join)
{
    check_parse(ARGUMENTS("-l", "[::1]:1", "--listen=fd://3", "--extra=stdio:", "-lunix:///a"));
    check_list(&things.listen, ARGUMENTS("tcp://[::1]:1", "fd://3", "unix:///a"));
    check_list(&things.extra, ARGUMENTS("stdio:"));
}
END_TEST

START_TEST(a_list_that_is_given_its_default_keeps_it)
{
    check_parse(ARGUMENTS("--listen=tcp://127.0.0.1:13265", "--listen=fd://3"));
    check_list(&things.listen, ARGUMENTS("tcp://127.0.0.1:13265", "fd://3"));
}
END_TEST

START_TEST(a_long_list_is_kept_whole)
{
    enum { COUNT = 500 };
    char texts[COUNT][32];
    const char *arguments[COUNT + 1];

    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "-lfd://%d", i);
        arguments[i] = texts[i];
    }
    arguments[COUNT] = NULL;
    check_parse(arguments);
    ck_assert_uint_eq(things.listen.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(things.listen.items[i].address.fd, i);
}
END_TEST

/* A wrong command line, and what its error must name. */
static const struct {
    const char *arguments[4];
    const char *needles[3];
} wrong[] = {
    {{"--count=1"}, {"--count", "2", "1000"}},
    {{"--count=1001"}, {"--count", "\"1001\"", "1000"}},
    {{"--count=0"}, {"--count", "\"0\""}},
    {{"-c", "1"}, {"count", "\"1\""}},
    {{"--count="}, {"--count", "\"\""}},
    {{"--count", ""}, {"--count", "\"\""}},
    {{"--count", "-5"}, {"--count", "\"-5\""}},
    {{"--count", "--quiet"}, {"--count", "\"--quiet\""}},
    {{"--count=3x"}, {"--count", "\"3x\""}},
    {{"--count= 3"}, {"--count", "\" 3\""}},
    {{"--count=AUTO"}, {"--count", "\"AUTO\""}},
    {{"--count=autos"}, {"--count", "\"autos\""}},
    {{"--count=18446744073709551615"}, {"--count", "\"18446744073709551615\""}},
    {{"--count=18446744073709551616"}, {"--count", "\"18446744073709551616\""}},
    {{"--count=18446744073709551618"}, {"--count", "\"18446744073709551618\""}},
    {{"--count-limit=18446744073709551615"}, {"--count-limit", "18446744073709551614"}},
    {{"--count-limit=auto"}, {"--count-limit", "\"auto\""}},
    {{"--count=3KiB"}, {"--count", "\"3KiB\""}},
    {{"--size=1023"}, {"--size", "\"1023\"", "1KiB"}},
    {{"--size=1MiBB"}, {"--size", "\"1MiBB\"", "KiB"}},
    {{"--size=2MiB"}, {"--size", "\"2MiB\"", "1MiB"}},
    {{"--size=16777216TiB"}, {"--size", "\"16777216TiB\"", "1MiB"}},
    {{"--duration=249ms"}, {"--duration", "\"249ms\"", "250ms"}},
    {{"--duration=0"}, {"--duration", "\"0\"", "250ms"}},
    {{"--duration=3601"}, {"--duration", "\"3601\"", "1h"}},
    {{"--duration=5x"}, {"--duration", "\"5x\"", "30s"}},
    {{"--duration=auto"}, {"--duration", "\"auto\""}},
    {{"--level=lowest"}, {"--level", "\"lowest\"", "low"}},
    {{"--level=none"}, {"--level", "low", "high"}},
    {{"--level="}, {"--level", "\"\"", "middle"}},
    {{"--level=Low"}, {"--level", "\"Low\"", "low"}},
    {{"--level=1"}, {"--level", "\"1\"", "middle"}},
    {{"--listen=nowhere"}, {"--listen", "\"nowhere\"", "tcp://"}},
    {{"--listen=[::1]:1", "--listen", "fd://x"}, {"--listen", "\"fd://x\""}},
    {{"--listen="}, {"--listen", "\"\""}},
    {{"--quiet=yes"}, {"--quiet"}},
    {{"--quiet="}, {"--quiet"}},
    {{"--quie=1"}, {"--quie"}},
    {{"--count"}, {"--count", "missing"}},
    {{"-q", "--listen"}, {"--listen", "missing"}},
    {{"-c"}, {"--count", "missing"}},
    {{"-qc"}, {"--count", "missing"}},
    {{"--bogus"}, {"--bogus"}},
    {{"--bogus=5"}, {"--bogus"}},
    {{"--counts=5"}, {"--counts"}},
    {{"--cou=5"}, {"--cou"}},
    {{"--=5"}, {"--=5"}},
    {{"-z"}, {"-z"}},
    {{"-qz"}, {"-z"}},
    {{"-zq"}, {"-z"}},
    {{"-:"}, {"-:"}},
    {{"-?"}, {"-?"}},
    {{"-W", "help"}, {"-W"}},
    {{"surplus"}, {"\"surplus\""}},
    {{"--quiet", "surplus"}, {"\"surplus\""}},
    {{"surplus", "--quiet"}, {"\"surplus\""}},
    {{"--", "--quiet"}, {"\"--quiet\""}},
    {{"-"}, {"\"-\""}},
    {{""}, {"\"\""}},
};

START_TEST(a_wrong_line_is_refused_with_a_sentence_that_names_the_option)
{
    struct error error;

    ck_assert_int_eq(parse(wrong[_i].arguments, &error), -1);
    for (int i = 0; i < 3 && wrong[_i].needles[i] != NULL; i++) {
        ck_assert_msg(strstr(error.text, wrong[_i].needles[i]) != NULL, "no %s in: %s",
                      wrong[_i].needles[i], error.text);
    }
    ck_assert_ptr_null(strchr(error.text, '\n'));
    ck_assert_msg(strchr(error.text, ' ') != NULL, "no sentence: %s", error.text);
}
END_TEST

START_TEST(the_options_of_an_address_have_a_longest_length)
{
    static const char begin[] = "--listen=fd://3,";
    char text[sizeof begin + LISTEN_OPTIONS_SIZE];
    struct error error;

    (void)snprintf(text, sizeof text, "%s%0*d", begin, LISTEN_OPTIONS_SIZE, 0);
    ck_assert_int_eq(parse(ARGUMENTS(text), &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "--listen: \"fd://3,000"));
    ck_assert_ptr_nonnull(strstr(error.text, "has options of more than 2047 characters; shorten "));
}
END_TEST

START_TEST(nothing_is_printed_about_a_wrong_line)
{
    int file_fd = support_open_file(), saved_fd = dup(STDERR_FILENO);
    struct error error;
    off_t size;

    ck_assert_int_ge(saved_fd, 0);
    (void)fflush(stderr);
    ck_assert_int_eq(dup2(file_fd, STDERR_FILENO), STDERR_FILENO);
    for (int i = 0; i < COUNT_OF(wrong); i++)
        (void)parse(wrong[i].arguments, &error);
    (void)fflush(stderr);
    ck_assert_int_eq(dup2(saved_fd, STDERR_FILENO), STDERR_FILENO);
    size = lseek(file_fd, 0, SEEK_END);
    support_close(&saved_fd);
    support_close(&file_fd);
    ck_assert_int_eq(size, 0);
}
END_TEST

START_TEST(a_parse_does_not_depend_on_the_one_before)
{
    struct error error;

    for (int i = 0; i < COUNT_OF(wrong); i++) {
        (void)parse(wrong[i].arguments, &error);
        settings_free(things_table, &things);
        things_set_defaults();
        check_parse(ARGUMENTS("-qc", "5"));
        ck_assert_uint_eq(things.count, 5);
        ck_assert(things.quiet);
        ck_assert(!things.help);
    }
}
END_TEST

START_TEST(freed_settings_may_be_set_again)
{
    check_parse(ARGUMENTS("--listen=fd://3"));
    settings_free(things_table, &things);
    things_set_defaults();
    check_defaults();
}
END_TEST

static Suite *command_line_suite(void)
{
    Suite *suite = suite_create("command_line");
    TCase *right = support_case(suite, "right");
    TCase *refused = support_case(suite, "wrong");

    tcase_add_checked_fixture(right, things_set_defaults, things_free);
    tcase_add_test(right, defaults_are_set_and_an_empty_line_leaves_them);
    tcase_add_test(right, each_type_is_read);
    tcase_add_loop_test(right, every_spelling_means_the_same, 0, COUNT_OF(spellings));
    tcase_add_test(right, bounds_are_allowed_themselves);
    tcase_add_test(right, auto_is_read_where_it_is_allowed);
    tcase_add_test(right, the_first_value_of_a_list_replaces_its_default_and_others_join);
    tcase_add_test(right, a_list_that_is_given_its_default_keeps_it);
    tcase_add_test(right, a_long_list_is_kept_whole);
    tcase_add_test(right, freed_settings_may_be_set_again);

    tcase_add_checked_fixture(refused, things_set_defaults, things_free);
    tcase_add_loop_test(refused, a_wrong_line_is_refused_with_a_sentence_that_names_the_option, 0,
                        COUNT_OF(wrong));
    tcase_add_test(refused, the_options_of_an_address_have_a_longest_length);
    tcase_add_test(refused, nothing_is_printed_about_a_wrong_line);
    tcase_add_test(refused, a_parse_does_not_depend_on_the_one_before);
    return suite;
}

int main(void)
{
    return support_run_together(command_line_suite());
}
