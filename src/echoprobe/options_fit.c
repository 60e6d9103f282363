#include <config.h>

#include "echoprobe/options_fit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum {
    DATAGRAM_LIMIT = 65507, /* 65,535 less the headers of IPv4 and UDP (RFC 768) */
    IDENTITY_ROOM = 64,     /* for what names the service, cut short */
};

static int check_target(const struct options *options, struct error *error)
{
    const struct address *target = &options->target;

    if (!options_have_target(options) && options->targets == NULL) {
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
    if (target->scheme == ADDRESS_UDP && options->size_bytes != SETTING_AUTO &&
        options->size_bytes > DATAGRAM_LIMIT) {
        error_set(error, "--size: a datagram carries at most %d bytes", DATAGRAM_LIMIT);
        return -1;
    }
    return 0;
}

/* Return the first option that is of no use to a Unix socket, without dashes, or NULL. */
static const char *find_ip_option(const struct options *options)
{
    if (options->ipv4 || options->ipv6)
        return options->ipv4 ? "ipv4" : "ipv6";
    if (options->sockets.source.text[0] != '\0')
        return "bind";
    if (options->sockets.tos.is_set)
        return "tos";
    return options->sockets.ttl > 0 ? "ttl" : NULL;
}

static int check_sockets(const struct options *options, struct error *error)
{
    const int family = socket_plan_family(&options->sockets);
    const char *name = find_ip_option(options);

    if (options->target.scheme == ADDRESS_UNIX && name != NULL) {
        error_set(error, "--%s: a Unix socket knows nothing of IP; leave it out", name);
        return -1;
    }
    if ((options->ipv4 && family == AF_INET6) || (options->ipv6 && family == AF_INET)) {
        error_set(error,
                  "--bind: is an address of the other family than --%s; leave one of them out",
                  name);
        return -1;
    }
    return 0;
}

static int check_proxy(const struct options *options, struct error *error)
{
    const struct preface_plan *proxy = &options->proxy;

    if (proxy->version == 0 && proxy->source.kind != PREFACE_CONNECTION) {
        error_set(error, "--proxy-source: is part of a header that --proxy sends; write for "
                         "example --proxy v2 --proxy-source 192.0.2.1:5678");
        return -1;
    }
    if (proxy->version != 0 && options->target.scheme == ADDRESS_UDP) {
        error_set(error, "--proxy: datagrams have no header that all agree on; use tcp:// or "
                         "unix://");
        return -1;
    }
    return 0;
}

/* Return the first option that is of use to TLS alone, without dashes, or NULL. */
static const char *find_tls_option(const struct tls_plan *tls)
{
    const struct {
        const char *name;
        bool is_given;
    } given[] = {
        {"ca", tls->ca != NULL},           {"cert", tls->certificate != NULL},
        {"key", tls->key != NULL},         {"insecure", tls->insecure},
        {"sni", tls->server_name != NULL}, {"alpn", tls->alpn.length > 0},
        {"resume", tls->resume},           {"cert-days", tls->certificate_days > 0},
    };

    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (given[i].is_given)
            return given[i].name;
    }
    return NULL;
}

static int check_tls(const struct options *options, struct error *error)
{
    const struct tls_plan *tls = &options->tls;
    const char *name = find_tls_option(tls);

    if (options->targets == NULL && !options->target.is_tls && name != NULL) {
        error_set(error, "--%s: is for TLS; write tls://HOST:PORT or tls+unix:///PATH", name);
        return -1;
    }
    if (tls->key != NULL && tls->certificate == NULL) {
        error_set(error, "--key: is that of a certificate; name it with --cert");
        return -1;
    }
    if (tls->insecure && tls->ca != NULL) {
        error_set(error, "--insecure and --ca exclude each other; give one of them");
        return -1;
    }
    return 0;
}

