/*
 * text: what goes to standard output: lines for people, with what comes from outside escaped, and
 * the service's own JSON and text.
 * Knows nothing of what they say.
 * Called by looks, listing, actions, words and top.
 */
#ifndef ECHOCTL_TEXT_H
#define ECHOCTL_TEXT_H

#include <stddef.h>
#include <stdio.h>

enum { TEXT_LINE_SIZE = 1024 };

/* Print a line, printf-style, escaped as the log is; what does not fit is cut. */
void text_print(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Print so many bytes of JSON that json_begin took; what a terminal might obey is escaped in it. */
void text_print_json(FILE *stream, const char *json, size_t length);

/* Print text of several lines as it is; but to a terminal, escaped. */
void text_print_lines(FILE *stream, const char *text);

#endif
