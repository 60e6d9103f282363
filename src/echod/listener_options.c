#include <config.h>

#include "echod/listener_options.h"

#include "base/network.h"
#include "base/setting_kind.h"
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define GIB    (UINT64_C(1) << 30)
#define DAY_MS (24 * 3600 * UINT64_C(1000))

/* The schemes of addresses that an option goes with. */
#define TCP      (1U << ADDRESS_TCP)
#define UDP      (1U << ADDRESS_UDP)
#define UNIX     (1U << ADDRESS_UNIX)
#define PASSED   (1U << ADDRESS_FD | 1U << ADDRESS_SYSTEMD)
#define ACCEPTED (TCP | UNIX | PASSED)
#define STREAMS  (ACCEPTED | 1U << ADDRESS_STDIO)
#define ALL      (STREAMS | UDP)

enum { MAX_ITEM_LENGTH = 1023 }; /* of 16 networks of IPv6 */

static const double RATE_MIN = 1.0 / 3600, RATE_MAX = 1e9; /* a second */

static const char *const logs[] = {"off", "closed", "all", NULL};      /* enum listener_log */
static const char *const proxies[] = {"off", "v1", "v2", "any", NULL}; /* enum listener_proxy */
static const char *const low_ports[] = {"drop", "allow", NULL};        /* enum listener_low_ports */

static const char *scheme_text(enum address_scheme scheme)
{
    switch (scheme) {
    case ADDRESS_TCP:
        return "tcp://";
    case ADDRESS_UDP:
        return "udp://";
    case ADDRESS_UNIX:
        return "unix://";
    case ADDRESS_FD:
        return "fd://";
    case ADDRESS_SYSTEMD:
        return "systemd://";
    case ADDRESS_STDIO:
        return "stdio:";
    }
    abort(); /* no such scheme */
}

/* --- Values of types of their own ------------------------------------------------------------ */

