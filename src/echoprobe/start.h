/*
 * start: from options to targets that can be probed: files of targets and of TLS are read,
 * addresses resolved. Then the check or the run that is asked for. Sends nothing. Called by main.
 */
#ifndef ECHOPROBE_START_H
#define ECHOPROBE_START_H

#include "echoprobe/options.h"

/*
 * Do what the options ask for, and report; the command line is read again for each of several
 * targets. Blocks. Return an exit status of options.h.
 */
int start_run(const struct options *options, int argument_count, char *arguments[]);

#endif