static int check_identify(const struct options *options, struct error *error)
{
    const bool is_datagram = options->target.scheme == ADDRESS_UDP;

    if (!options->identify || !is_datagram)
        return 0;
    if (options->mtu) {
        error_set(error, "--identify: --mtu needs echoes, and over UDP an identity comes instead; "
                         "leave one of them out");
        return -1;
    }
    if (options->size_bytes != SETTING_AUTO && options->size_bytes < IDENTITY_ROOM) {
        error_set(error,
                  "--size: the answer has no more room than this for an identity; write at "
                  "least %d",
                  IDENTITY_ROOM);
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

static int check_checks(const struct options *options, struct error *error)
{
    const char *name = options_check(options);
    const int count = options->half_close + (options->hold_ms > 0) +
                      (options->find_idle_timeout_ms > 0) + options->mtu;

    if (count == 0)
        return 0;
    if (count > 1) {
        error_set(error, "--half-close, --hold, --find-idle-timeout and --mtu exclude each other; "
                         "give one of them");
        return -1;
    }
    if (options->is_load || options->count > 0 || options->interval_us != SETTING_AUTO) {
        error_set(error,
                  "--%s: is neither ping nor load; leave out --count, --interval and the "
                  "options of a load",
                  name);
        return -1;
    }
    if (options->mtu && options->target.scheme != ADDRESS_UDP) {
        error_set(error, "--mtu: needs datagrams; write udp://HOST:PORT");
        return -1;
    }
    if (!options->mtu && options->target.scheme == ADDRESS_UDP) {
        error_set(error, "--%s: UDP has no connections; use tcp:// or unix://", name);
        return -1;
    }
    if (options->mtu && options->size_bytes != SETTING_AUTO) {
        error_set(error, "--mtu: searches the size; leave out --size");
        return -1;
    }
    return 0;
}

static bool is_standard_output(const char *file)
{
    return file != NULL && strcmp(file, "-") == 0;
}

/* Return the first file that is asked for, without dashes, or NULL. */
static const char *find_record(const struct options *options)
{
    if (options->csv != NULL)
        return "csv";
    if (options->json_lines != NULL)
        return "json-lines";
    return options->histogram != NULL ? "histogram" : NULL;
}

static bool names_a_picture(const char *file)
{
    static const char *const endings[] = {".svg", ".png", ".pdf"};
    const char *ending = file != NULL ? strrchr(file, '.') : NULL;

    for (size_t i = 0; ending != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcasecmp(ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static int check_records(const struct options *options, struct error *error)
{
    const char *name = find_record(options);
    const int standard = is_standard_output(options->csv) +
                         is_standard_output(options->json_lines) +
                         is_standard_output(options->histogram);

    if (name != NULL && options_check(options) != NULL) {
        error_set(error, "--%s: a check has no run of messages to write; --json has its figures",
                  name);
        return -1;
    }
    if (standard > 1) {
        error_set(error, "--csv, --json-lines and --histogram: one of them may have standard "
                         "output; name files for the others");
        return -1;
    }
    if (standard > 0 && (options->json || options->plugin)) {
        error_set(error, "--%s: takes standard output; name a file for what shall not be there",
                  options->json ? "json" : "plugin");
        return -1;
    }
    if (names_a_picture(options->histogram)) {
        error_set(error,
                  "--histogram: %s: is written as text, not drawn; name it .hgrm, and draw "
                  "it with HdrHistogram's plotter",
                  options->histogram);
        return -1;
    }
    return 0;
}

static int check_plugin(const struct options *options, struct error *error)
{
    const struct threshold *warning = &options->warning, *critical = &options->critical;

    if (options->plugin && options->json) {
        error_set(error, "--plugin and --json exclude each other; give one of them");
        return -1;
    }
    if ((warning->is_set || critical->is_set) &&
        (!options->plugin || options_check(options) != NULL)) {
        error_set(error, "--warning and --critical judge the messages of --plugin; leave them out");
        return -1;
    }
    if (warning->is_set && critical->is_set &&
        (warning->rtt_us > critical->rtt_us ||
         (warning->has_loss && critical->has_loss &&
          warning->loss_millionths > critical->loss_millionths))) {
        error_set(error, "--warning: is above --critical; write the smaller one here");
        return -1;
    }
    return 0;
}

/* Without --targets there is nothing to check here. */
static int check_targets(const struct options *options, struct error *error)
{
    const char *name = options->targets != NULL ? "targets" : "metrics";

    if (options->targets == NULL && !options->metrics.is_set)
        return 0;
    if (options_check(options) != NULL) {
        error_set(error,
                  "--%s: is for messages, and --%s is a check of one target; leave one of "
                  "them out",
                  name, options_check(options));
        return -1;
    }
    if (options->targets == NULL)
        return 0;
    if (options_have_target(options)) {
        error_set(error, "--targets: names the targets; leave out ADDRESS");
        return -1;
    }
    if (options->histogram != NULL) {
        error_set(error, "--histogram: holds the round trips of one target; leave out --targets");
        return -1;
    }
    return 0;
}

int options_fit(const struct options *options, struct error *error)
{
    errno = EINVAL;
    if (check_target(options, error) < 0 || check_targets(options, error) < 0 ||
        check_sockets(options, error) < 0 || check_proxy(options, error) < 0 ||
        check_tls(options, error) < 0 || check_identify(options, error) < 0 ||
        check_checks(options, error) < 0 || check_load(options, error) < 0 ||
        check_records(options, error) < 0 || check_plugin(options, error) < 0)
        return -1;
    return 0;
}
