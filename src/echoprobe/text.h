/*
 * text: lines for people: what comes from outside is escaped, and no line is wider than the screen.
 * Knows nothing of what they say.
 * Called by report and summary.
 */
#ifndef ECHOPROBE_TEXT_H
#define ECHOPROBE_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum { TEXT_LINE_SIZE = 1024 };

/* Print a line, printf-style, in one piece, escaped as the log is; what does not fit is cut. */
void text_print(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprint(FILE *stream, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Print a text that may be longer, escaped in the same way, and a line feed. */
void text_print_whole(FILE *stream, const char *text);

/* Return the columns of the terminal that a descriptor is; 80 if it is none or does not say. */
size_t text_columns(int fd);

/* Items with commas between them, on as many lines as they need. */
struct text_list {
    FILE *stream;
    size_t columns;
    size_t used; /* of the line that is being written */
};

struct text_list text_list_begin(FILE *stream);
void text_list_add(struct text_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* End the last line, if there was any item. */
void text_list_end(struct text_list *list);

#endif
