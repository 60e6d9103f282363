/*
 * check_log_format: what a line looks like as text and as JSON, whatever is in it and however long.
 * Tests no queue and no destination; check_log and check_log_output do.
 * Run by make check.
 */
#include <config.h>

#include "base/log.h"

#include "json.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_OF(array)  ((int)(sizeof(array) / sizeof(array)[0]))
#define TIME             "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"
#define TEXT_HEAD_LENGTH strlen("2026-11-22T14:47:01.123Z info: ")

/* Cut the log's only line out of the text, without its newline. Return a copy; free it. */
static char *only_line(const char *text)
{
    size_t length = strlen(text);
    char *line;

    ck_assert_uint_gt(length, 0);
    ck_assert_uint_le(length, LINE_SIZE);
    ck_assert_int_eq(text[length - 1], '\n');
    ck_assert_ptr_eq(strchr(text, '\n'), &text[length - 1]);
    line = strndup(text, length - 1);
    ck_assert_ptr_nonnull(line);
    return line;
}

/* Write one message and return its line; free it. */
static char *line_of(enum log_format format, const char *message)
{
    log_write(support_log(format), LOG_LEVEL_INFO, "%s", message);
    return only_line(support_log_text());
}

static struct json_line *json_of(const char *message)
{
    char *text = line_of(LOG_FORMAT_JSON, message);
    struct json_line *line = json_read(text);

    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    free(text);
    return line;
}

/* Lines as text. */

static const char *const level_names[] = {"error", "warning", "info", "debug"};

START_TEST(a_text_line_has_a_time_a_level_and_the_message)
{
    enum log_level level = (enum log_level)_i;
    char pattern[100];

    log_write(support_log(LOG_FORMAT_TEXT), level, "connection %d %s", 42, "closed");
    (void)snprintf(pattern, sizeof pattern, "^" TIME " %s: connection 42 closed\n$",
                   level_names[level]);
    support_assert_matches(support_log_text(), pattern);
}
END_TEST

START_TEST(the_time_is_utc)
{
    struct timespec before, after; /* time(2) lags behind clock_gettime(2) by up to a tick */
    time_t logged;
    struct tm parts = {0};
    const char *text;

    ck_assert_int_eq(setenv("TZ", "XXX-5:30", 1), 0);
    tzset();
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &before), 0);
    log_write(support_log(LOG_FORMAT_TEXT), LOG_LEVEL_INFO, "now");
    text = support_log_text();
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &after), 0);
    ck_assert_int_eq(unsetenv("TZ"), 0);
    tzset();
    ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%dT%H:%M:%S", &parts));
    logged = timegm(&parts);
    ck_assert_int_ge(logged, before.tv_sec);
    ck_assert_int_le(logged, after.tv_sec);
}
END_TEST

/* Seconds since 1970 at which a date may go wrong, among them leap days and ends of centuries. */
static const int64_t moments[] = {
    0,          951782399,  951782400,  951868799,  951868800,   1709164800,  1709251199,
    1735689599, 1735689600, 4107542399, 4107542400, 13574563200, 13574649599, 253402300799,
};

/* The same as strftime says it. */
static void check_time(time_t second, long nanosecond, const char *fraction)
{
    const struct log_message message = {
        .time = {.tv_sec = second, .tv_nsec = nanosecond}, .process = "", .text = "!"};
    struct line line = {.length = 0};
    char expected[60];
    struct tm utc;
    size_t length;

    ck_assert_ptr_nonnull(gmtime_r(&second, &utc));
    length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(expected + length, sizeof expected - length, ".%sZ error: !\n", fraction);
    log_format_text(&line, &message, true);
    ck_assert_str_eq(line_text(&line), expected);
}

/* Tell whether time_t, which ends in 2038 where it has 32 bits, reaches there. */
static bool is_time(int64_t second)
{
    return (int64_t)(time_t)second == second;
}

START_TEST(the_time_is_right_in_every_year)
{
    const int64_t day = 86400, year_10000 = 253402300800;

    for (int i = 0; i < COUNT_OF(moments) && is_time(moments[i]); i++) {
        check_time((time_t)moments[i], 0, "000");
        check_time((time_t)moments[i], 1999999, "001");
        check_time((time_t)moments[i], 999999999, "999");
    }
    for (int64_t second = 0; second < year_10000 && is_time(second); second += 9 * day + 4567)
        check_time((time_t)second, 12345678, "012");
}
END_TEST

