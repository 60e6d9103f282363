/*
 * settings: one table drives the command line, the configuration file, --help and every error.
 * Knows neither what the options mean nor how two of them must fit together; the program does.
 * Called by each program's options, and by command_line.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/error.h"
#include "base/origin.h"
#include "base/setting.h"

#include <stdio.h>

/*
 * Set every member of `options` that the table names to its default, if it has one. The members
 * must hold nothing that is owned.
 * Return 0, or -1 with errno ENOMEM and a sentence in `error`. A default that its own setting
 * refuses is a fault in the table and aborts.
 */
int settings_set_defaults(const struct setting *table, void *options, struct error *error)
    __attribute__((warn_unused_result));

/* Return the entry whose name this is, or NULL; of an operand there is none. */
const struct setting *settings_find(const struct setting *table, const char *name);

/*
 * Set what one line of a configuration file says. Without a value (NULL), a flag is set; it may
 * also be "yes" or "no". Everything else is as on the command line. `origins` may be NULL.
 * Return 0, or -1 with a sentence in `error` that names the setting and what would be right.
 */
int settings_set(const struct setting *table, const struct setting *setting, void *options,
                 struct origin *origins, const char *value, const struct origin *origin,
                 struct error *error) __attribute__((warn_unused_result));

/*
 * Print every setting that a configuration file may have as a line of one, with where its value
 * came from as a comment.
 */
void settings_print(const struct setting *table, const void *options, const struct origin *origins,
                    FILE *stream);

/* Called for a setting that another value was wanted for; the texts are as in a file, or "none". */
typedef void settings_kept_callback(const struct setting *setting, const char *wanted,
                                    const char *kept, void *argument);

/*
 * Give every setting that is_fixed, which must be no list, the value that it has in `current`, and
 * call `on_kept` where it had another one.
 * Return 0, or -1 with errno ENOMEM.
 */
int settings_keep_fixed(const struct setting *table, void *options, const void *current,
                        settings_kept_callback *on_kept, void *argument)
    __attribute__((warn_unused_result));

/* Print the options with their defaults, one entry each in their sections, as --help shows them. */
void settings_print_help(const struct setting *table, FILE *stream);

/*
 * Print one entry of a help text: the term, such as "  -l, --listen ADDRESS", and in the column
 * beside it what it means, in lines of at most 80 characters.
 */
void settings_print_entry(const char *term, const char *help, FILE *stream);

/* Free what the lists and texts of `options` own. */
void settings_free(const struct setting *table, void *options);

#endif
