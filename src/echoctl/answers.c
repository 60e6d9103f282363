#include <config.h>

#include "echoctl/answers.h"

#include "echoctl/json.h"

#include <stddef.h>

/* Read a member that is a text into an array. */
#define READ_TEXT(json, name, member)                                                              \
    (void)json_text(json_member(json, name), member, sizeof(member))

static uint64_t number_of(const char *json, const char *name)
{
    return json_number(json_member(json, name));
}

/* Tell whether it is an array of nothing else than what is read so. */
static bool is_array_of(const char *json, bool (*is_one)(const char *json))
{
    if (json == NULL || *json != '[')
        return false;
    for (const char *each = json_first(json); each != NULL; each = json_next(each)) {
        if (!is_one(each))
            return false;
    }
    return true;
}

static void read_connection_counts(const char *json, struct traffic *traffic)
{
    traffic->open = number_of(json, "open");
    traffic->max = number_of(json, "max");
}

static double worst_lag(const char *lags)
{
    double worst = 0;

    for (const char *lag = json_first(lags); lag != NULL; lag = json_next(lag)) {
        if (json_real(lag) > worst)
            worst = json_real(lag);
    }
    return worst;
}

static void read_totals(const char *json, struct service_facts *facts)
{
    const char *connections = json_member(json, "connections");
    const char *bytes = json_member(json, "bytes");
    const char *datagrams = json_member(json, "datagrams");

    read_connection_counts(connections, &facts->traffic);
    facts->traffic.accepted = number_of(connections, "accepted");
    facts->traffic.refused = number_of(connections, "refused");
    facts->traffic.in_bytes = number_of(bytes, "in");
    facts->traffic.out_bytes = number_of(bytes, "out");
    facts->queued_bytes = number_of(bytes, "queued");
    facts->traffic.datagrams_in = number_of(datagrams, "in");
    facts->traffic.datagrams_out = number_of(datagrams, "out");
}

bool answers_read_service(const char *json, struct service_facts *facts)
{
    *facts = (struct service_facts){0};
    READ_TEXT(json, "version", facts->version);
    READ_TEXT(json, "hostname", facts->hostname);
    READ_TEXT(json, "started", facts->started);
    READ_TEXT(json, "state", facts->state);
    READ_TEXT(json, "log_level", facts->log_level);
    facts->pid = number_of(json, "pid");
    facts->uptime_ms = number_of(json, "uptime_ms");
    facts->workers = number_of(json, "workers");
    facts->log_dropped = number_of(json, "log_dropped");
    facts->reloads = number_of(json, "reloads");
    facts->loop_lag_ms = worst_lag(json_member(json, "loop_lag_ms"));
    facts->listeners = json_first(json_member(json, "listeners"));
    read_totals(json, facts);
    return facts->version[0] != '\0' && facts->state[0] != '\0';
}

bool answers_read_listener(const char *json, struct listener_facts *facts)
{
    const char *counters = json_member(json, "counters");

    *facts = (struct listener_facts){0};
    READ_TEXT(json, "name", facts->name);
    READ_TEXT(json, "address", facts->address);
    READ_TEXT(json, "state", facts->state);
    facts->has_datagrams = json_is_true(json_member(json, "datagrams"));
    facts->has_tls = json_is_true(json_member(json, "tls"));
    read_connection_counts(json, &facts->traffic);
    facts->traffic.accepted = number_of(counters, "accepted");
    facts->traffic.refused = number_of(counters, "refused");
    facts->traffic.in_bytes =
        number_of(counters, facts->has_datagrams ? "datagram_in_bytes" : "in_bytes");
    facts->traffic.out_bytes =
        number_of(counters, facts->has_datagrams ? "datagram_out_bytes" : "out_bytes");
    facts->traffic.datagrams_in = number_of(counters, "datagrams_in");
    facts->traffic.datagrams_out = number_of(counters, "datagrams_out");
    return facts->name[0] != '\0' && facts->state[0] != '\0';
}

static bool is_listener(const char *json)
{
    struct listener_facts facts;

    return answers_read_listener(json, &facts);
}

bool answers_are_listeners(const char *json)
{
    return is_array_of(json, is_listener);
}

static void read_tls(const char *json, struct tls_facts *tls)
{
    READ_TEXT(json, "version", tls->version);
    READ_TEXT(json, "cipher", tls->cipher);
    READ_TEXT(json, "sni", tls->sni);
    READ_TEXT(json, "alpn", tls->alpn);
    READ_TEXT(json, "subject", tls->subject);
    tls->is_resumed = json_is_true(json_member(json, "resumed"));
}

bool answers_read_connection(const char *json, struct connection_facts *facts)
{
    const char *tls = json_member(json, "tls");

    *facts = (struct connection_facts){0};
    facts->id = number_of(json, "id");
    READ_TEXT(json, "listener", facts->listener);
    READ_TEXT(json, "peer", facts->peer);
    READ_TEXT(json, "via", facts->via);
    READ_TEXT(json, "state", facts->state);
    facts->age_ms = number_of(json, "age_ms");
    facts->idle_ms = number_of(json, "idle_ms");
    facts->in_bytes = number_of(json, "in_bytes");
    facts->out_bytes = number_of(json, "out_bytes");
    facts->queued_bytes = number_of(json, "queued_bytes");
    facts->worker = number_of(json, "worker");
    facts->has_tls = json_member(tls, "version") != NULL;
    read_tls(tls, &facts->tls);
    return facts->id > 0 && facts->state[0] != '\0';
}

static bool is_connection(const char *json)
{
    struct connection_facts facts;

    return answers_read_connection(json, &facts);
}

bool answers_are_connections(const char *json)
{
    return is_array_of(json, is_connection);
}
