#include <config.h>

#include "echod/serve_impaired.h"

#include "echod/channel.h"
#include "echod/connection_state.h"
#include "echod/greet.h"
#include "echod/serve.h"
#include "echod/serve_limited.h"
#include "echod/serve_tls.h"
#include "echod/stream_impair.h"

/* --- End ------------------------------------------------------------------------------------- */

/*
 * Tell whether a connection stays that a FIN would end now: ours is not sent on purpose, or not
 * yet, and we are not to end it.
 */
static bool stays_open(const struct connection *connection)
{
    return !timeout_is_armed(&connection->closing) &&
           (connection->group->impair.is_fin_withheld ||
            stream_impair_is_waiting(connection->impair));
}

/* Go on when everything has left; `finish` is what comes where FIN is not withheld. */
static void finish_with(struct connection *connection, void (*finish)(struct connection *))
{
    if (stays_open(connection))
        return;
    if (connection->group->impair.is_fin_withheld)
        connection_end(connection, connection->overdue_reason);
    else
        finish(connection);
}

static void finish_plain(struct connection *connection)
{
    finish_with(connection, serve_finish);
}

static void finish_tls(struct connection *connection)
{
    finish_with(connection, serve_tls_finish);
}

/* --- Echo ------------------------------------------------------------------------------------ */

/* Say FIN behind what has left the stage. It may end the connection. */
static void close_on_purpose(struct connection *connection)
{
    struct connection_group *group = connection->group;

    counters_add(group->counters, COUNTER_IMPAIR_CLOSED, 1);
    stream_impair_discard(connection->impair);
    connection->overdue_reason = CLOSE_ON_PURPOSE;
    connection_begin_closing(connection);
    if (group->limits.linger_timeout_ms > 0 && connection->state >= CONNECTION_OPEN)
        connection_drain(connection, CLOSE_ON_PURPOSE);
    else
        connection_end(connection, CLOSE_ON_PURPOSE);
}

static void reset_on_purpose(struct connection *connection, enum counter which,
                             enum close_reason reason)
{
    counters_add(connection->group->counters, which, 1);
    channel_reset_when_closed(&connection->transfer.channel);
    connection_end(connection, reason);
}

/* Go on when some output was sent, or the stage has something to do. It may end the connection. */
static void go_on(struct connection *connection)
{
    switch (connection->state < CONNECTION_OPEN ? stream_impair_judge_age(connection->impair)
                                                : stream_impair_release(connection->impair)) {
    case STREAM_IMPAIR_GOES_ON:
        if (connection->state >= CONNECTION_OPEN)
            connection_after_output(connection);
        return;
    case STREAM_IMPAIR_CLOSES:
        close_on_purpose(connection);
        return;
    case STREAM_IMPAIR_RESETS:
        reset_on_purpose(connection, COUNTER_IMPAIR_RESET, CLOSE_RESET_ON_PURPOSE);
        return;
    case STREAM_IMPAIR_BROKEN:
        connection_end(connection, CLOSE_RESET);
        return;
    case STREAM_IMPAIR_FAILED:
        connection_end(connection, CLOSE_NO_MEMORY);
        return;
    }
}

static void on_impair_due(void *argument)
{
    struct connection *connection = argument;

    if (connection->state <= CONNECTION_DRAINING)
        go_on(connection);
}

static void on_readable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    if (connection->state != CONNECTION_OPEN) {
        transfer_discard_input(&connection->transfer);
    } else if (stream_impair_take(connection->impair) < 0) {
        connection_end(connection, CLOSE_NO_MEMORY);
    } else {
        if (connection->is_leaving)
            connection_begin_draining(connection, connection->reason);
        go_on(connection);
    }
}

static void on_writable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    switch (connection->state) {
    case CONNECTION_GREETING:
        greet_on_sent(connection);
        return;
    case CONNECTION_OPEN:
    case CONNECTION_DRAINING:
        go_on(connection);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_LINGERING:
    case CONNECTION_ENDED:
        return;
    }
}

/* What is held leaves as if the client had not ended. */
static void end_input(struct connection *connection, enum close_reason reason)
{
    connection->has_input_ended = true;
    if (connection->state == CONNECTION_LINGERING) {
        connection_end(connection, connection->reason);
        return;
    }
    if (stream_impair_take(connection->impair) < 0) {
        connection_end(connection, CLOSE_NO_MEMORY);
        return;
    }
    connection_begin_draining(connection, reason);
    go_on(connection);
}

/* --- Begin ----------------------------------------------------------------------------------- */

/* Go on when an accept-delay is over. It may end the connection. */
static void on_begin(void *argument)
{
    struct connection *connection = argument;

    switch (stream_impair_begin(connection->impair)) {
    case STREAM_IMPAIR_BEGINS:
        connection_begin_late(connection, connection->group->begin_well);
        return;
    case STREAM_IMPAIR_WAITS:
        return;
    case STREAM_IMPAIR_IS_REFUSED:
        reset_on_purpose(connection, COUNTER_IMPAIR_REFUSED, CLOSE_REFUSED_ON_PURPOSE);
        return;
    case STREAM_IMPAIR_IS_GONE:
        connection_end(connection, CLOSE_RESET);
        return;
    }
}

int serve_impaired_begin(struct connection *connection)
{
    static const struct stream_impair_events events = {on_begin, on_impair_due};
    struct connection_group *group = connection->group;

    connection->impair = stream_impair_new(&connection->transfer, &events, connection);
    if (connection->impair == NULL)
        return -1;
    if (group->impair.is_fin_withheld)
        channel_reset_when_closed(&connection->transfer.channel);
    if (stream_impair_begin(connection->impair) == STREAM_IMPAIR_BEGINS)
        return group->begin_well(connection);
    return 0;
}

/* --- Services -------------------------------------------------------------------------------- */

const struct connection_service *serve_impaired(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = on_readable,
                .on_writable = on_writable,
                .on_event = serve_on_event,
            },
        .open = serve_open,
        .end_input = end_input,
        .finish = finish_plain,
    };

    return &service;
}

const struct connection_service *serve_impaired_tls(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = on_readable,
                .on_writable = on_writable,
                .on_event = serve_tls_on_event,
                .on_socket_readable = serve_tls_on_socket,
            },
        .open = serve_tls_open,
        .end_input = end_input,
        .finish = finish_tls,
    };

    return &service;
}

const struct connection_service *serve_impaired_limited(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = on_readable,
                .on_writable = on_writable,
                .on_event = serve_on_event,
                .on_socket_readable = serve_limited_on_socket,
            },
        .open = serve_limited_open,
        .end_input = end_input,
        .finish = finish_plain,
    };

    return &service;
}

const struct connection_service *serve_impaired_limited_tls(void)
{
    static const struct connection_service service = {
        .events =
            {
                .on_readable = on_readable,
                .on_writable = on_writable,
                .on_event = serve_tls_on_event,
                .on_socket_readable = serve_limited_on_tls_socket,
            },
        .open = serve_limited_open,
        .end_input = end_input,
        .finish = finish_tls,
    };

    return &service;
}
