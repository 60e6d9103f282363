/*
 * commands: the table of what echoctl can be told to do, and who does it.
 * Does none of it itself.
 * Called by main and help.
 */
#ifndef ECHOCTL_COMMANDS_H
#define ECHOCTL_COMMANDS_H

#include "base/error.h"
#include "echoctl/options.h"

#include <stdio.h>

struct command;

/*
 * Return the command that was asked for, or NULL with a sentence in `error` if there is none, or
 * its operands or options do not fit it.
 */
const struct command *commands_find(const struct options *options, struct error *error);

/* Do it. Return an EXIT_STATUS_*. */
int commands_run(const struct command *command, const struct options *options);

/* Print the commands as --help shows them. */
void commands_print(FILE *stream);

#endif
