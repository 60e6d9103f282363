#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "echod/channel.h"
#include "echod/connection_state.h"
#include "echod/gate.h"
#include "echod/greet.h"
#include "echod/handshake.h"
#include "echod/serve.h"
#include "echod/serve_impaired.h"
#include "echod/serve_limited.h"
#include "echod/serve_tls.h"
#include "echod/stream_impair.h"
#include "echod/stream_limit.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define CONNECTION_OF(timeout, member)                                                             \
    ((struct connection *)(void *)((char *)(timeout)-offsetof(struct connection, member)))

/* --- Closing --------------------------------------------------------------------------------- */

void connection_close(struct connection *connection, enum close_reason reason)
{
    connection_leave(connection, reason);
}

void connection_abort(struct connection *connection, enum close_reason reason)
{
    connection_end(connection, reason);
}

void connection_reset(struct connection *connection, enum close_reason reason)
{
    channel_reset_when_closed(&connection->transfer.channel);
    connection_end(connection, reason);
}

/* --- Deadlines ------------------------------------------------------------------------------- */

static void on_idle(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, transfer.idle);

    if (connection_has_input_waiting(connection) || stream_limit_is_holding(connection->limit))
        timeout_touch(&connection->group->idle, timeout);
    else
        connection_leave(connection, CLOSE_IDLE);
}

static void on_lifetime_over(struct timeout *timeout)
{
    connection_leave(CONNECTION_OF(timeout, lifetime), CLOSE_LIFETIME);
}

static void on_write_due(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, transfer.write_stall);

    if (transfer_has_stalled(&connection->transfer))
        connection_end(connection, CLOSE_WRITE_STALL);
}

static void on_closing_overdue(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, closing);

    connection_end(connection, connection->overdue_reason);
}

/* --- Begin ----------------------------------------------------------------------------------- */

/* Count a client that was not let in, and end it. */
static void refuse(struct connection *connection, enum counter which, enum close_reason reason)
{
    counters_add(connection->group->counters, which, 1);
    connection_end(connection, reason);
}

/* Begin to echo, now that the handshake is over. */
static int begin(struct connection *connection)
{
    return connection->group->tls == NULL ? connection->group->open(connection)
                                          : serve_tls_begin(connection);
}

/* Take over from the handshake. It may end the connection. */
static void on_handshake_done(struct connection *connection)
{
    connection->peer = *handshake_source(connection->handshake);
    connection_begin_late(connection, begin);
}

static void on_handshake_over(enum handshake_outcome outcome, void *argument)
{
    struct connection *connection = argument;
    const int error = errno;

    switch (outcome) {
    case HANDSHAKE_DONE:
        on_handshake_done(connection);
        return;
    case HANDSHAKE_ENDED:
        connection_end(connection, CLOSE_CLIENT);
        return;
    case HANDSHAKE_INVALID:
        refuse(connection, COUNTER_PROXY_INVALID, CLOSE_INVALID);
        return;
    case HANDSHAKE_UNTRUSTED:
        refuse(connection, COUNTER_PROXY_UNTRUSTED, CLOSE_UNTRUSTED);
        return;
    case HANDSHAKE_REFUSED: /* the gate has counted it */
        if (connection->group->gate.resets)
            channel_reset_when_closed(&connection->transfer.channel);
        connection_end(connection, CLOSE_REFUSED);
        return;
    case HANDSHAKE_TLS:
        serve_tls_refuse(connection);
        return;
    case HANDSHAKE_OVERDUE:
        refuse(connection, COUNTER_HANDSHAKES_OVERDUE, CLOSE_HANDSHAKE);
        return;
    case HANDSHAKE_FAILED:
        connection_fail(connection, error);
        return;
    }
}

/* Let a handshake come before the echo. Return 0, or -1 if there is no memory for it. */
static int begin_handshake(struct connection *connection)
{
    connection->handshake =
        handshake_new(connection->group, &connection->transfer.channel, &connection->peer,
                      &connection->known, on_handshake_over, connection);
    return connection->handshake == NULL ? -1 : 0;
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer)
{
    struct connection *connection = malloc(sizeof *connection);

    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.group = group, .peer = *peer, .transfer.group = group};
    if (group->service->open(connection, input_fd, output_fd) < 0) {
        free(connection);
        errno = ENOMEM;
        return NULL;
    }
    group->count++;
    return connection;
}

