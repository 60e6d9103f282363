#include <config.h>

#include "base/log_format.h"

#include <stdio.h>
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

static void append_time(struct line *line)
{
    char text[sizeof "2026-11-22T14:47:01.123Z"];
    struct timespec now;
    struct tm utc;
    size_t length;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + length, sizeof text - length, ".%03uZ",
                   (unsigned)(now.tv_nsec / 1000000) % 1000);
    line_append_text(line, text);
}

/* --- Text. ----------------------------------------------------------------------------------- */

void log_format_text(struct line *line, const struct log_message *message, bool has_time)
{
    if (has_time) {
        append_time(line);
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

/* --- JSON. ----------------------------------------------------------------------------------- */

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
    struct line end = {.length = 0};

    line_append_text(&end, "\"");
    append_fields(&end, message->fields, message->field_count);
    line_append_text(&end, "}\n");

    line_append_text(line, "{\"time\":\"");
    append_time(line);
    line_append_text(line, "\",\"level\":\"");
    line_append_text(line, level_name(message->level));
    if (message->process[0] != '\0') {
        line_append_text(line, "\",\"process\":\"");
        line_append_escaped(line, ESCAPE_JSON, message->process, LINE_SIZE / 2);
    }
    line_append_text(line, "\",\"message\":\"");
    line_append_escaped(line, ESCAPE_JSON, message->text, end.length);
    line_append(line, end.bytes, end.length);
}

/* --- Syslog. --------------------------------------------------------------------------------- */

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

void log_format_syslog_head(struct line *line, enum log_level level, const char *ident)
{
    char local_time[sizeof "Nov 22 15:47:01"];
    const time_t now = time(NULL);
    struct tm local;

    (void)localtime_r(&now, &local);
    (void)strftime(local_time, sizeof local_time, "%b %e %H:%M:%S", &local);
    line_append_text(line, "<");
    line_append_number(line, (uint64_t)(LOG_DAEMON | syslog_severity(level)));
    line_append_text(line, ">");
    line_append_text(line, local_time);
    line_append_text(line, " ");
    line_append_text(line, ident);
    line_append_text(line, "[");
    line_append_number(line, (uint64_t)getpid());
    line_append_text(line, "]: ");
}
