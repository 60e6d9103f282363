/*
 * config_file: reads the lines of a configuration file and of the files that it includes.
 * Knows no setting: what a line means is for the callback to say.
 * Called by echod's options_reader.
 *
 * A line is empty, or a name and at most one value with blanks between them. A "#" that begins a
 * word begins a comment. A word that holds blanks stands in double quotes, and in them \" is a
 * quote, \\ a backslash and \n a line feed. `include PATTERN` reads the files that a pattern of
 * glob(7) stands for, in the order of their names; the pattern begins at the directory of the file
 * that it stands in. A byte order mark (RFC 3629, 6) before the first line is skipped.
 */
#ifndef BASE_CONFIG_FILE_H
#define BASE_CONFIG_FILE_H

#include "base/error.h"

enum {
    CONFIG_FILE_BYTES = 1 << 20, /* no file may be larger, ... */
    CONFIG_FILE_LINE = 4096,     /* ... no line longer, without its end, ... */
    CONFIG_FILE_DEPTH = 8,       /* ... no include nested deeper, ... */
    CONFIG_FILE_COUNT = 1000,    /* ... and no more files may be read */
};

/* Valid during the call. */
struct config_line {
    const char *name;
    const char *value; /* NULL where the line has only a name */
    const char *place; /* "/etc/echod/echod.conf:12" */
};

/* Called for each line. Return 0, or -1 with a sentence in `error`, which does not name the place.
 */
typedef int config_line_callback(const struct config_line *line, void *argument,
                                 struct error *error);

/* Called for each error: "/etc/echod/echod.conf:12: ...". */
typedef void config_error_callback(const struct error *error, void *argument);

/* Called for each file before it is opened, and for each pattern of an include. */
typedef void config_path_callback(const char *path, void *argument);

struct config_reader {
    config_line_callback *on_line;
    config_error_callback *on_error;
    void *argument;                /* of all of them */
    config_path_callback *on_path; /* may be NULL */
};

/*
 * Read a file to its end, whatever is wrong with it: only a regular file is read, since a pipe
 * holds nothing when it is read again, and only when it can be read whole. A file that includes
 * itself, over others too, is an error. Return 0, or -1 if there was an error, with errno ENOMEM if
 * memory ran out; each has been reported.
 */
int config_file_read(const char *path, const struct config_reader *reader)
    __attribute__((warn_unused_result));

#endif
