#include <config.h>

#include "echoprobe/report_json.h"

#include "base/address.h"
#include "base/escape.h"

#include <inttypes.h>
#include <stdio.h>

enum { SENTENCE_SIZE = FAULT_TEXT_SIZE + 32 };

static const double percentiles[] = {50, 90, 95, 99, 99.9, 99.99};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static void print_string(const char *text)
{
    (void)putchar('"');
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];

        text += escape_character(ESCAPE_JSON, text, escaped);
        (void)fputs(escaped, stdout);
    }
    (void)putchar('"');
}

static void print_rtt(const struct tally *tally)
{
    static const char *const names[] = {"p50", "p90", "p95", "p99", "p99_9", "p99_99"};
    const struct histogram *rtt = &tally->rtt_ns;

    if (rtt->count == 0) {
        (void)fputs("\"rtt_us\": null", stdout);
        return;
    }
    (void)printf("\"rtt_us\": {\"min\": %.3f, \"mean\": %.3f, \"deviation\": %.3f",
                 us(rtt->smallest), tally_mean_ns(tally) / 1e3, tally_deviation_ns(tally) / 1e3);
    for (size_t i = 0; i < LENGTH(names); i++)
        (void)printf(", \"%s\": %.3f", names[i], us(histogram_quantile(rtt, percentiles[i] / 100)));
    (void)printf(", \"max\": %.3f, \"jitter\": %.3f}", us(rtt->largest),
                 us(tally_jitter_ns(tally)));
}

static void print_handshakes(const struct options *options, const struct tally *tally)
{
    const struct histogram *handshake = &tally->handshake_ns;

    if (!options->target.is_tls)
        return;
    (void)printf("\"handshakes\": %" PRIu64 ", \"resumed\": %" PRIu64 ", \"handshake_us\": ",
                 handshake->count, tally->resumed);
    if (handshake->count == 0)
        (void)fputs("null, ", stdout);
    else
        (void)printf("{\"min\": %.3f, \"mean\": %.3f, \"p50\": %.3f, \"p99\": %.3f, "
                     "\"max\": %.3f}, ",
                     us(handshake->smallest), us(handshake->total) / (double)handshake->count,
                     us(histogram_quantile(handshake, 0.5)),
                     us(histogram_quantile(handshake, 0.99)), us(handshake->largest));
}

static void print_histogram(const struct histogram *histogram)
{
    uint64_t from = 0, to = 1000;
    const char *separator = "";

    (void)fputs("\"histogram_us\": [", stdout);
    for (; histogram->count > 0 && from <= histogram->largest;
         from = to, to = tally_next_bound(to)) {
        const uint64_t count = histogram_count_between(histogram, from, to);

        if (count == 0)
            continue;
        (void)printf("%s[%g, %g, %" PRIu64 "]", separator, us(from), us(to), count);
        separator = ", ";
    }
    (void)putchar(']');
}

static void print_faults(const struct tally *tally, const struct fault *faults, size_t count)
{
    (void)fputs("\"faults\": {", stdout);
    for (int kind = FAULT_CONNECT; kind < FAULT_KINDS; kind++)
        (void)printf("%s\"%s\": %" PRIu64, kind == FAULT_CONNECT ? "" : ", ",
                     fault_name((enum fault_kind)kind), tally->faults[kind]);
    (void)fputs("}, \"first_faults\": [", stdout);
    for (size_t i = 0; i < count; i++) {
        char text[SENTENCE_SIZE];

        (void)snprintf(text, sizeof text, "%s: %s", fault_name(faults[i].kind), faults[i].text);
        (void)fputs(i == 0 ? "" : ", ", stdout);
        print_string(text);
    }
    (void)putchar(']');
}

static const char *transport(enum address_scheme scheme)
{
    if (scheme == ADDRESS_UDP)
        return "udp";
    return scheme == ADDRESS_UNIX ? "unix" : "tcp";
}

static void print_proxy(const struct preface_plan *proxy)
{
    if (proxy->version == 0)
        return;
    (void)printf(", \"proxy\": \"v%u\"", (unsigned)proxy->version);
    if (proxy->source.text[0] == '\0')
        return;
    (void)fputs(", \"proxy_source\": ", stdout);
    print_string(proxy->source.text);
}

static void print_sockets(const struct socket_plan *sockets)
{
    if (sockets->source.text[0] != '\0') {
        (void)fputs(", \"bind\": ", stdout);
        print_string(sockets->source.text);
    }
    if (sockets->tos.is_set)
        (void)printf(", \"tos\": %u", (unsigned)sockets->tos.value);
    if (sockets->ttl > 0)
        (void)printf(", \"ttl\": %" PRIu64, sockets->ttl);
}

static void print_member(const char *name, const char *text)
{
    (void)printf(", \"%s\": ", name);
    if (text == NULL || text[0] == '\0')
        (void)fputs("null", stdout);
    else
        print_string(text);
}

static void print_certificate(const char *name, const struct tls_certificate *certificate)
{
    (void)printf(", \"%s\": {\"subject\": ", name);
    print_string(certificate->subject);
    print_member("issuer", certificate->issuer);
    print_member("ends", certificate->ends_text);
    (void)putchar('}');
}

/* What was agreed on, null if there was no connection. */
static void print_tls(const struct report_json *json)
{
    const struct tls_facts *tls = json->tls;

    if (!json->options->target.is_tls)
        return;
    (void)printf(", \"insecure\": %s, \"tls\": ", json->options->tls.insecure ? "true" : "false");
    if (tls == NULL) {
        (void)fputs("null", stdout);
        return;
    }
    (void)fputs("{\"version\": ", stdout);
    print_string(tls->version);
    print_member("cipher", tls->cipher);
    print_member("alpn", tls->alpn);
    (void)printf(", \"resumed\": %s, \"verified\": %s", tls->is_resumed ? "true" : "false",
                 tls->is_verified ? "true" : "false");
    print_member("objection", tls->objection);
    print_certificate("certificate", &tls->server);
    print_certificate("first_to_end", &tls->first);
    (void)putchar('}');
}

