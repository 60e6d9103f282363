/*
 * targets: a file of targets: a name, an address and options on each line.
 * Looks no name up and probes none.
 * Called by start, probe and roster.
 *
 * The file is one of config_file, which says how words, comments and `include` are written: on a
 * line stand a name and an address, or an address alone, which is the name then, too.
 */
#ifndef ECHOPROBE_TARGETS_H
#define ECHOPROBE_TARGETS_H

#include "base/error.h"
#include "echoprobe/options.h"

#include <stddef.h>

enum {
    TARGETS_MAX = 1000, /* a file may name so many */
    TARGETS_NAME_SIZE = 128,
};

struct named_target {
    char name[TARGETS_NAME_SIZE]; /* printable, without blanks, quotes and what JSON, CSV and
                                     plugins read as the end of a name */
    char *text;                   /* its address and options as they are written */
    struct options options;       /* of this one alone */
};

/* All zeros: none. */
struct targets {
    size_t count;
    struct named_target *items;
};

/*
 * Read a file of targets, each with the options of this command line and its own. The caller frees
 * them, also when it fails. Return 0; or -1 with errno, ENOMEM if that is the reason, and a
 * sentence in `error` that names the file and the line.
 */
int targets_read(struct targets *targets, const char *path, int argument_count, char *arguments[],
                 struct error *error) __attribute__((warn_unused_result));

/* Take one out, and free it; those behind it move up. */
void targets_remove(struct targets *targets, size_t index);

void targets_free(struct targets *targets);

#endif
