/*
 * line: a line of text that is put together piece by piece. What does not fit is left out.
 * Knows nothing of what the line says, nor where it goes. Costs no printf.
 * Called by whatever writes many lines a second.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include "base/escape.h"

#include <stddef.h>
#include <stdint.h>

enum { LINE_SIZE = 1024 }; /* the longest, in bytes */

/* Begin with a length of 0. Only `length` bytes of `bytes` mean something; no NUL ends them. */
struct line {
    size_t length;
    char bytes[LINE_SIZE + 1]; /* room for the NUL of line_text */
};

void line_append(struct line *line, const char *bytes, size_t length);

void line_append_text(struct line *line, const char *text);

/* Append a decimal number. */
void line_append_number(struct line *line, uint64_t number);

/* Append the last `width` decimal digits of a number, at most 20, with zeros in front. */
void line_append_digits(struct line *line, uint64_t number, size_t width);

/*
 * Append text from anywhere, escaped (base/escape.h). `reserve` bytes of the line stay free; where
 * the text does not fit before them, it is cut behind a whole character and ends in "...".
 */
void line_append_escaped(struct line *line, enum escape_form form, const char *text,
                         size_t reserve);

/* Return the line as a string, which is valid until the line changes. */
const char *line_text(struct line *line);

#endif
