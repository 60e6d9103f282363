/*
 * check_text_buffer: pieces of every kind, in a text of any length, and a lack of memory.
 * Which characters are escaped, and how, is for check_escape.
 * Run by make check.
 */
#include <config.h>

#include "base/text_buffer.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Check that the buffer holds a text, and take it out. */
static void check_taken(struct text_buffer *buffer, const char *expected)
{
    size_t length;
    char *text = text_buffer_take(buffer, &length);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(expected));
    free(text);
}

START_TEST(pieces_stand_one_behind_the_other)
{
    struct text_buffer buffer = {.bytes = NULL};

    text_buffer_append(&buffer, "bytes, and more", strlen("bytes"));
    text_buffer_append_text(&buffer, ", text, ");
    text_buffer_append_number(&buffer, 0);
    text_buffer_append_number(&buffer, UINT64_MAX);
    text_buffer_printf(&buffer, " %s %d", "printed", -1);
    check_taken(&buffer, "bytes, text, 018446744073709551615 printed -1");
}
END_TEST

START_TEST(a_buffer_is_empty_at_first_and_after_its_text_was_taken)
{
    struct text_buffer buffer = {.bytes = NULL};

    check_taken(&buffer, "");
    text_buffer_append_text(&buffer, "first");
    check_taken(&buffer, "first");
    check_taken(&buffer, "");
    text_buffer_append_text(&buffer, "cleared");
    text_buffer_clear(&buffer);
    check_taken(&buffer, "");
}
END_TEST

START_TEST(json_strings_have_quotes_and_escapes)
{
    struct text_buffer buffer = {.bytes = NULL};

    text_buffer_append_json(&buffer, "");
    text_buffer_append_json(&buffer, "plain");
    text_buffer_append_json(&buffer, "\"a\\b\"\n\xff\xc3\xbc");
    check_taken(&buffer, "\"\"\"plain\"\"\\\"a\\\\b\\\"\\u000a\\ufffd\xc3\xbc\"");
}
END_TEST

/* Each text is printed and appended where it just fits, and where it does not. */
START_TEST(a_text_grows_to_any_length)
{
    struct text_buffer buffer = {.bytes = NULL};
    char *text, expected[3000] = "";
    size_t length, at = 0;

    for (int i = 0; at < sizeof expected - 10; i++) {
        const int number = i * i % 100003;

        at += (size_t)snprintf(expected + at, sizeof expected - at, "%d", number);
        if (i % 2 == 0)
            text_buffer_printf(&buffer, "%d", number);
        else
            text_buffer_append_number(&buffer, (uint64_t)number);
    }
    text_buffer_printf(&buffer, "%s", expected);
    text = text_buffer_take(&buffer, &length);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(length, 2 * at);
    ck_assert_mem_eq(text, expected, at);
    ck_assert_str_eq(text + at, expected);
    free(text);
}
END_TEST

START_TEST(a_lack_of_memory_is_told_when_the_text_is_taken)
{
    struct text_buffer buffer = {.bytes = NULL};
    size_t length;

    text_buffer_append_text(&buffer, "before");
    text_buffer_append(&buffer, "", SIZE_MAX - 10); /* nobody has so much: nothing is read */
    ck_assert(buffer.has_failed);
    text_buffer_append_text(&buffer, "behind");
    text_buffer_printf(&buffer, "%d", 1);
    text_buffer_append_json(&buffer, "text");
    errno = 0;
    ck_assert_ptr_null(text_buffer_take(&buffer, &length));
    ck_assert_int_eq(errno, ENOMEM);
    text_buffer_append_text(&buffer, "anew");
    check_taken(&buffer, "anew");
}
END_TEST

static Suite *text_buffer_suite(void)
{
    Suite *suite = suite_create("text_buffer");
    TCase *pieces = support_case(suite, "pieces");

    tcase_add_test(pieces, pieces_stand_one_behind_the_other);
    tcase_add_test(pieces, a_buffer_is_empty_at_first_and_after_its_text_was_taken);
    tcase_add_test(pieces, json_strings_have_quotes_and_escapes);
    tcase_add_test(pieces, a_text_grows_to_any_length);
    tcase_add_test(pieces, a_lack_of_memory_is_told_when_the_text_is_taken);
    return suite;
}

int main(void)
{
    return support_run(text_buffer_suite());
}