void connection_count_for(struct connection *connection, struct admission_source *known)
{
    connection->known = known;
}

/* Return whom a connection comes from, or NULL if it is a proxy's own, or not known yet. */
static const union peer *source_of(const struct connection *connection)
{
    const struct handshake *handshake = connection->handshake;

    if (connection->group->proxy_versions == 0)
        return &connection->peer;
    if (handshake == NULL || handshake_via(handshake) == NULL)
        return NULL;
    return handshake_source(handshake);
}

void connection_recount(struct connection *connection)
{
    const union peer *source = source_of(connection);

    if (source != NULL)
        gate_recount(&connection->group->gate, source, &connection->known);
}

int connection_start(struct connection *connection, uint64_t id)
{
    struct connection_group *group = connection->group;

    connection->id = id;
    connection->started_ms = connection->transfer.moved_ms = clock_now_ms();
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
    timeout_cancel(&group->lifetime, &connection->lifetime);
    timeout_cancel(&group->closing, &connection->closing);
    handshake_free(connection->handshake);
    stream_impair_free(connection->impair);
    stream_limit_free(connection->limit);
    gate_let_out(&group->gate, connection->known);
    transfer_fini(&connection->transfer);
    channel_close(&connection->transfer.channel);
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
    return (connection->reason == CLOSE_CLIENT || connection->reason == CLOSE_IDENTIFIED) &&
           connection->transfer.bytes_in == connection->transfer.bytes_out;
}

/* Choose how the connections of a group are served whose rate is limited. */
static const struct connection_service *choose_limited(const struct connection_group *group)
{
    if (group->is_impaired)
        return group->tls == NULL ? serve_impaired_limited() : serve_impaired_limited_tls();
    return group->tls == NULL ? serve_limited() : serve_limited_tls();
}

/* The same for any group. */
static const struct connection_service *choose_service(const struct connection_group *group)
{
    if (group->is_limited)
        return choose_limited(group);
    if (group->is_impaired)
        return group->tls == NULL ? serve_impaired() : serve_impaired_tls();
    if (group->tls != NULL)
        return serve_tls();
    return group->limits.has_shortcuts ? serve_by_shortcut() : serve_canonically();
}

/* While its handshake lasts, that alone knows for whom a proxy speaks. */
void connection_look(const struct connection *connection, struct snapshot *snapshot)
{
    const struct transfer *transfer = &connection->transfer;
    const union peer *via =
        connection->handshake == NULL ? NULL : handshake_via(connection->handshake);
    const uint64_t now_ms = clock_now_ms();

    *snapshot = (struct snapshot){
        .id = connection->id,
        .listener = connection->group->gate.label,
        .peer = via == NULL ? connection->peer : *handshake_source(connection->handshake),
        .has_via = via != NULL,
        .state = connection->state,
        .age_ms = now_ms - connection->started_ms,
        .idle_ms = now_ms - transfer->moved_ms,
        .bytes_in = transfer->bytes_in,
        .bytes_out = transfer->bytes_out,
        .queued_bytes = transfer->queued_bytes,
    };
    if (via != NULL)
        snapshot->via = *via;
}

bool connection_describe_tls(const struct connection *connection, struct tls_facts *facts)
{
    return connection->handshake != NULL && handshake_tls(connection->handshake, facts) != NULL;
}

static bool is_limited(const struct connection_group *group)
{
    bool has_line = false;

    for (size_t i = 0; i < CONNECTION_LINES; i++)
        has_line |= group->lines[i] != NULL;
    return has_line || group->limits.rate_limit > 0;
}

void connection_report(const struct connection *connection, enum log_level level)
{
    connection_tell_state(connection, level);
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
    const bool has_handshake = group->tls != NULL || group->proxy_versions != 0;

    group->is_impaired = impair_is_on(&group->impair);
    group->is_limited = is_limited(group);
    group->service = choose_service(group);
    group->open = group->identify.mode == LISTENER_IDENTIFY_OFF ? connection_open : greet_begin;
    group->begin_well = has_handshake ? begin_handshake : group->open;
    group->begin = group->is_impaired ? serve_impaired_begin : group->begin_well;
    if ((group->is_impaired && stream_impair_prepare(group) < 0) ||
        (group->is_limited && stream_limit_prepare(group) < 0))
        return -1;
    return connection_group_init(group, &deadlines);
}
