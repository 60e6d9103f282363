#include <config.h>

#include "echoprobe/options.h"

#include <stddef.h>

#define KIB    UINT64_C(1024)
#define MIB    (KIB * KIB)
#define DAY_MS (24 * 3600 * UINT64_C(1000))

enum {
    ECHO_PORT = 7,          /* RFC 862 */
    DATAGRAM_LIMIT = 65507, /* 65,535 less the headers of IPv4 and UDP (RFC 768) */
};

static const struct setting table[] = {
    {
        .name = "ADDRESS",
        .type = SETTING_TARGET,
        .offset = offsetof(struct options, target),
        .minimum = ECHO_PORT,
        .help = "HOST, HOST:PORT, tcp://HOST:PORT, udp://HOST:PORT or unix:///PATH; the port is 7 "
                "unless it says another",
    },
    {
        .name = "count",
        .letter = 'n',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, count),
        .argument = "N",
        .fallback = "0",
        .maximum = UINT64_C(1000000000000000),
        .help = "end after so many messages; 0: no limit",
    },
    {
        .name = "interval",
        .letter = 'i',
        .type = SETTING_INTERVAL,
        .offset = offsetof(struct options, interval_us),
        .argument = "DURATION",
        .fallback = "auto",
        .maximum = DAY_MS * 1000,
        .has_auto = true,
        .help = "from one message to the next on a connection; 0: as fast as echoes return; auto: "
                "1s, for a load 0",
    },
    {
        .name = "size",
        .letter = 's',
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, size_bytes),
        .argument = "SIZE",
        .fallback = "auto",
        .minimum = 1,
        .maximum = 16 * MIB,
        .has_auto = true,
        .help = "bytes of a message; auto: 64, with --stream 64KiB",
    },
    {
        .name = "timeout",
        .letter = 'W',
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, timeout_ms),
        .argument = "DURATION",
        .fallback = "2s",
        .minimum = 1,
        .maximum = DAY_MS,
        .help = "a message that did not come back after so long is lost",
    },
    {
        .name = "deadline",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, deadline_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "end after so long, whatever happens; 0: never",
    },
    {
        .name = "ipv4",
        .letter = '4',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, ipv4),
        .help = "use IPv4 alone",
    },
    {
        .name = "ipv6",
        .letter = '6',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, ipv6),
        .help = "use IPv6 alone",
    },
    {
        .name = "quiet",
        .letter = 'q',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, quiet),
        .help = "print only the summary",
    },
    {
        .name = "json",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, json),
        .help = "print the summary as a JSON object, and nothing else",
    },
    {
        .name = "connections",
        .letter = 'c',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, connections),
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1000000,
        .help = "connections at a time; this and what follows is a load: no line for each echo",
    },
    {
        .name = "duration",
        .letter = 'd',
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, duration_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "send for so long; 0: until --count or Ctrl-C",
    },
    {
        .name = "window",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, window),
        .argument = "N",
        .fallback = "auto",
        .minimum = 1,
        .maximum = 1000000,
        .has_auto = true,
        .help = "messages under way on each connection, at most; auto: 1, with --stream 16, with "
                "an interval or a rate 1024",
    },
    {
        .name = "rate",
        .type = SETTING_RATE,
        .offset = offsetof(struct options, rate),
        .argument = "N/s",
        .fallback = "0",
        .maximum = 100000000,
        .help = "send so many messages a second, on all connections, also while echoes are late; "
                "time counts from when each was due; 0: as echoes return",
    },
    {
        .name = "stream",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, stream),
        .help = "as many bytes as pass",
    },
    {
        .name = "churn",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, churn),
        .help = "a new connection for each message, counted into its time",
    },
    {
        .name = "threads",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, threads),
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1024,
        .help = "threads that share the connections",
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

static int check_target(const struct options *options, struct error *error)
{
    const struct address *const target = &options->target;

    if (target->host[0] == '\0' && target->path[0] == '\0') {
        error_set(error, "ADDRESS is missing; write for example echoprobe 127.0.0.1:13265");
        return -1;
    }
    if (options->ipv4 && options->ipv6) {
        error_set(error, "--ipv4 and --ipv6 exclude each other; leave both out to use either");
        return -1;
    }
    if (target->scheme == ADDRESS_UDP && options->churn) {
        error_set(error, "--churn: UDP has no connections; use tcp:// or unix://");
        return -1;
    }
    if (target->scheme == ADDRESS_UDP && options->size_bytes > DATAGRAM_LIMIT) {
        error_set(error, "--size: a datagram carries at most %d bytes", DATAGRAM_LIMIT);
        return -1;
    }
    return 0;
}

static int check_load(const struct options *options, struct error *error)
{
    if (options->rate > 0 && options->interval_us != SETTING_AUTO) {
        error_set(error, "--rate and --interval exclude each other; give one of them");
        return -1;
    }
    if (options->threads > options->connections) {
        error_set(error, "--threads: each needs a connection; write no more than --connections");
        return -1;
    }
    if (options->window != SETTING_AUTO && options->window > 1 && options->churn) {
        error_set(error, "--window: with --churn a connection has one message; leave it out");
        return -1;
    }
    return 0;
}

static void resolve(struct options *options)
{
    options->is_load = options->connections > 1 || options->duration_ms > 0 ||
                       options->window != SETTING_AUTO || options->rate > 0 || options->stream ||
                       options->churn || options->threads > 1;
    if (options->interval_us == SETTING_AUTO)
        options->interval_us = options->is_load ? 0 : 1000000;
    if (options->window == SETTING_AUTO && options->churn)
        options->window = 1;
    else if (options->window == SETTING_AUTO && (options->rate > 0 || options->interval_us > 0))
        options->window = 1024;
    else if (options->window == SETTING_AUTO)
        options->window = options->stream ? 16 : 1;
}

int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error)
{
    *options = (struct options){0};
    if (settings_set_defaults(table, options, error) < 0 ||
        settings_parse_arguments(table, options, NULL, argument_count, arguments, error) < 0)
        return -1;
    if (options->show_help || options->show_version)
        return 0;
    if (options->size_bytes == SETTING_AUTO && options->stream)
        options->size_bytes = options->target.scheme == ADDRESS_UDP ? 1472 : 64 * KIB;
    if (options->size_bytes == SETTING_AUTO)
        options->size_bytes = 64;
    if (check_target(options, error) < 0 || check_load(options, error) < 0)
        return -1;
    resolve(options);
    return 0;
}

void options_print_help(FILE *stream)
{
    (void)fputs("Usage: echoprobe [OPTION]... ADDRESS\n"
                "Prove that an echo service (RFC 862) returns every byte, and measure it.\n\n",
                stream);
    settings_print_help(table, stream);
    (void)fputs(
        "\n"
        "SIZE is a number of bytes, or one with a unit: 64KiB, 1MB. DURATION is a number\n"
        "of seconds, or numbers with units: 1m30s, 250ms; an interval may be 0.2 or 500us.\n\n"
        "INT (Ctrl-C) and TERM end it once what is under way has returned, a second one at\n"
        "once. Exit status: 0 if all returned unchanged, 1 if something was lost or changed,\n"
        "2 if a connection could not be made, 64 if the command line is wrong, 71 if the\n"
        "system refuses something.\n\n"
        "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL ">\n",
        stream);
}

void options_print_version(FILE *stream)
{
    (void)fputs("echoprobe (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}
