/*
 * options: what echod was asked to do, as plain data.
 * Does nothing: options_reader fills it, and sockets, server and worker act.
 * Called by whatever has a limit.
 */
#ifndef ECHOD_OPTIONS_H
#define ECHOD_OPTIONS_H

#include "base/error.h"
#include "base/settings.h"
#include "echod/admission_options.h"
#include "echod/jail.h"
#include "echod/listen.h"
#include "echod/pidfile.h"
#include "echod/privileges.h"
#include "echod/tls_options.h"

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses, from sysexits.h of 4.0BSD. */
enum {
    EXIT_STATUS_STOPPED = 0, /* a requested stop, --help, --version and --check */
    EXIT_STATUS_USAGE = 64,  /* EX_USAGE: the command line is wrong */
    EXIT_STATUS_SYSTEM =
        71, /* EX_OSERR: the system refused something that echod cannot do without */
    EXIT_STATUS_CONFIG = 78, /* EX_CONFIG: the configuration file is wrong */
};

/* Where a configuration file is looked for. */
#define OPTIONS_DEFAULT_CONFIG SYSCONFDIR "/echod/echod.conf"

enum help_topic { HELP_NONE, HELP_ALL, HELP_LISTEN };

/*
 * Owned by main; replaced whole on a reload, and never changed otherwise. A duration of 0 ms means
 * "no limit" unless the member says something else; an SETTING_AUTO is resolved where it is used.
 */
struct options {
    unsigned help; /* enum help_topic */
    bool show_version;
    bool check;     /* print what is in effect, and serve nobody */
    bool no_config; /* read no file, not even the default one */
    char *config;   /* the file that was asked for, or NULL */

    int argument_count; /* the command line that all this was read from; not owned */
    char **arguments;
    const char *config_path; /* the file that was read, or NULL; config or a constant */
    struct origin *origins;  /* where each value came from, in the order of the table; owned */

    struct listen_list listen;
    struct listen_list admin; /* where operators are answered, from admin_address; empty: nowhere */
    uint64_t backlog;
    uint64_t workers;         /* SETTING_AUTO: one for each CPU that the process may use */
    uint64_t max_connections; /* SETTING_AUTO: what the descriptor limit allows */

    uint64_t high_water_bytes;
    uint64_t low_water_bytes; /* SETTING_AUTO: see listener_options_low_water_bytes */
    uint64_t max_queued_bytes;
    uint64_t rate_limit;               /* bytes a second of each connection; 0: no limit */
    uint64_t rate_limit_total;         /* of all */
    uint64_t udp_receive_buffer_bytes; /* SETTING_AUTO: up to 4 MiB, as far as the system allows */

    struct admission_options admission; /* of each listener */

    uint64_t handshake_timeout_ms;
    uint64_t write_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t lifetime_ms;
    uint64_t linger_timeout_ms; /* 0: a connection that echod ends is closed at once */
    uint64_t drain_timeout_ms;  /* 0: a stop waits for no client to leave by itself */

    struct tls_options tls; /* of listeners that speak TLS */

    bool pin_workers;  /* each on a CPU of its own */
    bool no_shortcuts; /* serve every connection through libevent's buffers alone */

    struct privileges_user user; /* whom echod becomes once it has bound */
    struct privileges_group group;
    char chroot[JAIL_PATH_SIZE];      /* empty: the root stays the system's */
    unsigned sandbox;                 /* enum sandbox_mode */
    char pid_file[PIDFILE_PATH_SIZE]; /* empty: none */

    unsigned log_target; /* enum log_target */
    unsigned log_level;  /* enum log_level */
    unsigned log_format; /* enum log_format */
};

/* Called for each thing that is wrong, with a sentence that says where and what would be right. */
typedef void options_error_callback(const struct error *error, void *argument);

#endif
