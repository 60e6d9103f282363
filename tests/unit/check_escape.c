/*
 * check_escape: what stands for each character, in a line of text, a JSON string and a label.
 * Tests no line; check_log does.
 * Run by make check.
 */
#include <config.h>

#include "base/escape.h"

#include "support.h"

#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum { SHOWN_SIZE = 100 };

/* Write a whole text, character by character. */
static void escape(enum escape_form form, const char *text, char shown[SHOWN_SIZE])
{
    const char *const end = text + strlen(text);
    size_t length = 0;

    shown[0] = '\0';
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];
        const size_t taken = escape_character(form, text, escaped);

        ck_assert_uint_ge(taken, 1);
        ck_assert_uint_le(taken, (size_t)(end - text));
        text += taken;
        ck_assert_uint_lt(length + strlen(escaped), SHOWN_SIZE);
        length += strlen(strcpy(shown + length, escaped));
    }
}

/* A text and how it stands in a line of text. */
static const struct {
    const char *text, *shown;
} text_escapes[] = {
    {"plain", "plain"},
    {"a\nb", "a\\x0ab"},
    {"a\r\tb", "a\\x0d\\x09b"},
    {"\x1b[31mred", "\\x1b[31mred"},
    {"\x01\x1f\x7f", "\\x01\\x1f\\x7f"},
    {"a\xc2\x9b"
     "1m",
     "a\\xc2\\x9b"
     "1m"}, /* a terminal may take U+009B for ESC [ */
    {"quotes \" and \\ stay", "quotes \" and \\ stay"},
    {"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
     "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
     "\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"\x80|\xbf|\xfe|\xff", "\\x80|\\xbf|\\xfe|\\xff"},
    {"\xc3", "\\xc3"},
    {"\xc3|", "\\xc3|"},
    {"\xc3\xc3\xbc", "\\xc3\xc3\xbc"},
    {"\xe2\x82|", "\\xe2\\x82|"},
    {"\xf0\x9f\x98|", "\\xf0\\x9f\\x98|"},
    {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
    {"\xc1\xbf", "\\xc1\\xbf"},                   /* overlong */
    {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},          /* overlong */
    {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"}, /* overlong */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* half of a surrogate pair */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
    {"", ""},
};

START_TEST(text_shows_what_could_forge_a_line)
{
    char shown[SHOWN_SIZE];

    escape(ESCAPE_TEXT, text_escapes[_i].text, shown);
    ck_assert_str_eq(shown, text_escapes[_i].shown);
}
END_TEST

/* A text and how it stands in a word. */
static const struct {
    const char *text, *shown;
} word_escapes[] = {
    {"plain=\"1\"", "plain=\"1\""},
    {"two words\n", "two\\x20words\\x0a"},
    {"a\\x20b", "a\\x5cx20b"},
    {"Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f"},
    {"\xc2\xa0|\xc2\x85", "\\xc2\\xa0|\\xc2\\x85"},
    {"\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xaa\xe2\x80\xac",
     "\\xe2\\x80\\xa8|\\xe2\\x80\\xa9|\xe2\x80\xaa\xe2\x80\xac"},
    {"\xe2\x81\x9f|\xe3\x80\x80|\xe1\x9a\x80", "\\xe2\\x81\\x9f|\\xe3\\x80\\x80|\\xe1\\x9a\\x80"},
    {"\xe2\x80|\xff", "\\xe2\\x80|\\xff"},
    {"", ""},
};

START_TEST(a_word_has_no_space)
{
    char shown[SHOWN_SIZE];

    escape(ESCAPE_WORD, word_escapes[_i].text, shown);
    ck_assert_str_eq(shown, word_escapes[_i].shown);
}
END_TEST

/* Tell whether Unicode calls it White_Space. */
static bool is_white_space(unsigned point)
{
    return (point >= 0x2000 && point <= 0x200a) || point == ' ' || point == 0xa0 ||
           point == 0x1680 || point == 0x2028 || point == 0x2029 || point == 0x202f ||
           point == 0x205f || point == 0x3000;
}

/* A text and how it stands in a JSON string. */
static const struct {
    const char *text, *shown;
} json_escapes[] = {
    {"plain", "plain"},
    {"\"quoted\" and \\ and /", "\\\"quoted\\\" and \\\\ and /"},
    {"\x01\b\t\n\f\r\x1f\x7f", "\\u0001\\u0008\\u0009\\u000a\\u000c\\u000d\\u001f\x7f"},
    {"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
     "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"a\xc2\x9b"
     "1m",
     "a\xc2\x9b"
     "1m"},
    {"\x80|\xff", "\\ufffd|\\ufffd"},
    {"\xc3", "\\ufffd"},
    {"\xff\"", "\\ufffd\\\""},
    {"\xe2\x82|", "\\ufffd\\ufffd|"},
    {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"}, /* half of a surrogate pair */
    {"", ""},
};

START_TEST(json_shows_what_a_string_may_hold)
{
    char shown[SHOWN_SIZE];

    escape(ESCAPE_JSON, json_escapes[_i].text, shown);
    ck_assert_str_eq(shown, json_escapes[_i].shown);
}
END_TEST

/* A text and how it stands in a label of a metric. */
static const struct {
    const char *text, *shown;
} label_escapes[] = {
    {"tcp://[::]:7", "tcp://[::]:7"},
    {"\"quoted\" and \\ and 'this'", "\\\"quoted\\\" and \\\\ and 'this'"},
    {"a\nb\x1b[1m", "a\\\\x0ab\\\\x1b[1m"},
    {"Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
    {"\xc2\x9b|\xff|\xe2\x82", "\\\\xc2\\\\x9b|\\\\xff|\\\\xe2\\\\x82"},
    {"", ""},
};

START_TEST(a_label_ends_where_it_should)
{
    char shown[SHOWN_SIZE];

    escape(ESCAPE_LABEL, label_escapes[_i].text, shown);
    ck_assert_str_eq(shown, label_escapes[_i].shown);
}
END_TEST

/* Write a code point as UTF-8 (RFC 3629, 3). Return its length. */
static size_t encode(unsigned point, char text[5])
{
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    for (size_t i = length - 1; i > 0; i--, point >>= 6)
        text[i] = (char)(0x80 | (point & 0x3f));
    text[0] = (char)(heads[length] | point);
    text[length] = '\0';
    return length;
}

START_TEST(every_character_stays_whole)
{
    for (unsigned point = 1; point <= 0x10ffff; point++) {
        const bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        const bool is_special = point < 0x20 || point == '"' || point == '\\';
        char text[5], escaped[ESCAPE_SIZE];
        const size_t length = encode(point, text);

        if (point >= 0xd800 && point < 0xe000)
            continue; /* a surrogate is no character */
        support_assert(escape_character(ESCAPE_JSON, text, escaped) == length);
        support_assert((strcmp(escaped, text) != 0) == is_special);
        support_assert(escape_character(ESCAPE_TEXT, text, escaped) == (is_control ? 1 : length));
        support_assert((strcmp(escaped, text) != 0) == is_control);
        support_assert(escape_character(ESCAPE_WORD, text, escaped) <= length);
        support_assert((strcmp(escaped, text) != 0) ==
                       (is_control || point == '\\' || is_white_space(point)));
    }
}
END_TEST

START_TEST(plain_text_is_what_stands_for_itself)
{
    const enum escape_form form = (enum escape_form)_i;

    for (int byte = 1; byte < 256; byte++) {
        const char text[] = {'a', (char)byte, 'b', '\0'};
        char shown[SHOWN_SIZE];
        const bool is_plain = escape_plain_length(form, text, SIZE_MAX) == 3;

        escape(form, text, shown);
        ck_assert_int_eq(is_plain, byte >= 0x20 && byte < 0x7f && strcmp(shown, text) == 0);
        ck_assert_uint_eq(escape_plain_length(form, text, SIZE_MAX), is_plain ? 3 : 1);
        ck_assert_uint_eq(escape_plain_length(form, text, 1), 1);
    }
    ck_assert_uint_eq(escape_plain_length(form, "", 5), 0);
    ck_assert_uint_eq(escape_plain_length(form, "a", 0), 0);
}
END_TEST

static Suite *escape_suite(void)
{
    Suite *suite = suite_create("escape");
    TCase *escapes = support_case(suite, "escapes");

    tcase_add_loop_test(escapes, text_shows_what_could_forge_a_line, 0, COUNT_OF(text_escapes));
    tcase_add_loop_test(escapes, a_word_has_no_space, 0, COUNT_OF(word_escapes));
    tcase_add_loop_test(escapes, json_shows_what_a_string_may_hold, 0, COUNT_OF(json_escapes));
    tcase_add_loop_test(escapes, a_label_ends_where_it_should, 0, COUNT_OF(label_escapes));
    tcase_add_test(escapes, every_character_stays_whole);
    tcase_add_loop_test(escapes, plain_text_is_what_stands_for_itself, ESCAPE_TEXT,
                        ESCAPE_LABEL + 1);
    return suite;
}

int main(void)
{
    return support_run_together(escape_suite());
}
