/*
 * loads: one thread: an event base, and the loads that it has, one for each target.
 * Knows no messages; load does.
 * Called by group.
 */
#ifndef ECHOPROBE_LOADS_H
#define ECHOPROBE_LOADS_H

#include "echoprobe/load.h"

#include <stddef.h>

struct loads;

/*
 * Begin the loads of these plans, side by side, but those that wait for the first look-up of their
 * target. The plans must outlive them; loads_run ends them, in the same thread.
 * Return NULL with errno if the system refused what they cannot do without; `step` says what that
 * was, as "cannot" goes on.
 */
struct loads *loads_start(const struct load_plan *plans, size_t count, const char **step);

/*
 * Run them until each has come to its end, and free them. Blocks.
 * Return 0, or -1 with errno if the system refused one something, which ends all of them; `step` as
 * above.
 */
int loads_run(struct loads *loads, const char **step) __attribute__((warn_unused_result));

#endif
