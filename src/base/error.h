/*
 * error: one sentence that says what went wrong and what would be right.
 * Decides nothing: no exit status, no output, no log.
 * Filled by what reads input or opens sockets at start-up; printed by main.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum { ERROR_TEXT_SIZE = 800 }; /* so that a line of the log has room for it (LINE_SIZE) */

struct error {
    char text[ERROR_TEXT_SIZE]; /* a sentence without a newline */
};

/*
 * Write the sentence, printf-style. In one that is too long "..." stands for the middle, which is
 * something very long from outside: its end says what would be right. Control characters and bytes
 * that are not UTF-8, which can only come from there too, become question marks, so that it stays
 * one line. Saves and restores errno.
 */
void error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
