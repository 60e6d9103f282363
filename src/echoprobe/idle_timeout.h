/*
 * idle_timeout: searches the longest silence after which a path still carries an echo.
 * Leaves what a silence is to silence, and the order of the search to bisect.
 * Called by start for check, which runs it.
 */
#ifndef ECHOPROBE_IDLE_TIMEOUT_H
#define ECHOPROBE_IDLE_TIMEOUT_H

#include "echoprobe/check.h"

/* Return the kind; static. */
const struct check_kind *idle_timeout_check(void);

#endif
