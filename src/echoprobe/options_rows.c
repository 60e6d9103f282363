#include <config.h>

#include "echoprobe/options_rows.h"

#include "base/address.h"
#include "base/units.h"
#include "echoprobe/options.h"

#include <stddef.h>
#include <string.h>

#define MIB    (1024 * UINT64_C(1024))
#define DAY_MS (24 * 3600 * UINT64_C(1000))

#define RATE_MIN (1 / 3601.0) /* in a second; a little less, since 1/h is no exact number */
#define RATE_MAX 1e8

enum { ECHO_PORT = 7 /* RFC 862 */ };

static int parse_threshold(const char *text, void *member, struct error *error)
{
    struct threshold *threshold = member;
    const size_t length = strcspn(text, ",");
    char rtt[UNITS_TEXT_SIZE] = "";

    *threshold = (struct threshold){.is_set = true, .has_loss = text[length] == ','};
    if (length < sizeof rtt)
        memcpy(rtt, text, length);
    if (units_parse_interval(rtt, &threshold->rtt_us) == 0 &&
        (!threshold->has_loss ||
         units_parse_percent(text + length + 1, &threshold->loss_millionths) == 0))
        return 0;
    error_set(error, "RTT or RTT,LOSS%%; write for example 100ms or 100ms,20%%");
    return -1;
}

static int parse_rate(const char *text, void *member, struct error *error)
{
    double *rate = member;

    if (units_parse_rate(text, rate) == 0 && *rate <= RATE_MAX && (*rate == 0 || *rate >= RATE_MIN))
        return 0;
    error_set(error, "a rate from 1/h to 100M/s; write for example 1000/s, 0.5/s, 300/m or 5k/s");
    return -1;
}

static int parse_metrics(const char *text, void *member, struct error *error)
{
    struct metrics_plan *plan = member;

    if (address_parse(text, &plan->address, error) == 0 && plan->address.scheme == ADDRESS_TCP &&
        !plan->address.is_tls) {
        plan->is_set = true;
        return 0;
    }
    error_set(error, "an address to listen on by TCP; write for example 127.0.0.1:9266");
    return -1;
}

