/*
 * check_operands: a command line with an operand, and values that may be missing.
 * Knows none of the programs' options.
 * Run by make check.
 */
#include <config.h>

#include "base/command_line.h"

#include "support.h"
#include "things.h"

#include <stdlib.h>
#include <string.h>

/* A table with an operand; port 7 unless it says another. */

struct probe {
    struct address target;
    bool quiet;
    uint64_t interval, rate, wait;
    char mark;
};

static const struct setting probe_table[] = {
    {.name = "ADDRESS",
     .type = SETTING_TARGET,
     .offset = offsetof(struct probe, target),
     .minimum = 7,
     .help = "where to"},
    {.name = "quiet",
     .letter = 'q',
     .type = SETTING_FLAG,
     .offset = offsetof(struct probe, quiet),
     .help = "less"},
    {.name = "interval",
     .type = SETTING_INTERVAL,
     .offset = offsetof(struct probe, interval),
     .argument = "DURATION",
     .fallback = "1s",
     .maximum = 2000000,
     .help = "how often"},
    {.name = "rate",
     .type = SETTING_COUNT,
     .offset = offsetof(struct probe, rate),
     .argument = "N",
     .fallback = "0",
     .maximum = 1000,
     .help = "how many"},
    {.name = "wait",
     .letter = 'w',
     .type = SETTING_DURATION,
     .offset = offsetof(struct probe, wait),
     .argument = "DURATION",
     .implied = "5s",
     .maximum = 9000,
     .help = "wait"},
    {.name = "mark",
     .type = SETTING_PARSED,
     .offset = offsetof(struct probe, mark),
     .argument = "LETTER",
     .parse = things_parse_mark,
     .help = "mark"},
    {.name = NULL},
};

static int parse_probe(struct probe *probe, const char *const arguments[], struct error *error)
{
    *probe = (struct probe){0};
    ck_assert_int_eq(settings_set_defaults(probe_table, probe, error), 0);
    return things_parse_into(probe_table, probe, arguments, error);
}

START_TEST(an_operand_may_stand_anywhere_or_be_missing)
{
    struct error error = {""};
    struct probe probe;
    char text[ADDRESS_TEXT_SIZE];

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS(NULL), &error), 0);
    ck_assert_str_eq(probe.target.host, "");
    ck_assert_uint_eq(probe.interval, 1000000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("::1", "-q", "--interval", "0.2"), &error), 0);
    address_format(&probe.target, text);
    ck_assert_str_eq(text, "tcp://[::1]:7");
    ck_assert(probe.quiet);
    ck_assert_uint_eq(probe.interval, 200000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--rate", "9", "--", "a"), &error), 0);
    ck_assert_uint_eq(probe.rate, 9);
    ck_assert_str_eq(probe.target.host, "a");
}
END_TEST

/* A table that takes whatever is no option, for the program to judge. */

struct control {
    struct setting_operands operands;
    bool quiet;
};

static const struct setting control_table[] = {
    {.name = "COMMAND",
     .type = SETTING_OPERANDS,
     .offset = offsetof(struct control, operands),
     .help = "what to do"},
    {.name = "quiet",
     .letter = 'q',
     .type = SETTING_FLAG,
     .offset = offsetof(struct control, quiet),
     .help = "less"},
    {.name = NULL},
};

START_TEST(a_table_may_take_all_operands)
{
    char program[] = "control", command[] = "close", option[] = "-q", first[] = "1";
    char end[] = "--", second[] = "-2";
    char *arguments[] = {program, command, option, first, end, second, NULL};
    char *nothing[] = {program, NULL};
    struct error error = {""};
    struct control control;

    ck_assert_int_eq(settings_set_defaults(control_table, &control, &error), 0);
    ck_assert_int_eq(command_line_parse(control_table, &control, NULL, 1, nothing, &error), 0);
    ck_assert_uint_eq(control.operands.count, 0);
    ck_assert_int_eq(command_line_parse(control_table, &control, NULL, 6, arguments, &error), 0);
    ck_assert(control.quiet);
    ck_assert_uint_eq(control.operands.count, 3);
    ck_assert_str_eq(control.operands.texts[0], "close");
    ck_assert_str_eq(control.operands.texts[1], "1");
    ck_assert_str_eq(control.operands.texts[2], "-2");
    ck_assert_ptr_null(settings_find(control_table, "COMMAND"));
    settings_free(control_table, &control);
}
END_TEST

START_TEST(a_second_operand_and_a_wrong_one_are_refused)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "b"), &error), -1);
    ck_assert_str_eq(
        error.text,
        "\"b\" is one too many; give one ADDRESS, and the value of --wait behind \"=\"");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("fd://0"), &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "fd://0"));
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--ADDRESS", "a"), &error), -1);
    ck_assert_ptr_null(settings_find(probe_table, "ADDRESS"));
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--interval", "2s1us"), &error), -1);
    ck_assert_str_eq(error.text, "--interval: \"2s1us\" is out of range; it may be 0 to 2s");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--rate", "9/h"), &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "is not a number"));
}
END_TEST

START_TEST(a_second_operand_is_refused_where_every_value_is_told_from_it)
{
    static const struct setting table[] = {
        {.name = "ADDRESS", .type = SETTING_TARGET, .offset = offsetof(struct probe, target)},
        {.name = NULL},
    };
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(things_parse_into(table, &probe, ARGUMENTS("a", "b"), &error), -1);
    ck_assert_str_eq(error.text, "\"b\" is one too many; give one ADDRESS");
}
END_TEST

START_TEST(a_value_that_may_be_missing_stands_behind_an_equals_sign)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 0);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 5000);
    ck_assert_str_eq(probe.target.host, "a");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("-w", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 5000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait=9s", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 9000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait=10s", "a"), &error), -1);
    ck_assert_str_eq(error.text, "--wait: \"10s\" is out of range; it may be 0 to 9s");
}
END_TEST

START_TEST(a_program_parses_a_type_of_its_own)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "--mark", "x"), &error), 0);
    ck_assert_int_eq(probe.mark, 'x');
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "--mark", "xy"), &error), -1);
    ck_assert_str_eq(error.text, "--mark: \"xy\" is not one letter");
}
END_TEST

START_TEST(help_shows_that_a_value_may_be_missing)
{
    char *help = things_read_help(probe_table);

    ck_assert_ptr_nonnull(strstr(help, "\n  -w, --wait[=DURATION]        wait\n"));
    ck_assert_ptr_nonnull(strstr(help, "\n      --mark LETTER            mark\n"));
    free(help);
}
END_TEST

static Suite *operands_suite(void)
{
    Suite *suite = suite_create("operands");
    TCase *operands = support_case(suite, "operands");

    tcase_add_test(operands, an_operand_may_stand_anywhere_or_be_missing);
    tcase_add_test(operands, a_table_may_take_all_operands);
    tcase_add_test(operands, a_second_operand_and_a_wrong_one_are_refused);
    tcase_add_test(operands, a_second_operand_is_refused_where_every_value_is_told_from_it);
    tcase_add_test(operands, a_value_that_may_be_missing_stands_behind_an_equals_sign);
    tcase_add_test(operands, a_program_parses_a_type_of_its_own);
    tcase_add_test(operands, help_shows_that_a_value_may_be_missing);
    return suite;
}

int main(void)
{
    return support_run(operands_suite());
}
