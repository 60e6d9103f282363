#include <config.h>

#include "echod/serve_limited.h"

#include "echod/channel.h"
#include "echod/connection_state.h"
#include "echod/serve.h"
#include "echod/serve_tls.h"
#include "echod/stream_limit.h"

#include <errno.h>
#include <event2/buffer.h>

/* The most that is fed at once: a bufferevent reads no more, and bounds count on that. */
enum { FED_SIZE = 4 << 10 };

/* --- Reading --------------------------------------------------------------------------------- */

/* Go on after what a read came to, which errno explains. It may end the connection. */
static void settle(struct connection *connection, enum transfer_outcome outcome)
{
    if (connection->group->tls == NULL)
        serve_settle(connection, outcome);
    else
        serve_tls_settle(connection, outcome);
}

/*
 * What TLS has inside behind what was read, no loop would come back for. Where nothing was, that is
 * a part of a record, and the loop comes back with the rest.
 */
static void look_again(struct channel *channel, size_t count)
{
    if (count > 0 && channel_has_input_inside(channel) && channel_is_reading(channel))
        channel_look_soon(channel);
}

/*
 * Read as much, and let it go the way of what a bufferevent has read. What is thrown away there
 * counts for no rate. It may end the connection.
 */
static void feed(struct connection *connection, size_t size)
{
    struct channel *channel = &connection->transfer.channel;
    const enum transfer_outcome outcome = transfer_feed(&connection->transfer, size);
    const int error = errno;
    const size_t count = evbuffer_get_length(channel_input(channel));

    if (connection->state == CONNECTION_OPEN)
        stream_limit_note_read(connection->limit, count);
    look_again(channel, count);
    errno = error;
    if (outcome == TRANSFER_GOES_ON)
        connection->group->service->events.on_readable(channel->input, connection);
    else
        settle(connection, outcome);
}

/* Read as much and echo it at once. It may end the connection. */
static void echo(struct connection *connection, size_t size)
{
    struct transfer *transfer = &connection->transfer;
    const uint64_t before = transfer->bytes_in;
    const enum transfer_outcome outcome = transfer_echo_some(transfer, size);
    const int error = errno;
    const size_t count = (size_t)(transfer->bytes_in - before);

    stream_limit_note_read(connection->limit, count);
    look_again(&transfer->channel, count);
    errno = error;
    settle(connection, outcome);
}

/* Leave what waits unread for now; who is to leave does not wait for it. */
static void hold_back(struct connection *connection)
{
    channel_stop_reading(&connection->transfer.channel);
    if (connection->is_leaving)
        connection_drain(connection, connection->reason);
}

static void read_limited(struct connection *connection)
{
    const struct channel *channel = &connection->transfer.channel;
    const size_t waiting = channel_waiting_bytes(channel);
    const size_t wanted = channel->is_fed && waiting > FED_SIZE ? FED_SIZE : waiting;
    const size_t size = stream_limit_ask(connection->limit, wanted);

    if (size == 0)
        hold_back(connection);
    else if (channel->is_fed)
        feed(connection, size < FED_SIZE ? size : FED_SIZE);
    else
        echo(connection, size);
}

/* One that is not open and reads was told all that it is, and stays: see greet. */
static void read_socket(struct connection *connection)
{
    if (connection->state == CONNECTION_OPEN)
        read_limited(connection);
    else
        feed(connection, FED_SIZE);
}

void serve_limited_on_socket(evutil_socket_t fd, short what, void *argument)
{
    (void)fd, (void)what;
    read_socket(argument);
}

/* While one that drains waits to say close_notify, its socket is written, and not read. */
static bool is_to_be_read(const struct connection *connection)
{
    return connection->state == CONNECTION_OPEN ||
           (connection->state == CONNECTION_DRAINING &&
            channel_is_reading(&connection->transfer.channel));
}

void serve_limited_on_tls_socket(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;

    if (is_to_be_read(connection))
        read_socket(connection);
    else
        serve_tls_on_socket(fd, what, argument);
}

/* Its turn may have come. Meanwhile nothing was read, so a reset would not have been seen. */
static void on_turn(void *argument)
{
    struct connection *connection = argument;

    if (connection->state != CONNECTION_OPEN)
        return;
    if (channel_is_broken(&connection->transfer.channel))
        connection_end(connection, CLOSE_RESET);
    else
        connection_after_output(connection);
}

/* --- Begin ----------------------------------------------------------------------------------- */

static int open_channel(struct connection *connection, int input_fd, int output_fd)
{
    return connection->group->tls == NULL ? serve_open(connection, input_fd, output_fd)
                                          : serve_tls_open(connection, input_fd, output_fd);
}

int serve_limited_open(struct connection *connection, int input_fd, int output_fd)
{
    const struct connection_group *group = connection->group;

    connection->limit = stream_limit_new(&connection->transfer, on_turn, connection);
    if (connection->limit == NULL)
        return -1;
    if (open_channel(connection, input_fd, output_fd) < 0) {
        stream_limit_free(connection->limit);
        return -1;
    }
    connection->transfer.channel.is_fed = !group->limits.has_shortcuts || group->is_impaired;
    return 0;
}

/* --- Services -------------------------------------------------------------------------------- */

const struct connection_service *serve_limited(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = serve_on_readable,
                .on_writable = serve_on_writable,
                .on_event = serve_on_event,
                .on_socket_readable = serve_limited_on_socket,
            },
        .open = serve_limited_open,
        .end_input = connection_end_input,
        .finish = serve_finish,
    };

    return &service;
}

const struct connection_service *serve_limited_tls(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = serve_on_readable,
                .on_writable = serve_on_writable,
                .on_event = serve_tls_on_event,
                .on_socket_readable = serve_limited_on_tls_socket,
            },
        .open = serve_limited_open,
        .end_input = connection_end_input,
        .finish = serve_tls_finish,
    };

    return &service;
}
