/*
 * origin: where a value came from: a default, the command line, or a line of a file; a variable of
 * the environment counts as one.
 * Knows nothing of the value.
 * Called by settings, and by whatever blames a value.
 */
#ifndef BASE_ORIGIN_H
#define BASE_ORIGIN_H

#include <stdbool.h>

enum origin_kind { ORIGIN_DEFAULT, ORIGIN_COMMAND_LINE, ORIGIN_FILE };

enum { ORIGIN_PLACE_SIZE = 320 };

/* Plain data. */
struct origin {
    enum origin_kind kind;
    bool is_refused;               /* what stands there was refused; the value is another's */
    char place[ORIGIN_PLACE_SIZE]; /* "/etc/echod/echod.conf:12", or a variable's name */
};

#endif
