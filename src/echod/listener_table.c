#include <config.h>

#include "echod/listener_table.h"

#include "echod/listener_options.h"
#include "echod/listener_values.h"

#include <stddef.h>

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

static const char *const logs[] = {"off", "closed", "all", NULL};      /* enum listener_log */
static const char *const proxies[] = {"off", "v1", "v2", "any", NULL}; /* enum listener_proxy */
static const char *const low_ports[] = {"drop", "allow", NULL};        /* enum listener_low_ports */

#define MEMBER(name)                                                                               \
    .offset = offsetof(struct listener_options, name),                                             \
    .size = sizeof(((struct listener_options *)NULL)->name)

static const struct listener_row table[] = {
    {{.name = "name",
      .type = SETTING_PARSED,
      MEMBER(name),
      .argument = "NAME",
      .parse = listener_parse_name,
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
      .parse = listener_parse_networks,
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
      .parse = listener_parse_keepalive,
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
      .parse = listener_parse_device,
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
      .parse = listener_parse_mode,
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
      .parse = listener_parse_rate,
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

const struct listener_row *listener_table(void)
{
    return table;
}

size_t listener_table_length(void)
{
    return sizeof table / sizeof table[0];
}

bool listener_row_applies(const struct listener_row *row, const struct address *address)
{
    return (row->schemes & 1U << address->scheme) != 0 &&
           ((row->schemes & LISTENER_TLS_ONLY) == 0 || address->is_tls);
}
