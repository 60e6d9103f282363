/*
 * check_log: what a line looks like as text and as JSON, and that nobody ever waits for a reader.
 * Judges what comes out of the descriptor, not how it is queued.
 * Run by make check.
 */
#include <config.h>

#include "base/log.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array)  ((int)(sizeof(array) / sizeof(array)[0]))
#define TIME             "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"
#define TEXT_HEAD_LENGTH strlen("2026-11-22T14:47:01.123Z info: ")

enum { DEADLINE_MS = 60000 };

/* A small reader of JSON: one line, one object of strings and numbers. */

struct json_member {
    char *name;
    char *text; /* NULL: a number */
    uint64_t number;
};

struct json_line {
    struct json_member members[200];
    size_t count;
};

/* Return the length of the UTF-8 sequence at the start of the text, 0 if it is none (RFC 3629). */
static size_t utf8_length(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
        length = 2;
    } else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef) {
        length = 3;
        low = bytes[0] == 0xe0 ? 0xa0 : low;
        high = bytes[0] == 0xed ? 0x9f : high;
    } else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
        length = 4;
        low = bytes[0] == 0xf0 ? 0x90 : low;
        high = bytes[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
        if (bytes[i] < low || bytes[i] > high)
            return 0;
    }
    return length;
}

static bool is_utf8(const char *text)
{
    for (size_t length; *text != '\0'; text += length) {
        length = utf8_length(text);
        if (length == 0)
            return false;
    }
    return true;
}

/* Read a string from its quote on into `value`, and move behind it. NUL does not occur here. */
static bool json_read_string(const char **text, char *value)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";

    if (*(*text)++ != '"')
        return false;
    while (**text != '"') {
        const char *escape;
        unsigned code;

        if ((unsigned char)**text < 0x20)
            return false; /* the end, or a control character that is not escaped */
        if (**text != '\\') {
            *value++ = *(*text)++;
            continue;
        }
        ++*text;
        escape = strchr(escapes, **text);
        if (escape != NULL && *escape != '\0') {
            *value++ = meanings[escape - escapes];
            ++*text;
        } else if (strspn(*text + 1, "0123456789abcdefABCDEF") >= 4 &&
                   sscanf(*text, "u%4x", &code) == 1) {
            *text += 5;
            if (code == 0xfffd) {
                value = stpcpy(value, "\xef\xbf\xbd");
            } else if (code < 0x80) {
                *value++ = (char)code;
            } else {
                return false; /* nothing else needs this form */
            }
        } else {
            return false;
        }
    }
    ++*text;
    *value = '\0';
    return true;
}

/* Read an object of one line, without its newline. Return NULL if that is no such JSON. */
static struct json_line *json_read(const char *text)
{
    struct json_line *line = calloc(1, sizeof *line);
    const size_t room = strlen(text) + 1;
    bool is_good = *text++ == '{' && is_utf8(text);

    ck_assert_ptr_nonnull(line);
    while (is_good) {
        struct json_member *member = &line->members[line->count++];

        ck_assert_uint_le(line->count, sizeof line->members / sizeof line->members[0]);
        member->name = malloc(room);
        ck_assert_ptr_nonnull(member->name);
        is_good = json_read_string(&text, member->name) && *text++ == ':';
        if (is_good && *text == '"') {
            member->text = malloc(room);
            ck_assert_ptr_nonnull(member->text);
            is_good = json_read_string(&text, member->text);
        } else if (is_good) {
            size_t digits = strspn(text, "0123456789");

            is_good = digits > 0 && (digits == 1 || *text != '0');
            member->number = strtoull(text, NULL, 10);
            text += digits;
        }
        if (!is_good || *text != ',')
            break;
        text++;
    }
    if (is_good && strcmp(text, "}") == 0)
        return line;
    for (size_t i = 0; i < line->count; i++) {
        free(line->members[i].name);
        free(line->members[i].text);
    }
    free(line);
    return NULL;
}

static void json_free(struct json_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        free(line->members[i].name);
        free(line->members[i].text);
    }
    free(line);
}

static void check_member(const struct json_line *line, size_t place, const char *name,
                         const char *text, uint64_t number)
{
    const struct json_member *member = &line->members[place];

    ck_assert_uint_lt(place, line->count);
    ck_assert_str_eq(member->name, name);
    if (text == NULL) {
        ck_assert_ptr_null(member->text);
        ck_assert_uint_eq(member->number, number);
    } else {
        ck_assert_ptr_nonnull(member->text);
        ck_assert_str_eq(member->text, text);
    }
}

