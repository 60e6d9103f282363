#include <config.h>

#include "base/log_format.h"

#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    abort(); /* no such level */
}

/*
 * Append the date of a day since 1970-01-01, as "2026-11-22". gmtime_r would take a lock that all
 * threads share. The year begins in March here, so that the leap day is its last; 719468 days lie
 * between 0000-03-01 and 1970-01-01. (Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", civil_from_days.)
 */
static void append_date(struct line *line, uint64_t day_since_1970)
{
    const uint64_t days_of_era = 146097; /* 400 years */
    const uint64_t day = day_since_1970 + 719468;
    const uint64_t day_of_era = day % days_of_era;
    const uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint64_t months_since_march = (5 * day_of_year + 2) / 153;
    const bool is_next_year = months_since_march >= 10;

    line_append_digits(line, day / days_of_era * 400 + year_of_era + is_next_year, 4);
    line_append_text(line, "-");
    line_append_digits(line, is_next_year ? months_since_march - 9 : months_since_march + 3, 2);
    line_append_text(line, "-");
    line_append_digits(line, day_of_year - (153 * months_since_march + 2) / 5 + 1, 2);
}

/* Append a time as "2026-11-22T14:47:01.123Z" (RFC 3339). Before 1970 it is 1970. */
static void append_time(struct line *line, const struct timespec *time)
{
    const uint64_t second = time->tv_sec > 0 ? (uint64_t)time->tv_sec : 0;

    append_date(line, second / 86400);
    line_append_text(line, "T");
    line_append_digits(line, second / 3600 % 24, 2);
    line_append_text(line, ":");
    line_append_digits(line, second / 60 % 60, 2);
    line_append_text(line, ":");
    line_append_digits(line, second % 60, 2);
    line_append_text(line, ".");
    line_append_digits(line, (uint64_t)time->tv_nsec / 1000000, 3);
    line_append_text(line, "Z");
}

/* --- Text ------------------------------------------------------------------------------------ */

void log_format_text(struct line *line, const struct log_message *message, bool has_time)
{
    if (has_time) {
        append_time(line, &message->time);
        line_append_text(line, " ");
    }
    line_append_text(line, level_name(message->level));
    line_append_text(line, ": ");
    if (message->process[0] != '\0') {
        line_append_text(line, "[");
        line_append_escaped(line, ESCAPE_TEXT, message->process, LINE_SIZE / 2);
        line_append_text(line, "] ");
    }
    line_append_escaped(line, ESCAPE_TEXT, message->text, 1);
    line_append_text(line, "\n");
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void append_field(struct line *line, const struct log_field *field)
{
    line_append_text(line, ",\"");
    line_append_text(line, field->name);
    line_append_text(line, "\":");
    if (field->text == NULL) {
        line_append_number(line, field->number);
        return;
    }
    line_append_text(line, "\"");
    line_append_escaped(line, ESCAPE_JSON, field->text, LINE_SIZE / 2 + 1);
    line_append_text(line, "\"");
}

/* Append ,"name":value for each field, and leave out what does not fit in half a line. */
static void append_fields(struct line *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t before = line->length;

        append_field(line, &fields[i]);
        if (line->length > LINE_SIZE / 2)
            line->length = before;
    }
}

void log_format_json(struct line *line, const struct log_message *message)
{
    struct line end;

    end.length = 0;
    line_append_text(&end, "\"");
    append_fields(&end, message->fields, message->field_count);
    line_append_text(&end, "}\n");

    line_append_text(line, "{\"time\":\"");
    append_time(line, &message->time);
    line_append_text(line, "\",\"level\":\"");
    line_append_text(line, level_name(message->level));
    if (message->process[0] != '\0') {
        line_append_text(line, "\",\"process\":\"");
        line_append_escaped(line, ESCAPE_JSON, message->process, LINE_SIZE - LINE_SIZE / 4);
    }
    line_append_text(line, "\",\"message\":\"");
    line_append_escaped(line, ESCAPE_JSON, message->text, end.length);
    line_append(line, end.bytes, end.length);
}

/* --- Syslog ---------------------------------------------------------------------------------- */

static int syslog_severity(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return LOG_ERR;
    case LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case LOG_LEVEL_INFO:
        return LOG_INFO;
    case LOG_LEVEL_DEBUG:
        return LOG_DEBUG;
    }
    abort(); /* no such level */
}

void log_format_syslog_head(struct line *line, const struct log_message *message, const char *ident)
{
    char local_time[sizeof "Nov 22 15:47:01"];
    struct tm local;

    (void)localtime_r(&message->time.tv_sec, &local);
    (void)strftime(local_time, sizeof local_time, "%b %e %H:%M:%S", &local);
    line_append_text(line, "<");
    line_append_number(line, (uint64_t)(LOG_DAEMON | syslog_severity(message->level)));
    line_append_text(line, ">");
    line_append_text(line, local_time);
    line_append_text(line, " ");
    line_append_text(line, ident);
    line_append_text(line, "[");
    line_append_number(line, (uint64_t)getpid());
    line_append_text(line, "]: ");
}
