#include <config.h>

#include "echoctl/words.h"

#include "echoctl/text.h"

#include <inttypes.h>

/* --- Figures --------------------------------------------------------------------------------- */

void words_size(uint64_t bytes, char text[WORDS_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64, bytes);
        return;
    }
    for (; amount >= 1023.5; unit++)
        amount /= 1024;
    (void)snprintf(text, WORDS_SIZE, amount < 9.95 ? "%.1f%s" : "%.0f%s", amount, units[unit]);
}

void words_duration(uint64_t milliseconds, char text[WORDS_SIZE])
{
    const uint64_t seconds = milliseconds / 1000, minutes = seconds / 60, hours = minutes / 60;

    if (seconds == 0)
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64 "ms", milliseconds);
    else if (minutes == 0)
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64 "s", seconds);
    else if (hours == 0)
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64 "m%" PRIu64 "s", minutes, seconds % 60);
    else if (hours < 24)
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64 "h%" PRIu64 "m", hours, minutes % 60);
    else
        (void)snprintf(text, WORDS_SIZE, "%" PRIu64 "d%" PRIu64 "h", hours / 24, hours % 24);
}

/* --- Facts, a line for each ------------------------------------------------------------------ */

static void print_traffic(const struct service_facts *facts, FILE *stream)
{
    const struct traffic *traffic = &facts->traffic;
    char in[WORDS_SIZE], out[WORDS_SIZE], queued[WORDS_SIZE];

    words_size(traffic->in_bytes, in);
    words_size(traffic->out_bytes, out);
    words_size(facts->queued_bytes, queued);
    text_print(stream,
               "connections  %" PRIu64 " open of %" PRIu64 ", %" PRIu64 " accepted, %" PRIu64
               " refused",
               traffic->open, traffic->max, traffic->accepted, traffic->refused);
    text_print(stream, "bytes        %s in, %s out, %s queued", in, out, queued);
    text_print(stream, "datagrams    %" PRIu64 " in, %" PRIu64 " out", traffic->datagrams_in,
               traffic->datagrams_out);
}

void words_print_service(const struct service_facts *facts, FILE *stream)
{
    char uptime[WORDS_SIZE];

    words_duration(facts->uptime_ms, uptime);
    text_print(stream, "echod %s on %s, %s", facts->version, facts->hostname, facts->state);
    text_print(stream, "pid          %" PRIu64, facts->pid);
    text_print(stream, "started      %s, %s ago", facts->started, uptime);
    print_traffic(facts, stream);
    text_print(stream, "workers      %" PRIu64 ", the latest %.1f ms late", facts->workers,
               facts->loop_lag_ms);
    text_print(stream, "log          %s, %" PRIu64 " lines dropped", facts->log_level,
               facts->log_dropped);
    text_print(stream, "reloads      %" PRIu64, facts->reloads);
}

static void print_tls(const struct tls_facts *tls, FILE *stream)
{
    text_print(stream, "TLS          %s, %s%s", tls->version, tls->cipher,
               tls->is_resumed ? ", resumed" : "");
    if (tls->sni[0] != '\0')
        text_print(stream, "asked for    %s", tls->sni);
    if (tls->alpn[0] != '\0')
        text_print(stream, "protocol     %s", tls->alpn);
    if (tls->subject[0] != '\0')
        text_print(stream, "certificate  %s", tls->subject);
}

void words_print_connection(const struct connection_facts *facts, FILE *stream)
{
    char age[WORDS_SIZE], idle[WORDS_SIZE];

    words_duration(facts->age_ms, age);
    words_duration(facts->idle_ms, idle);
    text_print(stream, "connection   %" PRIu64 ", %s", facts->id, facts->state);
    text_print(stream, "listener     %s", facts->listener);
    text_print(stream, "peer         %s", facts->peer);
    if (facts->via[0] != '\0')
        text_print(stream, "via          %s", facts->via);
    text_print(stream, "age          %s, idle for %s", age, idle);
    text_print(stream, "bytes        %" PRIu64 " in, %" PRIu64 " out, %" PRIu64 " queued",
               facts->in_bytes, facts->out_bytes, facts->queued_bytes);
    text_print(stream, "worker       %" PRIu64, facts->worker);
    if (facts->has_tls)
        print_tls(&facts->tls, stream);
}

/* --- Tables ---------------------------------------------------------------------------------- */

const struct column words_listener_columns[] = {
    {"NAME", false},   {"STATE", false}, {"OPEN", true}, {"MAX", true},      {"ACCEPTED", true},
    {"REFUSED", true}, {"IN", true},     {"OUT", true},  {"ADDRESS", false}, {NULL, false},
};

const struct column words_connection_columns[] = {
    {"ID", true},     {"PEER", false}, {"LISTENER", false}, {"STATE", false},
    {"AGE", true},    {"IDLE", true},  {"IN", true},        {"OUT", true},
    {"QUEUED", true}, {"TLS", false},  {NULL, false},
};

static void add_size(struct columns_row *row, uint64_t bytes)
{
    char text[WORDS_SIZE];

    words_size(bytes, text);
    columns_add(row, text);
}

static void add_duration(struct columns_row *row, uint64_t milliseconds)
{
    char text[WORDS_SIZE];

    words_duration(milliseconds, text);
    columns_add(row, text);
}

void words_add_connections(struct columns_row *row, const struct listener_facts *facts,
                           uint64_t count)
{
    if (facts->has_datagrams)
        columns_add(row, "");
    else
        columns_add_count(row, count);
}

void words_listener_row(const struct listener_facts *facts, struct columns_row *row)
{
    row->count = 0;
    columns_add(row, facts->name);
    columns_add(row, facts->state);
    words_add_connections(row, facts, facts->traffic.open);
    words_add_connections(row, facts, facts->traffic.max);
    words_add_connections(row, facts, facts->traffic.accepted);
    words_add_connections(row, facts, facts->traffic.refused);
    add_size(row, facts->traffic.in_bytes);
    add_size(row, facts->traffic.out_bytes);
    columns_add(row, facts->address);
}

void words_connection_row(const struct connection_facts *facts, struct columns_row *row)
{
    row->count = 0;
    columns_add_count(row, facts->id);
    columns_add(row, facts->peer);
    columns_add(row, facts->listener);
    columns_add(row, facts->state);
    add_duration(row, facts->age_ms);
    add_duration(row, facts->idle_ms);
    add_size(row, facts->in_bytes);
    add_size(row, facts->out_bytes);
    add_size(row, facts->queued_bytes);
    columns_add(row, facts->has_tls ? facts->tls.version : "");
}