/* Begin the object with what every run has. */
static void print_target(const struct report_json *json)
{
    (void)putchar('{');
    if (json->name != NULL) {
        (void)fputs("\"name\": ", stdout);
        print_string(json->name);
        (void)fputs(", ", stdout);
    }
    (void)fputs("\"target\": ", stdout);
    print_string(json->target);
    (void)fputs(", \"address\": ", stdout);
    if (json->peer[0] == '\0')
        (void)fputs("null", stdout);
    else
        print_string(json->peer);
    (void)printf(", \"transport\": \"%s\"", transport(json->options->target.scheme));
    print_sockets(&json->options->sockets);
    print_proxy(&json->options->proxy);
    print_tls(json);
    (void)printf(", \"elapsed_seconds\": %.6f", seconds(json->elapsed_ns));
}

static void print_backend(const struct backend *backend)
{
    (void)putchar('{');
    for (size_t i = 0; i < BACKENDS_NAMES; i++) {
        const struct identity_value *name = &backend->names[i];

        if (name->text[0] == '\0')
            continue;
        (void)printf("\"%s\": ", name->name);
        print_string(name->text);
        (void)fputs(", ", stdout);
    }
    (void)printf("\"count\": %" PRIu64 "}", backend->count);
}

static void print_backends(const struct backends *backends)
{
    if (backends == NULL)
        return;
    (void)fputs(", \"identity\": ", stdout);
    if (backends->total == 0)
        (void)fputs("null", stdout);
    else
        print_string(backends->first);
    (void)printf(", \"identities\": %" PRIu64 ", \"backends\": [", backends->total);
    for (size_t i = 0; i < backends->count; i++) {
        (void)fputs(i == 0 ? "" : ", ", stdout);
        print_backend(&backends->items[i]);
    }
    (void)printf("], \"backends_others\": %" PRIu64, backends->others);
}

void report_json_messages(const struct report_json *json, const struct tally *tally,
                          const struct fault *faults, size_t fault_count)
{
    const struct options *options = json->options;
    const double per_second = tally_per_second(tally, json->elapsed_ns);

    print_target(json);
    (void)printf(", \"size_bytes\": %" PRIu64 ", \"connections\": %" PRIu64
                 ", \"threads\": %" PRIu64,
                 options->size_bytes, options->connections, options->threads);
    (void)printf(", \"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"lost\": %" PRIu64
                 ", \"unsent\": %" PRIu64 ", \"late\": %" PRIu64 ", \"corrupted\": %" PRIu64
                 ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"connects\": %" PRIu64
                 ", \"connects_failed\": %" PRIu64 ", \"closed\": %" PRIu64 ", ",
                 tally->sent, tally->received, tally->lost, tally->unsent, tally->late,
                 tally->corrupted, tally->duplicated, tally->reordered, tally->connects,
                 tally->connects_failed, tally->closed);
    (void)printf("\"outages\": %" PRIu64 ", \"downtime_seconds\": %.6f"
                 ", \"longest_outage_seconds\": %.6f, ",
                 tally->outages, tally_downtime_seconds(tally, options->connections),
                 seconds(tally->longest_outage_ns));
    print_faults(tally, faults, fault_count);
    (void)printf(", \"rate_per_second\": %.3f, \"throughput_bytes_per_second\": %.0f, "
                 "\"throughput_bits_per_second\": %.0f, ",
                 per_second, per_second * (double)options->size_bytes,
                 per_second * 8 * (double)options->size_bytes);
    print_handshakes(options, tally);
    print_rtt(tally);
    (void)fputs(", ", stdout);
    print_histogram(&tally->rtt_ns);
    if (options_have_no_echo(options))
        (void)printf(", \"uncertain\": %s", tally_is_uncertain(tally) ? "true" : "false");
    print_backends(json->backends);
    if (json->error != NULL) {
        (void)fputs(", \"error\": ", stdout);
        print_string(json->error);
    }
    (void)printf(", \"status\": %d}\n", json->status);
}

static const char *unit_suffix(enum figure_unit unit)
{
    switch (unit) {
    case FIGURE_BYTES:
        return "_bytes";
    case FIGURE_SECONDS:
        return "_seconds";
    }
    return "";
}

void report_json_verdict(const struct report_json *json, const struct verdict *verdict)
{
    print_target(json);
    (void)printf(", \"check\": \"%s\", \"verdict\": ", options_check(json->options));
    print_string(verdict->text);
    print_backends(json->backends);
    for (size_t i = 0; i < verdict->figure_count; i++) {
        const struct figure *figure = &verdict->figures[i];

        (void)printf(", \"%s%s\": %.*f", figure->name, unit_suffix(figure->unit),
                     figure->unit == FIGURE_SECONDS ? 6 : 0, figure->value);
    }
    (void)printf(", \"status\": %d}\n", json->status);
}

void report_json_failure(const struct options *options, int status, const char *text)
{
    char name[ADDRESS_TEXT_SIZE];

    (void)putchar('{');
    if (options_have_target(options)) {
        address_format(&options->target, name);
        (void)fputs("\"target\": ", stdout);
        print_string(name);
        (void)fputs(", ", stdout);
    }
    (void)fputs("\"error\": ", stdout);
    print_string(text);
    (void)printf(", \"status\": %d}\n", status);
}
