#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "echod/channel.h"
#include "echod/connection_log.h"
#include "echod/echo.h"
#include "echod/handshake.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_LINGERING,
    CONNECTION_ENDED,
};

struct connection {
    struct connection_group *group;
    struct connection_facts facts;
    struct channel channel;
    struct handshake *handshake; /* NULL: its listener asks for none */
    size_t queued_bytes;         /* of output, when account_output was last called */
    enum connection_state state;
    enum close_reason reason;         /* from draining on */
    enum close_reason overdue_reason; /* what it becomes if the closing deadline passes */
    int error;                        /* errno of CLOSE_NETWORK_ERROR */
    int unacknowledged_bytes;         /* when the write time-out was last armed */
    bool is_streaming;                /* echo_socket's */
    bool is_leaving;                  /* it drains once what waits in the kernel was echoed */
    bool has_input_ended;             /* the client's FIN was read */
    struct timeout idle, lifetime, write_stall, closing;
};

#define CONNECTION_OF(timeout, member)                                                             \
    ((struct connection *)(void *)((char *)(timeout)-offsetof(struct connection, member)))

/* --- Log ------------------------------------------------------------------------------------- */

static const char *state_name(enum connection_state state)
{
    switch (state) {
    case CONNECTION_HANDSHAKE:
        return "handshake";
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

static struct connection_way way_of(const struct connection *connection)
{
    const struct handshake *handshake = connection->handshake;

    return (struct connection_way){
        .listener = connection->group->listener_name,
        .via = handshake == NULL ? NULL : handshake_via(handshake),
    };
}

void connection_report(const struct connection *connection, enum log_level level)
{
    connection_log_state(&connection->facts, way_of(connection), state_name(connection->state),
                         level, connection->group->log);
}

/* --- Closing --------------------------------------------------------------------------------- */

/* Return what there is to say beside the reason, or NULL. */
static const char *close_detail(const struct connection *connection)
{
    if (connection->reason == CLOSE_NETWORK_ERROR)
        return strerror(connection->error);
    return connection->reason == CLOSE_INVALID ? handshake_error(connection->handshake) : NULL;
}

/* The one way out. Nothing may touch the connection after it. */
static void end(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;

    connection->state = CONNECTION_ENDED;
    connection->reason = reason;
    if (group->logs >= LISTENER_LOG_CLOSED)
        connection_log_closed(&connection->facts, way_of(connection), reason,
                              close_detail(connection), group->log);
    counters_add(group->counters, COUNTER_CONNECTIONS_ENDED, 1);
    group->on_end(connection, group->owner);
}

/* Say FIN and wait for the client's, where that means anything: not on a pipe or a terminal. */
static void linger(struct connection *connection)
{
    if (channel_shut(&connection->channel) == 0)
        connection->state = CONNECTION_LINGERING;
    else
        end(connection, connection->reason);
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
    channel_stop_reading(&connection->channel);
    finish_draining(connection);
}

/*
 * Tell whether the loop is about to read something: a timer may be due before, for instance when
 * the process was stopped.
 */
static bool is_input_waiting(const struct connection *connection)
{
    return (connection->state == CONNECTION_HANDSHAKE ||
            channel_is_reading(&connection->channel)) &&
           channel_has_input_waiting(&connection->channel);
}

/* Drain once the input that waits was read. */
static void leave_after_input(struct connection *connection, enum close_reason reason)
{
    connection->is_leaving = true;
    connection->reason = reason;
}

/* Go on after input was echoed. It may end the connection. */
static void after_input(struct connection *connection)
{
    if (connection->is_leaving)
        drain(connection, connection->reason);
}

void connection_close(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;
    const bool may_linger = group->limits.linger_timeout_ms > 0;

    if (!timeout_is_armed(&connection->closing)) {
        connection->overdue_reason = reason;
        timeout_touch(&group->closing, &connection->closing);
    }
    if (may_linger && connection->state < CONNECTION_DRAINING && is_input_waiting(connection))
        leave_after_input(connection, reason);
    else if (!may_linger || connection->state == CONNECTION_HANDSHAKE)
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
    struct connection *connection = CONNECTION_OF(timeout, idle);

    if (is_input_waiting(connection))
        timeout_touch(&connection->group->idle, timeout);
    else
        connection_close(connection, CLOSE_IDLE);
}

static void on_lifetime_over(struct timeout *timeout)
{
    connection_close(CONNECTION_OF(timeout, lifetime), CLOSE_LIFETIME);
}

/* Let the client have the time-out from now on, since it has taken something. */
static void note_write_progress(struct connection *connection)
{
    struct timeout_queue *queue = &connection->group->write_stall;

    if (queue->duration_ms == 0)
        return;
    connection->unacknowledged_bytes = channel_unacknowledged_bytes(&connection->channel);
    timeout_touch(queue, &connection->write_stall);
}

/*
 * No output was sent for the whole time-out. That alone is no stall: the kernel asks for more only
 * when a third of its buffer is free, which may take a slow reader longer.
 */
static void on_write_due(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, write_stall);

    if (channel_unacknowledged_bytes(&connection->channel) < connection->unacknowledged_bytes)
        note_write_progress(connection);
    else
        end(connection, CLOSE_WRITE_STALL);
}

static void on_closing_overdue(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, closing);

    end(connection, connection->overdue_reason);
}

