#include <config.h>

#include "echod/metrics.h"

#include "base/http_server.h"
#include "base/log.h"
#include "base/process_metrics.h"
#include "echod/admin_answer.h"
#include "echod/metrics_listeners.h"
#include "echod/tls_context.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* --- Of all echod ---------------------------------------------------------------------------- */

static void add_gauge(struct exposition *exposition, const char *name, const char *unit,
                      const char *help, uint64_t value)
{
    const struct exposition_metric metric = {EXPOSITION_GAUGE, name, unit, help};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, NULL, 0, value);
}

static void add_build(struct exposition *exposition)
{
    static const struct exposition_metric metric = {
        EXPOSITION_INFO, "echod_build", NULL,
        "What this echod is, and the libraries that it uses."};
    const struct exposition_label labels[] = {{"version", PACKAGE_VERSION},
                                              {"libevent", event_get_version()},
                                              {"openssl", tls_context_library_version()},
                                              {"libmicrohttpd", http_server_library_version()}};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, labels, LENGTH(labels), 1);
}

static void add_reloads(struct exposition *exposition, const struct reload_outcomes *outcomes)
{
    static const struct exposition_metric metric = {EXPOSITION_COUNTER, "echod_reloads", NULL,
                                                    "Reloads of the configuration, by how they "
                                                    "ended."};
    static const struct exposition_label done = {"result", "done"}, refused = {"result", "refused"};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, &done, 1, atomic_load(&outcomes->done));
    exposition_add(exposition, &refused, 1, atomic_load(&outcomes->refused));
    add_gauge(exposition, "echod_config_last_reload_successful", NULL,
              "1 if the last reload was done, or there was none; 0 if it was refused.",
              atomic_load(&outcomes->is_last_refused) ? 0 : 1);
    add_gauge(exposition, "echod_config_last_reload_success_timestamp_seconds", "seconds",
              "When the options in effect were read.", atomic_load(&outcomes->options_since_s));
}

static void add_log(struct exposition *exposition, const struct log *log)
{
    static const struct exposition_metric metric = {
        EXPOSITION_COUNTER, "echod_log_lines_dropped", NULL,
        "Lines of the log that were dropped: nobody reads them fast enough, or writing failed."};

    exposition_begin(exposition, &metric);
    exposition_add(exposition, NULL, 0, log_dropped_count(log));
}

static uint64_t max_connections(const struct admin_view *view)
{
    return atomic_load_explicit(&view->limit->max, memory_order_relaxed);
}

static void add_process(struct exposition *exposition, const struct admin_view *view)
{
    add_build(exposition);
    add_gauge(exposition, "echod_draining", NULL,
              "1 if echod accepts no more, and ends when its clients have left; or else 0.",
              atomic_load(&view->state) == ADMIN_DRAINING ? 1 : 0);
    add_gauge(exposition, "echod_connections_limit", NULL,
              "Connections that all listeners may have together.", max_connections(view));
    add_reloads(exposition, view->reloads);
    add_log(exposition, view->log);
    process_metrics_add(exposition, view->started);
}

/* --- Of each worker -------------------------------------------------------------------------- */

enum { WORKER_NAME_SIZE = 12 };

static void name_worker(char name[WORKER_NAME_SIZE], size_t index)
{
    (void)snprintf(name, WORKER_NAME_SIZE, "%u", (unsigned)index);
}

static void add_worker_gauges(struct exposition *exposition, const struct worker_reading *readings,
                              size_t count)
{
    static const struct exposition_metric
        queued = {EXPOSITION_GAUGE, "echod_worker_queued_bytes", "bytes",
                  "Bytes that wait until their clients take them."},
        lag = {EXPOSITION_GAUGE, "echod_worker_loop_lag_latest_seconds", "seconds",
               "How long the loop of a worker keeps waiting what comes to it, now."};
    char name[WORKER_NAME_SIZE];
    const struct exposition_label label = {"worker", name};

    exposition_begin(exposition, &queued);
    for (size_t i = 0; i < count; i++) {
        name_worker(name, i);
        exposition_add(exposition, &label, 1, readings[i].queued_bytes);
    }
    exposition_begin(exposition, &lag);
    for (size_t i = 0; i < count; i++) {
        name_worker(name, i);
        exposition_add_decimal(exposition, &label, 1, readings[i].lag_ns, 9);
    }
}

static void add_lags(struct exposition *exposition, const struct worker_reading *readings,
                     size_t count)
{
    static const struct exposition_metric metric = {
        EXPOSITION_HISTOGRAM, "echod_worker_loop_lag_seconds", "seconds",
        "How long the loop of a worker kept waiting what came to it, measured four times a "
        "second."};
    const struct buckets_bounds *bounds = loop_lag_bounds();
    char name[WORKER_NAME_SIZE];
    const struct exposition_label label = {"worker", name};

    exposition_begin(exposition, &metric);
    for (size_t i = 0; i < count; i++) {
        const struct exposition_histogram histogram = {bounds->values, readings[i].lags.counts,
                                                       bounds->count, readings[i].lags.sum, 9};

        name_worker(name, i);
        exposition_add_histogram(exposition, &label, 1, &histogram);
    }
}

/* Return 0, or -1 if there is no memory for what is read. */
static int add_workers(struct exposition *exposition, const struct admin_view *view)
{
    struct worker_reading *readings = calloc(view->worker_count, sizeof *readings);

    if (readings == NULL && view->worker_count > 0)
        return -1;
    for (size_t i = 0; i < view->worker_count; i++)
        worker_read(view->workers[i], &readings[i]);
    add_worker_gauges(exposition, readings, view->worker_count);
    add_lags(exposition, readings, view->worker_count);
    free(readings);
    return 0;
}

/* --- All of it ------------------------------------------------------------------------------- */

int metrics_write(const struct admin_view *view, enum exposition_format format,
                  struct text_buffer *text)
{
    struct exposition exposition = {.text = text, .format = format};

    add_process(&exposition, view);
    if (add_workers(&exposition, view) < 0 ||
        metrics_listeners_add(&exposition, view->stats, max_connections(view)) < 0)
        return -1;
    exposition_end(&exposition);
    return 0;
}

void metrics_answer(struct http_request *request, const struct admin_context *context,
                    const char *rest)
{
    const enum exposition_format format =
        exposition_choose_format(http_request_header(request, "Accept"));
    struct text_buffer text = {.bytes = NULL};

    (void)rest;
    if (metrics_write(context->view, format, &text) < 0) {
        text_buffer_clear(&text);
        admin_answer_error(request, 503, "Memory is short.");
    } else {
        admin_answer(request, 200, exposition_content_type(format), &text);
    }
}
