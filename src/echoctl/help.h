/*
 * help: --help and --version.
 * Knows no option and no command; their tables do.
 * Called by main.
 */
#ifndef ECHOCTL_HELP_H
#define ECHOCTL_HELP_H

#include <stdio.h>

void help_print(FILE *stream);
void help_print_version(FILE *stream);

#endif
