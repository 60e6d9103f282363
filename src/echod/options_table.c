#include <config.h>

#include "echod/options_table.h"

#include "echod/admin_address.h"
#include "echod/admission_options.h"
#include "echod/listener_values.h"
#include "echod/tls_options.h"

#include <stddef.h>
#include <string.h>

#define KIB    UINT64_C(1024)
#define GIB    (KIB * KIB * KIB)
#define DAY_MS (24 * 3600 * UINT64_C(1000))

/* In the order of enum log_target, log_level, log_format, tls_client_auth and tls_min. */
static const char *const log_targets[] = {"stderr", "syslog", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static const char *const sandboxes[] = {"auto", "on", "off", NULL}; /* enum sandbox_mode */
static const char *const refusals[] = {"reset", "close", NULL};     /* enum admission_refusal */
static const char *const client_auths[] = {"auto", "off", "request", "require", NULL};
static const char *const tls_mins[] = {"1.2", "1.3", NULL};

/* A choice would offer HELP_NONE as well. */
static int parse_help_topic(const char *text, void *member, struct error *error)
{
    unsigned *topic = member;

    if (strcmp(text, "all") == 0) {
        *topic = HELP_ALL;
    } else if (strcmp(text, "listen") == 0) {
        *topic = HELP_LISTEN;
    } else {
        error_set(error, "a topic; write all or listen");
        return -1;
    }
    return 0;
}

static const struct setting_list listens = {
    .init = listen_list_init,
    .add = listen_list_add,
    .make_provisional = listen_list_make_provisional,
    .format = listen_list_format,
    .free = listen_list_free,
};

static const struct setting_list admins = {
    .init = admin_address_init,
    .add = admin_address_add,
    .make_provisional = listen_list_make_provisional,
    .format = listen_list_format,
    .free = listen_list_free,
};

static const struct setting table[] = {
    {
        .name = "listen",
        .section = "Addresses and workers:",
        .letter = 'l',
        .type = SETTING_LIST,
        .offset = offsetof(struct options, listen),
        .list = &listens,
        .argument = "ADDRESS",
        .fallback = "tcp://127.0.0.1:13265",
        .help = "serve here; may be given several times: tcp://HOST:PORT, HOST:PORT, "
                "udp://HOST:PORT, unix:///PATH, fd://N (a socket that was passed), "
                "systemd://[NAME] (those that systemd passed), stdio: (standard input and "
                "output); for TLS tls://HOST:PORT, tls+unix:///PATH, tls+fd://N, "
                "tls+systemd://[NAME]; options follow behind commas: --help=listen",
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
        .is_fixed = true,
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1024,
        .has_auto = true,
        .help = "threads that serve, or auto: one for each CPU that may be used",
    },
    {
        .name = "max-connections",
        .section = "Limits:",
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
        .help = "resume reading once no more than this waits, or auto: a quarter of --high-water",
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
        .name = "rate-limit",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, rate_limit),
        .argument = "SIZE/s",
        .fallback = "0",
        .parse = listener_parse_bandwidth,
        .format = listener_format_bandwidth,
        .help = "read no more than this from each connection, so that its client sends no faster: "
                "1MiB/s; 0: without limit",
    },
    {
        .name = "rate-limit-total",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, rate_limit_total),
        .argument = "SIZE/s",
        .fallback = "0",
        .parse = listener_parse_bandwidth,
        .format = listener_format_bandwidth,
        .help = "read no more than this from all connections together, which have their turns; 0: "
                "without limit",
    },
    {
        .name = "udp-receive-buffer",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, udp_receive_buffer_bytes),
        .argument = "SIZE",
        .fallback = "auto",
        .minimum = 4096,
        .maximum = GIB,
        .has_auto = true,
        .help = "what may wait to be received by a udp:// socket, or auto: what the system allows, "
                "up to 4MiB",
    },
    {
        .name = "accept-rate",
        .section = "Who may come in, by each listener:",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, admission.accept_rate),
        .argument = "N/s",
        .fallback = "0",
        .parse = listener_parse_rate,
        .format = admission_format_rate,
        .help = "let in no more clients than this through each listener: 0.5/s, 300/m, 5k/s; 0: "
                "without limit",
    },
    {
        .name = "accept-rate-per-source",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, admission.accept_rate_per_source),
        .argument = "N/s",
        .fallback = "0",
        .parse = listener_parse_rate,
        .format = admission_format_rate,
        .help = "and no more than this from each source; 0: without limit",
    },
    {
        .name = "max-connections-per-source",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, admission.max_connections_per_source),
        .argument = "N",
        .fallback = "0",
        .maximum = 100000000,
        .help = "refuse a client whose source has this many connections by the same listener; 0: "
                "without limit",
    },
    {
        .name = "source-prefix-v4",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, admission.source_prefix_v4),
        .argument = "BITS",
        .fallback = "32",
        .minimum = 1,
        .maximum = 32,
        .help = "IPv4 addresses that have so many bits in common are one source",
    },
    {
        .name = "source-prefix-v6",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, admission.source_prefix_v6),
        .argument = "BITS",
        .fallback = "64",
        .minimum = 1,
        .maximum = 128,
        .help = "IPv6 addresses that have so many bits in common are one source",
    },
    {
        .name = "allow",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, admission.allow),
        .argument = "CIDR[;CIDR]",
        .parse = listener_parse_networks,
        .format = admission_format_networks,
        .help = "refuse clients from elsewhere: up to 16 networks or addresses, "
                "10.0.0.0/8;2001:db8::1",
    },
    {
        .name = "deny",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, admission.deny),
        .argument = "CIDR[;CIDR]",
        .parse = listener_parse_networks,
        .format = admission_format_networks,
        .help = "refuse clients from there, also where they are allowed",
    },
    {
        .name = "refuse-with",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, admission.refuse_with),
        .argument = "reset|close",
        .fallback = "reset",
        .choices = refusals,
        .help = "how a client is told that it is refused: the connection is reset, or closed",
    },
    {
        .name = "handshake-timeout",
        .section = "Time-outs:",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, handshake_timeout_ms),
        .argument = "DURATION",
        .fallback = "10s",
        .maximum = 365 * DAY_MS,
        .help = "close a client whose PROXY header and TLS handshake are not over after this "
                "time, where a listener asks for them; 0: never",
    },
    {
        .name = "write-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, write_timeout_ms),
        .argument = "DURATION",
        .fallback = "30s",
        .maximum = 365 * DAY_MS,
        .help = "close a client that takes nothing of its echo for this time; 0: never",
    },
    {
        .name = "idle-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, idle_timeout_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "close a connection on which nothing moves for this time; 0: never",
    },
    {
        .name = "lifetime",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, lifetime_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .help = "close a connection when it reaches this age; 0: never",
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
        .name = "cert",
        .section = "TLS, where an address begins with tls:// or tls+:",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.cert),
        .argument = "FILE[;FILE]",
        .parse = tls_parse_files,
        .format = tls_format_text,
        .help = "certificates in PEM form, each with its chain behind it, chosen by the name that "
                "a client asks for (SNI); the first is for everybody else",
    },
    {
        .name = "key",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.key),
        .argument = "FILE[;FILE]",
        .parse = tls_parse_files,
        .format = tls_format_text,
        .help = "their keys, in the same order; without it, each is in its certificate's file",
    },
    {
        .name = "client-ca",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.client_ca),
        .argument = "FILE",
        .parse = tls_parse_file,
        .format = tls_format_text,
        .help = "CAs whose certificates clients show",
    },
    {
        .name = "client-auth",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, tls.client_auth),
        .argument = "auto|off|request|require",
        .fallback = "auto",
        .choices = client_auths,
        .help = "ask no client for a certificate, ask and refuse wrong ones, or refuse those "
                "without one, too; auto: require, where there is a --client-ca",
    },
    {
        .name = "tls-min",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, tls.min_version),
        .argument = "1.2|1.3",
        .fallback = "1.2",
        .choices = tls_mins,
        .help = "the oldest version that is spoken",
    },
    {
        .name = "alpn",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.alpn),
        .argument = "NAME[;NAME]",
        .parse = tls_parse_alpn,
        .format = tls_format_text,
        .help = "protocols for clients that offer some (RFC 7301), the preferred one first; who "
                "offers none of these is refused",
    },
    {
        .name = "ciphers",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.ciphers),
        .argument = "NAME[:NAME]",
        .parse = tls_parse_ciphers,
        .format = tls_format_text,
        .help = "ciphers as in openssl-ciphers(1), the preferred one first; those of TLS 1.3 begin "
                "with TLS_",
    },
    {
        .name = "pin-workers",
        .section = "Performance:",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, pin_workers),
        .is_fixed = true,
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
        .section = "Process:",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, user),
        .argument = "USER",
        .parse = privileges_parse_user,
        .format = privileges_format_user,
        .size = sizeof(struct privileges_user),
        .is_fixed = true,
        .help = "become this user, a name or a number, once every address is bound",
    },
    {
        .name = "group",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, group),
        .argument = "GROUP",
        .parse = privileges_parse_group,
        .format = privileges_format_group,
        .size = sizeof(struct privileges_group),
        .is_fixed = true,
        .help = "and this group; otherwise the user's own",
    },
    {
        .name = "chroot",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, chroot),
        .argument = "DIRECTORY",
        .parse = jail_parse,
        .format = jail_format,
        .size = JAIL_PATH_SIZE,
        .is_fixed = true,
        .help = "see no files but those in this directory, once every address is bound; needs "
                "root",
    },
    {
        .name = "sandbox",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, sandbox),
        .argument = "auto|on|off",
        .fallback = "off",
        .choices = sandboxes,
        .is_fixed = true,
        .help = "let the kernel refuse whatever a running echod does not need (seccomp, Landlock): "
                "as far as it can, or else do not start, or not at all",
    },
    {
        .name = "pid-file",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, pid_file),
        .argument = "PATH",
        .parse = pidfile_parse,
        .format = pidfile_format,
        .size = PIDFILE_PATH_SIZE,
        .is_fixed = true,
        .help = "write the number of the process there, and lock the file until the end",
    },
    {
        .name = "admin",
        .section = "For operators:",
        .type = SETTING_LIST,
        .offset = offsetof(struct options, admin),
        .list = &admins,
        .argument = "ADDRESS",
        .help = "answer HTTP there: tcp://HOST:PORT, HOST:PORT, unix:///PATH; may be given several "
                "times. Who may read it sees every client, and by a Unix socket acts: its mode is "
                "0600, or what ,mode=MODE says",
    },
    {
        .name = "log-target",
        .section = "Log:",
        .type = SETTING_CHOICE,
        .offset = offsetof(struct options, log_target),
        .argument = "TARGET",
        .fallback = "stderr",
        .choices = log_targets,
        .is_fixed = true,
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
        .name = "config",
        .section = "Configuration and help:",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, config),
        .argument = "FILE",
        .is_command = true,
        .help = "read settings from here, below those of the command line; without it, from "
                "echod.conf(5), if it exists",
    },
    {
        .name = "no-config",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, no_config),
        .is_command = true,
        .help = "read no file",
    },
    {
        .name = "check",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, check),
        .is_command = true,
        .help = "print the settings that are in effect, and where each came from, and exit",
    },
    {
        .name = "help",
        .letter = 'h',
        .is_command = true,
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, help),
        .argument = "TOPIC",
        .implied = "all",
        .parse = parse_help_topic,
        .help = "print this help and exit; of listen: what an address may be told",
    },
    {
        .name = "version",
        .letter = 'V',
        .is_command = true,
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_version),
        .help = "print the version and exit",
    },
    {.name = NULL},
};

const struct setting *options_table(void)
{
    return table;
}

size_t options_table_length(void)
{
    return sizeof table / sizeof table[0] - 1;
}

const struct origin *options_origin(const struct options *options, const char *name)
{
    return &options->origins[settings_find(table, name) - table];
}
