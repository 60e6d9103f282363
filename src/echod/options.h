/*
 * options: what echod was asked to do, as plain data, and the one table that reads it.
 * Acts on nothing: sockets, server and worker do.
 * Called by main; the struct is read by everything that has a limit.
 */
#ifndef ECHOD_OPTIONS_H
#define ECHOD_OPTIONS_H

#include "base/error.h"
#include "base/settings.h"
#include "echod/listen.h"
#include "echod/pidfile.h"
#include "echod/privileges.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses, from sysexits.h of 4.0BSD. */
enum {
    EXIT_STATUS_STOPPED = 0, /* a requested stop, --help, --version and --check */
    EXIT_STATUS_USAGE = 64,  /* EX_USAGE: the command line is wrong */
    EXIT_STATUS_SYSTEM =
        71, /* EX_OSERR: the system refused something that echod cannot do without */
    EXIT_STATUS_CONFIG = 78, /* EX_CONFIG: the configuration file is wrong */
};

/*
 * Owned by main; replaced whole on a reload, and never changed otherwise. A duration of 0 ms means
 * "no limit" unless the member says something else; an SETTING_AUTO is resolved where it is used.
 */
struct options {
    bool show_help;
    bool show_version;
    bool check;     /* print what is in effect, and serve nobody */
    bool no_config; /* read no file, not even the default one */
    char *config;   /* the file that was asked for, or NULL */

    int argument_count; /* the command line that all this was read from; not owned */
    char **arguments;
    const char *config_path; /* the file that was read, or NULL; config or a constant */
    struct origin *origins;  /* where each value came from, in the order of the table; owned */

    struct listen_list listen;
    uint64_t backlog;
    uint64_t workers;         /* SETTING_AUTO: one for each CPU that the process may use */
    uint64_t max_connections; /* SETTING_AUTO: what the descriptor limit allows */

    uint64_t high_water_bytes;
    uint64_t low_water_bytes; /* SETTING_AUTO: see listener_options_low_water_bytes */
    uint64_t max_queued_bytes;
    uint64_t udp_receive_buffer_bytes; /* SETTING_AUTO: up to 4 MiB, as far as the system allows */

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

/* Called for each thing that is wrong, with a sentence that says where and what would be right. */
typedef void options_error_callback(const struct error *error, void *argument);

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
 * Check what can be known of the pid file without making it.
 * Return 0, or the exit status after a report.
 */
int options_check_pid_file(const struct options *options, options_error_callback *on_error,
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

/* Print --help or --version, after the GNU coding standards (4.8). */
void options_print_help(FILE *stream);
void options_print_version(FILE *stream);

/* Free what the options own. Zeroed options are fine. */
void options_free(struct options *options);

#endif
