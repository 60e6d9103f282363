/*
 * setting: a row of a table of settings, as plain data. A table ends with a row without a name.
 * Does nothing: setting_kind reads and writes values, settings and command_line whole tables.
 * Called by every room that has such a table.
 */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include "base/error.h"
#include "base/origin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a setting holds, and so the type of the member that `offset` names. */
enum setting_type {
    SETTING_FLAG,     /* bool; takes no argument */
    SETTING_COUNT,    /* uint64_t: a plain number */
    SETTING_SIZE,     /* uint64_t: bytes, units_parse_size */
    SETTING_DURATION, /* uint64_t: milliseconds, units_parse_duration */
    SETTING_INTERVAL, /* uint64_t: microseconds, units_parse_interval */
    SETTING_CHOICE,   /* unsigned: index into `choices` */
    SETTING_LIST,     /* what `list` works on; each use of the option adds one */
    SETTING_TEXT,     /* char *, owned: the text as it is; NULL while nobody gave one */
    SETTING_PARSED,   /* what `parse` makes of the text */
    SETTING_TARGET,   /* struct address: the one operand, which has no option */
    SETTING_OPERANDS, /* struct setting_operands: all that is no option, for the program to judge */
};

/* They belong to the command line. */
struct setting_operands {
    char *const *texts;
    size_t count;
};

/* What the word "auto" stands for; no other text gives this value. */
#define SETTING_AUTO UINT64_MAX

/*
 * Read `text` into a member of the program's own type, which must own nothing.
 * Return 0, or -1 with what would be right in `error`, as "is not ..." goes on: "a size".
 */
typedef int (*setting_parse)(const char *text, void *member, struct error *error);

enum { SETTING_VALUE_SIZE = 4200 }; /* enough for any value as text, such as a path */

/* Write a member as setting_parse reads it. Return false if nobody has given it a value. */
typedef bool (*setting_format)(const void *member, char text[SETTING_VALUE_SIZE]);

/* What is done with a list of the program's own type. */
struct setting_list {
    /* Let it be empty; it holds nothing that is owned. */
    void (*init)(void *list);
    /*
     * Add what `text` says and where it stands. Return 0, or -1 with errno and a sentence in
     * `error` that quotes the text and says what would be right.
     */
    int (*add)(const char *text, const struct origin *origin, void *list, struct error *error);
    /* Let the next one that is added replace all that are there. */
    void (*make_provisional)(void *list);
    /* Write the element of this index, with its origin, as `add` reads it; NULL: there is none. */
    const struct origin *(*format)(const void *list, size_t index, char text[SETTING_VALUE_SIZE]);
    /* Free what it owns, and let it be empty. */
    void (*free)(void *list);
};

struct setting {
    const char *name; /* long option without dashes, or what --help calls the operands */
    enum setting_type type;
    size_t offset;              /* of the member in the program's struct of options */
    const char *argument;       /* what --help calls the value; NULL for a flag */
    const char *fallback;       /* the default as a user would write it, or NULL: the member stays
                                   as it is; not of a flag, a text and operands */
    const char *implied;        /* what the option stands for without a value, or NULL; where it
                                   has one, a value follows behind "=" */
    uint64_t minimum, maximum;  /* numbers only, both allowed; "auto" lies outside them. An
                                   operand's minimum is its default port */
    bool has_auto;              /* numbers only: accepts the word "auto" */
    const char *const *choices; /* SETTING_CHOICE: NULL-terminated */
    setting_parse parse;        /* SETTING_PARSED */
    setting_format format;      /* SETTING_PARSED that a file may have */
    size_t size;                /* SETTING_PARSED that is fixed: of the member */
    const struct setting_list *list; /* SETTING_LIST */
    char letter;                     /* short option, or 0 */
    char other_letter;               /* another short option for the same, not in --help, or 0 */
    bool is_command;                 /* has a meaning on the command line only */
    bool is_fixed;                   /* cannot change while the program runs */
    const char *section;             /* of --help, which begins with this setting; or NULL */
    const char *help;                /* one sentence; lines are broken by settings_print_help */
};

#endif