/* Letters, digits and "._-" go into log lines and labels of metrics as they are. */
static int parse_name(const char *text, void *member, struct error *error)
{
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-");

    if (length == 0 || length >= LISTENER_NAME_SIZE || text[length] != '\0') {
        error_set(error, "a name of 1 to %d letters, digits, dots, dashes and underscores",
                  LISTENER_NAME_SIZE - 1);
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

static int parse_keepalive(const char *text, void *member, struct error *error)
{
    uint64_t milliseconds = 0;

    if (strcmp(text, "off") != 0 &&
        (units_parse_duration(text, &milliseconds) < 0 || milliseconds < 1000 ||
         milliseconds > 32767 * UINT64_C(1000))) {
        error_set(error, "off or a duration from 1s to 9h; write for example 5m");
        return -1;
    }
    *(uint64_t *)member = milliseconds;
    return 0;
}

/* Add a network to a list. Return 0, or -1 with what is wrong in `error`. */
static int add_network(const char *text, size_t length, struct network_list *list,
                       struct error *error)
{
    char item[NETWORK_TEXT_SIZE + 1]; /* longer than any: what is cut is still wrong */

    if (list->count == LISTENER_NETWORKS) {
        error_set(error, "there are more than %d", LISTENER_NETWORKS);
        return -1;
    }
    (void)snprintf(item, sizeof item, "%.*s", (int)length, text);
    return network_parse(item, &list->items[list->count++], error);
}

static int parse_networks(const char *text, void *member, struct error *error)
{
    struct network_list list = {.count = 0};
    struct error cause = {""};
    size_t length;

    do {
        length = strcspn(text, ";");
        if (add_network(text, length, &list, &cause) < 0) {
            error_set(error, "a list of networks: %s", cause.text);
            return -1;
        }
        text += length;
    } while (*text++ == ';');
    *(struct network_list *)member = list;
    return 0;
}

static int parse_device(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);

    if (length == 0 || length >= IFNAMSIZ || strpbrk(text, "/ ") != NULL) {
        error_set(error, "a network interface; write for example eth0");
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

static int parse_mode(const char *text, void *member, struct error *error)
{
    const size_t length = strspn(text, "01234567");

    if (length < 3 || length > 4 || text[length] != '\0' || strtol(text, NULL, 8) > 0777) {
        error_set(error, "permissions in octal; write for example 0660");
        return -1;
    }
    *(int *)member = (int)strtol(text, NULL, 8);
    return 0;
}

static int parse_rate(const char *text, void *member, struct error *error)
{
    double rate;

    if (units_parse_rate(text, &rate) < 0 || rate > RATE_MAX || (rate > 0 && rate < RATE_MIN)) {
        error_set(error, "a rate from 1/h to 1000M/s, or 0; write for example 1000/s, 0.5/s, 300/m "
                         "or 5k/s");
        return -1;
    }
    *(double *)member = rate;
    return 0;
}

/* --- The table ------------------------------------------------------------------------------- */

struct row {
    struct setting setting;
    unsigned schemes;
};

#define MEMBER(name)                                                                               \
    .offset = offsetof(struct listener_options, name),                                             \
    .size = sizeof(((struct listener_options *)NULL)->name)

static const struct row table[] = {
    {{.name = "name",
      .type = SETTING_PARSED,
      MEMBER(name),
      .argument = "NAME",
      .parse = parse_name,
      .section = "Log:",
      .help = "what log lines and totals call this listener"},
     ALL},
    {{.name = "log",
      .type = SETTING_CHOICE,
      MEMBER(log),
      .argument = "LINES",
      .choices = logs,
      .help = "off, closed or all: which lines about its connections the log gets at --log-level; "
              "warnings it always gets (default: all)"},
     STREAMS},
    {{.name = "idle-timeout",
      .type = SETTING_DURATION,
      MEMBER(idle_timeout_ms),
      .argument = "DURATION",
      .maximum = 365 * DAY_MS,
      .section = "Limits, instead of the global ones:",
      .help = "close a connection on which nothing moved for this long; 0: never. Of a datagram "
              "socket that was passed: end when nothing came for this long"},
     STREAMS},
    {{.name = "lifetime",
      .type = SETTING_DURATION,
      MEMBER(lifetime_ms),
      .argument = "DURATION",
      .maximum = 365 * DAY_MS,
      .help = "close a connection at this age; 0: never"},
     STREAMS},
    {{.name = "write-timeout",
      .type = SETTING_DURATION,
      MEMBER(write_timeout_ms),
      .argument = "DURATION",
      .maximum = 365 * DAY_MS,
      .help = "close a client that takes nothing of its echo for this long; 0: never"},
     STREAMS},
    {{.name = "high-water",
      .type = SETTING_SIZE,
      MEMBER(high_water_bytes),
      .argument = "SIZE",
      .minimum = 1,
      .maximum = GIB,
      .help = "stop reading from a client while this much of its echo waits to be sent"},
     STREAMS},
    {{.name = "low-water",
      .type = SETTING_SIZE,
      MEMBER(low_water_bytes),
      .argument = "SIZE",
      .maximum = GIB,
      .has_auto = true,
      .help = "resume at this much, or auto: a quarter of high-water"},
     STREAMS},
    {{.name = "max-connections",
      .type = SETTING_COUNT,
      MEMBER(max_connections),
      .argument = "N",
      .minimum = 1,
      .maximum = 100000000,
      .has_auto = true,
      .help = "accept no more here while this many came by this listener (default: auto, only the "
              "global limit counts)"},
     ACCEPTED},
    {{.name = "proxy",
      .type = SETTING_CHOICE,
      MEMBER(proxy),
      .argument = "off|v1|v2|any",
      .choices = proxies,
      .section = "Behind a proxy:",
      .help = "each connection begins with a header of the PROXY protocol of this version, which "
              "says whom it is for; one without is closed (default: off)"},
     ACCEPTED},
    {{.name = "proxy-from",
      .type = SETTING_PARSED,
      MEMBER(proxy_from),
      .argument = "CIDR[;CIDR]",
      .parse = parse_networks,
      .help = "who may send that header: up to 16 networks or addresses, 10.0.0.0/8;2001:db8::1; "
              "anybody else's connections are closed (default: anybody)"},
     ACCEPTED},
    {{.name = "handshake-timeout",
      .type = SETTING_DURATION,
      MEMBER(handshake_timeout_ms),
      .argument = "DURATION",
      .maximum = 365 * DAY_MS,
      .help = "close a connection whose header is not whole after this long, instead of the global "
              "--handshake-timeout; 0: never"},
     ACCEPTED},
    {{.name = "backlog",
      .type = SETTING_COUNT,
      MEMBER(backlog),
      .argument = "N",
      .minimum = 1,
      .maximum = 65535,
      .help = "clients that may wait to be accepted, as far as the system allows"},
     TCP | UNIX},
    {{.name = "keepalive",
      .type = SETTING_PARSED,
      MEMBER(keepalive_ms),
      .argument = "off|DURATION",
      .parse = parse_keepalive,
      .section = "TCP and UDP sockets:",
      .help = "probe a client that has been silent for this long, then every tenth of it (1 s to "
              "75 s), and close the connection after 9 probes without an answer (default: 2h)"},
     TCP},
    {{.name = "user-timeout",
      .type = SETTING_DURATION,
      MEMBER(user_timeout_ms),
      .argument = "DURATION",
      .maximum = 365 * DAY_MS / 15,
      .help = "close a connection whose client acknowledges nothing for this long; 0: the "
              "system's time (default: 0)"},
     TCP},
    {{.name = "nodelay",
      .type = SETTING_FLAG,
      MEMBER(nodelay),
      .argument = "on|off",
      .implied = "on",
      .help = "send small echoes at once, without Nagle's algorithm (default: on)"},
     TCP},
    {{.name = "fastopen",
      .type = SETTING_COUNT,
      MEMBER(fastopen),
      .argument = "N",
      .maximum = 65535,
      .help = "accept data in the SYN (RFC 7413) of up to N clients at a time; 0: of none "
              "(default: 0)"},
     TCP},
    {{.name = "v6only",
      .type = SETTING_FLAG,
      MEMBER(v6only),
      .argument = "on|off",
      .implied = "on",
      .help = "serve IPv6 alone at an IPv6 address; off: [::] serves IPv4, too (default: on)"},
     TCP | UDP},
    {{.name = "device",
      .type = SETTING_PARSED,
      MEMBER(device),
      .argument = "INTERFACE",
      .parse = parse_device,
      .help = "serve only what arrives at this network interface"},
     TCP | UDP},
    {{.name = "mark",
      .type = SETTING_COUNT,
      MEMBER(mark),
      .argument = "N",
      .maximum = UINT32_MAX,
      .help = "mark packets for the firewall and for routing (SO_MARK); it takes a privilege"},
     TCP | UDP},
    {{.name = "freebind",
      .type = SETTING_FLAG,
      MEMBER(freebind),
      .argument = "on|off",
      .implied = "on",
      .help = "bind an address that this machine does not have yet (default: off)"},
     TCP | UDP},
    {{.name = "mode",
      .type = SETTING_PARSED,
      MEMBER(mode),
      .argument = "MODE",
      .parse = parse_mode,
      .section = "The path of a Unix socket:",
      .help = "its permissions, in octal (default: what the umask leaves)"},
     UNIX},
    {{.name = "owner",
      .type = SETTING_PARSED,
      MEMBER(owner),
      .argument = "USER",
      .parse = privileges_parse_user,
      .help = "its owner, a name or a number (default: --user)"},
     UNIX},
    {{.name = "group",
      .type = SETTING_PARSED,
      MEMBER(group),
      .argument = "GROUP",
      .parse = privileges_parse_group,
      .help = "its group, a name or a number (default: --group)"},
     UNIX},
    {{.name = "low-ports",
      .type = SETTING_CHOICE,
      MEMBER(low_ports),
      .argument = "drop|allow",
      .choices = low_ports,
      .section = "Datagrams:",
      .help = "what becomes of datagrams from a source port below 1024, which may be a service "
              "that answers for ever (default: drop)"},
     UDP | PASSED},
    {{.name = "rate",
      .type = SETTING_PARSED,
      MEMBER(rate),
      .argument = "N/s",
      .parse = parse_rate,
      .help = "answer each source address, of IPv6 each /64, at most this often: 0.5/s, 300/m, "
              "5k/s; 0: without limit (default: 0)"},
     UDP | PASSED},
    {{.name = "udp-receive-buffer",
      .type = SETTING_SIZE,
      MEMBER(receive_buffer_bytes),
      .argument = "SIZE",
      .minimum = 4096,
      .maximum = GIB,
      .has_auto = true,
      .help = "what may wait to be received, or auto: what the system allows, up to 4MiB"},
     UDP},
};

enum { TABLE_LENGTH = sizeof table / sizeof table[0] };

void listener_options_set_defaults(struct listener_options *options)
{
    options->given = 0;
    options->name[0] = '\0';
    options->log = LISTENER_LOG_ALL;
    options->max_connections = SETTING_AUTO;
    options->proxy = LISTENER_PROXY_OFF;
    options->proxy_from.count = 0;
    options->keepalive_ms = 2 * 3600 * UINT64_C(1000); /* RFC 1122, 4.2.3.6: no less by default */
    options->user_timeout_ms = 0;
    options->fastopen = 0;
    options->mark = 0;
    options->nodelay = true;
    options->v6only = true;
    options->freebind = false;
    options->device[0] = '\0';
    options->mode = LISTENER_ANY_MODE;
    options->owner = (struct privileges_user){0};
    options->group = (struct privileges_group){0};
    options->low_ports = LISTENER_LOW_PORTS_DROP;
    options->rate = 0;
}

void listener_options_inherit(struct listener_options *options,
                              const struct listener_options *defaults)
{
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        const struct setting *setting = &table[i].setting;

        if ((options->given & UINT64_C(1) << i) == 0)
            (void)setting_kind_of(setting)->copy(setting, setting_member(setting, options),
                                                 setting_const_member(setting, defaults));
    }
}

uint64_t listener_options_low_water_bytes(const struct listener_options *options)
{
    if (options->low_water_bytes == SETTING_AUTO)
        return options->high_water_bytes / 4;
    return options->low_water_bytes;
}

/* --- Reading --------------------------------------------------------------------------------- */

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        if (strcmp(table[i].setting.name, name) == 0)
            return &table[i];
    }
    return NULL;
}

