#include <config.h>

#include "echod/totals.h"

#include "base/line.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A line that is put together, as text and as facts. */
struct totals_line {
    struct line text;
    struct log_field fields[COUNTER_COUNT + 3];
    size_t field_count;
};

/* Whom lines are about, and what has been counted there. */
struct totals_subject {
    const char *listener; /* NULL: all of them */
    uint64_t values[COUNTER_COUNT];
};

/* --- Lines ----------------------------------------------------------------------------------- */

static void begin(struct totals_line *line, const struct totals_subject *subject)
{
    line->text.length = 0;
    line->field_count = 0;
    if (subject->listener == NULL) {
        line_append_text(&line->text, "totals:");
        return;
    }
    line_append_text(&line->text, "listener ");
    line_append_text(&line->text, subject->listener);
    line->fields[line->field_count++] =
        (struct log_field){.name = "listener", .text = subject->listener};
}

static void add(struct totals_line *line, const char *text_name, const char *json_name,
                uint64_t value)
{
    line_append_text(&line->text, " ");
    line_append_text(&line->text, text_name);
    line_append_text(&line->text, "=");
    line_append_number(&line->text, value);
    line->fields[line->field_count++] = (struct log_field){.name = json_name, .number = value};
}

/* Add the counters of a kind, all or those that are not zero. */
static void add_counters(struct totals_line *line, const struct totals_subject *subject,
                         enum counter_kind kind, bool are_zeros_told)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        const struct counter_name *name = counters_name(which);
        const uint64_t value = subject->values[which];

        if (name->kind == kind && (value > 0 || are_zeros_told))
            add(line, name->text, name->json, value);
    }
}

static void end(struct totals_line *line, struct log *log)
{
    log_write_text(log, LOG_LEVEL_INFO, line->fields, line->field_count, line_text(&line->text));
}

/* --- Subjects -------------------------------------------------------------------------------- */

static bool has_any(const struct totals_subject *subject, enum counter_kind kind)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        if (counters_name(which)->kind == kind && subject->values[which] > 0)
            return true;
    }
    return false;
}

/* Why connections ended, and misbehaviour on purpose, are told where there was any. */
static void log_what_was(const struct totals_subject *subject, struct log *log)
{
    struct totals_line line;

    if (has_any(subject, COUNTER_OF_ENDS)) {
        begin(&line, subject);
        line_append_text(&line.text, " ended:");
        add_counters(&line, subject, COUNTER_OF_ENDS, false);
        end(&line, log);
    }
    if (has_any(subject, COUNTER_OF_MISBEHAVIOUR)) {
        begin(&line, subject);
        line_append_text(&line.text, " misbehaved:");
        add_counters(&line, subject, COUNTER_OF_MISBEHAVIOUR, true);
        end(&line, log);
    }
}

uint64_t totals_open_connections(const struct listener_stats_list *list)
{
    uint64_t open = 0;

    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        open += atomic_load(&stats->open);
    return open;
}

static bool has_datagrams(const struct listener_stats_list *list)
{
    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next) {
        if (stats->is_of_datagrams)
            return true;
    }
    return false;
}

void totals_log(const struct listener_stats_list *list, struct log *log)
{
    struct totals_subject all = {.listener = NULL};
    struct totals_line line;

    for (enum counter which = 0; which < COUNTER_COUNT; which++)
        all.values[which] = listener_stats_total(list, which);
    begin(&line, &all);
    add(&line, "open", "open", totals_open_connections(list));
    add_counters(&line, &all, COUNTER_OF_CONNECTIONS, true);
    if (has_datagrams(list))
        add_counters(&line, &all, COUNTER_OF_DATAGRAMS, true);
    add(&line, "log_dropped", "log_dropped", log_dropped_count(log));
    end(&line, log);
    log_what_was(&all, log);
}

static void log_listener(const struct listener_stats *stats, size_t worker_count, struct log *log)
{
    struct totals_subject one = {.listener = stats->label};
    struct totals_line line;

    for (enum counter which = 0; which < COUNTER_COUNT; which++)
        one.values[which] = listener_stats_sum(stats, worker_count, which);
    begin(&line, &one);
    line_append_text(&line.text, ":");
    if (!stats->is_of_datagrams)
        add(&line, "open", "open", atomic_load(&stats->open));
    add_counters(&line, &one,
                 stats->is_of_datagrams ? COUNTER_OF_DATAGRAMS : COUNTER_OF_CONNECTIONS, true);
    end(&line, log);
    log_what_was(&one, log);
}

void totals_log_listeners(const struct listener_stats_list *list, struct log *log)
{
    for (const struct listener_stats *stats = list->first; stats != NULL; stats = stats->next)
        log_listener(stats, list->worker_count, log);
}
