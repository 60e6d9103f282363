/*
 * text_buffer: text of any length, put together piece by piece in memory that grows.
 * Knows nothing of what the text says. A lack of memory is noted once and told at the end.
 * Called by http_request, by whatever puts together an answer for it, and by config_file.
 */
#ifndef BASE_TEXT_BUFFER_H
#define BASE_TEXT_BUFFER_H

#include "base/escape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin with all zero bytes. Members are its own. */
struct text_buffer {
    char *bytes; /* `length` of them mean something, and there is room for `size` */
    size_t length, size;
    bool has_failed; /* memory has lacked: what is appended from then on is dropped */
};

void text_buffer_append(struct text_buffer *buffer, const char *bytes, size_t length);

void text_buffer_append_text(struct text_buffer *buffer, const char *text);

/* Append a decimal number. */
void text_buffer_append_number(struct text_buffer *buffer, uint64_t number);

/* Append what printf would write. */
void text_buffer_printf(struct text_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Append text from anywhere, escaped (base/escape.h). */
void text_buffer_append_escaped(struct text_buffer *buffer, enum escape_form form,
                                const char *text);

/* Append text from anywhere as a string of JSON, in its quotes (ESCAPE_JSON of base/escape.h). */
void text_buffer_append_json(struct text_buffer *buffer, const char *text);

/*
 * Take the text out, which leaves an empty buffer. A NUL stands behind its `length` bytes. The
 * caller frees it. Return NULL with errno ENOMEM if memory has lacked; then the text is gone.
 */
char *text_buffer_take(struct text_buffer *buffer, size_t *length)
    __attribute__((warn_unused_result));

/* Free the text, and begin anew. */
void text_buffer_clear(struct text_buffer *buffer);

#endif
