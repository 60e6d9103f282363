#include <config.h>

#include "base/exposition.h"

#include "base/accept.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DECIMALS_MAX = 19 }; /* of the largest uint64_t, behind one digit */

static void append(const struct exposition *exposition, const char *text)
{
    text_buffer_append_text(exposition->text, text);
}

/* --- Metrics --------------------------------------------------------------------------------- */

/* Return a type's name. What only OpenMetrics knows is a gauge for the other format. */
static const char *type_name(enum exposition_kind kind, enum exposition_format format)
{
    switch (kind) {
    case EXPOSITION_COUNTER:
        return "counter";
    case EXPOSITION_GAUGE:
        return "gauge";
    case EXPOSITION_HISTOGRAM:
        return "histogram";
    case EXPOSITION_INFO:
        return format == EXPOSITION_OPENMETRICS ? "info" : "gauge";
    }
    abort(); /* no such type */
}

/* Return what stands behind the metric's name in the name of a sample that is one value. */
static const char *suffix(enum exposition_kind kind)
{
    switch (kind) {
    case EXPOSITION_COUNTER:
        return "_total";
    case EXPOSITION_INFO:
        return "_info";
    case EXPOSITION_GAUGE:
    case EXPOSITION_HISTOGRAM:
        return "";
    }
    abort(); /* no such type */
}

/* Write "# HELP echod_connections_open Connections that are open.". */
static void append_description(const struct exposition *exposition, const char *what,
                               const char *text)
{
    const struct exposition_metric *metric = exposition->metric;

    append(exposition, "# ");
    append(exposition, what);
    append(exposition, " ");
    append(exposition, metric->name);
    /* OpenMetrics describes the metric, the other format its samples. */
    if (exposition->format == EXPOSITION_PROMETHEUS)
        append(exposition, suffix(metric->kind));
    append(exposition, " ");
    append(exposition, text);
    append(exposition, "\n");
}

void exposition_begin(struct exposition *exposition, const struct exposition_metric *metric)
{
    exposition->metric = metric;
    append_description(exposition, "HELP", metric->help);
    append_description(exposition, "TYPE", type_name(metric->kind, exposition->format));
    if (metric->unit != NULL && exposition->format == EXPOSITION_OPENMETRICS)
        append_description(exposition, "UNIT", metric->unit);
}

void exposition_end(struct exposition *exposition)
{
    if (exposition->format == EXPOSITION_OPENMETRICS)
        append(exposition, "# EOF\n");
}

/* --- Numbers --------------------------------------------------------------------------------- */

/* Write a number as OpenMetrics wants it in a bucket, and as all read it: "0.005", "1.0". */
static void append_decimal(const struct exposition *exposition, uint64_t value, unsigned decimals)
{
    char digits[DECIMALS_MAX + 1] = "";
    size_t length = decimals;

    for (size_t i = decimals; i-- > 0; value /= 10)
        digits[i] = (char)('0' + value % 10);
    while (length > 1 && digits[length - 1] == '0')
        length--;
    text_buffer_append_number(exposition->text, value);
    append(exposition, ".");
    text_buffer_append(exposition->text, length == 0 ? "0" : digits, length == 0 ? 1 : length);
}

/* --- Labels ---------------------------------------------------------------------------------- */

/* Write what stands before the value of a label, the first or another. */
static void begin_label(const struct exposition *exposition, bool is_first, const char *name)
{
    append(exposition, is_first ? "{" : ",");
    append(exposition, name);
    append(exposition, "=\"");
}

/* Write the labels and leave them open, for another one. */
static void append_labels(const struct exposition *exposition,
                          const struct exposition_label *labels, size_t label_count)
{
    for (size_t i = 0; i < label_count; i++) {
        begin_label(exposition, i == 0, labels[i].name);
        text_buffer_append_escaped(exposition->text, ESCAPE_LABEL, labels[i].value);
        append(exposition, "\"");
    }
}

/* Write a sample up to its value. */
static void begin_sample(const struct exposition *exposition, const char *name_end,
                         const struct exposition_label *labels, size_t label_count)
{
    append(exposition, exposition->metric->name);
    append(exposition, name_end);
    append_labels(exposition, labels, label_count);
    append(exposition, label_count == 0 ? " " : "} ");
}

/* --- Samples --------------------------------------------------------------------------------- */

void exposition_add(struct exposition *exposition, const struct exposition_label *labels,
                    size_t label_count, uint64_t value)
{
    begin_sample(exposition, suffix(exposition->metric->kind), labels, label_count);
    text_buffer_append_number(exposition->text, value);
    append(exposition, "\n");
}

void exposition_add_decimal(struct exposition *exposition, const struct exposition_label *labels,
                            size_t label_count, uint64_t value, unsigned decimals)
{
    begin_sample(exposition, suffix(exposition->metric->kind), labels, label_count);
    append_decimal(exposition, value, decimals);
    append(exposition, "\n");
}

/* Write a sample of a bucket up to its bound. */
static void begin_bucket(const struct exposition *exposition, const struct exposition_label *labels,
                         size_t label_count)
{
    append(exposition, exposition->metric->name);
    append(exposition, "_bucket");
    append_labels(exposition, labels, label_count);
    begin_label(exposition, label_count == 0, "le");
}

/* Write the rest: how many values do not exceed the bound. */
static void end_bucket(const struct exposition *exposition, uint64_t count)
{
    append(exposition, "\"} ");
    text_buffer_append_number(exposition->text, count);
    append(exposition, "\n");
}

void exposition_add_histogram(struct exposition *exposition, const struct exposition_label *labels,
                              size_t label_count, const struct exposition_histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i < histogram->bound_count; i++) {
        count += histogram->counts[i];
        begin_bucket(exposition, labels, label_count);
        append_decimal(exposition, histogram->bounds[i], histogram->decimals);
        end_bucket(exposition, count);
    }
    count += histogram->counts[histogram->bound_count];
    begin_bucket(exposition, labels, label_count);
    append(exposition, "+Inf");
    end_bucket(exposition, count);

    begin_sample(exposition, "_sum", labels, label_count);
    append_decimal(exposition, histogram->sum, histogram->decimals);
    append(exposition, "\n");
    begin_sample(exposition, "_count", labels, label_count);
    text_buffer_append_number(exposition->text, count);
    append(exposition, "\n");
}

/* --- Formats --------------------------------------------------------------------------------- */

const char *exposition_content_type(enum exposition_format format)
{
    switch (format) {
    case EXPOSITION_PROMETHEUS:
        return "text/plain; version=0.0.4; charset=utf-8";
    case EXPOSITION_OPENMETRICS:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    }
    abort(); /* no such format */
}

enum exposition_format exposition_choose_format(const char *accept)
{
    /* Of the two versions the older was a draft, and is read alike. */
    static const char *const versions[] = {"1.0.0", "0.0.1", NULL};
    const unsigned wanted =
        accept == NULL ? 0 : accept_quality(accept, "application/openmetrics-text", versions);

    return wanted > 0 && wanted >= accept_quality(accept, "text/plain", NULL)
               ? EXPOSITION_OPENMETRICS
               : EXPOSITION_PROMETHEUS;
}
