#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "base/line.h"
#include "echod/echo.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* What one write takes of a long output; libevent's own bound is 16 KiB (bufferevent-internal.h).
 */
enum { WRITE_SIZE = 256 << 10 };

enum connection_state {
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_LINGERING,
    CONNECTION_ENDED,
};

struct connection {
    struct connection_group *group;
    uint64_t id;
    struct bufferevent *input;     /* reads */
    struct bufferevent *output;    /* writes; the same one for a socket */
    struct event *socket_readable; /* of the shortcut; NULL: the bufferevent reads */
    bool is_streaming;             /* echo_socket's */
    union peer peer;
    enum connection_state state;
    enum close_reason reason;         /* from draining on */
    enum close_reason overdue_reason; /* what it becomes if the closing deadline passes */
    int error;                        /* errno of CLOSE_NETWORK_ERROR */
    bool is_reading;
    bool has_input_ended; /* the client's FIN was read */
    uint64_t bytes_in, bytes_out;
    size_t queued_bytes; /* of output, when account_output was last called */
    uint64_t started_ms;
    int unacknowledged_bytes; /* when the write time-out was last armed */
    struct timeout idle, lifetime, write_stall, closing;
};

#define CONNECTION_OF(timeout, member)                                                             \
    ((struct connection *)(void *)((char *)(timeout)-offsetof(struct connection, member)))

const char *close_reason_name(enum close_reason reason)
{
    switch (reason) {
    case CLOSE_CLIENT:
        return "client closed";
    case CLOSE_RESET:
        return "reset by client";
    case CLOSE_NETWORK_ERROR:
        return "network error";
    case CLOSE_IDLE:
        return "idle timeout";
    case CLOSE_WRITE_STALL:
        return "write timeout";
    case CLOSE_LIFETIME:
        return "lifetime over";
    case CLOSE_DRAIN:
        return "drained";
    case CLOSE_STOP:
        return "stopped";
    case CLOSE_NO_MEMORY:
        return "out of memory";
    }
    abort(); /* no such reason */
}

static enum close_reason reason_of_errno(int error)
{
    switch (error) {
    case ECONNRESET:
    case EPIPE:
        return CLOSE_RESET;
    case ENOMEM:
    case ENOBUFS:
        return CLOSE_NO_MEMORY;
    default:
        return CLOSE_NETWORK_ERROR;
    }
}

static struct evbuffer *output_buffer(const struct connection *connection)
{
    return bufferevent_get_output(connection->output);
}

/* --- In the log. ----------------------------------------------------------------------------- */

static void format_peer(const struct connection *connection, char text[ADDRESS_TEXT_SIZE])
{
    const union peer *peer = &connection->peer;

    if (peer->family == AF_UNSPEC)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "stdio");
    else if (peer->family == AF_UNIX)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "unix");
    else
        address_format_socket(&peer->any, sizeof *peer, text);
}

static void log_opened(const struct connection *connection)
{
    char peer[ADDRESS_TEXT_SIZE];

    if (!log_is_enabled(connection->group->log, LOG_LEVEL_DEBUG))
        return;
    format_peer(connection, peer);
    log_write_fields(connection->group->log, LOG_LEVEL_DEBUG,
                     (const struct log_field[]){
                         {.name = "connection", .number = connection->id},
                         {.name = "peer", .text = peer},
                     },
                     2, "connection %" PRIu64 " %s opened", connection->id, peer);
}

/* Append "connection 42 127.0.0.1:5001 closed: idle timeout, in=10 out=10 age=60.012s". */
static void append_standing(struct line *line, const struct connection *connection,
                            const char *peer, const char *before, const char *value,
                            uint64_t age_ms)
{
    line_append_text(line, "connection ");
    line_append_number(line, connection->id);
    line_append_text(line, " ");
    line_append_text(line, peer);
    line_append_text(line, " ");
    line_append_text(line, before);
    line_append_text(line, value);
    line_append_text(line, ", in=");
    line_append_number(line, connection->bytes_in);
    line_append_text(line, " out=");
    line_append_number(line, connection->bytes_out);
    line_append_text(line, " age=");
    line_append_number(line, age_ms / 1000);
    line_append_text(line, ".");
    line_append_digits(line, age_ms % 1000, 3);
    line_append_text(line, "s");
}

