#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "echod/connection_log.h"
#include "echod/echo.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
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
    struct connection_facts facts;
    struct bufferevent *input;     /* reads */
    struct bufferevent *output;    /* writes; the same one for a socket */
    struct event *socket_readable; /* of the shortcut; NULL: the bufferevent reads */
    bool is_streaming;             /* echo_socket's */
    enum connection_state state;
    enum close_reason reason;         /* from draining on */
    enum close_reason overdue_reason; /* what it becomes if the closing deadline passes */
    int error;                        /* errno of CLOSE_NETWORK_ERROR */
    bool is_reading;
    bool is_leaving;          /* it drains once what waits in the kernel was echoed */
    bool has_input_ended;     /* the client's FIN was read */
    size_t queued_bytes;      /* of output, when account_output was last called */
    int unacknowledged_bytes; /* when the write time-out was last armed */
    struct timeout idle, lifetime, write_stall, closing;
};

#define CONNECTION_OF(timeout, member)                                                             \
    ((struct connection *)(void *)((char *)(timeout)-offsetof(struct connection, member)))

static struct evbuffer *output_buffer(const struct connection *connection)
{
    return bufferevent_get_output(connection->output);
}

/* --- Log ------------------------------------------------------------------------------------- */

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
    connection_log_state(&connection->facts, connection->group->listener_name,
                         state_name(connection->state), level, connection->group->log);
}

/* --- Reading: by the shortcut's event, or else by the bufferevent ---------------------------- */

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

/* --- Closing --------------------------------------------------------------------------------- */

/* The one way out. Nothing may touch the connection after it. */
static void end(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;

    connection->state = CONNECTION_ENDED;
    connection->reason = reason;
    if (group->logs >= LISTENER_LOG_CLOSED)
        connection_log_closed(&connection->facts, group->listener_name, reason, connection->error,
                              group->log);
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

/*
 * Tell whether the loop is about to read something: a timer may be due before, for instance when
 * the process was stopped.
 */
static bool is_input_waiting(const struct connection *connection)
{
    struct pollfd input = {.fd = bufferevent_getfd(connection->input), .events = POLLIN};

    return connection->is_reading && poll(&input, 1, 0) > 0;
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

    if (!timeout_is_armed(&connection->closing)) {
        connection->overdue_reason = reason;
        timeout_touch(&group->closing, &connection->closing);
    }
    if (group->limits.linger_timeout_ms == 0)
        end(connection, reason);
    else if (connection->state == CONNECTION_OPEN && is_input_waiting(connection))
        leave_after_input(connection, reason);
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

/* --- Echo, by the bufferevent ---------------------------------------------------------------- */

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
    connection->facts.bytes_in += length;
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
        echo_socket(&connection->group->pool->scratch, fd, output_buffer(connection),
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
        if (bufferevent_enable(connection->output, EV_WRITE) < 0 || update_reading(connection) < 0)
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

/* --- Construction and destruction ------------------------------------------------------------ */

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
    *connection = (struct connection){.group = group, .facts.peer = *peer};

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
    connection->facts.id = id;
    connection->facts.started_ms = clock_now_ms();
    timeout_touch(&group->idle, &connection->idle);
    timeout_touch(&group->lifetime, &connection->lifetime);
    counters_add(group->counters, COUNTER_CONNECTIONS_ACCEPTED, 1);
    if (group->logs == LISTENER_LOG_ALL)
        connection_log_opened(&connection->facts, group->listener_name, group->log);
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
        .on_idle = on_idle,
        .on_lifetime_over = on_lifetime_over,
        .on_write_due = on_write_due,
        .on_closing_overdue = on_closing_overdue,
    };

    return connection_group_init(group, &deadlines);
}
