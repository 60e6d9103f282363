#include <config.h>

#include "echod/totals.h"

#include "base/line.h"

#include <stdbool.h>
#include <stddef.h>

/* A line that is put together, as text and as facts. */
struct totals_line {
    struct line text;
    struct log_field fields[COUNTER_COUNT + 3];
    size_t field_count;
};

static void add(struct totals_line *line, const char *text_name, const char *json_name,
                uint64_t value)
{
    line_append_text(&line->text, " ");
    line_append_text(&line->text, text_name);
    line_append_text(&line->text, "=");
    line_append_number(&line->text, value);
    line->fields[line->field_count++] = (struct log_field){.name = json_name, .number = value};
}

static void add_counter(struct totals_line *line, enum counter which, uint64_t value)
{
    const struct counter_name *name = counters_name(which);

    add(line, name->text, name->json, value);
}

uint64_t totals_open_connections(const struct listener_stats_list *list)
{
    const uint64_t ended = listener_stats_total(list, COUNTER_CONNECTIONS_ENDED);

    return listener_stats_total(list, COUNTER_CONNECTIONS_ACCEPTED) - ended;
}

static bool has_datagrams(const struct listener_stats_list *list)
{
    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next) {
        if (stats->is_of_datagrams)
            return true;
    }
    return false;
}

/* What is open is told instead of what has ended, and misbehaviour in a line of its own. */
static bool is_told(enum counter which, bool is_of_datagrams)
{
    return which != COUNTER_CONNECTIONS_ENDED && which < COUNTER_IMPAIRED &&
           counters_name(which)->is_of_datagrams == is_of_datagrams;
}

static void add_totals(struct totals_line *line, const struct listener_stats_list *list,
                       bool are_of_datagrams)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        if (is_told(which, are_of_datagrams))
            add_counter(line, which, listener_stats_total(list, which));
    }
}

/* Tell of what was done wrong on purpose, if anything was, behind what the line has already. */
static void log_misbehaviour(struct totals_line *line, const uint64_t values[COUNTER_COUNT],
                             struct log *log)
{
    uint64_t sum = 0;

    line_append_text(&line->text, " misbehaved:");
    for (enum counter which = COUNTER_IMPAIRED; which < COUNTER_COUNT; which++) {
        add_counter(line, which, values[which]);
        sum += values[which];
    }
    if (sum > 0)
        log_write_text(log, LOG_LEVEL_INFO, line->fields, line->field_count,
                       line_text(&line->text));
}

static void log_all_misbehaviour(const struct listener_stats_list *list, struct log *log)
{
    struct totals_line line = {.field_count = 0};
    uint64_t values[COUNTER_COUNT];

    line_append_text(&line.text, "totals:");
    for (enum counter which = COUNTER_IMPAIRED; which < COUNTER_COUNT; which++)
        values[which] = listener_stats_total(list, which);
    log_misbehaviour(&line, values, log);
}

void totals_log(const struct listener_stats_list *list, struct log *log)
{
    struct totals_line line = {.field_count = 0};

    line_append_text(&line.text, "totals:");
    add(&line, "open", "open", totals_open_connections(list));
    add_totals(&line, list, false);
    if (has_datagrams(list))
        add_totals(&line, list, true);
    add(&line, "log_dropped", "log_dropped", log_dropped_count(log));
    log_write_text(log, LOG_LEVEL_INFO, line.fields, line.field_count, line_text(&line.text));
    log_all_misbehaviour(list, log);
}

static void log_listener_misbehaviour(const struct listener_stats *stats, size_t worker_count,
                                      struct log *log)
{
    struct totals_line line = {
        .fields = {{.name = "listener", .text = stats->label}},
        .field_count = 1,
    };
    uint64_t values[COUNTER_COUNT];

    line_append_text(&line.text, "listener ");
    line_append_text(&line.text, stats->label);
    for (enum counter which = COUNTER_IMPAIRED; which < COUNTER_COUNT; which++)
        values[which] = listener_stats_sum(stats, worker_count, which);
    log_misbehaviour(&line, values, log);
}

static void log_listener(const struct listener_stats *stats, size_t worker_count, struct log *log)
{
    struct totals_line line = {
        .fields = {{.name = "listener", .text = stats->label}},
        .field_count = 1,
    };

    line_append_text(&line.text, "listener ");
    line_append_text(&line.text, stats->label);
    line_append_text(&line.text, ":");
    if (!stats->is_of_datagrams)
        add(&line, "open", "open",
            listener_stats_sum(stats, worker_count, COUNTER_CONNECTIONS_ACCEPTED) -
                listener_stats_sum(stats, worker_count, COUNTER_CONNECTIONS_ENDED));
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        if (is_told(which, stats->is_of_datagrams))
            add_counter(&line, which, listener_stats_sum(stats, worker_count, which));
    }
    log_write_text(log, LOG_LEVEL_INFO, line.fields, line.field_count, line_text(&line.text));
    log_listener_misbehaviour(stats, worker_count, log);
}

void totals_log_listeners(const struct listener_stats_list *list, struct log *log)
{
    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        log_listener(stats, list->worker_count, log);
}
