#include <config.h>

#include "base/escape.h"

#include <stdbool.h>
#include <stdio.h>

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

size_t escape_plain_length(enum escape_form form, const char *text, size_t most)
{
    const bool is_json = form == ESCAPE_JSON;
    size_t length = 0;

    while (length < most && text[length] >= ' ' && text[length] <= '~' &&
           !(is_json && (text[length] == '"' || text[length] == '\\')))
        length++;
    return length;
}

size_t escape_character(enum escape_form form, const char *text, char escaped[ESCAPE_SIZE])
{
    const unsigned first = (unsigned char)text[0];
    const size_t length = utf8_length(text);

    if (form == ESCAPE_JSON && length == 0) {
        (void)snprintf(escaped, ESCAPE_SIZE, "\\ufffd");
    } else if (form == ESCAPE_JSON && (first == '"' || first == '\\')) {
        (void)snprintf(escaped, ESCAPE_SIZE, "\\%c", text[0]);
    } else if (form == ESCAPE_JSON && first < 0x20) {
        (void)snprintf(escaped, ESCAPE_SIZE, "\\u%04x", first);
    } else if (form == ESCAPE_TEXT && (length == 0 || is_control(text))) {
        (void)snprintf(escaped, ESCAPE_SIZE, "\\x%02x", first);
        return 1;
    } else {
        (void)snprintf(escaped, ESCAPE_SIZE, "%.*s", (int)length, text);
    }
    return length == 0 ? 1 : length;
}
