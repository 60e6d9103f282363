/*
 * probe: the run: threads of load, signals, the deadline, and the status in the end.
 * Sends nothing itself; load does.
 * Called by main.
 */
#ifndef ECHOPROBE_PROBE_H
#define ECHOPROBE_PROBE_H

#include "echoprobe/options.h"
#include "echoprobe/target.h"

/*
 * Probe the target as the options say, and report on standard output and standard error. Blocks.
 * Return an exit status of options.h.
 */
int probe_run(const struct options *options, const struct target *target);

#endif
