#include <config.h>

#include "echod/connection_state.h"

#include "base/clock.h"
#include "echod/connection_log.h"

#include <string.h>

/* --- Log ------------------------------------------------------------------------------------- */

static struct connection_facts facts_of(const struct connection *connection)
{
    return (struct connection_facts){
        .id = connection->id,
        .peer = connection->peer,
        .bytes_in = connection->transfer.bytes_in,
        .bytes_out = connection->transfer.bytes_out,
        .started_ms = connection->started_ms,
    };
}

/* Return how it came. `tls` is where that has room. */
static struct connection_way way_of(const struct connection *connection, struct tls_facts *tls)
{
    const struct handshake *handshake = connection->handshake;
    struct connection_way way = {.listener = connection->group->listener_name};

    if (handshake == NULL)
        return way;
    way.via = handshake_via(handshake);
    way.tls = handshake_tls(handshake, tls);
    return way;
}

void connection_tell_state(const struct connection *connection, enum log_level level)
{
    const struct connection_facts facts = facts_of(connection);
    struct tls_facts tls;

    connection_log_state(&facts, way_of(connection, &tls), state_name(connection->state), level,
                         connection->group->log);
}

static void tell_opened(const struct connection *connection)
{
    const struct connection_facts facts = facts_of(connection);
    struct tls_facts tls;

    connection_log_opened(&facts, way_of(connection, &tls), connection->group->log);
}

/* Return what there is to say beside the reason, or NULL. */
static const char *close_detail(const struct connection *connection)
{
    if (connection->reason == CLOSE_NETWORK_ERROR)
        return strerror(connection->error);
    if (connection->is_refused || connection->reason == CLOSE_INVALID)
        return handshake_error(connection->handshake);
    if (connection->reason == CLOSE_TLS)
        return tls_session_failure(connection->transfer.channel.tls);
    return NULL;
}

static void log_closed(const struct connection *connection)
{
    const struct connection_facts facts = facts_of(connection);
    struct connection_group *group = connection->group;
    struct tls_facts tls;

    if (group->logs < LISTENER_LOG_CLOSED || connection->reason == CLOSE_REFUSED ||
        (connection->is_refused && !log_limiter_passes(&group->tls_failures)))
        return;
    connection_log_closed(&facts, way_of(connection, &tls), connection->reason,
                          close_detail(connection), group->log);
}

/* --- States ---------------------------------------------------------------------------------- */

int connection_open(struct connection *connection)
{
    if (transfer_start(&connection->transfer) < 0)
        return -1;
    connection->state = CONNECTION_OPEN;
    if (connection->group->logs == LISTENER_LOG_ALL &&
        log_is_enabled(connection->group->log, LOG_LEVEL_DEBUG))
        tell_opened(connection);
    return 0;
}

void connection_end(struct connection *connection, enum close_reason reason)
{
    struct connection_group *group = connection->group;

    connection->state = CONNECTION_ENDED;
    connection->reason = reason;
    log_closed(connection);
    counters_add(group->counters, counters_of_end(reason), 1);
    buckets_count(&group->counters->ages, counters_age_bounds(),
                  clock_now_ms() - connection->started_ms);
    group->on_end(connection, group->owner);
}

void connection_fail(struct connection *connection, int error)
{
    connection->error = error;
    connection_end(connection, close_reason_of_errno(error));
}

void connection_finish_draining(struct connection *connection)
{
    if (connection->transfer.queued_bytes == 0)
        connection->group->service->finish(connection);
}

void connection_begin_draining(struct connection *connection, enum close_reason reason)
{
    connection->state = CONNECTION_DRAINING;
    connection->reason = reason;
    channel_stop_reading(&connection->transfer.channel);
}

void connection_drain(struct connection *connection, enum close_reason reason)
{
    connection_begin_draining(connection, reason);
    connection_finish_draining(connection);
}

void connection_after_output(struct connection *connection)
{
    if (connection->state == CONNECTION_DRAINING)
        connection_finish_draining(connection);
    else if (transfer_update_reading(&connection->transfer) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
}

static bool is_being_read(const struct connection *connection)
{
    return connection->state == CONNECTION_HANDSHAKE ||
           channel_is_reading(&connection->transfer.channel);
}

bool connection_has_input_waiting(const struct connection *connection)
{
    return is_being_read(connection) && channel_has_input_waiting(&connection->transfer.channel);
}

/* Drain once the input that waits was read. */
static void leave_after_input(struct connection *connection, enum close_reason reason)
{
    connection->is_leaving = true;
    connection->reason = reason;
    if (connection->state == CONNECTION_OPEN)
        channel_look_soon(&connection->transfer.channel);
}

void connection_leave_if_read(struct connection *connection)
{
    if (connection->is_leaving && !connection_has_input_waiting(connection))
        connection_drain(connection, connection->reason);
}

void connection_after_input(struct connection *connection)
{
    if (connection->is_leaving)
        connection_drain(connection, connection->reason);
}

void connection_end_input(struct connection *connection, enum close_reason reason)
{
    connection->has_input_ended = true;
    if (connection->state == CONNECTION_LINGERING)
        connection_end(connection, connection->reason);
    else if (transfer_echo_input(&connection->transfer) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
    else
        connection_drain(connection, reason);
}

/* Tell whether something may come of what was received. */
static bool may_input_come(const struct connection *connection)
{
    return connection_has_input_waiting(connection) ||
           (is_being_read(connection) && channel_has_input_inside(&connection->transfer.channel));
}

/* Drain if that was asked before the echo began. It may end the connection. */
static void leave_if_asked(struct connection *connection)
{
    if (!connection->is_leaving || connection->state != CONNECTION_OPEN)
        return;
    if (may_input_come(connection))
        leave_after_input(connection, connection->reason);
    else
        connection_drain(connection, connection->reason);
}

/* Tell whether something has to come before a connection leaves: input, or its greeting. */
static bool is_anything_first(const struct connection *connection)
{
    return connection->state == CONNECTION_GREETING ||
           (connection->state < CONNECTION_DRAINING && may_input_come(connection));
}

/* Tell whether all has left and yet nothing has ended it, on purpose. */
static bool is_kept_open(const struct connection *connection)
{
    return connection->state == CONNECTION_DRAINING && connection->transfer.queued_bytes == 0;
}

void connection_begin_closing(struct connection *connection)
{
    if (!timeout_is_armed(&connection->closing))
        timeout_touch(&connection->group->closing, &connection->closing);
}

void connection_leave(struct connection *connection, enum close_reason reason)
{
    const bool may_linger = connection->group->limits.linger_timeout_ms > 0;

    if (!timeout_is_armed(&connection->closing))
        connection->overdue_reason = reason;
    connection_begin_closing(connection);
    if (may_linger && is_anything_first(connection))
        leave_after_input(connection, reason);
    else if (!may_linger || connection->state == CONNECTION_HANDSHAKE)
        connection_end(connection, reason);
    else if (connection->state == CONNECTION_OPEN || is_kept_open(connection))
        connection_drain(connection, reason);
}

void connection_begin_late(struct connection *connection,
                           int (*begin)(struct connection *connection))
{
    if (begin(connection) < 0)
        connection_end(connection, CLOSE_NO_MEMORY);
    else
        leave_if_asked(connection);
}