START_TEST(fields_are_not_shown_in_text)
{
    const struct log_field fields[] = {{"connection", NULL, 7}, {"peer", "unix", 0}};

    log_write_fields(support_log(LOG_FORMAT_TEXT), LOG_LEVEL_INFO, fields, 2, "message %d", 1);
    support_assert_matches(support_log_text(), "^" TIME " info: message 1\n$");
}
END_TEST

START_TEST(text_escapes_what_could_forge_a_line)
{
    char *line = line_of(LOG_FORMAT_TEXT, "a\nb \x1b[31m \"\\\" \xe2\x82\xac \xe2\x82");

    ck_assert_uint_ge(strlen(line), TEXT_HEAD_LENGTH);
    ck_assert_str_eq(line + TEXT_HEAD_LENGTH, "a\\x0ab \\x1b[31m \"\\\" \xe2\x82\xac \\xe2\\x82");
    free(line);
}
END_TEST

START_TEST(text_escapes_every_control_character)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const char *text;

    for (int byte = 1; byte < 0x20; byte++)
        log_write(log, LOG_LEVEL_INFO, "<%c>", byte);
    log_write(log, LOG_LEVEL_INFO, "<%c>", 0x7f);
    text = support_log_text();
    ck_assert_uint_eq(support_count(text, "\n"), 0x20);
    for (const char *place = text; *place != '\0'; place++)
        ck_assert(*place == '\n' || ((unsigned char)*place >= 0x20 && *place != 0x7f));
    for (int byte = 1; byte < 0x20; byte++) {
        char part[20];

        (void)snprintf(part, sizeof part, "<\\x%02x>\n", (unsigned)byte);
        ck_assert_uint_eq(support_count(text, part), 1);
    }
    ck_assert_uint_eq(support_count(text, "<\\x7f>\n"), 1);
}
END_TEST

/* Lines as JSON. */

START_TEST(a_json_line_has_time_level_message_and_fields_in_order)
{
    enum log_level level = (enum log_level)_i;
    const struct log_field fields[] = {
        {"connection", NULL, 42},
        {"peer", "127.0.0.1:5001", 0},
        {"largest", NULL, UINT64_MAX},
        {"nothing", NULL, 0},
        {"empty", "", 5},
    };
    struct json_line *line;
    char *text;

    log_write_fields(support_log(LOG_FORMAT_JSON), level, fields, 5, "connection %d closed", 42);
    text = only_line(support_log_text());
    line = json_read(text);
    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    ck_assert_uint_eq(line->count, 8);
    ck_assert_str_eq(line->members[0].name, "time");
    support_assert_matches(line->members[0].text, "^" TIME "$");
    json_check_member(line, 1, "level", level_names[level], 0);
    json_check_member(line, 2, "message", "connection 42 closed", 0);
    json_check_member(line, 3, "connection", NULL, 42);
    json_check_member(line, 4, "peer", "127.0.0.1:5001", 0);
    json_check_member(line, 5, "largest", NULL, UINT64_MAX);
    json_check_member(line, 6, "nothing", NULL, 0);
    json_check_member(line, 7, "empty", "", 0);
    json_free(line);
    free(text);
}
END_TEST

START_TEST(a_json_line_may_have_no_field)
{
    struct json_line *line = json_of("message");

    ck_assert_uint_eq(line->count, 3);
    json_check_member(line, 2, "message", "message", 0);
    json_free(line);
}
END_TEST

#define U_FFFD "\xef\xbf\xbd"

/* A message and what a reader of JSON makes of it. */
static const struct {
    const char *message, *read;
} json_escapes[] = {
    {"\"quoted\" and \\ and /", NULL},
    {"\x01\x02\b\t\n\f\r\x1f", NULL},
    {"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", NULL},
    {"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", NULL},
    {"\\u0041 \\x41 \\n", NULL},
    {"{\"a\":1}", NULL},
    {"\x80|\xff", U_FFFD "|" U_FFFD},
    {"\xc3|", U_FFFD "|"},
    {"\xc3", U_FFFD},
    {"\xff\"", U_FFFD "\""},
    {"", NULL},
};

