#include <config.h>

#include "base/line.h"

#include <string.h>

enum { DIGITS = 20 }; /* of the largest uint64_t */

void line_append(struct line *line, const char *bytes, size_t length)
{
    if (length > LINE_SIZE - line->length)
        length = LINE_SIZE - line->length;
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

void line_append_text(struct line *line, const char *text)
{
    line_append(line, text, strlen(text));
}

void line_append_number(struct line *line, uint64_t number)
{
    char digits[DIGITS];
    size_t first = DIGITS;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    line_append(line, digits + first, DIGITS - first);
}

void line_append_digits(struct line *line, uint64_t number, size_t width)
{
    char digits[DIGITS];

    for (size_t i = width; i-- > 0; number /= 10)
        digits[i] = (char)('0' + number % 10);
    line_append(line, digits, width);
}

/*
 * Append what needs no escape at the start of a text, as far as the line is no longer than `limit`
 * then. Return how many bytes that were.
 */
static size_t append_plain(struct line *line, enum escape_form form, const char *text, size_t limit)
{
    const size_t room = line->length < limit ? limit - line->length : 0;
    const size_t length = escape_plain_length(form, text, room);

    line_append(line, text, length);
    return length;
}

void line_append_escaped(struct line *line, enum escape_form form, const char *text, size_t reserve)
{
    static const char dots[] = "...";
    const size_t limit = LINE_SIZE - reserve;
    size_t cut; /* up to here the dots still fit */

    text += append_plain(line, form, text, limit - strlen(dots));
    cut = line->length;
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];
        size_t length;

        text += escape_character(form, text, escaped);
        length = strlen(escaped);
        if (line->length + length > limit) {
            line->length = cut;
            line_append_text(line, dots);
            return;
        }
        line_append(line, escaped, length);
        text += append_plain(line, form, text, limit - strlen(dots));
        if (line->length + strlen(dots) <= limit)
            cut = line->length;
    }
}

const char *line_text(struct line *line)
{
    line->bytes[line->length] = '\0';
    return line->bytes;
}
