/*
 * fuzz_log_escape: what must be true of text from anywhere that the log, errors and labels show,
 * beside what a second, naive reading of UTF-8 says that it should look like.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/log_format.h"
#include "echoctl/json.h"

#include "fuzz.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 7 }; /* of what stands for a byte: "\\\\x1f" */

/* --- What it should look like ---------------------------------------------------------------- */

/* Return the code point that the text begins with and how long it is; a byte that is none: -1. */
static long decode(const char *text, size_t *length)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)*text;
    size_t size = 1;
    long code;

    *length = 1;
    if (first < 0x80)
        return first;
    while (size < 5 && (first << size & 0x80) != 0)
        size++;
    if (size < 2 || size > 4)
        return -1;
    code = first & (0x7f >> size);
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return -1;
    *length = size;
    return code;
}

static bool is_control(long code)
{
    return code < ' ' || (code >= 0x7f && code <= 0x9f);
}

/* Unicode's White_Space that is no control character. */
static bool is_space(long code)
{
    return code == ' ' || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

/* Write a prefix and a byte as two hexadecimal digits, and return their length. */
static size_t write_code(const char *prefix, unsigned char byte, char expected[LONGEST + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;

    for (; prefix[length] != '\0'; length++)
        expected[length] = prefix[length];
    expected[length] = digits[byte / 16];
    expected[length + 1] = digits[byte % 16];
    return length + 2;
}

static size_t write_quoted(unsigned char byte, char expected[LONGEST + 1])
{
    expected[0] = '\\';
    expected[1] = (char)byte;
    return 2;
}

/* Write what stands for a character that is not shown as it is; return its length, or 0. */
static size_t write_escape(enum escape_form form, long code, unsigned char byte,
                           char expected[LONGEST + 1])
{
    const bool is_quote = code == '"' || code == '\\';

    switch (form) {
    case ESCAPE_TEXT:
        return is_control(code) ? write_code("\\x", byte, expected) : 0;
    case ESCAPE_WORD:
        return is_control(code) || is_space(code) || code == '\\'
                   ? write_code("\\x", byte, expected)
                   : 0;
    case ESCAPE_LABEL:
        if (is_control(code))
            return write_code("\\\\x", byte, expected);
        return is_quote ? write_quoted(byte, expected) : 0;
    case ESCAPE_JSON:
        if (code < 0)
            return write_code("\\uff", 0xfd, expected);
        if (code < ' ')
            return write_code("\\u00", byte, expected);
        return is_quote ? write_quoted(byte, expected) : 0;
    }
    abort();
}

/* Return the whole text as a form has it; free it. */
static char *expect(enum escape_form form, const char *text)
{
    char *expected = malloc(strlen(text) * LONGEST + 1);
    size_t count = 0, length;

    fuzz_require(expected != NULL);
    for (; *text != '\0'; text += length) {
        const long code = decode(text, &length);
        const size_t size = write_escape(form, code, (unsigned char)*text, expected + count);

        count += size;
        if (size > 0 && form != ESCAPE_JSON)
            length = 1; /* byte by byte */
        else if (size == 0) {
            memcpy(expected + count, text, length);
            count += length;
        }
    }
    expected[count] = '\0';
    return expected;
}

/* --- What it looks like ---------------------------------------------------------------------- */

/* Nothing is cut here, and what is plain is plain. */
static void check_characters(enum escape_form form, const char *text)
{
    char *expected = expect(form, text);
    const char *at = expected;

    fuzz_require(strncmp(text, expected, escape_plain_length(form, text, strlen(text))) == 0);
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];

        text += escape_character(form, text, escaped);
        fuzz_require(strncmp(at, escaped, strlen(escaped)) == 0);
        at += strlen(escaped);
    }
    fuzz_require(*at == '\0');
    free(expected);
}

/* Return the bytes that stand in a word, and turn it back into them. */
static void check_word(const char *text)
{
    char *word = expect(ESCAPE_WORD, text);

    for (const char *at = word; *at != '\0'; text++) {
        unsigned byte = (unsigned char)*at;

        if (*at == '\\') {
            const char digits[] = {at[2], at[3], '\0'};

            fuzz_require(at[1] == 'x');
            byte = (unsigned)strtoul(digits, NULL, 16);
            at += strlen("\\x00");
        } else {
            at++;
        }
        fuzz_require(byte == (unsigned char)*text);
    }
    fuzz_require(*text == '\0');
    free(word);
}

