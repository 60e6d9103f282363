#include <config.h>

#include "base/escape.h"

#include <stdbool.h>
#include <string.h>

/* Return the length of the UTF-8 character that `text` begins with (RFC 3629, 4), 0 for none. */
static size_t utf8_length(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t length;

    if (byte[0] < 0x80)
        return 1;
    if (byte[0] < 0xc2 || byte[0] > 0xf4)
        return 0;
    length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    if ((byte[0] == 0xe0 && byte[1] < 0xa0) || /* longer than need be */
        (byte[0] == 0xf0 && byte[1] < 0x90) || /* the same */
        (byte[0] == 0xed && byte[1] > 0x9f) || /* a surrogate */
        (byte[0] == 0xf4 && byte[1] > 0x8f))   /* beyond U+10FFFF */
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (byte[i] < 0x80 || byte[i] > 0xbf)
            return 0;
    }
    return length;
}

static bool is_control(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;

    return byte[0] < 0x20 || byte[0] == 0x7f || (byte[0] == 0xc2 && byte[1] < 0xa0);
}

/* Tell whether a character of UTF-8 is a space, of any width (Unicode's White_Space). */
static bool is_space(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;

    switch (byte[0]) {
    case ' ':
        return true;
    case 0xc2:
        return byte[1] == 0xa0;
    case 0xe1:
        return byte[1] == 0x9a && byte[2] == 0x80;
    case 0xe2: /* U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F */
        return (byte[1] == 0x80 && (byte[2] <= 0x8a || (byte[2] & 0xfe) == 0xa8)) ||
               (byte[1] == 0x80 && byte[2] == 0xaf) || (byte[1] == 0x81 && byte[2] == 0x9f);
    case 0xe3:
        return byte[1] == 0x80 && byte[2] == 0x80;
    }
    return false;
}

/* Tell whether a character of UTF-8 cannot stand for itself in a line of text, or in a word. */
static bool is_escaped(enum escape_form form, const char *text)
{
    return is_control(text) || (form == ESCAPE_WORD && (text[0] == '\\' || is_space(text)));
}

static bool is_plain(enum escape_form form, char character)
{
    switch (form) {
    case ESCAPE_TEXT:
        break;
    case ESCAPE_WORD:
        if (character == ' ' || character == '\\')
            return false;
        break;
    case ESCAPE_JSON:
    case ESCAPE_LABEL:
        if (character == '"' || character == '\\')
            return false;
        break;
    }
    return character >= ' ' && character <= '~';
}

size_t escape_plain_length(enum escape_form form, const char *text, size_t most)
{
    size_t length = 0;

    while (length < most && is_plain(form, text[length]))
        length++;
    return length;
}

/* Tell whether a character is escaped by its code, of each of its bytes. */
static bool is_coded(enum escape_form form, const char *text, size_t length)
{
    return form != ESCAPE_JSON && (length == 0 || is_escaped(form, text));
}

/* Tell whether a character of a form that has quotes around it would end it, or escape the next. */
static bool is_quoted(enum escape_form form, char character)
{
    return (form == ESCAPE_JSON || form == ESCAPE_LABEL) && (character == '"' || character == '\\');
}

/* Write the beginning of a text, and a NUL. */
static void write_text(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    to[length] = '\0';
}

/* Write a prefix, two hexadecimal digits for a byte, and a NUL. */
static void write_code(char *to, const char *prefix, unsigned byte)
{
    static const char digits[] = "0123456789abcdef";

    while (*prefix != '\0')
        *to++ = *prefix++;
    write_text(to, (const char[]){digits[byte >> 4], digits[byte & 0xf]}, 2);
}

size_t escape_character(enum escape_form form, const char *text, char escaped[ESCAPE_SIZE])
{
    const unsigned first = (unsigned char)text[0];
    const size_t length = utf8_length(text);

    if (is_coded(form, text, length)) {
        write_code(escaped, form == ESCAPE_LABEL ? "\\\\x" : "\\x", first);
        return 1;
    }
    if (form == ESCAPE_JSON && length == 0)
        write_text(escaped, "\\ufffd", strlen("\\ufffd"));
    else if (form == ESCAPE_JSON && first < 0x20)
        write_code(escaped, "\\u00", first);
    else if (is_quoted(form, text[0]))
        write_text(escaped, (const char[]){'\\', text[0]}, 2);
    else
        write_text(escaped, text, length);
    return length == 0 ? 1 : length;
}
