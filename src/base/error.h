/*
 * error: one sentence that says what went wrong and what would be right.
 * Decides nothing: no exit status, no output, no log.
 * Filled by what reads input or opens sockets at start-up; printed by main.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum { ERROR_TEXT_SIZE = 1024 };

struct error {
    char text[ERROR_TEXT_SIZE]; /* a whole sentence without a newline; cut if it is longer */
};

/*
 * Write the sentence, printf-style. Control characters and bytes that are not UTF-8, which can
 * only come from outside, become question marks, so that it stays one line. Saves and restores
 * errno.
 */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
