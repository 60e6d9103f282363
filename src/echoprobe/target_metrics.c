#include <config.h>

#include "echoprobe/target_metrics.h"

#include "base/process_metrics.h"

#include <stddef.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

enum { NS_DECIMALS = 9, MS_DECIMALS = 3 };

static const uint64_t bounds[TARGET_METRICS_BOUNDS] = {
    10 * US, 20 * US, 50 * US,  100 * US, 200 * US, 500 * US, 1 * MS, 2 * MS, 5 * MS, 10 * MS,
    20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS, 1 * S,    2 * S,  5 * S,  10 * S};

/* --- Samples --------------------------------------------------------------------------------- */

static void take_times(struct target_times *times, const struct histogram *histogram)
{
    uint64_t below = 0;

    for (size_t i = 0; i < TARGET_METRICS_BOUNDS; i++) {
        const uint64_t through = histogram_count_through(histogram, bounds[i]);

        times->counts[i] = through - below;
        below = through;
    }
    times->counts[TARGET_METRICS_BOUNDS] = histogram->count - below;
    times->sum_ns = histogram->total;
}

void target_metrics_take(struct target_sample *sample, const struct tally *tally,
                         uint64_t connections)
{
    sample->sent = tally->sent;
    sample->received = tally->received;
    sample->lost = tally->lost;
    sample->corrupted = tally->corrupted;
    sample->unsent = tally->unsent;
    sample->late = tally->late;
    sample->duplicated = tally->duplicated;
    sample->reordered = tally->reordered;
    sample->attempts = tally->connects + tally->connects_failed; /* one may still turn to failed */
    sample->attempts_failed = tally->connects_failed;
    sample->closed = tally->closed;
    sample->outages = tally->outages;
    sample->outage_ns = tally->downtime_ns / connections;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        sample->faults[kind] = tally->faults[kind];
    take_times(&sample->round_trips, &tally->rtt_ns);
    take_times(&sample->handshakes, &tally->handshake_ns);
}

/* --- Metrics --------------------------------------------------------------------------------- */

/* A number of each target that stands in its sample as it is told. */
struct number {
    struct exposition_metric metric;
    size_t offset;
    unsigned decimals;
};

#define NUMBER(NAME, MEMBER, HELP)                                                                 \
    {                                                                                              \
        .metric = {.kind = EXPOSITION_COUNTER, .name = "echoprobe_" NAME, .help = (HELP)},         \
        .offset = offsetof(struct target_sample, MEMBER),                                          \
    }

static const struct number numbers[] = {
    NUMBER("messages_sent", sent, "Messages that were due, whether or not they could be sent."),
    NUMBER("messages_received", received, "Messages that came back unchanged in time."),
    NUMBER("messages_lost", lost, "Messages that did not come back in time."),
    NUMBER("messages_corrupted", corrupted, "Messages that came back changed."),
    NUMBER("messages_unsent", unsent, "Of the lost messages, those that could not be sent."),
    NUMBER("messages_late", late, "Of the lost messages, those that came back after all."),
    NUMBER("messages_duplicated", duplicated, "Datagrams that came back once more."),
    NUMBER("messages_reordered", reordered, "Datagrams that were overtaken."),
    NUMBER("connection_attempts", attempts, "Attempts to connect, which failed or not."),
    NUMBER("connection_failures", attempts_failed,
           "Attempts to connect that failed, the handshake of TLS included."),
    NUMBER("connections_closed", closed,
           "Connections that the other end closed with nothing missing."),
    NUMBER("outages", outages, "Times in which nothing came back."),
    {
        .metric = {.kind = EXPOSITION_COUNTER,
                   .name = "echoprobe_outage_seconds",
                   .unit = "seconds",
                   .help = "How long nothing came back, on average of the connections."},
        .offset = offsetof(struct target_sample, outage_ns),
        .decimals = NS_DECIMALS,
    },
    NUMBER("address_changes", state.address_changes,
           "How often the name stood for other addresses than before."),
    NUMBER("lookup_failures", state.lookup_failures, "Look-ups of the name that failed."),
};

static struct exposition_label label_of(const struct target_sample *sample)
{
    return (struct exposition_label){"target", sample->name};
}

static void write_number(struct exposition *exposition, const struct exposition_label *label,
                         uint64_t value, unsigned decimals)
{
    if (decimals == 0)
        exposition_add(exposition, label, 1, value);
    else
        exposition_add_decimal(exposition, label, 1, value, decimals);
}

static void write_numbers(struct exposition *exposition, const struct target_sample *samples,
                          size_t count)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        exposition_begin(exposition, &numbers[i].metric);
        for (size_t k = 0; k < count; k++) {
            const struct exposition_label label = label_of(&samples[k]);
            const char *member = (const char *)&samples[k] + numbers[i].offset;

            write_number(exposition, &label, *(const uint64_t *)(const void *)member,
                         numbers[i].decimals);
        }
    }
}

static void write_state(struct exposition *exposition, const struct target_sample *samples,
                        size_t count)
{
    static const struct exposition_metric up = {
        .kind = EXPOSITION_GAUGE,
        .name = "echoprobe_up",
        .help = "Whether the last message came back unchanged: 0 until one did."};
    static const struct exposition_metric last = {
        .kind = EXPOSITION_GAUGE,
        .name = "echoprobe_last_answer_timestamp_seconds",
        .unit = "seconds",
        .help = "When the last message came back unchanged, since 1970."};

    exposition_begin(exposition, &up);
    for (size_t i = 0; i < count; i++) {
        const struct exposition_label label = label_of(&samples[i]);

        exposition_add(exposition, &label, 1, samples[i].state.is_up);
    }
    exposition_begin(exposition, &last);
    for (size_t i = 0; i < count; i++) {
        const struct exposition_label label = label_of(&samples[i]);

        if (samples[i].state.last_answer_ms > 0)
            exposition_add_decimal(exposition, &label, 1, samples[i].state.last_answer_ms,
                                   MS_DECIMALS);
    }
}

