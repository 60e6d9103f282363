/*
 * check_line: numbers and text in a line, and that nothing is ever written beyond its end.
 * Which characters are escaped, and how, is for check_escape.
 * Run by make check.
 */
#include <config.h>

#include "base/line.h"

#include "support.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const uint64_t numbers[] = {0,   1,          9,          10,        99,
                                   100, 1234567890, UINT32_MAX, INT64_MAX, UINT64_MAX};

START_TEST(numbers_are_those_of_printf)
{
    struct line line = {.length = 0};
    char expected[30];

    line_append_number(&line, numbers[_i]);
    (void)snprintf(expected, sizeof expected, "%" PRIu64, numbers[_i]);
    ck_assert_str_eq(line_text(&line), expected);
}
END_TEST

START_TEST(digits_have_zeros_in_front)
{
    struct line line = {.length = 0};

    line_append_digits(&line, 7, 3);
    line_append_digits(&line, 1234, 2);
    line_append_digits(&line, UINT64_MAX, 20);
    ck_assert_str_eq(line_text(&line), "007"
                                       "34"
                                       "18446744073709551615");
}
END_TEST

START_TEST(pieces_stand_one_behind_the_other)
{
    struct line line = {.length = 0};

    line_append_text(&line, "a text");
    line_append(&line, ", bytes, and more", strlen(", bytes"));
    line_append_escaped(&line, ESCAPE_TEXT, "; a\nb", 0);
    ck_assert_uint_eq(line.length, strlen(line_text(&line)));
    ck_assert_str_eq(line_text(&line), "a text, bytes; a\\x0ab");
}
END_TEST

/* Fill a line up to some bytes before its end. */
static void fill(struct line *line, size_t free_bytes)
{
    memset(line->bytes, 'f', LINE_SIZE);
    line->length = LINE_SIZE - free_bytes;
}

START_TEST(what_does_not_fit_is_left_out)
{
    for (size_t free_bytes = 0; free_bytes < 30; free_bytes++) {
        struct line *line = malloc(sizeof *line); /* for the sanitizer, which sees its end */

        ck_assert_ptr_nonnull(line);
        fill(line, free_bytes);
        line_append_number(line, UINT64_MAX);
        line_append_digits(line, 0, 20);
        line_append_text(line, "text");
        ck_assert_uint_eq(line->length, LINE_SIZE);
        ck_assert_uint_eq(strlen(line_text(line)), LINE_SIZE);
        if (free_bytes > 0)
            ck_assert_int_eq(line->bytes[LINE_SIZE - free_bytes], '1');
        free(line);
    }
}
END_TEST

/* A text, how it is shown whole, and how many bytes its characters have when they are shown. */
static const struct {
    const char *text, *shown;
    size_t sizes[6];
} texts[] = {
    {"abcdef", "abcdef", {1, 1, 1, 1, 1, 1}},
    {"\xe2\x82\xac\n!\xc3\xbcz", "\xe2\x82\xac\\x0a!\xc3\xbcz", {3, 4, 1, 2, 1}},
};

/* Return how much of the text is shown in so much room: whole characters and the dots. */
static size_t shown_before_dots(const size_t sizes[6], size_t room)
{
    size_t length = 0;

    for (int i = 0; i < 6 && length + sizes[i] + strlen("...") <= room; i++)
        length += sizes[i];
    return length;
}

START_TEST(escaped_text_is_cut_behind_a_whole_character)
{
    enum { RESERVE = 5, LEAST_ROOM = 3 };
    const size_t whole = strlen(texts[_i].shown);

    for (size_t room = LEAST_ROOM; room <= whole + 1; room++) {
        struct line line;
        const char *shown;

        fill(&line, room + RESERVE);
        line_append_escaped(&line, ESCAPE_TEXT, texts[_i].text, RESERVE);
        shown = line_text(&line) + LINE_SIZE - room - RESERVE;
        if (room >= whole) {
            ck_assert_str_eq(shown, texts[_i].shown);
        } else {
            const size_t length = shown_before_dots(texts[_i].sizes, room);

            ck_assert_int_eq(strncmp(shown, texts[_i].shown, length), 0);
            ck_assert_str_eq(shown + length, "...");
        }
    }
}
END_TEST

/* Show a text character by character, as base/escape.h says, and cut it nowhere. */
static void show(enum escape_form form, const char *text, char shown[LINE_SIZE])
{
    shown[0] = '\0';
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];

        text += escape_character(form, text, escaped);
        shown = stpcpy(shown, escaped);
    }
}

START_TEST(escaped_text_of_any_bytes_is_what_escape_says)
{
    enum { ROUNDS = 2000, LENGTH = 60 };
    const enum escape_form form = _i == 0 ? ESCAPE_TEXT : ESCAPE_JSON;
    uint64_t seed = 7;

    for (int round = 0; round < ROUNDS; round++) {
        char text[LENGTH + 1] = "", expected[LINE_SIZE];
        struct line line = {.length = 0};

        support_random_fill(&seed, text, (size_t)(support_random(&seed) % LENGTH));
        for (char *byte = text; round % 2 == 0 && *byte != '\0'; byte++)
            *byte = (char)(' ' + (unsigned char)*byte % 100); /* mostly what is not escaped */
        show(form, text, expected);
        line_append_escaped(&line, form, text, 0);
        ck_assert_str_eq(line_text(&line), expected);
    }
}
END_TEST

static Suite *line_suite(void)
{
    Suite *suite = suite_create("line");
    TCase *pieces = support_case(suite, "pieces");
    TCase *escaped = support_case(suite, "escaped");

    tcase_add_loop_test(pieces, numbers_are_those_of_printf, 0, COUNT_OF(numbers));
    tcase_add_test(pieces, digits_have_zeros_in_front);
    tcase_add_test(pieces, pieces_stand_one_behind_the_other);
    tcase_add_test(pieces, what_does_not_fit_is_left_out);
    tcase_add_loop_test(escaped, escaped_text_is_cut_behind_a_whole_character, 0, COUNT_OF(texts));
    tcase_add_loop_test(escaped, escaped_text_of_any_bytes_is_what_escape_says, 0, 2);
    return suite;
}

int main(void)
{
    return support_run(line_suite());
}
