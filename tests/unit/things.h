/*
 * things: a table of settings of the tests' own, with one of each type, and what is read by it.
 * Stands for no program's options.
 * Called by check_command_line, check_operands and check_settings.
 */
#ifndef TESTS_UNIT_THINGS_H
#define TESTS_UNIT_THINGS_H

#include "base/settings.h"
#include "echod/listen.h"

#include <stdbool.h>
#include <stdint.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Between the members lies what no setting may touch. */
struct things {
    uint64_t guard_0;
    bool help;
    bool quiet;
    bool verbose;
    uint64_t guard_1;
    uint64_t count;
    uint64_t count_limit;
    uint64_t size;
    uint64_t duration;
    uint64_t guard_2;
    unsigned level;
    unsigned guard_3;
    struct listen_list listen;
    struct listen_list extra;
    uint64_t guard_4;
};

extern struct things things;

extern const struct setting things_table[];
extern const struct setting_list things_listens;
extern const char *const things_levels[];

/* Set the defaults; free what is set, and see that nothing was touched beside it. */
void things_set_defaults(void);
void things_free(void);

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Read a command line, given behind the program's name, over what was read before. */
int things_parse_into(const struct setting *settings, void *options, const char *const arguments[],
                      struct error *error);

/* Return what --help shows of a table; free it. */
char *things_read_help(const struct setting *shown);

/* Read a setting that is one letter. */
int things_parse_mark(const char *text, void *member, struct error *error);

#endif