/* What is shown is what was expected, or so much of it that the dots still fit. */
static void check_shown(const char *shown, size_t length, const char *expected, size_t most)
{
    const size_t begin = length >= 3 ? length - 3 : 0;

    fuzz_require(length <= most);
    if (length == strlen(expected) && memcmp(shown, expected, length) == 0)
        return;
    fuzz_require(strlen(expected) > most && length >= most - 3 - 6 - 3);
    fuzz_require(memcmp(shown + begin, "...", 3) == 0 && memcmp(shown, expected, begin) == 0);
}

/* A line of text is one line, whatever it is about. */
static void check_text_line(const struct log_message *message)
{
    char *expected = expect(ESCAPE_TEXT, message->text);
    char *process = expect(ESCAPE_TEXT, message->process);
    struct line line = {.length = 0};
    const char *text;
    size_t begin = strlen("info: ");

    log_format_text(&line, message, false);
    text = line_text(&line);
    fuzz_require(line.length <= LINE_SIZE && strchr(text, '\n') == text + line.length - 1);
    if (message->process[0] != '\0') {
        fuzz_require(text[begin] == '[');
        if (strlen(process) < LINE_SIZE / 4)
            begin += strlen(process) + strlen("[] ");
        else
            begin = line.length; /* checked as the message is */
    }
    if (begin < line.length)
        check_shown(text + begin, line.length - 1 - begin, expected, LINE_SIZE - 1 - begin);
    free(process);
    free(expected);
}

/* Return how many dots, of the last three characters, the text ends with. */
static size_t length_of_dots(const char *text)
{
    size_t count = 0;

    while (count < 3 && count < strlen(text) && text[strlen(text) - count - 1] == '.')
        count++;
    return count;
}

/* A text in JSON is what the text was, with U+FFFD for what is no text, or the beginning of it. */
static void check_member(const char *value, const char *text)
{
    char decoded[LINE_SIZE + 1];
    size_t length;

    fuzz_require(json_text(value, decoded, sizeof decoded));
    for (const char *at = decoded; *text != '\0'; text += length) {
        const bool is_text = decode(text, &length) >= 0;
        const char *shown = is_text ? text : "\xef\xbf\xbd";
        const size_t size = is_text ? length : 3;

        if (strncmp(at, shown, size) != 0) {
            fuzz_require(strlen(at) <= 3 && length_of_dots(decoded) == 3);
            return;
        }
        at += size;
        if (text[length] == '\0')
            fuzz_require(*at == '\0');
    }
}

/* A line of JSON is an object in one line, with what it was made of. */
static void check_json_line(const struct log_message *message)
{
    struct line line = {.length = 0};
    const char *object, *value;

    log_format_json(&line, message);
    fuzz_require(line.length <= LINE_SIZE);
    object = json_begin(line_text(&line));
    fuzz_require(object != NULL && strchr(object, '\n') == json_end(object));
    check_member(json_member(object, "message"), message->text);
    if (message->process[0] != '\0')
        check_member(json_member(object, "process"), message->process);
    for (size_t i = 0; i < message->field_count; i++) {
        value = json_member(object, message->fields[i].name);
        if (value != NULL)
            check_member(value, message->fields[i].text);
    }
}

/* A sentence quotes anything, and is one line that a terminal shows. */
static void check_error(const char *text)
{
    struct error error = {""};
    size_t length;

    error_set(&error, "\"%s\" is wrong; write something else", text);
    fuzz_require(strlen(error.text) < sizeof error.text);
    for (const char *at = error.text; *at != '\0'; at += length)
        fuzz_require(!is_control(decode(at, &length)));
}

/* Return the text behind this one, or an empty one at the end. */
static const char *next_text(const char *text, const char *end)
{
    const char *next = text + strlen(text);

    return next < end ? next + 1 : next;
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);
    const char *process = next_text(text, text + length);
    const char *peer = next_text(process, text + length);
    const struct log_field fields[] = {
        {.name = "peer", .text = peer},
        {.name = "reason", .text = next_text(peer, text + length)},
    };
    const struct log_message message = {
        .level = LOG_LEVEL_INFO,
        .process = process,
        .text = text,
        .fields = fields,
        .field_count = 2,
    };

    for (int form = ESCAPE_TEXT; form <= ESCAPE_LABEL; form++)
        check_characters((enum escape_form)form, text);
    check_word(text);
    check_text_line(&message);
    check_json_line(&message);
    check_error(text);
    free(text);
    return 0;
}