static const struct setting rows[] = {
    {
        .name = "ADDRESS",
        .type = SETTING_TARGET,
        .offset = offsetof(struct options, target),
        .minimum = ECHO_PORT,
        .help = "HOST, HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:///PATH "
                "or tls+unix:///PATH; the port is 7 unless it says another",
    },
    {
        .name = "targets",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, targets),
        .argument = "FILE",
        .is_command = true,
        .help = "probe several targets side by side, each of which is a line of a file: NAME "
                "ADDRESS, and behind that options of its own, such as ,interval=5s",
    },
    {
        .name = "count",
        .section = "Messages:",
        .letter = 'c',
        .other_letter = 'n',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, count),
        .argument = "N",
        .fallback = "0",
        .maximum = UINT64_C(1000000000000000),
        .is_command = true,
        .help = "end after so many messages, as ping does; -n is the same; 0: no limit",
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
        .help = "bytes of a message; auto: 64, with --stream 64KiB, to be answered by an identity "
                "1024",
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
        .is_command = true,
        .help = "end after so long, whatever happens; 0: never",
    },
    {
        .name = "ipv4",
        .section = "Addresses:",
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
        .name = "bind",
        .letter = 'I',
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, sockets.source),
        .argument = "ADDRESS|INTERFACE",
        .parse = socket_plan_parse_source,
        .help = "send from this address, or through this interface",
    },
    {
        .name = "tos",
        .letter = 'Q',
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, sockets.tos),
        .argument = "N|NAME",
        .parse = socket_plan_parse_tos,
        .help = "mark packets: type of service, of IPv6 traffic class, 0 to 255 or 0xff, or a name "
                "of DSCP such as ef, af21, cs1",
    },
    {
        .name = "ttl",
        .letter = 't',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, sockets.ttl),
        .argument = "N",
        .minimum = 1,
        .maximum = 255,
        .help = "let packets pass so many routers less one: time to live, of IPv6 hop limit",
    },
    {
        .name = "proxy",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, proxy.version),
        .argument = "v1|v2",
        .parse = preface_parse_version,
        .help = "begin each connection with a header of the PROXY protocol, as a balancer does",
    },
    {
        .name = "proxy-source",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, proxy.source),
        .argument = "ADDRESS",
        .parse = preface_parse_source,
        .help = "with --proxy: the client that it names, such as 192.0.2.1:5678; local: none, as "
                "in a balancer's own check (default: this end of the connection)",
    },
    {
        .name = "identify",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, identify),
        .help = "the service says who it is, as an echod with identify= does: show it, and count "
                "which backends answer; over UDP that is the whole answer",
    },
    {
        .name = "ca",
        .section = "TLS, with tls://HOST:PORT and tls+unix:///PATH:",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, tls.ca),
        .argument = "FILE|DIR",
        .help = "certificates that are trusted, PEM (default: those that the system trusts)",
    },
    {
        .name = "cert",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, tls.certificate),
        .argument = "FILE",
        .help = "our certificate, for who asks for one, with its chain, PEM",
    },
    {
        .name = "key",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, tls.key),
        .argument = "FILE",
        .help = "its key, PEM without a password (default: in the file of --cert)",
    },
    {
        .name = "insecure",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, tls.insecure),
        .help = "take any certificate, whoever it is from",
    },
    {
        .name = "sni",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, tls.server_name),
        .argument = "NAME",
        .help = "the name that is asked for, and that the certificate has to have (default: the "
                "host of ADDRESS)",
    },
    {
        .name = "alpn",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, tls.alpn),
        .argument = "NAME[,NAME]",
        .parse = tls_plan_parse_alpn,
        .help = "protocols that are offered, the best one first",
    },
    {
        .name = "resume",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, tls.resume),
        .help = "resume the session of an earlier connection, as browsers do, where a new "
                "connection is made",
    },
    {
        .name = "cert-days",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, tls.certificate_days),
        .argument = "N",
        .fallback = "0",
        .maximum = 36500,
        .help = "exit with 1, with --plugin a warning, if a certificate that the other end sends "
                "ends within so many days; 0: never",
    },
    {
        .name = "quiet",
        .section = "Output:",
        .letter = 'q',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, quiet),
        .is_command = true,
        .help = "print only the first line and the summary",
    },
    {
        .name = "timestamps",
        .letter = 'D',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, timestamps),
        .is_command = true,
        .help = "print the time before each line, in seconds since 1970",
    },
    {
        .name = "json",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, json),
        .is_command = true,
        .help = "print the summary as a JSON object, and nothing else",
    },
    {
        .name = "csv",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, csv),
        .argument = "FILE",
        .is_command = true,
        .help =
            "write a line for each message: time, round trip, fault; -: on standard output, and "
            "what is for people on standard error",
    },
    {
        .name = "json-lines",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, json_lines),
        .argument = "FILE",
        .is_command = true,
        .help =
            "write a JSON object for each message, of a load for each second, while it runs; -: "
            "as with --csv",
    },
    {
        .name = "histogram",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, histogram),
        .argument = "FILE",
        .is_command = true,
        .help = "write the round trips as HdrHistogram does (.hgrm), for its plotter; -: as with "
                "--csv",
    },
    {
        .name = "metrics",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, metrics),
        .argument = "ADDRESS",
        .parse = parse_metrics,
        .is_command = true,
        .help = "serve what is counted to Prometheus at http://ADDRESS/metrics, such as "
                "127.0.0.1:9266; then a target that is down ends no run",
    },
    {
        .name = "connections",
        .section = "Load; no line for each echo:",
        .letter = 'P',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, connections),
        .argument = "N",
        .fallback = "1",
        .minimum = 1,
        .maximum = 1000000,
        .is_command = true,
        .help = "connections at a time, of UDP sockets; any of these options makes it a load",
    },
    {
        .name = "duration",
        .letter = 'd',
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, duration_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = 365 * DAY_MS,
        .is_command = true,
        .help = "send for this time; 0: until --count or Ctrl-C",
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
        .is_command = true,
        .help = "messages under way on each connection, at most; auto: 1, with --stream 16, with "
                "an interval or a rate 1024",
    },
    {
        .name = "rate",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, rate),
        .argument = "N/s",
        .parse = parse_rate,
        .is_command = true,
        .help = "send so many messages a second, on all connections, also while echoes are late: "
                "0.5/s, 300/m, 5k/s; time counts from when each was due; 0: as echoes return "
                "(default: 0)",
    },
    {
        .name = "stream",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, stream),
        .is_command = true,
        .help = "as many bytes as pass",
    },
    {
        .name = "churn",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, churn),
        .is_command = true,
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
        .is_command = true,
        .help = "threads that share the connections",
    },
    {
        .name = "half-close",
        .section = "Checks of a path, one at a time:",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, half_close),
        .is_command = true,
        .help = "send --size bytes and FIN; all of them must return, then FIN",
    },
    {
        .name = "hold",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, hold_ms),
        .argument = "DURATION",
        .minimum = 1,
        .maximum = 365 * DAY_MS,
        .is_command = true,
        .help = "a connection that was silent for this time must echo again",
    },
    {
        .name = "find-idle-timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, find_idle_timeout_ms),
        .argument = "MAX",
        .implied = "2h4m", /* RFC 5382, REQ-5 */
        .minimum = 100,
        .maximum = 365 * DAY_MS,
        .is_command = true,
        .help = "search the longest silence, up to MAX, that connections survive; MAX is "
                "2h4m unless it is given",
    },
    {
        .name = "mtu",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, mtu),
        .is_command = true,
        .help = "search the largest datagram that returns, and the largest that goes there "
                "in one piece",
    },
    {
        .name = "plugin",
        .section = "Monitoring:",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, plugin),
        .is_command = true,
        .help = "one line, performance data, and exit status 0 to 3, for Nagios, Icinga and "
                "others; without --count or --duration five messages",
    },
    {
        .name = "warning",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, warning),
        .argument = "RTT[,LOSS%]",
        .parse = parse_threshold,
        .is_command = true,
        .help = "with --plugin: a warning if the median round trip or the loss is above it; "
                "without it, if anything is lost",
    },
    {
        .name = "critical",
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, critical),
        .argument = "RTT[,LOSS%]",
        .parse = parse_threshold,
        .is_command = true,
        .help = "with --plugin: critical if one of them is above it; always if nothing returns or "
                "anything is changed",
    },
    {
        .name = "help",
        .section = "Help:",
        .letter = 'h',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_help),
        .is_command = true,
        .help = "print this help and exit",
    },
    {
        .name = "version",
        .letter = 'V',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_version),
        .is_command = true,
        .help = "print the version and exit",
    },
    {.name = NULL},
};

const struct setting *options_rows(void)
{
    return rows;
}
