#include <config.h>

#include "base/text_buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 512, DIGITS = 20 /* of the largest uint64_t */ };

/* Give back what there is, and drop all that comes. */
static void fail(struct text_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct text_buffer){.has_failed = true};
}

/* Make room for so many bytes more. Return whether there is. */
static bool reserve(struct text_buffer *buffer, size_t more)
{
    size_t size = buffer->size == 0 ? FIRST_SIZE : buffer->size;
    char *bytes;

    if (buffer->has_failed)
        return false;
    while (size - buffer->length < more && size <= SIZE_MAX / 2)
        size *= 2;
    if (size == buffer->size)
        return true;
    bytes = size - buffer->length < more ? NULL : realloc(buffer->bytes, size);
    if (bytes == NULL) {
        fail(buffer);
        return false;
    }
    buffer->bytes = bytes;
    buffer->size = size;
    return true;
}

void text_buffer_append(struct text_buffer *buffer, const char *bytes, size_t length)
{
    if (length == 0 || !reserve(buffer, length))
        return;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

void text_buffer_append_text(struct text_buffer *buffer, const char *text)
{
    text_buffer_append(buffer, text, strlen(text));
}

void text_buffer_append_number(struct text_buffer *buffer, uint64_t number)
{
    char digits[DIGITS];
    size_t first = DIGITS;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_buffer_append(buffer, digits + first, DIGITS - first);
}

/* Write into what room there is, and return how long the text is, or a negative number. */
__attribute__((format(printf, 2, 0))) static int print(struct text_buffer *buffer,
                                                       const char *format, va_list arguments)
{
    const size_t room = buffer->size - buffer->length;
    va_list copy;
    int length;

    va_copy(copy, arguments);
    length = vsnprintf(buffer->bytes + buffer->length, room, format, copy);
    va_end(copy);
    return length;
}

void text_buffer_printf(struct text_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;

    if (!reserve(buffer, 1))
        return;
    va_start(arguments, format);
    length = print(buffer, format, arguments);
    if (length >= 0 && (size_t)length >= buffer->size - buffer->length &&
        reserve(buffer, (size_t)length + 1))
        length = print(buffer, format, arguments);
    va_end(arguments);
    if (length < 0)
        fail(buffer);
    else if (!buffer->has_failed)
        buffer->length += (size_t)length;
}

void text_buffer_append_escaped(struct text_buffer *buffer, enum escape_form form, const char *text)
{
    while (*text != '\0') {
        const size_t plain = escape_plain_length(form, text, SIZE_MAX);
        char escaped[ESCAPE_SIZE];

        text_buffer_append(buffer, text, plain);
        text += plain;
        if (*text == '\0')
            return;
        text += escape_character(form, text, escaped);
        text_buffer_append_text(buffer, escaped);
    }
}

void text_buffer_append_json(struct text_buffer *buffer, const char *text)
{
    text_buffer_append(buffer, "\"", 1);
    text_buffer_append_escaped(buffer, ESCAPE_JSON, text);
    text_buffer_append(buffer, "\"", 1);
}

char *text_buffer_take(struct text_buffer *buffer, size_t *length)
{
    char *bytes;

    if (!reserve(buffer, 1)) {
        text_buffer_clear(buffer);
        errno = ENOMEM;
        return NULL;
    }
    bytes = buffer->bytes;
    bytes[buffer->length] = '\0';
    *length = buffer->length;
    *buffer = (struct text_buffer){.bytes = NULL};
    return bytes;
}

void text_buffer_clear(struct text_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct text_buffer){.bytes = NULL};
}
