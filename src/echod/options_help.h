/*
 * options_help: what --help and --version print, after the GNU coding standards (4.8).
 * Reads no option.
 * Called by main.
 */
#ifndef ECHOD_OPTIONS_HELP_H
#define ECHOD_OPTIONS_HELP_H

#include "echod/options.h"

#include <stdio.h>

void options_print_help(enum help_topic topic, FILE *stream);
void options_print_version(FILE *stream);

#endif