/*
 * Write where the connection stands, with what it has echoed so far. `name` and `value` are that
 * in JSON; `before` and `value` in text. Each connection has this line, so it does without printf.
 */
static void log_standing(const struct connection *connection, enum log_level level,
                         const char *before, const char *name, const char *value)
{
    const uint64_t age_ms = clock_now_ms() - connection->started_ms;
    char peer[ADDRESS_TEXT_SIZE];
    struct line text;

    if (!log_is_enabled(connection->group->log, level))
        return;
    format_peer(connection, peer);
    text.length = 0;
    append_standing(&text, connection, peer, before, value, age_ms);
    log_write_text(connection->group->log, level,
                   (const struct log_field[]){
                       {.name = "connection", .number = connection->id},
                       {.name = "peer", .text = peer},
                       {.name = name, .text = value},
                       {.name = "in_bytes", .number = connection->bytes_in},
                       {.name = "out_bytes", .number = connection->bytes_out},
                       {.name = "age_ms", .number = age_ms},
                   },
                   6, line_text(&text));
}

static void log_closed(const struct connection *connection)
{
    const char *reason = close_reason_name(connection->reason);
    char text[128];

    if (connection->reason == CLOSE_NETWORK_ERROR) {
        (void)snprintf(text, sizeof text, "%s (%s)", reason, strerror(connection->error));
        reason = text;
    }
    log_standing(connection, LOG_LEVEL_INFO, "closed: ", "reason", reason);
}

static const char *state_name(enum connection_state state)
{
    switch (state) {
    case CONNECTION_OPEN:
        return "open";
    case CONNECTION_DRAINING:
        return "draining";
    case CONNECTION_LINGERING:
        return "lingering";
    case CONNECTION_ENDED:
        return "ended";
    }
    abort(); /* no such state */
}

void connection_report(const struct connection *connection, enum log_level level)
{
    log_standing(connection, level, "", "state", state_name(connection->state));
}

/* --- Reading in the open state: the shortcut's event does it, or else the bufferevent. ---------
 */

static int start_reading(struct connection *connection)
{
    connection->is_reading = true;
    if (connection->socket_readable != NULL)
        return event_add(connection->socket_readable, NULL);
    return bufferevent_enable(connection->input, EV_READ);
}

/* Only forgets an event. */
static void stop_reading(struct connection *connection)
{
    connection->is_reading = false;
    if (connection->socket_readable != NULL)
        (void)event_del(connection->socket_readable);
    else
        (void)bufferevent_disable(connection->input, EV_READ);
}

/* --- Its end. -------------------------------------------------------------------------------- */

/* The one way out. Nothing may touch the connection after it. */
static void end(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;

    connection->state = CONNECTION_ENDED;
    connection->reason = reason;
    log_closed(connection);
    counters_add(group->counters, COUNTER_CONNECTIONS_ENDED, 1);
    group->on_end(connection, group->owner);
}

/* Say FIN and wait for the client's, where that means anything: not on a pipe or a terminal. */
static void linger(struct connection *connection)
{
    if (connection->input != connection->output ||
        shutdown(bufferevent_getfd(connection->output), SHUT_WR) < 0 ||
        bufferevent_enable(connection->input, EV_READ) < 0) {
        end(connection, connection->reason);
        return;
    }
    connection->state = CONNECTION_LINGERING;
}

/* Go on once everything has left. It may end the connection. */
static void finish_draining(struct connection *connection)
{
    if (connection->queued_bytes > 0)
        return;
    if (connection->has_input_ended)
        end(connection, connection->reason);
    else
        linger(connection);
}

/* Leave the open state. It may end the connection. */
static void drain(struct connection *connection, enum close_reason reason)
{
    connection->state = CONNECTION_DRAINING;
    connection->reason = reason;
    stop_reading(connection);
    finish_draining(connection);
}

void connection_close(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;

    if (!timeout_is_armed(&connection->closing)) {
        connection->overdue_reason = reason;
        timeout_touch(&group->closing, &connection->closing);
    }
    if (group->limits.linger_timeout_ms == 0)
        end(connection, reason);
    else if (connection->state == CONNECTION_OPEN)
        drain(connection, reason);
}

void connection_abort(struct connection *connection, enum close_reason reason)
{
    end(connection, reason);
}

