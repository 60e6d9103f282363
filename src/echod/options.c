#include <config.h>

#include "echod/options.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define KIB    UINT64_C(1024)
#define GIB    (KIB * KIB * KIB)
#define DAY_MS (24 * 3600 * UINT64_C(1000))

/* In the order of enum log_target, enum log_level and enum log_format. */
static const char *const log_targets[] = {"stderr", "syslog", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static const struct setting table[] = {
    {
        .name = "listen",
        .letter = 'l',
        .type = SETTING_ADDRESS_LIST,
        .offset = offsetof(struct options, listen),
        .argument = "ADDRESS",
        .fallback = "tcp://127.0.0.1:13265",
        .help = "serve here; may be given several times: tcp://HOST:PORT, HOST:PORT, "
                "unix:///PATH, fd://N (a socket that was passed), systemd://[NAME] (those that "
                "systemd passed), stdio: (standard input and output)",
    },
    {
        .name = "backlog",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, backlog),
        .argument = "N",
        .fallback = "4096",
        .minimum = 1,
        .maximum = 65535,
        .help = "clients that may wait to be accepted, as far as the system allows",
    },
    {
        .name = "workers",
        .letter = 'w',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, workers),
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1024,
        .has_auto = true,
        .help = "threads that serve, or auto: one for each CPU that may be used",
    },
    {
        .name = "max-connections",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, max_connections),
        .argument = "N",
        .fallback = "auto",
        .minimum = 1,
        .maximum = 100000000,
        .has_auto = true,
        .help = "accept no more while there are this many, or auto: what the limit of open files "
                "allows",
    },
    {
        .name = "high-water",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, high_water_bytes),
        .argument = "SIZE",
        .fallback = "256KiB",
        .minimum = 1,
        .maximum = GIB,
        .help = "read no more from a client while this much of its echo waits to be sent",
    },
    {
        .name = "low-water",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, low_water_bytes),
        .argument = "SIZE",
        .fallback = "auto",
        .minimum = 0,
        .maximum = GIB,
        .has_auto = true,
        .help = "read on once no more than this waits, or auto: a quarter of --high-water",
    },
    {
        .name = "max-queued",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, max_queued_bytes),
        .argument = "SIZE",
        .fallback = "256MiB",
        .minimum = 1,
        .maximum = 1024 * GIB,
        .help = "while this much waits for all clients together, read from nobody whose echo "
                "waits; shared out evenly among the workers",
    },
    {
        .name = "write-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, write_timeout_ms),
        .argument = "DURATION",
        .fallback = "30s",
        .maximum = 365 * DAY_MS,
        .help = "end a client that takes nothing of its echo for so long; 0: never",
    },
    {
        .name = "idle-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, idle_timeout_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "end a connection on which nothing moves for so long; 0: never",
    },
    {
        .name = "lifetime",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, lifetime_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "end a connection when it is so old; 0: never",
    },
    {
        .name = "linger-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, linger_timeout_ms),
        .argument = "DURATION",
        .fallback = "2s",
        .maximum = 365 * DAY_MS,
        .help = "how long a client that echod ends may take to receive the rest and to close; 0: "
                "no time at all",
    },
    {
        .name = "drain-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, drain_timeout_ms),
        .argument = "DURATION",
        .fallback = "5s",
        .maximum = 365 * DAY_MS,
        .help = "how long clients may stay after a stop was requested; 0: no time at all",
    },
    {
        .name = "pin-workers",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, pin_workers),
        .help = "keep each worker on a CPU of its own, with the clients that arrive there",
    },
    {
        .name = "no-shortcuts",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, no_shortcuts),
        .help = "serve every connection through libevent's buffers, as a textbook would",
    },
    {
        .name = "user",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, user),
        .argument = "USER",
        .parse = privileges_parse_user,
        .help = "become this user, a name or a number, once every address is bound",
    },
    {
        .name = "group",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, group),
        .argument = "GROUP",
        .parse = privileges_parse_group,
        .help = "and this group; otherwise the user's own",
    },
    {
        .name = "pid-file",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, pid_file),
        .argument = "PATH",
        .parse = pidfile_parse,
        .help = "write the number of the process there, and lock the file until the end",
    },
    {
        .name = "log-target",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_target),
        .argument = "TARGET",
        .fallback = "stderr",
        .choices = log_targets,
        .help = "log to stderr, or to syslog with the facility daemon",
    },
    {
        .name = "log-level",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_level),
        .argument = "LEVEL",
        .fallback = "info",
        .choices = log_levels,
        .help = "log lines of this level and above: error, warning, info, debug",
    },
    {
        .name = "log-format",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_format),
        .argument = "FORMAT",
        .fallback = "text",
        .choices = log_formats,
        .help = "text, or json: an object on each line",
    },
    {
        .name = "help",
        .letter = 'h',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_help),
        .help = "print this help and exit",
    },
    {
        .name = "version",
        .letter = 'V',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_version),
        .help = "print the version and exit",
    },
    {.name = NULL},
};

