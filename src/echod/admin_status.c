#include <config.h>

#include "echod/admin_status.h"

#include "base/clock.h"
#include "echod/admin_answer.h"
#include "echod/admin_guard.h"
#include "echod/counters.h"
#include "echod/worker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

static uint64_t total(const struct admin_view *view, enum counter which)
{
    return listener_stats_total(view->stats, which);
}

static const char *bool_word(bool value)
{
    return value ? "true" : "false";
}

/* --- A listener ------------------------------------------------------------------------------ */

/* Tell whether a listener has a counter: those of the other kind are zero for ever. */
static bool has_counter(const struct listener_stats *stats, enum counter which)
{
    return counters_name(which)->metric->is_of_datagrams == stats->is_of_datagrams;
}

static void append_counters(struct text_buffer *body, const struct listener_stats *stats,
                            size_t worker_count)
{
    const char *separator = "";

    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        if (!has_counter(stats, which))
            continue;
        text_buffer_printf(body, "%s\"%s\":%" PRIu64, separator, counters_name(which)->json,
                           listener_stats_sum(stats, worker_count, which));
        separator = ",";
    }
}

static const char *state_of(const struct listener_stats *stats, const struct admin_view *view)
{
    const struct listener_place *place = stats->place;
    const struct connection_limit *limit = view->limit;

    if (place == NULL || !place->is_open || atomic_load(&view->state) == ADMIN_DRAINING)
        return "closed";
    if (atomic_load(&stats->is_paused))
        return "paused";
    if (!stats->is_of_datagrams && (atomic_load(&stats->open) >= atomic_load(&stats->max) ||
                                    atomic_load(&limit->open) >= atomic_load(&limit->max)))
        return "full";
    return "listening";
}

void admin_status_append_listener(struct text_buffer *body, const struct listener_stats *stats,
                                  const struct admin_view *view)
{
    const struct listener_place *place = stats->place;

    text_buffer_append_text(body, "{\"name\":");
    text_buffer_append_json(body, stats->label);
    text_buffer_append_text(body, ",\"address\":");
    text_buffer_append_json(body, place == NULL ? "" : place->addresses);
    text_buffer_printf(body, ",\"state\":\"%s\",\"datagrams\":%s,\"tls\":%s", state_of(stats, view),
                       bool_word(stats->is_of_datagrams),
                       bool_word(place != NULL && place->is_tls));
    if (!stats->is_of_datagrams) {
        const uint64_t max = atomic_load(&stats->max), all = atomic_load(&view->limit->max);

        text_buffer_printf(body, ",\"open\":%" PRIu64 ",\"max\":%" PRIu64,
                           atomic_load(&stats->open), max < all ? max : all);
    }
    text_buffer_append_text(body, ",\"counters\":{");
    append_counters(body, stats, view->worker_count);
    text_buffer_append_text(body, "}}");
}

/* --- All ------------------------------------------------------------------------------------- */

static const char *log_level(struct log *log)
{
    if (log_is_enabled(log, LOG_LEVEL_DEBUG))
        return "debug";
    if (log_is_enabled(log, LOG_LEVEL_INFO))
        return "info";
    return log_is_enabled(log, LOG_LEVEL_WARNING) ? "warning" : "error";
}

static const char *state_word(const struct admin_view *view)
{
    switch ((enum admin_state)atomic_load(&view->state)) {
    case ADMIN_STARTING:
        return "starting";
    case ADMIN_RUNNING:
        return "running";
    case ADMIN_DRAINING:
        return "draining";
    }
    return "unknown";
}

/* Append what there is to know of the process. */
static void append_process(struct text_buffer *body, const struct admin_view *view)
{
    char started[sizeof "2026-11-30T01:02:03Z"] = "";
    struct tm parts;

    if (gmtime_r(&view->started, &parts) != NULL)
        (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &parts);
    text_buffer_printf(body, "\"version\":\"%s\",\"pid\":%ld,\"hostname\":", PACKAGE_VERSION,
                       (long)getpid());
    text_buffer_append_json(body, view->self->host);
    text_buffer_printf(
        body,
        ",\"started\":\"%s\",\"uptime_ms\":%" PRIu64
        ",\"state\":\"%s\",\"workers\":%zu,\"log_level\":\"%s\",\"log_dropped\":%" PRIu64
        ",\"reloads\":%" PRIu64,
        started, clock_now_ms() - view->started_ms, state_word(view), view->worker_count,
        log_level(view->log), log_dropped_count(view->log), atomic_load(&view->reloads->done));
}

/* Append what there is of everything, over all listeners. */
static void append_totals(struct text_buffer *body, const struct admin_view *view)
{
    uint64_t queued_bytes = 0;

    for (size_t i = 0; i < view->worker_count; i++) {
        struct worker_reading reading;

        worker_read(view->workers[i], &reading);
        queued_bytes += reading.queued_bytes;
    }
    text_buffer_printf(body,
                       ",\"connections\":{\"open\":%" PRIu64 ",\"max\":%" PRIu64
                       ",\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64 "}",
                       atomic_load(&view->limit->open), atomic_load(&view->limit->max),
                       total(view, COUNTER_CONNECTIONS_ACCEPTED),
                       total(view, COUNTER_CONNECTIONS_REFUSED));
    text_buffer_printf(body,
                       ",\"bytes\":{\"in\":%" PRIu64 ",\"out\":%" PRIu64 ",\"queued\":%" PRIu64
                       "},\"datagrams\":{\"in\":%" PRIu64 ",\"out\":%" PRIu64 "}",
                       total(view, COUNTER_BYTES_IN) + total(view, COUNTER_DATAGRAM_BYTES_IN),
                       total(view, COUNTER_BYTES_OUT) + total(view, COUNTER_DATAGRAM_BYTES_OUT),
                       queued_bytes, total(view, COUNTER_DATAGRAMS_IN),
                       total(view, COUNTER_DATAGRAMS_OUT));
}

static void append_lags(struct text_buffer *body, const struct admin_view *view)
{
    text_buffer_append_text(body, ",\"loop_lag_ms\":[");
    for (size_t i = 0; i < view->worker_count; i++) {
        struct worker_reading reading;

        worker_read(view->workers[i], &reading);
        text_buffer_printf(body, "%s%.3f", i == 0 ? "" : ",", (double)reading.lag_ns / 1e6);
    }
    text_buffer_append_text(body, "]");
}

void admin_status_answer(struct http_request *request, const struct admin_context *context,
                         const char *rest)
{
    const struct admin_view *view = context->view;
    struct text_buffer body = {.bytes = NULL};
    const char *separator = "";

    (void)rest;
    text_buffer_append_text(&body, "{");
    append_process(&body, view);
    append_totals(&body, view);
    append_lags(&body, view);
    text_buffer_printf(&body, ",\"can_act\":%s,\"listeners\":[",
                       bool_word(admin_guard_may_act(request)));
    for (const struct listener_stats *stats = view->stats->first; stats != NULL;
         stats = stats->next) {
        text_buffer_append_text(&body, separator);
        admin_status_append_listener(&body, stats, view);
        separator = ",";
    }
    text_buffer_append_text(&body, "]}\n");
    admin_answer_json(request, 200, &body);
}
