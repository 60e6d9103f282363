/*
 * check_error: a sentence is one line, whatever it quotes, and has its end, however long that is.
 * Tests no sentence in particular; the modules that write them do.
 * Run by make check.
 */
#include <config.h>

#include "base/error.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct error error;

START_TEST(a_sentence_is_written_as_printf_does)
{
    errno = ENOENT;
    error_set(&error, "%s: %d is too many; write %d", "workers", 3, 2);
    ck_assert_str_eq(error.text, "workers: 3 is too many; write 2");
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(what_a_terminal_might_obey_is_a_question_mark)
{
    error_set(&error, "\"%s\" is no name", "a\nb\x1b\xff\xc3\xa4");
    ck_assert_str_eq(error.text, "\"a?b??\xc3\xa4\" is no name");
    error_set(&error, "%s", "\xc2\x9b: a control of two bytes");
    ck_assert_str_eq(error.text, "??: a control of two bytes");
}
END_TEST

START_TEST(a_long_sentence_keeps_both_ends)
{
    static const char begin[] = "--pid-file: ", end[] = " is too long; write less";
    char value[3 * ERROR_TEXT_SIZE] = "";

    for (size_t length = 0; length < sizeof value - 1; length++) {
        const size_t whole = strlen(begin) + length + strlen(end);
        const bool is_short = whole < ERROR_TEXT_SIZE;

        memset(value, 'x', length);
        errno = ENOENT;
        error_set(&error, "%s%s%s", begin, value, end);
        ck_assert_int_eq(errno, ENOENT);
        ck_assert_uint_eq(strlen(error.text), is_short ? whole : ERROR_TEXT_SIZE - 1);
        ck_assert_int_eq(strncmp(error.text, begin, strlen(begin)), 0);
        ck_assert_str_eq(error.text + strlen(error.text) - strlen(end), end);
        ck_assert_int_eq(strstr(error.text, "...") == NULL, is_short);
    }
}
END_TEST

START_TEST(a_character_that_is_cut_is_a_question_mark)
{
    char value[2 * ERROR_TEXT_SIZE] = "";

    for (int shift = 0; shift < 2; shift++) {
        for (size_t i = 0; i + 2 < sizeof value; i++)
            value[i] = i % 2 == 0 ? '\xc3' : '\xa4';
        error_set(&error, "%s%s", shift == 0 ? "" : "x", value);
        support_assert_matches(error.text, "^x?(\xc3\xa4)+[?]?[.]{3}[?]?(\xc3\xa4)+$");
    }
}
END_TEST

static Suite *error_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *sentence = support_case(suite, "sentence");

    tcase_add_test(sentence, a_sentence_is_written_as_printf_does);
    tcase_add_test(sentence, what_a_terminal_might_obey_is_a_question_mark);
    tcase_add_test(sentence, a_long_sentence_keeps_both_ends);
    tcase_add_test(sentence, a_character_that_is_cut_is_a_question_mark);
    return suite;
}

int main(void)
{
    return support_run(error_suite());
}
