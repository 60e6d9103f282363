/*
 * options_reader: reads the options: defaults, configuration file and command line.
 * Knows no single setting; options_table and options_check do.
 * Called by main, and by reload to read them again.
 */
#ifndef ECHOD_OPTIONS_READER_H
#define ECHOD_OPTIONS_READER_H

#include "echod/options.h"

#include <stdio.h>

/*
 * Read the configuration file over the defaults and the command line over both, and check that the
 * values fit together. All errors of a file are reported. Without --config and --no-config the
 * file is SYSCONFDIR/echod/echod.conf, if it exists; with --help or --version none is read.
 * Return 0, or the exit status after a report. Call options_free in either case.
 */
int options_read(struct options *options, int argument_count, char *arguments[],
                 options_error_callback *on_error, void *argument)
    __attribute__((warn_unused_result));

/*
 * Check what can be known of the pid file without making it, and of the directory of --chroot.
 * Return 0, or the exit status after a report.
 */
int options_check_paths(const struct options *options, options_error_callback *on_error,
                        void *argument) __attribute__((warn_unused_result));

/*
 * Read the same again into `options`, since the file may have changed. What is fixed keeps the
 * value of `current`; each such setting that has another one now is told to `on_warning`, and so is
 * a file that sets nothing any more.
 * Return 0, or -1 after a report. Call options_free in either case.
 */
int options_read_again(struct options *options, const struct options *current,
                       options_error_callback *on_error, options_error_callback *on_warning,
                       void *argument) __attribute__((warn_unused_result));

/* Print what is in effect as a configuration file, and where each value came from. */
void options_print(const struct options *options, FILE *stream);

/* Free what the options own. Zeroed options are fine. */
void options_free(struct options *options);

#endif