START_TEST(json_escapes_whatever_needs_it)
{
    struct json_line *line = json_of(json_escapes[_i].message);
    const char *expected = json_escapes[_i].read;

    json_check_member(line, 2, "message", expected != NULL ? expected : json_escapes[_i].message,
                      0);
    json_free(line);
}
END_TEST

START_TEST(json_stays_json_whatever_the_bytes)
{
    enum { ROUNDS = 300, LENGTH = 40 };
    struct log *log = support_log(LOG_FORMAT_JSON);
    uint64_t seed = 5;
    unsigned lines = 0;

    for (int round = 0; round < ROUNDS; round++) {
        char message[LENGTH + 1] = "", value[LENGTH + 1] = "";
        const struct log_field field = {"field", value, 0};

        support_random_fill(&seed, message, (size_t)(support_random(&seed) % LENGTH));
        support_random_fill(&seed, value, (size_t)(support_random(&seed) % LENGTH));
        log_write_fields(log, LOG_LEVEL_INFO, &field, 1, "%s", message);
    }
    ck_assert_uint_eq(log_dropped_count(log), 0);
    for (const char *text = support_log_text(); *text != '\0'; lines++) {
        size_t length = strcspn(text, "\n");
        char *copy = strndup(text, length);
        struct json_line *line = json_read(copy);

        ck_assert_msg(line != NULL, "this is no JSON: %s", copy);
        ck_assert_uint_eq(line->count, 4);
        json_free(line);
        free(copy);
        text += length + (text[length] == '\n');
    }
    ck_assert_uint_eq(lines, ROUNDS);
}
END_TEST

START_TEST(a_field_is_escaped_like_a_message)
{
    const struct log_field field = {"peer", "a\"b\\c\nd\xff", 0};
    struct json_line *line;
    char *text;

    log_write_fields(support_log(LOG_FORMAT_JSON), LOG_LEVEL_INFO, &field, 1, "message");
    text = only_line(support_log_text());
    line = json_read(text);
    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    json_check_member(line, 3, "peer", "a\"b\\c\nd" U_FFFD, 0);
    json_free(line);
    free(text);
}
END_TEST

/* Long lines. */

START_TEST(a_line_is_cut_only_beyond_its_longest_size)
{
    const size_t longest = LINE_SIZE - 1 - TEXT_HEAD_LENGTH; /* of a message */
    char message[LINE_SIZE * 2];
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const char *text;

    for (size_t length = longest - 8; length <= longest + 8; length++) {
        memset(message, 'm', length);
        message[length] = '\0';
        log_write(log, LOG_LEVEL_INFO, "%s", message);
    }
    text = support_log_text();
    for (size_t length = longest - 8; length <= longest + 8; length++) {
        const char *end = strchr(text, '\n');

        ck_assert_ptr_nonnull(end);
        if (length <= longest) {
            ck_assert_uint_eq((size_t)(end - text), TEXT_HEAD_LENGTH + length);
            ck_assert_int_eq(end[-1], 'm');
        } else {
            ck_assert_uint_eq((size_t)(end - text), LINE_SIZE - 1);
            ck_assert_int_eq(strncmp(end - 4, "m...", 4), 0);
        }
        text = end + 1;
    }
    ck_assert_int_eq(*text, '\0');
}
END_TEST

/* What fills a long line, and how one piece of it looks in text. */
static const struct {
    const char *piece, *shown;
} fillings[] = {
    {"m", "m"},
    {"\xc3\xbc", "\xc3\xbc"},
    {"\xe2\x82\xac", "\xe2\x82\xac"},
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    {"\x01", "\\x01"},
    {"\xff", "\\xff"},
    {"\"", "\""},
};

enum { LONG_SIZE = 10000 };

/* Write some m and then the filling until the message is long. */
static void fill(char message[LONG_SIZE], size_t before, const char *piece)
{
    size_t length = strlen(piece), end = before;

    memset(message, 'm', before);
    for (; end + length < LONG_SIZE; end += length)
        memcpy(message + end, piece, length + 1);
}

