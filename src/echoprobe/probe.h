/*
 * probe: the run: signals, the deadline, other targets, and the status in the end.
 * Sends nothing itself; load does.
 * Called by start.
 */
#ifndef ECHOPROBE_PROBE_H
#define ECHOPROBE_PROBE_H

#include "echoprobe/account.h"
#include "echoprobe/options.h"

#include <stddef.h>

/* The command line, which is that of each target. */
struct command_words {
    int count;
    char **words;
};

/*
 * Probe targets side by side, each as its options say; those of the run say how many threads there
 * are, when it ends and what is reported on standard output and standard error. With `words`, HUP
 * reads the file of targets again. Blocks. Return an exit status of options.h: of several the
 * worst.
 */
int probe_run(const struct options *options, const struct account_target *targets, size_t count,
              const struct command_words *words);

#endif
