/*
 * escape: one character of a text from anywhere, as a line of text or a JSON string may hold it.
 * Knows no line, no limit and no output.
 * Called by error and line, by echoprobe's text, plugin and report_json, and by echoctl's text.
 */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stddef.h>

enum escape_form {
    ESCAPE_TEXT,  /* control characters and bytes that are not UTF-8 are \xNN */
    ESCAPE_WORD,  /* so are spaces of any width and the backslash: it can be read back */
    ESCAPE_JSON,  /* what JSON demands (RFC 8259, 7); U+FFFD stands for a byte that is not UTF-8 */
    ESCAPE_LABEL, /* of a metric: as Prometheus demands for what ESCAPE_TEXT makes of it */
};

enum { ESCAPE_SIZE = sizeof "\\ufffd" }; /* of the longest that escape_character writes */

/*
 * Write the first character of `text`, which is not empty, as `form` has it. A character is one of
 * UTF-8 (RFC 3629) or, where there is none, a byte. Control characters are U+0001 to U+001F, U+007F
 * and U+0080 to U+009F, which a terminal may obey as well.
 * Return how many bytes of `text` that was, at least 1: behind them stands the next character.
 */
size_t escape_character(enum escape_form form, const char *text, char escaped[ESCAPE_SIZE])
    __attribute__((warn_unused_result));

/*
 * Return how many bytes at the start of `text`, at most `most`, are printable ASCII that stands for
 * itself: there is nothing to escape. It is no promise that the next byte has to be.
 */
size_t escape_plain_length(enum escape_form form, const char *text, size_t most)
    __attribute__((warn_unused_result));

#endif
