/*
 * files: stand-ins for open, access and glob, so that a target reads no file but those that it has.
 * Knows no path of the system while there are any; otherwise open is the system's.
 * Called by fuzz_config_file and fuzz_command_line, and by what these try.
 */
#ifndef TESTS_FUZZ_FILES_H
#define TESTS_FUZZ_FILES_H

#include <stddef.h>

enum { FILES_PATH_SIZE = 128 };

struct files_entry {
    char path[FILES_PATH_SIZE];
    const char *text; /* belongs to the caller */
    size_t length;
    int fd; /* -1 until it is read */
};

/* From now on there are files, so far none. */
void files_begin(void);

/* Add one, unless there are too many, or its path is too long, or no printable word of ASCII. */
void files_add(const char *path, const char *text, size_t length);

/* Return one, or NULL if there are not so many. */
const struct files_entry *files_at(size_t index);

/* Forget them. */
void files_end(void);

#endif