START_TEST(a_text_line_is_never_cut_within_a_character_or_an_escape)
{
    const char *shown = fillings[_i].shown;
    struct log *log = support_log(LOG_FORMAT_TEXT);
    char message[LONG_SIZE];
    const char *text;

    for (size_t before = 0; before < 8; before++) {
        fill(message, before, fillings[_i].piece);
        log_write(log, LOG_LEVEL_INFO, "%s", message);
    }
    text = support_log_text();
    for (size_t before = 0; before < 8; before++) {
        const char *end = strchr(text, '\n'), *place = text + TEXT_HEAD_LENGTH + before;

        ck_assert_ptr_nonnull(end);
        ck_assert_int_le(end - text, LINE_SIZE - 1);
        ck_assert_int_ge(end - text, LINE_SIZE - 1 - 6); /* little is lost to the cut */
        while (strncmp(place, shown, strlen(shown)) == 0)
            place += strlen(shown);
        ck_assert_msg(strncmp(place, "...\n", 4) == 0, "cut after %zu: %.*s", before,
                      (int)(end - text), text);
        text = end + 1;
    }
}
END_TEST

START_TEST(a_json_line_that_is_cut_is_json_with_all_its_fields)
{
    const struct log_field fields[] = {{"connection", NULL, 7}, {"peer", "unix", 0}};
    struct log *log = support_log(LOG_FORMAT_JSON);
    char message[LONG_SIZE];
    const char *text;

    for (size_t before = 0; before < 8; before++) {
        fill(message, before, fillings[_i].piece);
        log_write_fields(log, LOG_LEVEL_INFO, fields, 2, "%s", message);
    }
    text = support_log_text();
    for (size_t before = 0; before < 8; before++) {
        size_t length = strcspn(text, "\n");
        char *copy = strndup(text, length);
        struct json_line *line = json_read(copy);
        const char *shown;

        ck_assert_msg(line != NULL, "this is no JSON: %s", copy);
        ck_assert_uint_lt(length, LINE_SIZE);
        ck_assert_uint_eq(line->count, 5);
        shown = line->members[2].text;
        ck_assert_uint_gt(strlen(shown), 3);
        ck_assert_str_eq(shown + strlen(shown) - 3, "...");
        json_check_member(line, 3, "connection", NULL, 7);
        json_check_member(line, 4, "peer", "unix", 0);
        json_free(line);
        free(copy);
        text += length + 1;
    }
}
END_TEST

START_TEST(a_field_of_any_length_leaves_a_line_of_json)
{
    char value[LONG_SIZE];
    const struct log_field fields[] = {{"connection", NULL, 7}, {"value", value, 0}};
    struct json_line *line;
    char *text;

    fill(value, (size_t)_i, fillings[_i].piece);
    log_write_fields(support_log(LOG_FORMAT_JSON), LOG_LEVEL_INFO, fields, 2, "message");
    text = only_line(support_log_text());
    line = json_read(text);
    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    ck_assert_uint_ge(line->count, 3);
    json_free(line);
    free(text);
}
END_TEST

START_TEST(every_field_with_every_length_leaves_a_line_of_json)
{
    struct log *log = support_log(LOG_FORMAT_JSON);
    char value[LINE_SIZE + 1];
    unsigned lines = 0;

    for (size_t length = 0; length < LINE_SIZE; length += 7) {
        const struct log_field fields[] = {{"first", value, 0}, {"second", NULL, UINT64_MAX}};

        memset(value, 'v', length);
        value[length] = '\0';
        log_write_fields(log, LOG_LEVEL_INFO, fields, 2, "a message of \"some\" length");
    }
    for (const char *text = support_log_text(); *text != '\0'; lines++) {
        size_t length = strcspn(text, "\n");
        char *copy = strndup(text, length);
        struct json_line *line = json_read(copy);

        ck_assert_msg(line != NULL, "this is no JSON: %s", copy);
        ck_assert_uint_lt(length, LINE_SIZE);
        json_free(line);
        free(copy);
        text += length + (text[length] == '\n');
    }
    ck_assert_uint_eq(lines, (LINE_SIZE + 6) / 7);
}
END_TEST

START_TEST(any_number_of_fields_leaves_a_line_of_json)
{
    enum { FIELDS = 150 };
    struct log_field fields[FIELDS];
    struct json_line *line;
    char *text;

    for (int i = 0; i < FIELDS; i++)
        fields[i] = (struct log_field){"field", _i == 0 ? NULL : "value", UINT64_MAX};
    log_write_fields(support_log(LOG_FORMAT_JSON), LOG_LEVEL_INFO, fields, FIELDS, "message");
    text = only_line(support_log_text());
    line = json_read(text);
    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    json_check_member(line, 2, "message", "message", 0);
    json_free(line);
    free(text);
}
END_TEST

