/*
 * command_line: reads a command line by a table of settings.
 * Knows of a setting only what its row says.
 * Called by each program's options.
 */
#ifndef BASE_COMMAND_LINE_H
#define BASE_COMMAND_LINE_H

#include "base/settings.h"

/*
 * Read the command line into `options`, which settings_set_defaults has filled. The first value of
 * a list replaces what is provisional in it; otherwise the last use of an option wins. Long options
 * may be shortened as getopt_long(3) has it. An argument that is no option is the operand, if the
 * table has one; it may be missing, and then its member is all zeros. A table may have all of them
 * instead. `origins` has an element for each entry of the table, which says where the value came
 * from; NULL is fine. Calls getopt_long, whose state is the process's, and which puts options
 * before operands in `arguments`: call it from one thread. Return 0; or -1 with errno, ENOMEM if
 * that is the reason, and a sentence in `error` that names the option and what would be right; what
 * `options` owns then must be freed by settings_free all the same.
 */
int command_line_parse(const struct setting *table, void *options, struct origin *origins,
                       int argument_count, char *arguments[], struct error *error)
    __attribute__((warn_unused_result));

#endif
