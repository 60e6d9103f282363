/*
 * record_file: a file, or standard output, that is written while a run goes on; the first failure
 * is kept. Knows nothing of what is written. Called by recorder.
 */
#ifndef ECHOPROBE_RECORD_FILE_H
#define ECHOPROBE_RECORD_FILE_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* All zeros: there is none. */
struct record_file {
    const char *option; /* that asks for it, as sentences name it */
    const char *name;   /* as sentences name it */
    FILE *stream;
    bool shows_each_line; /* at once; else when there are many */
    atomic_int failure;   /* errno of the first line that did not arrive; 0: all did */
};

/*
 * Open a file, and empty one that is there; "-" is standard output, and then what the program
 * prints goes to standard error instead. The name must outlive it. Return 0, or -1 with errno and a
 * sentence in `error`.
 */
int record_file_open(struct record_file *file, const char *option, const char *name,
                     bool shows_each_line, struct error *error) __attribute__((warn_unused_result));

/* Tell whether it was opened. */
bool record_file_is_open(const struct record_file *file);

/* Note that a line was written, and whether it arrived; from any thread. */
void record_file_end_line(struct record_file *file, bool has_arrived);

/* Close it. Return 0, or -1 with a sentence in `error` if not all arrived. None at all is fine. */
int record_file_close(struct record_file *file, struct error *error)
    __attribute__((warn_unused_result));

#endif
