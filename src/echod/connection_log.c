#include <config.h>

#include "echod/connection_log.h"

#include "base/clock.h"
#include "base/line.h"

#include <stddef.h>
#include <stdio.h>

/* Each connection has such lines, so they do without printf. */

/* A line that is put together, as text and as facts. */
struct connection_line {
    struct line text;
    struct log_field fields[14];
    size_t field_count;
    char peer[ADDRESS_TEXT_SIZE], via[ADDRESS_TEXT_SIZE];
};

static void add_text_fact(struct connection_line *line, const char *name, const char *text)
{
    line->fields[line->field_count++] = (struct log_field){.name = name, .text = text};
}

static void add_number_fact(struct connection_line *line, const char *name, uint64_t number)
{
    line->fields[line->field_count++] = (struct log_field){.name = name, .number = number};
}

/* Begin it with "connection 42 127.0.0.1:5001 ". */
static void begin_line(struct connection_line *line, const struct connection_facts *facts)
{
    line->text.length = 0;
    line->field_count = 0;
    peer_format(&facts->peer, line->peer);
    line_append_text(&line->text, "connection ");
    line_append_number(&line->text, facts->id);
    line_append_text(&line->text, " ");
    line_append_text(&line->text, line->peer);
    line_append_text(&line->text, " ");
    add_number_fact(line, "connection", facts->id);
    add_text_fact(line, "peer", line->peer);
}

/* Add ", in=10 out=10 age=60.012s". */
static void add_standing(struct connection_line *line, const struct connection_facts *facts)
{
    const uint64_t age_ms = clock_now_ms() - facts->started_ms;

    line_append_text(&line->text, ", in=");
    line_append_number(&line->text, facts->bytes_in);
    line_append_text(&line->text, " out=");
    line_append_number(&line->text, facts->bytes_out);
    line_append_text(&line->text, " age=");
    line_append_number(&line->text, age_ms / 1000);
    line_append_text(&line->text, ".");
    line_append_digits(&line->text, age_ms % 1000, 3);
    line_append_text(&line->text, "s");
    add_number_fact(line, "in_bytes", facts->bytes_in);
    add_number_fact(line, "out_bytes", facts->bytes_out);
    add_number_fact(line, "age_ms", age_ms);
}

/* Add " sni="echo.example.org"", if there is such: what a client says. */
static void add_quoted(struct connection_line *line, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    line_append_text(&line->text, " ");
    line_append_text(&line->text, name);
    line_append_text(&line->text, "=\"");
    line_append_escaped(&line->text, ESCAPE_JSON, text, 1);
    line_append_text(&line->text, "\"");
    add_text_fact(line, name, text);
}

static void add_word(struct connection_line *line, const char *name, const char *text)
{
    line_append_text(&line->text, " ");
    line_append_text(&line->text, name);
    line_append_text(&line->text, "=");
    line_append_text(&line->text, text);
    add_text_fact(line, name, text);
}

/* Add what was agreed: " tls=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 resumed=yes alpn="echo"". */
static void add_tls(struct connection_line *line, const struct tls_facts *tls)
{
    add_word(line, "tls", tls->version);
    add_word(line, "cipher", tls->cipher);
    if (tls->is_resumed)
        add_word(line, "resumed", "yes");
    add_quoted(line, "sni", tls->server_name);
    add_quoted(line, "alpn", tls->protocol);
    add_quoted(line, "subject", tls->subject);
}

/* End it with " via=10.0.0.1:5002", " listener=public" and the rest, as far as there are such. */
static void end_line(struct connection_line *line, struct connection_way way, enum log_level level,
                     struct log *log)
{
    if (way.via != NULL) {
        peer_format(way.via, line->via);
        add_word(line, "via", line->via);
    }
    if (way.listener[0] != '\0')
        add_word(line, "listener", way.listener);
    if (way.tls != NULL)
        add_tls(line, way.tls);
    log_write_text(log, level, line->fields, line->field_count, line_text(&line->text));
}

void connection_log_opened(const struct connection_facts *facts, struct connection_way way,
                           struct log *log)
{
    struct connection_line line;

    begin_line(&line, facts);
    line_append_text(&line.text, "opened");
    end_line(&line, way, LOG_LEVEL_DEBUG, log);
}

void connection_log_closed(const struct connection_facts *facts, struct connection_way way,
                           enum close_reason reason, const char *detail, struct log *log)
{
    const char *text = close_reason_name(reason);
    char with_detail[256];
    struct connection_line line;

    if (!log_is_enabled(log, LOG_LEVEL_INFO))
        return;
    if (detail != NULL) {
        (void)snprintf(with_detail, sizeof with_detail, "%s (%s)", text, detail);
        text = with_detail;
    }
    begin_line(&line, facts);
    line_append_text(&line.text, "closed: ");
    line_append_text(&line.text, text);
    add_text_fact(&line, "reason", text);
    add_standing(&line, facts);
    end_line(&line, way, LOG_LEVEL_INFO, log);
}

void connection_log_state(const struct connection_facts *facts, struct connection_way way,
                          const char *state, enum log_level level, struct log *log)
{
    struct connection_line line;

    if (!log_is_enabled(log, level))
        return;
    begin_line(&line, facts);
    line_append_text(&line.text, state);
    add_text_fact(&line, "state", state);
    add_standing(&line, facts);
    end_line(&line, way, level, log);
}