/* Check what a single setting cannot know, and resolve what depends on another. */
static int check_together(struct options *options, struct error *error)
{
    if (options->low_water_bytes == SETTING_AUTO)
        options->low_water_bytes = options->high_water_bytes / 4;
    if (options->low_water_bytes > options->high_water_bytes) {
        error_set(error,
                  "--low-water: %" PRIu64 " bytes lie above --high-water, %" PRIu64
                  " bytes; write less, or auto",
                  options->low_water_bytes, options->high_water_bytes);
        return -1;
    }
    if (options->user.is_given && !options->user.is_known && !options->group.is_given) {
        error_set(error, "--user: this system does not know %lu, and so not his group; add --group",
                  (unsigned long)options->user.uid);
        return -1;
    }
    return 0;
}

/*
 * Standard input and output are descriptors 0 and 1, and systemd:// is every socket that systemd
 * passed, whatever its name; a descriptor can be served once.
 */
static bool is_same_descriptor(const struct address *address, const struct address *other)
{
    if (address->scheme == ADDRESS_STDIO)
        return other->scheme == ADDRESS_STDIO || (other->scheme == ADDRESS_FD && other->fd <= 1);
    if (other->scheme == ADDRESS_STDIO)
        return is_same_descriptor(other, address);
    if (address->scheme == ADDRESS_SYSTEMD && other->scheme == ADDRESS_SYSTEMD)
        return address->name[0] == '\0' || other->name[0] == '\0' ||
               strcmp(address->name, other->name) == 0;
    return address->scheme == ADDRESS_FD && other->scheme == ADDRESS_FD && address->fd == other->fd;
}

static int check_listen(const struct address_list *list, struct error *error)
{
    char text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!is_same_descriptor(&list->addresses[i], &list->addresses[j]))
                continue;
            address_format(&list->addresses[i], text);
            error_set(error, "--listen: %s is served already by another --listen; give it once",
                      text);
            return -1;
        }
    }
    return 0;
}

int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error)
{
    *options = (struct options){0};
    if (settings_set_defaults(table, options, error) < 0 ||
        settings_parse_arguments(table, options, argument_count, arguments, error) < 0 ||
        check_together(options, error) < 0 || check_listen(&options->listen, error) < 0)
        return -1;
    return 0;
}

void options_print_help(FILE *stream)
{
    (void)fputs("Usage: echod [OPTION]...\n"
                "Send every byte back to whoever sent it (RFC 862).\n\n",
                stream);
    settings_print_help(table, stream);
    (void)fputs("\n"
                "SIZE is a number of bytes, or one with a unit: 64KiB, 1MB. DURATION is a number\n"
                "of seconds, or numbers with units: 1m30s, 250ms.\n\n"
                "TERM and INT drain and end echod, a second one or QUIT ends it at once, USR1\n"
                "logs the totals and every connection. Exit status: 0 after a requested stop, 64\n"
                "if the command line is wrong, 71 if the system refuses something.\n\n"
                "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL
                ">\n",
                stream);
}

void options_print_version(FILE *stream)
{
    (void)fputs("echod (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}

void options_free(struct options *options)
{
    settings_free(table, options);
}