/* Cut the log's only line out of the text, without its newline. Return a copy; free it. */
static char *only_line(const char *text)
{
    size_t length = strlen(text);

    ck_assert_uint_gt(length, 0);
    ck_assert_uint_le(length, LINE_SIZE);
    ck_assert_int_eq(text[length - 1], '\n');
    ck_assert_ptr_eq(strchr(text, '\n'), &text[length - 1]);
    return strndup(text, length - 1);
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

START_TEST(fields_are_not_shown_in_text)
{
    const struct log_field fields[] = {{"connection", NULL, 7}, {"peer", "unix", 0}};

    log_write_fields(support_log(LOG_FORMAT_TEXT), LOG_LEVEL_INFO, fields, 2, "message %d", 1);
    support_assert_matches(support_log_text(), "^" TIME " info: message 1\n$");
}
END_TEST

START_TEST(lines_keep_their_order)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const char *text;

    for (int i = 0; i < 100; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d.", i);
    ck_assert_uint_eq(log_dropped_count(log), 0);
    text = support_log_text();
    for (int i = 0; i < 100; i++) {
        char part[20];

        (void)snprintf(part, sizeof part, "line %d.\n", i);
        text = strstr(text, part);
        ck_assert_ptr_nonnull(text);
    }
}
END_TEST

START_TEST(lines_above_the_level_are_not_written)
{
    enum log_level chosen = (enum log_level)_i;
    int fd = support_open_file();
    struct log *log = log_new(fd, chosen, LOG_FORMAT_TEXT);
    char *text;

    ck_assert_ptr_nonnull(log);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        ck_assert_int_eq(log_is_enabled(log, (enum log_level)level), level <= (int)chosen);
        log_write(log, (enum log_level)level, "message");
    }
    ck_assert_uint_eq(log_dropped_count(log), 0);
    log_free(log);
    text = support_read_file(fd);
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        char part[40];

        (void)snprintf(part, sizeof part, " %s: message\n", level_names[level]);
        ck_assert_uint_eq(support_count(text, part), level <= (int)chosen);
    }
    free(text);
    support_close(&fd);
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
    check_member(line, 1, "level", level_names[level], 0);
    check_member(line, 2, "message", "connection 42 closed", 0);
    check_member(line, 3, "connection", NULL, 42);
    check_member(line, 4, "peer", "127.0.0.1:5001", 0);
    check_member(line, 5, "largest", NULL, UINT64_MAX);
    check_member(line, 6, "nothing", NULL, 0);
    check_member(line, 7, "empty", "", 0);
    json_free(line);
    free(text);
}
END_TEST

START_TEST(a_json_line_may_have_no_field)
{
    struct json_line *line = json_of("message");

    ck_assert_uint_eq(line->count, 3);
    check_member(line, 2, "message", "message", 0);
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

    check_member(line, 2, "message", expected != NULL ? expected : json_escapes[_i].message, 0);
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

        support_random_fill(&seed, message, support_random(&seed) % LENGTH);
        support_random_fill(&seed, value, support_random(&seed) % LENGTH);
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
    check_member(line, 3, "peer", "a\"b\\c\nd" U_FFFD, 0);
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
        check_member(line, 3, "connection", NULL, 7);
        check_member(line, 4, "peer", "unix", 0);
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
    check_member(line, 2, "message", "message", 0);
    json_free(line);
    free(text);
}
END_TEST

/* Nobody waits. */

