/*
 * hold: one connection is silent for --hold, and must echo again afterwards.
 * Called by start for check, which runs it.
 */
#ifndef ECHOPROBE_HOLD_H
#define ECHOPROBE_HOLD_H

#include "echoprobe/check.h"

/* Return the kind; static. */
const struct check_kind *hold_check(void);

#endif
