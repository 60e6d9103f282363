#include <config.h>

#include "echod/serve.h"

#include "echod/channel.h"
#include "echod/connection_state.h"
#include "echod/greet.h"

#include <errno.h>
#include <event2/util.h>

/* Say FIN and wait for the client's, where that means anything: not on a pipe or a terminal. */
static void linger(struct connection *connection)
{
    if (channel_shut(&connection->transfer.channel) == 0)
        connection->state = CONNECTION_LINGERING;
    else
        connection_end(connection, connection->reason);
}

void serve_finish(struct connection *connection)
{
    if (connection->has_input_ended)
        connection_end(connection, connection->reason);
    else
        linger(connection);
}

void serve_on_readable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    if (connection->state != CONNECTION_OPEN)
        transfer_discard_input(&connection->transfer);
    else if (transfer_echo_input(&connection->transfer) < 0 ||
             transfer_update_reading(&connection->transfer) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
    else
        connection_after_input(connection);
}

/* It comes whenever some output was sent. */
void serve_on_writable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    switch (connection->state) {
    case CONNECTION_GREETING:
        greet_on_sent(connection);
        return;
    case CONNECTION_OPEN:
    case CONNECTION_DRAINING:
        transfer_note_sent(&connection->transfer);
        connection_after_output(connection);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_LINGERING:
    case CONNECTION_ENDED:
        return;
    }
}

void serve_on_event(struct bufferevent *bufferevent, short what, void *argument)
{
    const int error = EVUTIL_SOCKET_ERROR();
    struct connection *connection = argument;

    (void)bufferevent;
    if (what & BEV_EVENT_EOF) {
        connection->group->service->end_input(connection, CLOSE_CLIENT);
    } else if (connection->state == CONNECTION_LINGERING) {
        connection_end(connection,
                       connection->reason); /* all was sent; how the client leaves is its affair */
    } else {
        connection_fail(connection, error);
    }
}

/* Go on after what a read came to, which errno explains. It may end the connection. */
void serve_settle(struct connection *connection, enum transfer_outcome outcome)
{
    switch (outcome) {
    case TRANSFER_GOES_ON:
        connection_after_input(connection);
        return;
    case TRANSFER_ENDED:
        connection->group->service->end_input(connection, CLOSE_CLIENT);
        return;
    case TRANSFER_FAILED:
        connection_fail(connection, errno);
        return;
    }
}

static void on_socket_readable(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;

    (void)what;
    serve_settle(connection, transfer_echo_socket(&connection->transfer, fd));
}

int serve_open(struct connection *connection, int input_fd, int output_fd)
{
    const struct connection_group *group = connection->group;

    return channel_open(&connection->transfer.channel, group->base, input_fd, output_fd,
                        &group->service->events, connection);
}

/* --- Services -------------------------------------------------------------------------------- */

const struct connection_service *serve_canonically(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = serve_on_readable,
                .on_writable = serve_on_writable,
                .on_event = serve_on_event,
            },
        .open = serve_open,
        .end_input = connection_end_input,
        .finish = serve_finish,
    };

    return &service;
}

const struct connection_service *serve_by_shortcut(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = serve_on_readable,
                .on_writable = serve_on_writable,
                .on_event = serve_on_event,
                .on_socket_readable = on_socket_readable,
            },
        .open = serve_open,
        .end_input = connection_end_input,
        .finish = serve_finish,
    };

    return &service;
}