START_TEST(errno_is_kept)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    const struct log_field field = {"name", "value", 0};

    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 20000; i++) { /* the queue fills up in between */
        errno = 4242;
        log_write(log, LOG_LEVEL_INFO, "%d", i);
        support_assert(errno == 4242);
        log_write(log, LOG_LEVEL_DEBUG, "%d", i);
        support_assert(errno == 4242);
        log_write_limited(log, LOG_LEVEL_INFO, "%d", i);
        support_assert(errno == 4242);
        log_write_fields(log, LOG_LEVEL_INFO, &field, 1, "%d", i);
        support_assert(errno == 4242);
    }
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(limited_lines_come_once_a_second)
{
    const uint64_t begin_ms = clock_now_ms();
    struct log *log = support_log(LOG_FORMAT_TEXT);
    uint64_t elapsed_ms;
    unsigned lines;

    do {
        elapsed_ms = clock_now_ms() - begin_ms;
        log_write_limited(log, LOG_LEVEL_WARNING, "line %d", 1);
        log_write_limited(log, LOG_LEVEL_ERROR, "line %d", 2); /* any of them counts */
    } while (elapsed_ms < 1200);
    elapsed_ms = clock_now_ms() - begin_ms;
    log_write(log, LOG_LEVEL_INFO, "other lines are not limited");
    ck_assert_uint_eq(log_dropped_count(log), 0);
    lines = support_count(support_log_text(), ": line ");
    ck_assert_uint_ge(lines, 2);
    ck_assert_uint_le(lines, elapsed_ms / 1000 + 1);
    support_assert_matches(support_log_text(), " info: other lines are not limited\n$");
}
END_TEST

/* What a descriptor that nobody reads may be. */
struct sink {
    bool is_socket, is_nonblocking;
};

static const struct sink sinks[] = {{false, false}, {false, true}, {true, false}, {true, true}};

static void open_sink(const struct sink *sink, int fds[2])
{
    if (sink->is_socket) {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    } else {
        ck_assert_int_eq(pipe(fds), 0);
    }
    if (sink->is_nonblocking)
        support_set_nonblocking(fds[1]);
}

