/*
 * readings: options as echod reads them, with all that it says of them.
 * Judges only that a sentence is one, and goes with a status.
 * Called by fuzz_config_file and fuzz_command_line.
 */
#ifndef TESTS_FUZZ_READINGS_H
#define TESTS_FUZZ_READINGS_H

#include "echod/options.h"

#include <stddef.h>
#include <stdio.h>

struct reading {
    struct options options;
    int status;
    size_t count;  /* of sentences */
    char *errors;  /* a line for each */
    char *printed; /* as --check prints it; empty where something was refused */
    FILE *stream;  /* of the errors, while it reads */
};

/* Read a command line, and the file that it names; reading_free it. */
void reading_take(struct reading *reading, int count, char *arguments[]);

void reading_free(struct reading *reading);

/* A sentence is one line, of what can be shown. */
void reading_check_sentence(const struct error *error);

#endif