bool listener_options_has(const struct listener_options *options, const char *name)
{
    const struct row *row = find_row(name);

    return row != NULL && (options->given & UINT64_C(1) << (row - table)) != 0;
}

/* Write the names of the options that go with a scheme. */
static void list_options(enum address_scheme scheme, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        const size_t length = strlen(text);

        if ((table[i].schemes & 1U << scheme) != 0)
            (void)snprintf(text + length, size - length, "%s%s", length == 0 ? "" : ", ",
                           table[i].setting.name);
    }
}

static int refuse_option(const char *name, enum address_scheme scheme, struct error *error)
{
    char possible[ERROR_TEXT_SIZE / 2];

    list_options(scheme, possible, sizeof possible);
    error_set(error, "\"%s\" is no option of %s; these are: %s", name, scheme_text(scheme),
              possible);
    errno = EINVAL;
    return -1;
}

/* Read one option, "NAME=VALUE" or "NAME". */
static int parse_item(char *item, enum address_scheme scheme, struct listener_options *options,
                      struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_DEFAULT}; /* no list is among them */
    char *equals = strchr(item, '=');
    const char *value = equals == NULL ? NULL : equals + 1;
    const struct row *row;

    if (equals != NULL)
        *equals = '\0';
    row = find_row(item);
    if (row == NULL || (row->schemes & 1U << scheme) == 0)
        return refuse_option(item, scheme, error);
    if (value == NULL)
        value = row->setting.implied;
    if (value == NULL) {
        error_set(error, "%s: a value is missing; write %s=%s", item, item, row->setting.argument);
        errno = EINVAL;
        return -1;
    }
    if (setting_kind_of(&row->setting)
            ->set(&row->setting, setting_member(&row->setting, options), value, &origin, error) ==
        0) {
        options->given |= UINT64_C(1) << (row - table);
        return 0;
    }
    setting_name_in_error(&row->setting, "", error);
    return -1;
}

int listener_options_parse(const char *text, enum address_scheme scheme,
                           struct listener_options *options, struct error *error)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, ",");
        char item[MAX_ITEM_LENGTH + 1];

        if (length > MAX_ITEM_LENGTH) {
            error_set(error, "an option is longer than %d characters; shorten it", MAX_ITEM_LENGTH);
            errno = EINVAL;
            return -1;
        }
        memcpy(item, text, length);
        item[length] = '\0';
        if (parse_item(item, scheme, options, error) < 0)
            return -1;
        text += length;
        text += *text == ',';
    }
    return 0;
}

/* --- Help ------------------------------------------------------------------------------------ */

void listener_options_print_help(FILE *stream)
{
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        const struct setting *setting = &table[i].setting;
        char term[64];

        if (setting->section != NULL)
            (void)fprintf(stream, "%s%s\n", i == 0 ? "" : "\n", setting->section);
        (void)snprintf(term, sizeof term, "  %s=%s", setting->name, setting->argument);
        settings_print_entry(term, setting->help, stream);
    }
}