static void on_idle(struct timeout *timeout)
{
    connection_close(CONNECTION_OF(timeout, idle), CLOSE_IDLE);
}

static void on_lifetime_over(struct timeout *timeout)
{
    connection_close(CONNECTION_OF(timeout, lifetime), CLOSE_LIFETIME);
}

/* Return how many bytes the kernel has taken from us and the client has not yet from the kernel. */
static int unacknowledged_bytes(const struct connection *connection)
{
    int bytes = 0;

    (void)ioctl(bufferevent_getfd(connection->output), TIOCOUTQ, &bytes); /* tcp(7), unix(7) */
    return bytes;
}

/* Let the client have the time-out from now on, since it has taken something. */
static void note_write_progress(struct connection *connection)
{
    struct timeout_queue *queue = &connection->group->write_stall;

    if (queue->duration_ms == 0)
        return;
    connection->unacknowledged_bytes = unacknowledged_bytes(connection);
    timeout_touch(queue, &connection->write_stall);
}

/*
 * No output was sent for the whole time-out. That alone is no stall: the kernel asks for more only
 * when a third of its buffer is free, which may take a slow reader longer.
 */
static void on_write_due(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, write_stall);

    if (unacknowledged_bytes(connection) < connection->unacknowledged_bytes)
        note_write_progress(connection);
    else
        end(connection, CLOSE_WRITE_STALL);
}

static void on_closing_overdue(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, closing);

    end(connection, connection->overdue_reason);
}

/* --- Its bytes. ------------------------------------------------------------------------------ */

/*
 * Keep account of output: `added_bytes` were put into it since the last time, and what is missing
 * besides was sent.
 */
static void account_output(struct connection *connection, size_t added_bytes)
{
    struct connection_group *group = connection->group;
    const size_t expected = connection->queued_bytes + added_bytes;
    const size_t queued = evbuffer_get_length(output_buffer(connection));
    const size_t sent = expected - queued;

    connection->queued_bytes = queued;
    group->pool->queued_bytes += added_bytes;
    group->pool->queued_bytes -= sent;
    if (sent > 0) {
        connection->bytes_out += sent;
        counters_add(group->counters, COUNTER_BYTES_OUT, sent);
        timeout_postpone(&group->idle, &connection->idle);
    }
    if (queued == 0)
        timeout_cancel(&group->write_stall, &connection->write_stall);
    else if (sent > 0 || !timeout_is_armed(&connection->write_stall))
        note_write_progress(connection);
}

/* Tell whether output that waits must not grow: on this connection, or on all of them together. */
static bool is_output_high(const struct connection *connection, uint64_t mark_bytes)
{
    const struct connection_group *group = connection->group;
    const size_t queued = connection->queued_bytes;

    return queued > 0 &&
           (queued >= mark_bytes || group->pool->queued_bytes >= group->limits.max_queued_bytes);
}

/*
 * Pause reading at the high mark and go on at the low one. The shortcut needs an empty output: it
 * pauses at the first byte that waits. While reading pauses, output waits, and the write callback
 * comes here again.
 * Return 0, or -1 if the loop has no memory to go on.
 */
static int update_reading(struct connection *connection)
{
    const struct connection_limits *limits = &connection->group->limits;
    const bool is_shortcut = connection->socket_readable != NULL;
    const uint64_t high_bytes = is_shortcut ? 1 : limits->high_water_bytes;
    const uint64_t low_bytes = is_shortcut ? 0 : limits->low_water_bytes;

    if (connection->is_reading && is_output_high(connection, high_bytes))
        stop_reading(connection);
    else if (!connection->is_reading && !is_output_high(connection, low_bytes + 1))
        return start_reading(connection);
    assert(connection->is_reading || connection->queued_bytes > 0); /* or nothing were armed */
    return 0;
}

/*
 * Echo everything that was read.
 * Return 0, or -1 if there is no memory for it.
 */
static int echo(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->input);
    const size_t length = evbuffer_get_length(input);

    if (length == 0)
        return 0;
    connection->bytes_in += length;
    counters_add(connection->group->counters, COUNTER_BYTES_IN, length);
    timeout_postpone(&connection->group->idle, &connection->idle);
    if (echo_input(input, output_buffer(connection)) < 0)
        return -1;
    account_output(connection, length);
    /* The buffer asked the loop to write, but could not tell us if the loop had no memory. */
    return bufferevent_enable(connection->output, EV_WRITE);
}

