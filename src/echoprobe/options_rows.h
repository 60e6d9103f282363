/*
 * options_rows: the table of echoprobe's settings: a row adds an option.
 * Reads nothing.
 * Called by options.
 */
#ifndef ECHOPROBE_OPTIONS_ROWS_H
#define ECHOPROBE_OPTIONS_ROWS_H

#include "base/setting.h"

/* Return the table, which fills a struct options. */
const struct setting *options_rows(void);

#endif
