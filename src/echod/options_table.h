/*
 * options_table: the table of echod's settings: one row adds an option.
 * Reads nothing.
 * Called by options_reader, options_check and options_help.
 */
#ifndef ECHOD_OPTIONS_TABLE_H
#define ECHOD_OPTIONS_TABLE_H

#include "base/settings.h"
#include "echod/options.h"

#include <stddef.h>

const struct setting *options_table(void);

/* Return how many settings there are. */
size_t options_table_length(void);

/* Return where the value of a setting came from. */
const struct origin *options_origin(const struct options *options, const char *name);

#endif