static void discard(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->input);

    (void)evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_readable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    if (connection->state != CONNECTION_OPEN)
        discard(connection);
    else if (echo(connection) < 0 || update_reading(connection) < 0)
        end(connection, CLOSE_NO_MEMORY);
}

/* Comes whenever some output was sent. */
static void on_writable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    account_output(connection, 0);
    switch (connection->state) {
    case CONNECTION_OPEN:
        if (update_reading(connection) < 0)
            end(connection, CLOSE_NO_MEMORY);
        return;
    case CONNECTION_DRAINING:
        finish_draining(connection);
        return;
    case CONNECTION_LINGERING:
    case CONNECTION_ENDED:
        return;
    }
}

/* The client's FIN came. libevent reads no more; what is queued still has to leave. */
static void on_input_ended(struct connection *connection)
{
    connection->has_input_ended = true;
    if (connection->state == CONNECTION_LINGERING)
        end(connection, connection->reason);
    else if (echo(connection) < 0)
        end(connection, CLOSE_NO_MEMORY);
    else
        drain(connection, CLOSE_CLIENT);
}

static void fail(struct connection *connection, int error)
{
    connection->error = error;
    end(connection, reason_of_errno(error));
}

static void on_event(struct bufferevent *bufferevent, short what, void *argument)
{
    const int error = EVUTIL_SOCKET_ERROR();
    struct connection *connection = argument;

    (void)bufferevent;
    if (what & BEV_EVENT_EOF) {
        on_input_ended(connection);
    } else if (connection->state == CONNECTION_LINGERING) {
        end(connection, connection->reason); /* all was sent; how the client leaves is its affair */
    } else {
        fail(connection, error);
    }
}

/* --- Its bytes, by the shortcut. ------------------------------------------------------------- */

static void count_progress(struct connection *connection, const struct echo_progress *progress)
{
    struct connection_group *group = connection->group;

    connection->bytes_in += progress->received;
    connection->bytes_out += progress->sent;
    counters_add(group->counters, COUNTER_BYTES_IN, progress->received);
    counters_add(group->counters, COUNTER_BYTES_OUT, progress->sent);
    if (progress->received > 0)
        timeout_postpone(&group->idle, &connection->idle);
}

/* Return how much output this connection may have, by itself and as one of all. */
static uint64_t output_room(const struct connection *connection)
{
    const struct connection_group *group = connection->group;
    const struct connection_limits *limits = &group->limits;
    uint64_t room_bytes = 0;

    if (group->pool->queued_bytes < limits->max_queued_bytes)
        room_bytes = limits->max_queued_bytes - group->pool->queued_bytes;
    return room_bytes < limits->high_water_bytes ? room_bytes : limits->high_water_bytes;
}

static void on_socket_readable(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;
    struct echo_progress progress;
    const enum echo_outcome outcome =
        echo_socket(&connection->group->pool->scratch, fd, output_buffer(connection),
                    output_room(connection), &connection->is_streaming, &progress);
    const int error = errno;

    (void)what;
    count_progress(connection, &progress);
    switch (outcome) {
    case ECHO_SENT:
        return;
    case ECHO_QUEUED:
        account_output(connection, progress.received - progress.sent);
        if (bufferevent_enable(connection->output, EV_WRITE) < 0 || update_reading(connection) < 0)
            end(connection, CLOSE_NO_MEMORY);
        return;
    case ECHO_ENDED:
        on_input_ended(connection);
        return;
    case ECHO_FAILED:
        fail(connection, error);
        return;
    }
}

/* --- Its beginning. -------------------------------------------------------------------------- */

/* Make a bufferevent that closes `fd` when it is freed. */
static struct bufferevent *new_bufferevent(struct connection *connection, int fd)
{
    return bufferevent_socket_new(connection->group->base, fd, BEV_OPT_CLOSE_ON_FREE);
}

/* Free a bufferevent, but leave its descriptor open. */
static void free_bufferevent_only(struct bufferevent *bufferevent)
{
    (void)bufferevent_setfd(bufferevent, -1);
    bufferevent_free(bufferevent);
}