static void write_faults(struct exposition *exposition, const struct target_sample *samples,
                         size_t count)
{
    static const struct exposition_metric metric = {
        .kind = EXPOSITION_COUNTER,
        .name = "echoprobe_faults",
        .help = "What was wrong, by its kind, as echoprobe(1) names them."};

    exposition_begin(exposition, &metric);
    for (size_t i = 0; i < count; i++) {
        for (int kind = FAULT_CONNECT; kind < FAULT_KINDS; kind++) {
            const struct exposition_label labels[] = {label_of(&samples[i]),
                                                      {"kind", fault_name((enum fault_kind)kind)}};

            exposition_add(exposition, labels, 2, samples[i].faults[kind]);
        }
    }
}

static void write_times(struct exposition *exposition, const struct target_sample *sample,
                        const struct target_times *times)
{
    const struct exposition_label label = label_of(sample);
    const struct exposition_histogram histogram = {.bounds = bounds,
                                                   .counts = times->counts,
                                                   .bound_count = TARGET_METRICS_BOUNDS,
                                                   .sum = times->sum_ns,
                                                   .decimals = NS_DECIMALS};

    exposition_add_histogram(exposition, &label, 1, &histogram);
}

static void write_histograms(struct exposition *exposition, const struct target_sample *samples,
                             size_t count)
{
    static const struct exposition_metric round_trips = {
        .kind = EXPOSITION_HISTOGRAM,
        .name = "echoprobe_round_trip_seconds",
        .unit = "seconds",
        .help = "How long messages took to come back unchanged."};
    static const struct exposition_metric handshakes = {.kind = EXPOSITION_HISTOGRAM,
                                                        .name = "echoprobe_tls_handshake_seconds",
                                                        .unit = "seconds",
                                                        .help = "How long handshakes of TLS took."};

    exposition_begin(exposition, &round_trips);
    for (size_t i = 0; i < count; i++)
        write_times(exposition, &samples[i], &samples[i].round_trips);
    exposition_begin(exposition, &handshakes);
    for (size_t i = 0; i < count; i++) {
        if (samples[i].has_handshakes)
            write_times(exposition, &samples[i], &samples[i].handshakes);
    }
}

static void write_certificates(struct exposition *exposition, const struct target_sample *samples,
                               size_t count)
{
    static const struct exposition_metric metric = {
        .kind = EXPOSITION_GAUGE,
        .name = "echoprobe_certificate_expiry_timestamp_seconds",
        .unit = "seconds",
        .help =
            "When the first of the certificates ends that the last connection saw, since 1970."};

    exposition_begin(exposition, &metric);
    for (size_t i = 0; i < count; i++) {
        const struct exposition_label label = label_of(&samples[i]);
        const struct account_state *state = &samples[i].state;

        if (state->has_certificate && state->certificate.ends > 0)
            exposition_add(exposition, &label, 1, (uint64_t)state->certificate.ends);
    }
}

static void write_infos(struct exposition *exposition, const struct target_sample *samples,
                        size_t count)
{
    static const struct exposition_metric build = {
        .kind = EXPOSITION_INFO, .name = "echoprobe_build", .help = "Which echoprobe this is."};
    static const struct exposition_metric target = {
        .kind = EXPOSITION_INFO, .name = "echoprobe_target", .help = "Whom a target's name means."};
    const struct exposition_label version = {"version", PACKAGE_VERSION};

    exposition_begin(exposition, &build);
    exposition_add(exposition, &version, 1, 1);
    exposition_begin(exposition, &target);
    for (size_t i = 0; i < count; i++) {
        const struct exposition_label labels[] = {label_of(&samples[i]),
                                                  {"address", samples[i].address}};

        exposition_add(exposition, labels, 2, 1);
    }
}

static void write_reloads(struct exposition *exposition, const struct target_reloads *reloads)
{
    static const struct exposition_metric metric = {
        .kind = EXPOSITION_COUNTER,
        .name = "echoprobe_reloads",
        .help = "How often the file of targets was read again, by how that ended."};
    static const struct exposition_metric last = {
        .kind = EXPOSITION_GAUGE,
        .name = "echoprobe_targets_last_reload_successful",
        .help = "1 if the last reload was done, or there was none; 0 if it was refused."};
    static const struct exposition_label done = {"result", "done"}, refused = {"result", "refused"};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, &done, 1, reloads->done);
    exposition_add(exposition, &refused, 1, reloads->refused);
    exposition_begin(exposition, &last);
    exposition_add(exposition, NULL, 0, reloads->is_last_refused ? 0 : 1);
}

void target_metrics_write(struct text_buffer *text, enum exposition_format format,
                          const struct target_sample *samples, size_t count,
                          const struct target_reloads *reloads, time_t started)
{
    struct exposition exposition = {.text = text, .format = format};

    write_infos(&exposition, samples, count);
    write_reloads(&exposition, reloads);
    write_state(&exposition, samples, count);
    write_numbers(&exposition, samples, count);
    write_faults(&exposition, samples, count);
    write_histograms(&exposition, samples, count);
    write_certificates(&exposition, samples, count);
    process_metrics_add(&exposition, started);
    exposition_end(&exposition);
}