/* --- Echo, by the bufferevent ---------------------------------------------------------------- */

/*
 * Keep account of output: `added_bytes` were put into it since the last time, and what is missing
 * besides was sent.
 */
static void account_output(struct connection *connection, size_t added_bytes)
{
    struct connection_group *group = connection->group;
    const size_t expected = connection->queued_bytes + added_bytes;
    const size_t queued = evbuffer_get_length(channel_output(&connection->channel));
    const size_t sent = expected - queued;

    connection->queued_bytes = queued;
    group->pool->queued_bytes += added_bytes;
    group->pool->queued_bytes -= sent;
    if (sent > 0) {
        connection->facts.bytes_out += sent;
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
    struct channel *channel = &connection->channel;
    const struct connection_limits *limits = &connection->group->limits;
    const bool is_shortcut = channel->socket_readable != NULL;
    const uint64_t high_bytes = is_shortcut ? 1 : limits->high_water_bytes;
    const uint64_t low_bytes = is_shortcut ? 0 : limits->low_water_bytes;

    if (channel_is_reading(channel) && is_output_high(connection, high_bytes))
        channel_stop_reading(channel);
    else if (!channel_is_reading(channel) && !is_output_high(connection, low_bytes + 1))
        return channel_start_reading(channel);
    assert(channel_is_reading(channel) || connection->queued_bytes > 0); /* or nothing were armed */
    return 0;
}

/*
 * Echo everything that was read.
 * Return 0, or -1 if there is no memory for it.
 */
static int echo(struct connection *connection)
{
    struct evbuffer *input = channel_input(&connection->channel);
    const size_t length = evbuffer_get_length(input);

    if (length == 0)
        return 0;
    connection->facts.bytes_in += length;
    counters_add(connection->group->counters, COUNTER_BYTES_IN, length);
    timeout_postpone(&connection->group->idle, &connection->idle);
    if (echo_input(input, channel_output(&connection->channel)) < 0)
        return -1;
    account_output(connection, length);
    return channel_send_output(&connection->channel);
}

static void discard(struct connection *connection)
{
    struct evbuffer *input = channel_input(&connection->channel);

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
    else
        after_input(connection);
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
    case CONNECTION_HANDSHAKE:
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
    end(connection, close_reason_of_errno(error));
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

/* --- Echo, by the shortcut ------------------------------------------------------------------- */

static void count_progress(struct connection *connection, const struct echo_progress *progress)
{
    struct connection_group *group = connection->group;

    connection->facts.bytes_in += progress->received;
    connection->facts.bytes_out += progress->sent;
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
        echo_socket(&connection->group->pool->scratch, fd, channel_output(&connection->channel),
                    output_room(connection), &connection->is_streaming, &progress);
    const int error = errno;

    (void)what;
    count_progress(connection, &progress);
    switch (outcome) {
    case ECHO_SENT:
        after_input(connection);
        return;
    case ECHO_QUEUED:
        account_output(connection, progress.received - progress.sent);
        if (channel_send_output(&connection->channel) < 0 || update_reading(connection) < 0)
            end(connection, CLOSE_NO_MEMORY);
        else
            after_input(connection);
        return;
    case ECHO_ENDED:
        on_input_ended(connection);
        return;
    case ECHO_FAILED:
        fail(connection, error);
        return;
    }
}

/* --- Begin ------------------------------------------------------------------------------------ */

/* Begin to echo. Return 0, or -1 if the loop has no memory for it. */
static int begin_echo(struct connection *connection)
{
    struct connection_group *group = connection->group;

    if (channel_start_reading(&connection->channel) < 0)
        return -1;
    connection->state = CONNECTION_OPEN;
    timeout_touch(&group->idle, &connection->idle);
    if (group->logs == LISTENER_LOG_ALL)
        connection_log_opened(&connection->facts, way_of(connection), group->log);
    return 0;
}

/* Count a client that was not let in, and end it. */
static void refuse(struct connection *connection, enum counter which, enum close_reason reason)
{
    counters_add(connection->group->counters, which, 1);
    end(connection, reason);
}

/* Take over from the handshake. It may end the connection. */
static void on_header(struct connection *connection)
{
    connection->facts.peer = *handshake_source(connection->handshake);
    if (begin_echo(connection) < 0)
        end(connection, CLOSE_NO_MEMORY);
    else if (connection->is_leaving && !is_input_waiting(connection))
        drain(connection, connection->reason);
}

static void on_handshake_over(enum handshake_outcome outcome, void *argument)
{
    struct connection *connection = argument;
    const int error = errno;

    switch (outcome) {
    case HANDSHAKE_DONE:
        on_header(connection);
        return;
    case HANDSHAKE_ENDED:
        end(connection, CLOSE_CLIENT);
        return;
    case HANDSHAKE_INVALID:
        refuse(connection, COUNTER_PROXY_INVALID, CLOSE_INVALID);
        return;
    case HANDSHAKE_UNTRUSTED:
        refuse(connection, COUNTER_PROXY_UNTRUSTED, CLOSE_UNTRUSTED);
        return;
    case HANDSHAKE_OVERDUE:
        refuse(connection, COUNTER_HANDSHAKES_OVERDUE, CLOSE_HANDSHAKE);
        return;
    case HANDSHAKE_FAILED:
        fail(connection, error);
        return;
    }
}

/* Let a handshake come before the echo. Return 0, or -1 if there is no memory for it. */
static int begin_handshake(struct connection *connection)
{
    const int fd = channel_socket(&connection->channel);

    connection->handshake = handshake_new(connection->group, fd, &connection->facts.peer,
                                          on_handshake_over, connection);
    return connection->handshake == NULL ? -1 : 0;
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer)
{
    const struct channel_events events = {
        .on_readable = on_readable,
        .on_writable = on_writable,
        .on_event = on_event,
        .on_socket_readable = group->limits.has_shortcuts ? on_socket_readable : NULL,
    };
    struct connection *connection = malloc(sizeof *connection);

    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.group = group, .facts.peer = *peer};
    if (channel_open(&connection->channel, group->base, input_fd, output_fd, &events, connection) <
        0) {
        free(connection);
        errno = ENOMEM;
        return NULL;
    }
    group->count++;
    return connection;
}

int connection_start(struct connection *connection, uint64_t id)
{
    struct connection_group *group = connection->group;

    connection->facts.id = id;
    connection->facts.started_ms = clock_now_ms();
    if (group->begin(connection) < 0)
        return -1;
    timeout_touch(&group->lifetime, &connection->lifetime);
    counters_add(group->counters, COUNTER_CONNECTIONS_ACCEPTED, 1);
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
    handshake_free(connection->handshake);
    channel_close(&connection->channel);
    group->count--;
    free(connection);
}

uint64_t connection_id(const struct connection *connection)
{
    return connection->facts.id;
}

enum close_reason connection_reason(const struct connection *connection)
{
    return connection->reason;
}

bool connection_is_complete(const struct connection *connection)
{
    return connection->reason == CLOSE_CLIENT &&
           connection->facts.bytes_in == connection->facts.bytes_out;
}

int connection_init_group(struct connection_group *group)
{
    static const struct connection_deadlines deadlines = {
        .on_handshake_overdue = handshake_on_overdue,
        .on_idle = on_idle,
        .on_lifetime_over = on_lifetime_over,
        .on_write_due = on_write_due,
        .on_closing_overdue = on_closing_overdue,
    };

    group->begin = group->proxy_versions == 0 ? begin_echo : begin_handshake;
    return connection_group_init(group, &deadlines);
}