/* The name of the process. */

START_TEST(a_text_line_names_the_process)
{
    log_set_process(support_log(LOG_FORMAT_TEXT), "echod_01\n");
    log_write(support_log(LOG_FORMAT_TEXT), LOG_LEVEL_INFO, "message");
    support_assert_matches(support_log_text(), "^" TIME " info: \\[echod_01\\\\x0a\\] message\n$");
}
END_TEST

START_TEST(a_json_line_names_the_process)
{
    struct json_line *line;

    log_set_process(support_log(LOG_FORMAT_JSON), "echod \"01\"");
    line = json_of("message");
    ck_assert_uint_eq(line->count, 4);
    json_check_member(line, 1, "level", "info", 0);
    json_check_member(line, 2, "process", "echod \"01\"", 0);
    json_check_member(line, 3, "message", "message", 0);
    json_free(line);
}
END_TEST

/* The longest process, and fields up to the last byte that they may have. */
START_TEST(with_a_process_of_any_length_a_line_of_json_is_whole)
{
    char name[200], value[LINE_SIZE / 2 + 1];
    const struct log_field field = {"field", value, 0};
    const struct log_message message = {
        .process = name, .text = value, .fields = &field, .field_count = 1};

    memset(name, 1, sizeof name - 1); /* escaped it takes the most room */
    name[sizeof name - 1] = '\0';
    for (size_t length = 1; length < sizeof value; length++) {
        struct line line = {.length = 0};
        struct json_line *object;

        memset(value, 'v', length);
        value[length] = '\0';
        log_format_json(&line, &message);
        ck_assert_int_eq(line.bytes[--line.length], '\n');
        object = json_read(line_text(&line));
        ck_assert_msg(object != NULL, "this is no JSON: %s", line_text(&line));
        json_free(object);
    }
}
END_TEST

static Suite *log_format_suite(void)
{
    Suite *suite = suite_create("log_format");
    TCase *text = support_case(suite, "text");
    TCase *json = support_case(suite, "json");
    TCase *cut = support_case(suite, "cut");
    TCase *process = support_case(suite, "process");

    tcase_add_loop_test(text, a_text_line_has_a_time_a_level_and_the_message, 0, 4);
    tcase_add_test(text, the_time_is_utc);
    tcase_add_test(text, the_time_is_right_in_every_year);
    tcase_add_test(text, fields_are_not_shown_in_text);
    tcase_add_test(text, text_escapes_what_could_forge_a_line);
    tcase_add_test(text, text_escapes_every_control_character);

    tcase_add_loop_test(json, a_json_line_has_time_level_message_and_fields_in_order, 0, 4);
    tcase_add_test(json, a_json_line_may_have_no_field);
    tcase_add_loop_test(json, json_escapes_whatever_needs_it, 0, COUNT_OF(json_escapes));
    tcase_add_test(json, json_stays_json_whatever_the_bytes);
    tcase_add_test(json, a_field_is_escaped_like_a_message);

    tcase_add_test(cut, a_line_is_cut_only_beyond_its_longest_size);
    tcase_add_loop_test(cut, a_text_line_is_never_cut_within_a_character_or_an_escape, 0,
                        COUNT_OF(fillings));
    tcase_add_loop_test(cut, a_json_line_that_is_cut_is_json_with_all_its_fields, 0,
                        COUNT_OF(fillings));
    tcase_add_loop_test(cut, a_field_of_any_length_leaves_a_line_of_json, 0, COUNT_OF(fillings));
    tcase_add_loop_test(cut, any_number_of_fields_leaves_a_line_of_json, 0, 2);
    tcase_add_test(cut, every_field_with_every_length_leaves_a_line_of_json);

    tcase_add_test(process, a_text_line_names_the_process);
    tcase_add_test(process, a_json_line_names_the_process);
    tcase_add_test(process, with_a_process_of_any_length_a_line_of_json_is_whole);
    return suite;
}

int main(void)
{
    return support_run_together(log_format_suite());
}
