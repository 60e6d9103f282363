/*
 * summary: what a run found, as text for people.
 * Counts nothing; tally does.
 * Called by report.
 */
#ifndef ECHOPROBE_SUMMARY_H
#define ECHOPROBE_SUMMARY_H

#include "echoprobe/backends.h"
#include "echoprobe/options.h"
#include "echoprobe/tally.h"

#include <stdint.h>
#include <stdio.h>

enum { SUMMARY_TEXT_SIZE = 32 };

/*
 * Print the summary on standard output; `name` is the target's; `backends` are sorted, or NULL
 * where nobody asks who they are.
 */
void summary_print(const struct options *options, const char *name, const struct tally *tally,
                   const struct backends *backends, uint64_t elapsed_ns);

/* Print which backends answered, sorted, and how often. */
void summary_print_backends(const struct options *options, const struct backends *backends);

/* Print how a run goes: counts and round trips up to now. */
void summary_print_interim(FILE *stream, const struct options *options, const struct tally *tally,
                           uint64_t elapsed_ns);

/* Write a number with a unit and a prefix of powers of 1000: "3.53 MB/s". */
void summary_format_per_second(double number, const char *unit, char text[SUMMARY_TEXT_SIZE]);

/* Return "connection" or "connections", whichever goes with the number; for UDP "socket". */
const char *summary_connections(const struct options *options);

#endif
