/*
 * options: what echod was asked to do, as plain data, and the one table that reads it.
 * Acts on nothing: sockets, server and worker do.
 * Called by main; the struct is read by everything that has a limit.
 */
#ifndef ECHOD_OPTIONS_H
#define ECHOD_OPTIONS_H

#include "base/error.h"
#include "base/settings.h"
#include "echod/pidfile.h"
#include "echod/privileges.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses, from sysexits.h of 4.0BSD. */
enum {
    EXIT_STATUS_STOPPED = 0, /* a requested stop, --help and --version */
    EXIT_STATUS_USAGE = 64,  /* EX_USAGE: the command line is wrong */
    EXIT_STATUS_SYSTEM =
        71, /* EX_OSERR: the system refused something that echod cannot do without */
};

/*
 * Owned by main and not changed once it was read. A duration of 0 ms means "no limit" unless the
 * member says something else; an SETTING_AUTO is resolved where it is used.
 */
struct options {
    bool show_help;
    bool show_version;

    struct address_list listen;
    uint64_t backlog;
    uint64_t workers;         /* SETTING_AUTO: one for each CPU that the process may use */
    uint64_t max_connections; /* SETTING_AUTO: what the descriptor limit allows */

    uint64_t high_water_bytes;
    uint64_t low_water_bytes; /* SETTING_AUTO: a quarter of high_water_bytes */
    uint64_t max_queued_bytes;

    uint64_t write_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t lifetime_ms;
    uint64_t linger_timeout_ms; /* 0: a connection that echod ends is closed at once */
    uint64_t drain_timeout_ms;  /* 0: a stop waits for no client to leave by itself */

    bool pin_workers;  /* each on a CPU of its own */
    bool no_shortcuts; /* serve every connection through libevent's buffers alone */

    struct privileges_user user; /* whom echod becomes once it has bound */
    struct privileges_group group;
    char pid_file[PIDFILE_PATH_SIZE]; /* empty: none */

    unsigned log_target; /* enum log_target */
    unsigned log_level;  /* enum log_level */
    unsigned log_format; /* enum log_format */
};

/*
 * Read the command line over the defaults and check that the values fit together. SETTING_AUTO
 * stays in workers and max_connections; low_water_bytes is resolved.
 * Return 0, or -1 with a sentence in `error`. Call options_free in either case.
 */
int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error) __attribute__((warn_unused_result));

/* Print --help or --version, after the GNU coding standards (4.8). */
void options_print_help(FILE *stream);
void options_print_version(FILE *stream);

/* Free what the lists own. */
void options_free(struct options *options);

#endif
