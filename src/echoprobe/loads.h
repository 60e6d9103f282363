/*
 * loads: one thread: an event base, and the loads that it has, one for each target.
 * Knows no messages; load does.
 * Called by probe.
 */
#ifndef ECHOPROBE_LOADS_H
#define ECHOPROBE_LOADS_H

#include "echoprobe/load.h"

#include <stddef.h>

/*
 * Run the loads of these plans side by side until each has come to its end. Blocks.
 * Return 0, or -1 with errno if the system refused what they cannot do without, which ends all of
 * them; `step` says what that was, as "cannot" goes on.
 */
int loads_run(const struct load_plan *plans, size_t count, const char **step)
    __attribute__((warn_unused_result));

#endif
