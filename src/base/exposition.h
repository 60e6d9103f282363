/*
 * exposition: metrics as the text that a monitoring system reads: Prometheus' format 0.0.4, or
 * OpenMetrics 1.0.0.
 * Measures nothing, and knows no HTTP.
 * Called by whatever has metrics to tell.
 */
#ifndef BASE_EXPOSITION_H
#define BASE_EXPOSITION_H

#include "base/text_buffer.h"

#include <stddef.h>
#include <stdint.h>

enum exposition_format {
    EXPOSITION_PROMETHEUS,
    EXPOSITION_OPENMETRICS,
};

enum exposition_kind {
    EXPOSITION_COUNTER,
    EXPOSITION_GAUGE,
    EXPOSITION_HISTOGRAM,
    EXPOSITION_INFO, /* its labels say something; its value is 1 */
};

/*
 * A metric. Its texts are plain ASCII without quotes, backslashes and line feeds. How it is to be
 * named: https://prometheus.io/docs/practices/naming/.
 */
struct exposition_metric {
    enum exposition_kind kind;
    const char *name; /* without the "_total" of a counter, or the "_info" of an info */
    const char *unit; /* the base unit in which the name ends: "seconds", "bytes"; or NULL */
    const char *help; /* what it is, as a sentence */
};

struct exposition_label {
    const char *name;
    const char *value; /* any bytes */
};

/* Values in buckets. All but the counts are in 10^-decimals of the metric's unit. */
struct exposition_histogram {
    const uint64_t *bounds; /* the largest value of each bucket but the last, ascending */
    const uint64_t *counts; /* of each bucket alone; one more than there are bounds */
    size_t bound_count;
    uint64_t sum;
    unsigned decimals;
};

/* Set the first two, and leave the rest zero. The text is the caller's. */
struct exposition {
    struct text_buffer *text;
    enum exposition_format format;
    const struct exposition_metric *metric;
};

/*
 * Begin a metric, which must not have been there before. Its samples follow, each with labels that
 * no other has.
 */
void exposition_begin(struct exposition *exposition, const struct exposition_metric *metric);

/* Add a sample that is a whole number; of a counter, a gauge or an info. */
void exposition_add(struct exposition *exposition, const struct exposition_label *labels,
                    size_t label_count, uint64_t value);

/* Add one that is value * 10^-decimals: 1500 milliseconds, of 3 decimals, are 1.5 seconds. */
void exposition_add_decimal(struct exposition *exposition, const struct exposition_label *labels,
                            size_t label_count, uint64_t value, unsigned decimals);

/* Add the samples of a histogram. */
void exposition_add_histogram(struct exposition *exposition, const struct exposition_label *labels,
                              size_t label_count, const struct exposition_histogram *histogram);

/* Write what stands behind the last metric. */
void exposition_end(struct exposition *exposition);

/* Return the format's media type, as the header Content-Type has it. */
const char *exposition_content_type(enum exposition_format format);

/*
 * Return the format that a client prefers by its header Accept (RFC 9110, 12.5.1), which may be
 * NULL: OpenMetrics where that is asked for by name, and nothing else is asked for more urgently.
 */
enum exposition_format exposition_choose_format(const char *accept);

#endif