START_TEST(a_log_that_nobody_reads_blocks_nobody)
{
    enum { LINES = 100000 };
    struct log *log;
    int fds[2];

    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    ck_assert_uint_lt(log_dropped_count(log), LINES);
    log_free(log);
    ck_assert_int_eq(support_is_nonblocking(fds[1]), sinks[_i].is_nonblocking);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

/* Milliseconds of processor time that this process has used. */
static int64_t processor_ms(void)
{
    struct timespec used;

    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

START_TEST(to_wait_for_a_reader_takes_no_time_of_the_processor)
{
    enum { WAIT_MS = 300 };
    struct log *log;
    int64_t before_ms;
    int fds[2];

    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    while (log_dropped_count(log) == 0)
        log_write(log, LOG_LEVEL_INFO, "a line that nobody reads");
    before_ms = processor_ms();
    (void)poll(NULL, 0, WAIT_MS);
    ck_assert_int_lt(processor_ms() - before_ms, WAIT_MS / 2);
    log_free(log);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

/* A reader that comes late and takes little at once. */
struct reader {
    int fd;
    char text[600]; /* what was read and is no whole line yet */
    size_t length;
    int lines, previous; /* of the test's own lines, which are numbered */
};

/* Judge one line: it is whole, and comes later than the one before. */
static void read_line(struct reader *reader, const char *line)
{
    int number, width;

    if (strstr(line, "dropped") != NULL)
        return; /* the log's own word about a gap */
    support_assert(strlen(line) > TEXT_HEAD_LENGTH);
    line += TEXT_HEAD_LENGTH;
    support_assert(sscanf(line, "line %d of %n", &number, &width) == 1);
    support_assert((int)strspn(line + width, "0") == number % 400 + 1);
    support_assert(strcmp(line + width + number % 400 + 1, ".") == 0);
    support_assert(number > reader->previous);
    reader->previous = number;
    reader->lines++;
}

static void read_some(struct reader *reader)
{
    const size_t room = sizeof reader->text - 1 - reader->length;
    ssize_t got = read(reader->fd, reader->text + reader->length, room);
    char *line = reader->text, *end;

    if (got <= 0) {
        (void)usleep(1000); /* the log's thread has its turn */
        return;
    }
    reader->length += (size_t)got;
    reader->text[reader->length] = '\0';
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        read_line(reader, line);
    }
    reader->length = strlen(line);
    memmove(reader->text, line, reader->length + 1);
}

/* Read until all lines that were written have come or were dropped. */
static void read_all(struct reader *reader, struct log *log, uint64_t lines)
{
    const uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;

    while ((uint64_t)reader->lines + log_dropped_count(log) < lines) {
        read_some(reader);
        support_assert(clock_now_ms() < deadline_ms);
    }
    ck_assert_uint_eq((uint64_t)reader->lines + log_dropped_count(log), lines);
}

/* Make a log and write numbered lines before the reader reads any. */
static struct log *flood(struct reader *reader, const struct sink *sink, int fds[2], int lines)
{
    struct log *log;

    open_sink(sink, fds);
    support_set_nonblocking(fds[0]);
    reader->fd = fds[0];
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < lines; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d of %0*d.", i, i % 400 + 1, 0);
    return log;
}

START_TEST(a_late_reader_gets_whole_lines_in_order)
{
    enum { LINES = 8000 };
    struct reader reader = {.previous = -1};
    struct log *log;
    int fds[2];

    log = flood(&reader, &sinks[_i], fds, LINES);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    read_all(&reader, log, LINES);
    log_free(log);
    support_close(&fds[0]);
    support_close(&fds[1]);
}
END_TEST

START_TEST(a_closed_pipe_costs_lines_but_not_the_process)
{
    enum { LINES = 1000 };
    const uint64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    struct log *log;
    int fds[2];

    (void)signal(SIGPIPE, SIG_DFL); /* the thread that writes blocks it */
    open_sink(&sinks[_i], fds);
    support_close(&fds[0]);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    while (log_dropped_count(log) < LINES) {
        support_assert(clock_now_ms() < deadline_ms);
        (void)usleep(1000);
    }
    ck_assert_uint_eq(log_dropped_count(log), LINES);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(a_pipe_that_is_closed_while_lines_wait_frees_the_log)
{
    struct log *log;
    int fds[2];

    (void)signal(SIGPIPE, SIG_DFL);
    open_sink(&sinks[_i], fds);
    log = log_new(fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 20000; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    support_close(&fds[0]);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(lines_for_a_full_disk_are_dropped)
{
    int fd = open("/dev/full", O_WRONLY);
    struct log *log;

    ck_assert_int_ge(fd, 0);
    log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 100; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_uint_eq(log_dropped_count(log), 100);
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(a_line_that_a_full_disk_cut_does_not_swallow_the_next)
{
    const off_t begin = 1 << 30; /* in a sparse file, far behind all that anybody else writes */
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct rlimit before, limit;
    char text[500] = "";

    ck_assert_ptr_nonnull(log);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)begin + TEXT_HEAD_LENGTH + 10; /* in the midst of the line */
    ck_assert_int_eq(lseek(fd, begin, SEEK_SET), begin);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    log_write(log, LOG_LEVEL_INFO, "the line that does not fit");
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_uint_eq(log_dropped_count(log), 1);
    log_write(log, LOG_LEVEL_INFO, "the next");
    log_free(log);
    ck_assert_int_gt(pread(fd, text, sizeof text - 1, begin), 0);
    support_assert_matches(text, "^" TIME " info: the line t\n" TIME " info: the next\n$");
    support_close(&fd);
}
END_TEST

START_TEST(a_log_without_descriptor_takes_lines)
{
    struct log *log = log_new(-1, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    for (int i = 0; i < 10000; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_int_eq(log_flush(log), 0);
    log_free(log);
    log_free(NULL);
}
END_TEST

START_TEST(a_flush_waits_until_all_is_written)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    ck_assert_int_eq(log_flush(log), 0); /* there is nothing yet */
    for (unsigned round = 1; round <= 20; round++) {
        char *text;

        for (int i = 0; i < 100; i++)
            log_write(log, LOG_LEVEL_INFO, "line %d", i);
        ck_assert_int_eq(log_flush(log), 0);
        text = support_read_file(fd);
        ck_assert_uint_eq(support_count(text, ": line "), 100 * round);
        free(text);
    }
    log_free(log);
    support_close(&fd);
}
END_TEST

START_TEST(a_flush_tells_when_nobody_reads)
{
    enum { LINES = 8000 };
    struct reader reader = {.previous = -1};
    struct log *log;
    int fds[2];

    log = flood(&reader, &sinks[_i], fds, LINES);
    ck_assert_int_eq(log_flush(log), -1);
    read_all(&reader, log, LINES);       /* it was no end: now somebody reads */
    ck_assert_int_eq(log_flush(log), 0); /* what is left fits the pipe */
    support_close(&fds[0]);
    log_write(log, LOG_LEVEL_INFO, "a line for nobody");
    ck_assert_int_eq(log_flush(log), 0); /* it is dropped, so nothing waits */
    ck_assert_uint_gt(log_dropped_count(log), 0);
    log_free(log);
    support_close(&fds[1]);
}
END_TEST

START_TEST(level_and_format_may_change)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    char *text;

    ck_assert_ptr_nonnull(log);
    log_write(log, LOG_LEVEL_INFO, "one");
    log_change(log, LOG_LEVEL_WARNING, LOG_FORMAT_JSON);
    ck_assert(!log_is_enabled(log, LOG_LEVEL_INFO));
    log_write(log, LOG_LEVEL_INFO, "two");
    log_write(log, LOG_LEVEL_WARNING, "three");
    log_change(log, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_write(log, LOG_LEVEL_DEBUG, "four");
    log_free(log);
    text = support_read_file(fd);
    support_assert_matches(text, "^" TIME " info: one\n\\{.*\"message\":\"three\"\\}\n" TIME
                                 " debug: four\n$");
    free(text);
    support_close(&fd);
}
END_TEST

START_TEST(the_descriptor_stays_open)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);

    ck_assert_ptr_nonnull(log);
    log_free(log);
    ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
    support_close(&fd);
}
END_TEST

/* A signal for the process never runs in the log's thread. */
static pthread_t signal_thread;
static volatile sig_atomic_t signal_came;

static void on_signal(int signal_number)
{
    (void)signal_number;
    signal_thread = pthread_self();
    signal_came = 1;
}

START_TEST(the_thread_takes_no_signal)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigset_t set;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
    ck_assert_int_eq(sigemptyset(&set), 0);
    ck_assert_int_eq(sigaddset(&set, SIGUSR1), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    signal_came = 0;
    ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
    for (int i = 0; i < 100; i++) {
        log_write(log, LOG_LEVEL_INFO, "line");
        (void)usleep(100);
    }
    ck_assert_int_eq(signal_came, 0); /* here it is blocked, and in the log's thread too */
    ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    ck_assert_int_eq(signal_came, 1);
    ck_assert(pthread_equal(signal_thread, pthread_self()));
    ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}
END_TEST

/* Threads. */

enum { WRITERS = 8, LINES_EACH = 1000 };

struct writer {
    pthread_t thread;
    struct log *log;
    int number;
};

static void *run_writer(void *argument)
{
    const struct writer *writer = argument;

    for (int i = 0; i < LINES_EACH; i++) {
        log_write(writer->log, LOG_LEVEL_INFO, "writer %d line %d %0*d.", writer->number, i,
                  i % 50 + 1, 0);
        (void)log_dropped_count(writer->log);
        (void)log_is_enabled(writer->log, LOG_LEVEL_DEBUG);
    }
    return NULL;
}

START_TEST(lines_of_several_threads_never_mix)
{
    struct log *log = support_log(LOG_FORMAT_TEXT);
    struct writer writers[WRITERS];
    int next[WRITERS] = {0};
    uint64_t dropped, lines = 0;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = log, .number = i};
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    dropped = log_dropped_count(log);
    for (const char *line = support_log_text(), *end; *line != '\0'; line = end + 1) {
        int number, count, width;

        end = strchr(line, '\n');
        support_assert(end != NULL);
        if (memmem(line, (size_t)(end - line), "dropped", 7) != NULL)
            continue; /* the log's own word about a gap */
        line += TEXT_HEAD_LENGTH;
        support_assert(sscanf(line, "writer %d line %d %n", &number, &count, &width) == 2);
        support_assert(number >= 0 && number < WRITERS && count >= next[number]);
        next[number] = count + 1;
        support_assert((int)strspn(line + width, "0") == count % 50 + 1);
        support_assert(strncmp(line + width + count % 50 + 1, ".\n", 2) == 0);
        lines++;
    }
    ck_assert_uint_gt(lines, 0);
    ck_assert_uint_eq(lines + dropped, WRITERS * LINES_EACH);
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
    check_member(line, 1, "level", "info", 0);
    check_member(line, 2, "process", "echod \"01\"", 0);
    check_member(line, 3, "message", "message", 0);
    json_free(line);
}
END_TEST

START_TEST(with_a_process_of_any_length_a_line_of_json_is_whole)
{
    struct log_field fields[40];
    char name[200], value[200];
    struct json_line *line;
    char *text;

    memset(name, 1, sizeof name - 1); /* escaped it takes the most room */
    name[sizeof name - 1] = '\0';
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < COUNT_OF(fields); i++)
        fields[i] = (struct log_field){"field", value, 0};
    log_set_process(support_log(LOG_FORMAT_JSON), name);
    log_write_fields(support_log(LOG_FORMAT_JSON), LOG_LEVEL_WARNING, fields, COUNT_OF(fields),
                     "%s", value);
    text = only_line(support_log_text());
    line = json_read(text);
    ck_assert_msg(line != NULL, "this is no JSON: %s", text);
    json_free(line);
    free(text);
}
END_TEST

/* Lines to syslog. */

/* A daemon that reads a socket in a directory of its own. */
static struct {
    int fd;
    char directory[32];
    struct sockaddr_un address;
} daemon_scene;

static void start_daemon(void)
{
    daemon_scene.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_ge(daemon_scene.fd, 0);
    ck_assert_int_eq(bind(daemon_scene.fd, (struct sockaddr *)&daemon_scene.address,
                          sizeof daemon_scene.address),
                     0);
}

static void stop_daemon(void)
{
    support_close(&daemon_scene.fd);
    ck_assert_int_eq(unlink(daemon_scene.address.sun_path), 0);
}

static void setup_daemon(void)
{
    (void)strcpy(daemon_scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(daemon_scene.directory));
    daemon_scene.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(daemon_scene.address.sun_path, sizeof daemon_scene.address.sun_path, "%s/log",
                   daemon_scene.directory);
    start_daemon();
}

static void teardown_daemon(void)
{
    if (daemon_scene.fd >= 0)
        stop_daemon();
    ck_assert_int_eq(rmdir(daemon_scene.directory), 0);
}

static struct log *new_syslog(enum log_format format)
{
    struct log *log =
        log_new_syslog(daemon_scene.address.sun_path, "check", LOG_LEVEL_DEBUG, format);

    ck_assert_ptr_nonnull(log);
    return log;
}

/* Receive the next datagram. */
static void receive_datagram(char text[LINE_SIZE + 1])
{
    const ssize_t length = recv(daemon_scene.fd, text, LINE_SIZE, 0);

    ck_assert_int_gt(length, 0);
    text[length] = '\0';
}

/* Receive the next datagram, and see that it has a pattern. */
static void check_datagram(const char *pattern)
{
    char text[LINE_SIZE + 1];

    receive_datagram(text);
    support_assert_matches(text, pattern);
}

#define SYSLOG_TIME "[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"

START_TEST(a_line_to_syslog_is_a_datagram_with_priority_and_ident)
{
    static const int priorities[] = {27, 28, 30, 31}; /* RFC 3164, 4.1.1: 3 * 8 + severity */
    struct log *log = new_syslog(LOG_FORMAT_TEXT);
    char pattern[100];

    log_write(log, (enum log_level)_i, "connection %d", 42);
    (void)snprintf(pattern, sizeof pattern,
                   "^<%d>" SYSLOG_TIME " check\\[%d\\]: %s: connection 42$", priorities[_i],
                   (int)getpid(), level_names[_i]);
    check_datagram(pattern);
    log_set_process(log, "check_01");
    log_write(log, (enum log_level)_i, "connection %d", 43);
    check_datagram("\\]: [a-z]+: \\[check_01\\] connection 43$");
    log_free(log);
}
END_TEST

START_TEST(json_to_syslog_is_the_whole_object)
{
    struct log *log = new_syslog(LOG_FORMAT_JSON);

    log_write(log, LOG_LEVEL_INFO, "a message");
    check_datagram("^<30>" SYSLOG_TIME " check\\[[0-9]+\\]: \\{\"time\":\"" TIME
                   "\",\"level\":\"info\",\"message\":\"a message\"\\}$");
    log_free(log);
}
END_TEST

START_TEST(lines_to_syslog_keep_their_order)
{
    enum { LINES = 30000 }; /* more than the queue holds, so that it goes round */
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    for (int i = 0; i < LINES; i++) {
        char text[LINE_SIZE + 1], part[40];

        log_write(log, LOG_LEVEL_INFO, "line %d of many that are long enough", i);
        (void)snprintf(part, sizeof part, ": line %d of", i);
        receive_datagram(text);
        support_assert(strstr(text, part) != NULL);
    }
    ck_assert_uint_eq(log_dropped_count(log), 0);
    log_free(log);
}
END_TEST

START_TEST(without_a_daemon_there_is_no_log_to_syslog)
{
    char path[200];

    stop_daemon();
    errno = 0;
    ck_assert_ptr_null(
        log_new_syslog(daemon_scene.address.sun_path, "check", LOG_LEVEL_INFO, LOG_FORMAT_TEXT));
    ck_assert_int_eq(errno, ENOENT);
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    ck_assert_ptr_null(log_new_syslog(path, "check", LOG_LEVEL_INFO, LOG_FORMAT_TEXT));
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

START_TEST(a_new_daemon_gets_what_comes_then)
{
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    log_write(log, LOG_LEVEL_INFO, "first");
    check_datagram("first$");
    stop_daemon();
    log_write(log, LOG_LEVEL_INFO, "lost");
    ck_assert_int_eq(log_flush(log), 0);
    ck_assert_uint_eq(log_dropped_count(log), 1);
    start_daemon();
    log_write(log, LOG_LEVEL_INFO, "second");
    check_datagram("second$");
    log_free(log);
}
END_TEST

START_TEST(a_daemon_that_does_not_read_blocks_nobody)
{
    enum { LINES = 100000 };
    struct log *log = new_syslog(LOG_FORMAT_TEXT);

    for (int i = 0; i < LINES; i++)
        log_write(log, LOG_LEVEL_INFO, "line %d", i);
    ck_assert_uint_gt(log_dropped_count(log), 0);
    ck_assert_uint_lt(log_dropped_count(log), LINES);
    check_datagram(": line 0$");
    log_free(log);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *text = support_case(suite, "text");
    TCase *json = support_case(suite, "json");
    TCase *cut = support_case(suite, "cut");
    TCase *sink = support_case(suite, "sink");
    TCase *threads = support_case(suite, "threads");
    TCase *process = support_case(suite, "process");
    TCase *syslog = support_case(suite, "syslog");

    tcase_add_loop_test(text, a_text_line_has_a_time_a_level_and_the_message, 0, 4);
    tcase_add_test(text, the_time_is_utc);
    tcase_add_test(text, fields_are_not_shown_in_text);
    tcase_add_test(text, lines_keep_their_order);
    tcase_add_loop_test(text, lines_above_the_level_are_not_written, 0, 4);
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

    tcase_add_test(sink, errno_is_kept);
    tcase_add_test(sink, limited_lines_come_once_a_second);
    tcase_add_loop_test(sink, a_log_that_nobody_reads_blocks_nobody, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, to_wait_for_a_reader_takes_no_time_of_the_processor, 0,
                        COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_late_reader_gets_whole_lines_in_order, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_closed_pipe_costs_lines_but_not_the_process, 0, COUNT_OF(sinks));
    tcase_add_loop_test(sink, a_pipe_that_is_closed_while_lines_wait_frees_the_log, 0,
                        COUNT_OF(sinks));
    tcase_add_test(sink, a_flush_waits_until_all_is_written);
    tcase_add_loop_test(sink, a_flush_tells_when_nobody_reads, 0, COUNT_OF(sinks));
    tcase_add_test(sink, lines_for_a_full_disk_are_dropped);
    tcase_add_test(sink, a_line_that_a_full_disk_cut_does_not_swallow_the_next);
    tcase_add_test(sink, a_log_without_descriptor_takes_lines);
    tcase_add_test(sink, the_descriptor_stays_open);
    tcase_add_test(sink, level_and_format_may_change);

    tcase_add_test(threads, the_thread_takes_no_signal);
    tcase_add_test(threads, lines_of_several_threads_never_mix);

    tcase_add_test(process, a_text_line_names_the_process);
    tcase_add_test(process, a_json_line_names_the_process);
    tcase_add_test(process, with_a_process_of_any_length_a_line_of_json_is_whole);

    tcase_add_checked_fixture(syslog, setup_daemon, teardown_daemon);
    tcase_add_loop_test(syslog, a_line_to_syslog_is_a_datagram_with_priority_and_ident, 0, 4);
    tcase_add_test(syslog, json_to_syslog_is_the_whole_object);
    tcase_add_test(syslog, lines_to_syslog_keep_their_order);
    tcase_add_test(syslog, without_a_daemon_there_is_no_log_to_syslog);
    tcase_add_test(syslog, a_new_daemon_gets_what_comes_then);
    tcase_add_test(syslog, a_daemon_that_does_not_read_blocks_nobody);
    return suite;
}

int main(void)
{
    return support_run(log_suite());
}
