/*
 * settings: one table drives the command line, the configuration file, --help and every error.
 * Knows neither what the options mean nor how two of them must fit together; the program does.
 * Called by each program's options.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/address.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a setting holds, and so the type of the member that `offset` names. */
enum setting_type {
    SETTING_FLAG,         /* bool; takes no argument */
    SETTING_COUNT,        /* uint64_t: a plain number */
    SETTING_SIZE,         /* uint64_t: bytes, units_parse_size */
    SETTING_DURATION,     /* uint64_t: milliseconds, units_parse_duration */
    SETTING_INTERVAL,     /* uint64_t: microseconds, units_parse_interval */
    SETTING_RATE,         /* uint64_t: for each second, units_parse_rate */
    SETTING_CHOICE,       /* unsigned: index into `choices` */
    SETTING_ADDRESS_LIST, /* struct address_list; each use of the option adds one */
    SETTING_TEXT,         /* char *, owned: the text as it is; NULL while nobody gave one */
    SETTING_PARSED,       /* what `parse` makes of the text */
    SETTING_TARGET,       /* struct address: the one operand, which has no option */
};

/* What the word "auto" stands for; no other text gives this value. */
#define SETTING_AUTO UINT64_MAX

enum origin_kind { ORIGIN_DEFAULT, ORIGIN_COMMAND_LINE, ORIGIN_FILE };

enum { ORIGIN_PLACE_SIZE = 320 };

/* Where a value came from. Plain data. */
struct origin {
    enum origin_kind kind;
    bool is_refused;               /* what stands there was refused; the value is another's */
    char place[ORIGIN_PLACE_SIZE]; /* of a file: "/etc/echod/echod.conf:12" */
};

struct address_list {
    struct address *addresses; /* owned; NULL while count is 0 */
    struct origin *origins;    /* of each of them; owned */
    size_t count;
    bool is_provisional; /* the next address that is added replaces all of these */
};

/*
 * Read `text` into a member of the program's own type, which must own nothing.
 * Return 0, or -1 with what would be right in `error`, as "is not ..." goes on: "a size".
 */
typedef int (*setting_parse)(const char *text, void *member, struct error *error);

enum { SETTING_VALUE_SIZE = 4200 }; /* enough for any value as text, such as a path */

/* Write a member as setting_parse reads it. Return false if nobody has given it a value. */
typedef bool (*setting_format)(const void *member, char text[SETTING_VALUE_SIZE]);

struct setting {
    const char *name; /* long option without dashes, or what --help calls the operand */
    enum setting_type type;
    size_t offset;              /* of the member in the program's struct of options */
    const char *argument;       /* what --help calls the value; NULL for a flag */
    const char *fallback;       /* the default as a user would write it, or NULL: the member stays
                                   as it is; not of a flag, a text and the operand */
    const char *implied;        /* numbers only: what the option stands for without a value, or
                                   NULL; where it has one, a value follows behind "=" */
    uint64_t minimum, maximum;  /* numbers only, both allowed; "auto" lies outside them. An
                                   operand's minimum is its default port */
    bool has_auto;              /* numbers only: accepts the word "auto" */
    const char *const *choices; /* SETTING_CHOICE: NULL-terminated */
    setting_parse parse;        /* SETTING_PARSED */
    setting_format format;      /* SETTING_PARSED that a file may have */
    size_t size;                /* SETTING_PARSED that is fixed: of the member */
    char letter;                /* short option, or 0 */
    char other_letter;          /* another short option for the same, not in --help, or 0 */
    bool is_command;            /* has a meaning on the command line only */
    bool is_fixed;              /* cannot change while the program runs */
    const char *help;           /* one sentence; lines are broken by settings_print_help */
};

/* A table ends with an entry whose name is NULL. */

/*
 * Set every member of `options` that the table names to its default, if it has one. The members
 * must hold nothing that is owned.
 * Return 0, or -1 with errno ENOMEM and a sentence in `error`. A default that its own setting
 * refuses is a fault in the table and aborts.
 */
int settings_set_defaults(const struct setting *table, void *options, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Read the command line into `options`, which settings_set_defaults has filled. The first value of
 * a list replaces what is provisional in it; otherwise the last use of an option wins. Long options
 * may be shortened as getopt_long(3) has it. An argument that is no option is the operand, if the
 * table has one; it may be missing, and then its member is all zeros. `origins` has an element for
 * each entry of the table, which says where the value came from; NULL is fine. Calls getopt_long,
 * whose state is the process's: call it from one thread. Return 0, or -1 with a sentence in `error`
 * that names the option and what would be right; what `options` owns then must be freed by
 * settings_free all the same.
 */
int settings_parse_arguments(const struct setting *table, void *options, struct origin *origins,
                             int argument_count, char *arguments[], struct error *error)
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

/* Print the options with their defaults, one entry each, as --help shows them. */
void settings_print_help(const struct setting *table, FILE *stream);

/* Free what the lists and texts of `options` own. */
void settings_free(const struct setting *table, void *options);

#endif
