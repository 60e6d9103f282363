/*
 * process: what both programs ask of the system for themselves: files and text on standard output.
 * Handles no signals.
 * Called by each program's main.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>
#include <stdio.h>

/*
 * Where a parent closed a standard descriptor, keep its number from becoming a client's: with a
 * file that has the wrong direction, so that whoever uses it meets an error, as without it.
 */
void process_fill_standard_descriptors(void);

/* Raise the soft limit of open files to the hard one, as far as the system lets us. */
void process_raise_file_limit(void);

/* Return how many files the process may have open. */
uint64_t process_file_limit(void);

/*
 * Say in a sentence, printf-style, what keeps a program from running: on standard error; or to
 * syslog (daemon.err) where standard error is the socket on standard input, since inetd(8) passes
 * its client there.
 */
void process_complain(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Make sure that all that was printed to standard output arrived: a full disk is an error.
 * Return 0, or -1 after a sentence on standard error that begins with the program's name.
 */
int process_end_output(const char *program) __attribute__((warn_unused_result));

/*
 * Let a function print to standard output, and do the same. Return 0, or -1 after a sentence on
 * standard error that begins with the program's name.
 */
int process_print(const char *program, void (*print_text)(FILE *stream))
    __attribute__((warn_unused_result));

#endif