static void set_callbacks(struct connection *connection)
{
    if (connection->input == connection->output) {
        bufferevent_setcb(connection->input, on_readable, on_writable, on_event, connection);
    } else {
        bufferevent_setcb(connection->input, on_readable, NULL, on_event, connection);
        bufferevent_setcb(connection->output, NULL, on_writable, on_event, connection);
    }
    /* A mark that output never exceeds: the write callback comes after each write. */
    bufferevent_setwatermark(connection->output, EV_WRITE, SIZE_MAX, 0);
    (void)bufferevent_set_max_single_write(connection->output, WRITE_SIZE);
}

struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer)
{
    struct connection *connection = malloc(sizeof *connection);

    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.group = group, .peer = *peer};

    connection->input = new_bufferevent(connection, input_fd);
    if (connection->input == NULL)
        goto free_connection;
    connection->output =
        output_fd == input_fd ? connection->input : new_bufferevent(connection, output_fd);
    if (connection->output == NULL)
        goto free_input;
    if (group->limits.has_shortcuts && input_fd == output_fd) {
        connection->socket_readable =
            event_new(group->base, input_fd, EV_READ | EV_PERSIST, on_socket_readable, connection);
        if (connection->socket_readable == NULL)
            goto free_input;
    }
    set_callbacks(connection);
    group->count++;
    return connection;

free_input:
    free_bufferevent_only(connection->input);
free_connection:
    free(connection);
    errno = ENOMEM;
    return NULL;
}

int connection_start(struct connection *connection, uint64_t id)
{
    struct connection_group *group = connection->group;

    if (start_reading(connection) < 0)
        return -1;
    connection->id = id;
    connection->started_ms = clock_now_ms();
    timeout_touch(&group->idle, &connection->idle);
    timeout_touch(&group->lifetime, &connection->lifetime);
    counters_add(group->counters, COUNTER_CONNECTIONS_ACCEPTED, 1);
    log_opened(connection);
    return 0;
}

void connection_free(struct connection *connection)
{
    struct connection_group *group;

    if (connection == NULL)
        return;
    group = connection->group;
    timeout_cancel(&group->idle, &connection->idle);
    timeout_cancel(&group->lifetime, &connection->lifetime);
    timeout_cancel(&group->write_stall, &connection->write_stall);
    timeout_cancel(&group->closing, &connection->closing);
    group->pool->queued_bytes -= connection->queued_bytes;
    if (connection->socket_readable != NULL)
        event_free(connection->socket_readable);
    if (connection->output != connection->input)
        bufferevent_free(connection->output);
    bufferevent_free(connection->input);
    group->count--;
    free(connection);
}

uint64_t connection_id(const struct connection *connection)
{
    return connection->id;
}

enum close_reason connection_reason(const struct connection *connection)
{
    return connection->reason;
}

bool connection_is_complete(const struct connection *connection)
{
    return connection->reason == CLOSE_CLIENT && connection->bytes_in == connection->bytes_out;
}

/* --- What they share. ------------------------------------------------------------------------ */

int connection_pool_init(struct connection_pool *pool)
{
    pool->queued_bytes = 0;
    return echo_scratch_init(&pool->scratch);
}

void connection_pool_fini(struct connection_pool *pool)
{
    echo_scratch_fini(&pool->scratch);
}

int connection_group_init(struct connection_group *group)
{
    const struct connection_limits *limits = &group->limits;

    group->count = 0;
    if (timeout_queue_init(&group->idle, group->base, limits->idle_timeout_ms, on_idle) < 0)
        return -1;
    if (timeout_queue_init(&group->lifetime, group->base, limits->lifetime_ms, on_lifetime_over) <
        0)
        goto fini_idle;
    if (timeout_queue_init(&group->write_stall, group->base, limits->write_timeout_ms,
                           on_write_due) < 0)
        goto fini_lifetime;
    if (timeout_queue_init(&group->closing, group->base, limits->linger_timeout_ms,
                           on_closing_overdue) < 0)
        goto fini_write_stall;
    return 0;

fini_write_stall:
    timeout_queue_fini(&group->write_stall);
fini_lifetime:
    timeout_queue_fini(&group->lifetime);
fini_idle:
    timeout_queue_fini(&group->idle);
    return -1;
}

void connection_group_fini(struct connection_group *group)
{
    timeout_queue_fini(&group->closing);
    timeout_queue_fini(&group->write_stall);
    timeout_queue_fini(&group->lifetime);
    timeout_queue_fini(&group->idle);
}
