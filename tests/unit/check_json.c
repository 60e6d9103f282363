/*
 * check_json: what is JSON, and the values in it.
 * Knows no answer of echod's.
 * Run by make check.
 */
#include <config.h>

#include "echoctl/json.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const char *const right[] = {
    "{}",
    " [ ] ",
    "null",
    "true",
    "false",
    "0",
    "-0.5e+10",
    "1e-5",
    "12E3",
    "\"\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\"",
    "[1,2]",
    "{\"a\":[{}]}",
    "{\"a\" : 1 , \"b\" : {} }\r\n",
};

static const char *const wrong[] = {
    "",        " ",        "nul",     "truefalse",  "01",     "1.",    ".5",    "+1",  "1e",  "-",
    "\"",      "\"\\",     "\"\\x\"", "\"\\u12\"",  "\"\n\"", "[1,]",  "[1 2]", "[",   "]",   "[1}",
    "{\"a\"}", "{\"a\":}", "{a:1}",   "{\"a\":1,}", "{,}",    "{1:2}", "{} {}", "'a'", "NaN",
};

START_TEST(what_is_json_is_told_from_what_is_not)
{
    for (size_t i = 0; i < COUNT_OF(right); i++)
        ck_assert_msg(json_begin(right[i]) != NULL, "refused: %s", right[i]);
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        ck_assert_msg(json_begin(wrong[i]) == NULL, "taken: %s", wrong[i]);
}
END_TEST

/* Write objects within each other, and return the text. */
static const char *nest(char *text, size_t depth)
{
    char *end = text;

    for (size_t i = 0; i < depth; i++)
        end = stpcpy(end, i + 1 < depth ? "{\"\":" : "{");
    memset(end, '}', depth);
    end[depth] = '\0';
    return text;
}

START_TEST(values_lie_within_each_other_so_deep_only)
{
    char text[2 * (JSON_DEPTH + 1) + 1] = "";
    char objects[sizeof "{\"\":" * (JSON_DEPTH + 1)];

    memset(text, '[', JSON_DEPTH);
    memset(text + JSON_DEPTH, ']', JSON_DEPTH);
    ck_assert_ptr_nonnull(json_begin(text));
    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    ck_assert_ptr_null(json_begin(text));
    ck_assert_ptr_nonnull(json_begin(nest(objects, JSON_DEPTH)));
    ck_assert_ptr_null(json_begin(nest(objects, JSON_DEPTH + 1)));
}
END_TEST

START_TEST(members_and_elements_are_found)
{
    const char *json =
        json_begin("{ \"a\" : {\"b\":\"x\"} , \"b\":[1, [2,3] ,{}], \"\":true, \"ab\":7}");
    const char *element = json_first(json_member(json, "b"));

    ck_assert_uint_eq(json_number(json_member(json, "ab")), 7);
    ck_assert(json_is_true(json_member(json, "")));
    ck_assert_ptr_null(json_member(json, "x"));
    ck_assert_ptr_null(json_member(json_member(json, "ab"), "x"));
    ck_assert_ptr_null(json_member(NULL, "x"));
    ck_assert_uint_eq(json_number(element), 1);
    element = json_next(element);
    ck_assert_uint_eq(json_number(json_next(json_first(element))), 3);
    ck_assert_int_eq(json_end(element) - element, 5);
    element = json_next(element);
    ck_assert_int_eq(*element, '{');
    ck_assert_ptr_null(json_next(element));
    ck_assert_ptr_null(json_next(NULL));
    ck_assert_ptr_null(json_first(json_begin("[ ]")));
    ck_assert_ptr_null(json_first(json));
    ck_assert_ptr_null(json_end(NULL));
}
END_TEST

static const char *text_of(const char *json)
{
    static char text[64];

    ck_assert(json_text(json_begin(json), text, sizeof text));
    return text;
}

START_TEST(strings_are_decoded)
{
    char text[4];

    ck_assert_str_eq(text_of("\"\""), "");
    ck_assert_str_eq(text_of("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t");
    ck_assert_str_eq(text_of("\"\\u0041\\u00e4\\u20ac\\ud83d\\ude00z\""),
                     "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    ck_assert_str_eq(text_of("\"\\u0000\\ud83d\\u0041\\ude00\\ud83dx\""),
                     "\xef\xbf\xbd\xef\xbf\xbd"
                     "A\xef\xbf\xbd\xef\xbf\xbdx");
    ck_assert_str_eq(text_of("\"\\ud83d\\ue000\""), "\xef\xbf\xbd\xee\x80\x80");
    ck_assert_str_eq(text_of("\"\\ud83d\\n\""), "\xef\xbf\xbd\n");
    ck_assert_str_eq(text_of("\"\xe2\x82\xac\xf0\x9f\x98\x80\x80\""),
                     "\xe2\x82\xac\xf0\x9f\x98\x80\x80");
    ck_assert_str_eq(text_of("\"\xc3\xa4\xff\""), "\xc3\xa4\xff");
    ck_assert(!json_text(json_begin("5"), text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_assert(!json_text(NULL, text, sizeof text));
}
END_TEST

START_TEST(a_string_that_is_too_long_is_cut_behind_a_character)
{
    char text[8];

    ck_assert(json_text("\"1234567\"", text, sizeof text));
    ck_assert_str_eq(text, "1234567");
    ck_assert(json_text("\"12345678\"", text, sizeof text));
    ck_assert_str_eq(text, "1234...");
    ck_assert(json_text("\"123\xc3\xa4"
                        "678\"",
                        text, sizeof text));
    ck_assert_str_eq(text, "123...");
    ck_assert(json_text("\"1234\"", text, 4));
    ck_assert_str_eq(text, "...");
}
END_TEST

START_TEST(numbers_are_read)
{
    ck_assert_uint_eq(json_number(json_begin("18446744073709551615")), UINT64_MAX);
    ck_assert_uint_eq(json_number(json_begin("18446744073709551616")), 0);
    ck_assert_uint_eq(json_number(json_begin("1.9")), 1);
    ck_assert_uint_eq(json_number(json_begin("-1")), 0);
    ck_assert_uint_eq(json_number(json_begin("\"1\"")), 0);
    ck_assert_uint_eq(json_number(json_begin("true")), 0);
    ck_assert_uint_eq(json_number(NULL), 0);
    ck_assert_double_eq(json_real(json_begin("-2.5e1")), -25);
    ck_assert_double_eq(json_real(json_begin("2.5")), 2.5);
    ck_assert_double_eq(json_real(json_begin("\"2.5\"")), 0);
    ck_assert_double_eq(json_real(json_begin("null")), 0);
    ck_assert_double_eq(json_real(NULL), 0);
    ck_assert(!json_is_true(json_begin("false")));
    ck_assert(!json_is_true(NULL));
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *json = support_case(suite, "json");

    tcase_add_test(json, what_is_json_is_told_from_what_is_not);
    tcase_add_test(json, values_lie_within_each_other_so_deep_only);
    tcase_add_test(json, members_and_elements_are_found);
    tcase_add_test(json, strings_are_decoded);
    tcase_add_test(json, a_string_that_is_too_long_is_cut_behind_a_character);
    tcase_add_test(json, numbers_are_read);
    return suite;
}

int main(void)
{
    return support_run(json_suite());
}
