#include <config.h>

#include "echod/serve_tls.h"

#include "echod/channel.h"
#include "echod/connection_state.h"
#include "echod/serve.h"
#include "echod/tls_session.h"

#include <errno.h>
#include <event2/bufferevent.h>

/* --- End ------------------------------------------------------------------------------------- */

/* Say FIN, and wait for the client's. */
static void linger(struct connection *connection)
{
    const bool says_fin = !connection->group->impair.is_fin_withheld;

    if (channel_shut_tls(&connection->transfer.channel, says_fin) == 0)
        connection->state = CONNECTION_LINGERING;
    else
        connection_end(connection, connection->reason);
}

/* All has left but for close_notify, which may have to wait as well. */
void serve_tls_finish(struct connection *connection)
{
    if (channel_close_notify(&connection->transfer.channel) < 0) {
        if (errno == EAGAIN)
            transfer_expect_progress(&connection->transfer);
        else
            connection_end(connection, connection->reason);
        return;
    }
    transfer_expect_nothing(&connection->transfer);
    if (connection->has_input_ended)
        connection_end(connection, connection->reason);
    else
        linger(connection);
}

/* An alert says why, which a reset would destroy. */
void serve_tls_refuse(struct connection *connection)
{
    struct connection_group *group = connection->group;

    counters_add(group->counters, COUNTER_TLS_FAILED, 1);
    connection->is_refused = true;
    connection->reason = connection->overdue_reason = CLOSE_TLS;
    if (group->limits.linger_timeout_ms == 0) {
        connection_end(connection, CLOSE_TLS);
        return;
    }
    connection_begin_closing(connection);
    linger(connection);
}

/* --- Echo ------------------------------------------------------------------------------------ */

static void on_ended(struct connection *connection)
{
    const struct connection_service *service = connection->group->service;

    if (tls_session_is_truncated(connection->transfer.channel.tls)) {
        counters_add(connection->group->counters, COUNTER_TLS_TRUNCATED, 1);
        service->end_input(connection, CLOSE_TRUNCATED);
    } else {
        service->end_input(connection, CLOSE_CLIENT);
    }
}

/* `error` is an errno, EPROTO if the client broke the protocol. */
static void fail_session(struct connection *connection, int error)
{
    if (error == EPROTO)
        connection_end(connection, CLOSE_TLS);
    else
        connection_fail(connection, error);
}

/*
 * Go on behind the client's end: the bufferevent writes no more, unless it is told to. An end comes
 * once; where it is all that a write reports, nothing leaves any more.
 */
static void on_end_of_input(struct connection *connection)
{
    if (connection->has_input_ended)
        connection_end(connection, CLOSE_TLS);
    else if (channel_send_output(&connection->transfer.channel) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
    else
        on_ended(connection);
}

/* Whatever the bufferevent takes it for, the session knows what it is. */
void serve_tls_on_event(struct bufferevent *bufferevent, short what, void *argument)
{
    struct connection *connection = argument;
    const int error = tls_session_errno(connection->transfer.channel.tls, bufferevent);

    (void)what;
    if (error == 0)
        on_end_of_input(connection);
    else
        fail_session(connection, error);
}

/* Go on after what a read came to, which errno explains. It may end the connection. */
void serve_tls_settle(struct connection *connection, enum transfer_outcome outcome)
{
    switch (outcome) {
    case TRANSFER_GOES_ON:
        connection_after_input(connection);
        return;
    case TRANSFER_ENDED:
        on_ended(connection);
        return;
    case TRANSFER_FAILED:
        fail_session(connection, errno);
        return;
    }
}

/* Read by the shortcut, or see what has become of what the bufferevent reads. */
static void read_tls(struct connection *connection)
{
    if (connection->transfer.channel.socket_readable != NULL)
        serve_tls_settle(connection, transfer_echo_tls(&connection->transfer));
    else
        connection_leave_if_read(connection);
}

/* Its socket can be read, or written while the handshake or close_notify waits for that. */
void serve_tls_on_socket(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;

    (void)fd, (void)what;
    switch (connection->state) {
    case CONNECTION_HANDSHAKE:
        handshake_on_socket(connection->handshake);
        return;
    case CONNECTION_GREETING:
        channel_stop_reading(&connection->transfer.channel);
        return;
    case CONNECTION_OPEN:
        read_tls(connection);
        return;
    case CONNECTION_DRAINING:
        connection_finish_draining(connection);
        return;
    case CONNECTION_LINGERING:
        if (!channel_discard(&connection->transfer.channel))
            connection_end(connection, connection->reason);
        return;
    case CONNECTION_ENDED:
        return;
    }
}

/* --- Begin ----------------------------------------------------------------------------------- */

int serve_tls_open(struct connection *connection, int input_fd, int output_fd)
{
    const struct connection_group *group = connection->group;
    const bool has_shortcut =
        (group->limits.has_shortcuts && !group->is_impaired) || group->is_limited;

    (void)output_fd; /* it is the same socket */
    return channel_open_tls(&connection->transfer.channel, group->base, group->tls,
                            &group->pool->tls_reserve, input_fd, has_shortcut,
                            &group->service->events, connection);
}

int serve_tls_begin(struct connection *connection)
{
    struct counters *counters = connection->group->counters;
    struct channel *channel = &connection->transfer.channel;

    counters_add(counters, COUNTER_TLS_HANDSHAKES, 1);
    if (tls_session_is_resumed(channel->tls))
        counters_add(counters, COUNTER_TLS_RESUMED, 1);
    return connection->group->open(connection);
}

const struct connection_service *serve_tls(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = serve_on_readable,
                .on_writable = serve_on_writable,
                .on_event = serve_tls_on_event,
                .on_socket_readable = serve_tls_on_socket,
            },
        .open = serve_tls_open,
        .end_input = connection_end_input,
        .finish = serve_tls_finish,
    };

    return &service;
}
