#include <config.h>

#include "echod/connection_log.h"

#include "base/clock.h"
#include "base/line.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Each connection has such lines, so they do without printf. */

/* Append "connection 42 127.0.0.1:5001 ". */
static void append_head(struct line *line, const struct connection_facts *facts, const char *peer)
{
    line_append_text(line, "connection ");
    line_append_number(line, facts->id);
    line_append_text(line, " ");
    line_append_text(line, peer);
    line_append_text(line, " ");
}

/* Append " listener=public", if it has a name. */
static void append_listener(struct line *line, const char *listener)
{
    if (listener[0] == '\0')
        return;
    line_append_text(line, " listener=");
    line_append_text(line, listener);
}

/* Append ", in=10 out=10 age=60.012s". */
static void append_standing(struct line *line, const struct connection_facts *facts,
                            uint64_t age_ms)
{
    line_append_text(line, ", in=");
    line_append_number(line, facts->bytes_in);
    line_append_text(line, " out=");
    line_append_number(line, facts->bytes_out);
    line_append_text(line, " age=");
    line_append_number(line, age_ms / 1000);
    line_append_text(line, ".");
    line_append_digits(line, age_ms % 1000, 3);
    line_append_text(line, "s");
}

void connection_log_opened(const struct connection_facts *facts, const char *listener,
                           struct log *log)
{
    char peer[ADDRESS_TEXT_SIZE];
    struct line text;

    if (!log_is_enabled(log, LOG_LEVEL_DEBUG))
        return;
    peer_format(&facts->peer, peer);
    text.length = 0;
    append_head(&text, facts, peer);
    line_append_text(&text, "opened");
    append_listener(&text, listener);
    log_write_text(log, LOG_LEVEL_DEBUG,
                   (const struct log_field[]){
                       {.name = "connection", .number = facts->id},
                       {.name = "peer", .text = peer},
                       {.name = "listener", .text = listener},
                   },
                   listener[0] == '\0' ? 2 : 3, line_text(&text));
}

/* Write what it has echoed so far. `name` and `value` are a fact of JSON; `before` and `value`
 * stand in text. */
static void log_standing(const struct connection_facts *facts, const char *listener,
                         enum log_level level, const char *before, const char *name,
                         const char *value, struct log *log)
{
    const uint64_t age_ms = clock_now_ms() - facts->started_ms;
    char peer[ADDRESS_TEXT_SIZE];
    struct line text;

    if (!log_is_enabled(log, level))
        return;
    peer_format(&facts->peer, peer);
    text.length = 0;
    append_head(&text, facts, peer);
    line_append_text(&text, before);
    line_append_text(&text, value);
    append_standing(&text, facts, age_ms);
    append_listener(&text, listener);
    log_write_text(log, level,
                   (const struct log_field[]){
                       {.name = "connection", .number = facts->id},
                       {.name = "peer", .text = peer},
                       {.name = name, .text = value},
                       {.name = "in_bytes", .number = facts->bytes_in},
                       {.name = "out_bytes", .number = facts->bytes_out},
                       {.name = "age_ms", .number = age_ms},
                       {.name = "listener", .text = listener},
                   },
                   listener[0] == '\0' ? 6 : 7, line_text(&text));
}

void connection_log_closed(const struct connection_facts *facts, const char *listener,
                           enum close_reason reason, int error, struct log *log)
{
    const char *text = close_reason_name(reason);
    char with_error[128];

    if (reason == CLOSE_NETWORK_ERROR) {
        (void)snprintf(with_error, sizeof with_error, "%s (%s)", text, strerror(error));
        text = with_error;
    }
    log_standing(facts, listener, LOG_LEVEL_INFO, "closed: ", "reason", text, log);
}

void connection_log_state(const struct connection_facts *facts, const char *listener,
                          const char *state, enum log_level level, struct log *log)
{
    log_standing(facts, listener, level, "", "state", state, log);
}
