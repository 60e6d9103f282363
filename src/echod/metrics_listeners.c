#include <config.h>

#include "echod/metrics_listeners.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* What was counted of a listener, by all workers. */
struct reading {
    const struct listener_stats *stats;
    uint64_t values[COUNTER_COUNT];
    struct buckets_reading ages;
};

struct readings {
    struct reading *items;
    size_t count;
};

/* --- Reading --------------------------------------------------------------------------------- */

/* Worker by worker, as it lies in memory: there may be many, and their lines of the cache are hot.
 */
static void read_listener(struct reading *reading, size_t worker_count)
{
    for (size_t i = 0; i < worker_count; i++) {
        const struct counters *counters = &reading->stats->by_worker[i];

        for (enum counter which = 0; which < COUNTER_COUNT; which++)
            reading->values[which] += counters_get(counters, which);
        buckets_read(&counters->ages, &reading->ages);
    }
}

/* Listeners may come meanwhile, behind those that are there. */
static size_t count_listeners(const struct listener_stats_list *list)
{
    size_t count = 0;

    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        count++;
    return count;
}

static int read_listeners(struct readings *readings, const struct listener_stats_list *list)
{
    const struct listener_stats *stats = list->first;

    *readings = (struct readings){.count = count_listeners(list)};
    if (readings->count == 0)
        return 0;
    readings->items = calloc(readings->count, sizeof *readings->items);
    if (readings->items == NULL)
        return -1;
    for (size_t i = 0; i < readings->count; i++, stats = stats->next) {
        readings->items[i].stats = stats;
        read_listener(&readings->items[i], list->worker_count);
    }
    return 0;
}

/* --- Counters -------------------------------------------------------------------------------- */

static bool has_kind(const struct readings *readings, bool is_of_datagrams)
{
    for (size_t i = 0; i < readings->count; i++) {
        if (readings->items[i].stats->is_of_datagrams == is_of_datagrams)
            return true;
    }
    return false;
}

/* Add the samples of one listener: one for each counter that the metric has. */
static void add_samples(struct exposition *exposition, const struct reading *reading,
                        const struct counter_metric *metric)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        const struct counter_name *name = counters_name(which);
        const struct exposition_label labels[] = {{"listener", reading->stats->label},
                                                  {metric->label, name->label_value}};

        if (name->metric == metric)
            exposition_add(exposition, labels, metric->label == NULL ? 1 : 2,
                           reading->values[which]);
    }
}

static void add_counter_metric(struct exposition *exposition, const struct readings *readings,
                               const struct counter_metric *metric)
{
    const struct exposition_metric described = {EXPOSITION_COUNTER, metric->name, metric->unit,
                                                metric->help};

    if (!has_kind(readings, metric->is_of_datagrams))
        return;
    exposition_begin(exposition, &described);
    for (size_t i = 0; i < readings->count; i++) {
        if (readings->items[i].stats->is_of_datagrams == metric->is_of_datagrams)
            add_samples(exposition, &readings->items[i], metric);
    }
}

/* Tell whether a counter is the first of its metric. */
static bool is_first(enum counter which)
{
    for (enum counter before = 0; before < which; before++) {
        if (counters_name(before)->metric == counters_name(which)->metric)
            return false;
    }
    return true;
}

static void add_counters(struct exposition *exposition, const struct readings *readings)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        if (is_first(which))
            add_counter_metric(exposition, readings, counters_name(which)->metric);
    }
}

/* --- What else there is ---------------------------------------------------------------------- */

/* What is told of each listener. */
enum gauge_kind { OPEN, LIMIT, PAUSED, CERTIFICATE_END, GAUGE_COUNT };

static const struct exposition_metric gauges[GAUGE_COUNT] = {
    [OPEN] = {EXPOSITION_GAUGE, "echod_connections_open", NULL, "Connections that are open."},
    [LIMIT] = {EXPOSITION_GAUGE, "echod_listener_connections_limit", NULL,
               "Connections that a listener may have."},
    [PAUSED] = {EXPOSITION_GAUGE, "echod_listener_paused", NULL,
                "Whether an operator has paused a listener."},
    [CERTIFICATE_END] =
        {EXPOSITION_GAUGE, "echod_tls_certificate_expiry_timestamp_seconds", "seconds",
         "When the first certificate of a listener ends, or an issuer that is shown with it."},
};

static uint64_t read_gauge(enum gauge_kind kind, const struct listener_stats *stats)
{
    switch (kind) {
    case OPEN:
        return atomic_load_explicit(&stats->open, memory_order_relaxed);
    case LIMIT:
        return atomic_load_explicit(&stats->max, memory_order_relaxed);
    case PAUSED:
        return atomic_load_explicit(&stats->is_paused, memory_order_relaxed);
    case CERTIFICATE_END:
        return atomic_load_explicit(&stats->certificate_end_s, memory_order_relaxed);
    case GAUGE_COUNT:
        break;
    }
    abort(); /* no such gauge */
}

static bool has_gauge(enum gauge_kind kind, const struct listener_stats *stats)
{
    switch (kind) {
    case OPEN:
    case LIMIT:
        return !stats->is_of_datagrams;
    case PAUSED:
        return listener_stats_is_way_in(stats);
    case CERTIFICATE_END:
        return read_gauge(kind, stats) > 0;
    case GAUGE_COUNT:
        break;
    }
    abort(); /* no such gauge */
}

/* Add a gauge of the listeners that have it: what is beyond the most is the most. */
static void add_gauge(struct exposition *exposition, const struct readings *readings,
                      enum gauge_kind kind, uint64_t most)
{
    exposition_begin(exposition, &gauges[kind]);
    for (size_t i = 0; i < readings->count; i++) {
        const struct listener_stats *stats = readings->items[i].stats;
        const struct exposition_label label = {"listener", stats->label};
        const uint64_t value = read_gauge(kind, stats);

        if (has_gauge(kind, stats))
            exposition_add(exposition, &label, 1, value < most ? value : most);
    }
}

static void add_ages(struct exposition *exposition, const struct readings *readings)
{
    static const struct exposition_metric metric = {EXPOSITION_HISTOGRAM,
                                                    "echod_connection_age_seconds", "seconds",
                                                    "How old connections were when they ended."};
    const struct buckets_bounds *bounds = counters_age_bounds();

    if (!has_kind(readings, false))
        return;
    exposition_begin(exposition, &metric);
    for (size_t i = 0; i < readings->count; i++) {
        const struct reading *reading = &readings->items[i];
        const struct exposition_label label = {"listener", reading->stats->label};
        const struct exposition_histogram histogram = {bounds->values, reading->ages.counts,
                                                       bounds->count, reading->ages.sum, 3};

        if (!reading->stats->is_of_datagrams)
            exposition_add_histogram(exposition, &label, 1, &histogram);
    }
}

int metrics_listeners_add(struct exposition *exposition, const struct listener_stats_list *list,
                          uint64_t max_connections)
{
    struct readings readings;

    if (read_listeners(&readings, list) < 0)
        return -1;
    add_gauge(exposition, &readings, OPEN, UINT64_MAX);
    add_gauge(exposition, &readings, LIMIT, max_connections);
    add_gauge(exposition, &readings, PAUSED, 1);
    add_gauge(exposition, &readings, CERTIFICATE_END, UINT64_MAX);
    add_counters(exposition, &readings);
    add_ages(exposition, &readings);
    free(readings.items);
    return 0;
}
