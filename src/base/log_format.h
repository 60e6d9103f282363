/*
 * log_format: what a line of the log looks like: as text, as JSON, and before either to syslog.
 * Knows no queue, no thread, no destination and no clock.
 * Called by log.
 */
#ifndef BASE_LOG_FORMAT_H
#define BASE_LOG_FORMAT_H

#include "base/line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/*
 * One fact of a line, for programs that read the log. JSON shows it as a member of the line's
 * object; text does not, since there the sentence says it.
 */
struct log_field {
    const char *name;
    const char *text; /* the value, or NULL if it is `number` */
    uint64_t number;
};

struct log_message {
    struct timespec time; /* since 1970, UTC */
    enum log_level level;
    const char *process; /* who writes it, or empty */
    const char *text;    /* in any bytes */
    const struct log_field *fields;
    size_t field_count;
};

/*
 * Append "2026-11-22T14:47:01.123Z info: [PROCESS] TEXT" and a line feed, the time only if
 * `has_time`. It is UTC (RFC 3339). A text that is too long is cut.
 */
void log_format_text(struct line *line, const struct log_message *message, bool has_time);

/*
 * Append an object with the members time, level, process if there is one, message, and the fields
 * in the order given, and a line feed. A text that is too long is cut, the process at a quarter of
 * a line, and fields that do not fit in half of one are left out: it is JSON in any case (RFC
 * 8259).
 */
void log_format_json(struct line *line, const struct log_message *message);

/*
 * Append what comes before a line to syslog, of the facility daemon: "<30>Nov 22 15:47:01
 * IDENT[123]: " (RFC 3164, 4.1). The time is local.
 */
void log_format_syslog_head(struct line *line, const struct log_message *message,
                            const char *ident);

#endif
