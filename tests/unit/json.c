#include <config.h>

#include "json.h"

#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static bool read_string(const char **text, char *value)
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

struct json_line *json_read(const char *text)
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
        is_good = read_string(&text, member->name) && *text++ == ':';
        if (is_good && *text == '"') {
            member->text = malloc(room);
            ck_assert_ptr_nonnull(member->text);
            is_good = read_string(&text, member->text);
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

void json_free(struct json_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        free(line->members[i].name);
        free(line->members[i].text);
    }
    free(line);
}

void json_check_member(const struct json_line *line, size_t place, const char *name,
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
