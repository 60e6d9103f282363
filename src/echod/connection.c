#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "echod/channel.h"
#include "echod/connection_log.h"
#include "echod/handshake.h"
#include "echod/identify.h"
#include "echod/stream_impair.h"
#include "echod/transfer.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/util.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_GREETING,
    CONNECTION_OPEN,
    CONNECTION_DRAINING,
    CONNECTION_LINGERING,
    CONNECTION_ENDED,
};

struct connection {
    struct connection_group *group;
    uint64_t id;
    uint64_t started_ms; /* clock_now_ms */
    union peer peer;
    struct transfer transfer;
    struct handshake *handshake;  /* NULL: its listener asks for none */
    struct stream_impair *impair; /* NULL: it behaves */
    enum connection_state state;
    enum close_reason reason;         /* from draining on */
    enum close_reason overdue_reason; /* what it becomes if the closing deadline passes */
    int error;                        /* errno of CLOSE_NETWORK_ERROR */
    bool is_leaving;                  /* it drains once what waits in the kernel was echoed */
    bool has_input_ended;             /* the client's FIN was read */
    struct timeout lifetime, closing;
};

#define CONNECTION_OF(timeout, member)                                                             \
    ((struct connection *)(void *)((char *)(timeout)-offsetof(struct connection, member)))

/* --- Log ------------------------------------------------------------------------------------- */

static const char *state_name(enum connection_state state)
{
    switch (state) {
    case CONNECTION_HANDSHAKE:
        return "handshake";
    case CONNECTION_GREETING:
        return "greeting";
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
    const struct connection_facts facts = facts_of(connection);

    connection_log_state(&facts, way_of(connection), state_name(connection->state), level,
                         connection->group->log);
}

static void log_opened(const struct connection *connection)
{
    const struct connection_facts facts = facts_of(connection);

    if (connection->group->logs == LISTENER_LOG_ALL)
        connection_log_opened(&facts, way_of(connection), connection->group->log);
}

/* Return what there is to say beside the reason, or NULL. */
static const char *close_detail(const struct connection *connection)
{
    if (connection->reason == CLOSE_NETWORK_ERROR)
        return strerror(connection->error);
    return connection->reason == CLOSE_INVALID ? handshake_error(connection->handshake) : NULL;
}

static void log_closed(const struct connection *connection)
{
    const struct connection_facts facts = facts_of(connection);

    if (connection->group->logs >= LISTENER_LOG_CLOSED)
        connection_log_closed(&facts, way_of(connection), connection->reason,
                              close_detail(connection), connection->group->log);
}

/* --- Closing --------------------------------------------------------------------------------- */

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
    if (channel_shut(&connection->transfer.channel) == 0)
        connection->state = CONNECTION_LINGERING;
    else
        end(connection, connection->reason);
}

/*
 * Tell whether a connection stays that a FIN would end now: ours is not sent on purpose, and we are
 * not to end it.
 */
static bool stays_open(const struct connection *connection)
{
    return connection->group->impair.is_fin_withheld && connection->has_input_ended &&
           !timeout_is_armed(&connection->closing);
}

/* Go on once everything has left. It may end the connection. */
static void finish_draining(struct connection *connection)
{
    if (connection->transfer.queued_bytes > 0 || stays_open(connection))
        return;
    if (connection->has_input_ended || connection->group->impair.is_fin_withheld)
        end(connection, connection->reason);
    else
        linger(connection);
}

static void begin_draining(struct connection *connection, enum close_reason reason)
{
    connection->state = CONNECTION_DRAINING;
    connection->reason = reason;
    channel_stop_reading(&connection->transfer.channel);
}

/* Leave the open state. It may end the connection. */
static void drain(struct connection *connection, enum close_reason reason)
{
    begin_draining(connection, reason);
    finish_draining(connection);
}

/*
 * Tell whether the loop is about to read something: a timer may be due before, for instance when
 * the process was stopped.
 */
static bool is_input_waiting(const struct connection *connection)
{
    const struct channel *channel = &connection->transfer.channel;

    return (connection->state == CONNECTION_HANDSHAKE || channel_is_reading(channel)) &&
           channel_has_input_waiting(channel);
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
    else if (connection->state == CONNECTION_GREETING)
        leave_after_input(connection, reason);
    else if (connection->state == CONNECTION_OPEN)
        drain(connection, reason);
    else if (connection->state == CONNECTION_DRAINING && connection->transfer.queued_bytes == 0)
        end(connection, reason); /* it was kept open on purpose */
}

void connection_abort(struct connection *connection, enum close_reason reason)
{
    end(connection, reason);
}

static void on_idle(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, transfer.idle);

    if (is_input_waiting(connection))
        timeout_touch(&connection->group->idle, timeout);
    else
        connection_close(connection, CLOSE_IDLE);
}

static void on_lifetime_over(struct timeout *timeout)
{
    connection_close(CONNECTION_OF(timeout, lifetime), CLOSE_LIFETIME);
}

static void on_write_due(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, transfer.write_stall);

    if (transfer_has_stalled(&connection->transfer))
        end(connection, CLOSE_WRITE_STALL);
}

static void on_closing_overdue(struct timeout *timeout)
{
    struct connection *connection = CONNECTION_OF(timeout, closing);

    end(connection, connection->overdue_reason);
}

/* --- Echo ------------------------------------------------------------------------------------ */

static void on_readable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    if (connection->state != CONNECTION_OPEN)
        transfer_discard_input(&connection->transfer);
    else if (transfer_echo_input(&connection->transfer) < 0 ||
             transfer_update_reading(&connection->transfer) < 0)
        end(connection, CLOSE_NO_MEMORY);
    else
        after_input(connection);
}

static void after_greeting(struct connection *connection);

/* Go on where some of the greeting was sent. It may end the connection. */
static void note_greeted(struct connection *connection)
{
    if (transfer_note_greeted(&connection->transfer))
        after_greeting(connection);
}

/* Go on where output has been accounted. It may end the connection. */
static void after_output(struct connection *connection)
{
    if (connection->state == CONNECTION_DRAINING)
        finish_draining(connection);
    else if (transfer_update_reading(&connection->transfer) < 0)
        end(connection, CLOSE_NO_MEMORY);
}

/* Comes whenever some output was sent. */
static void on_writable(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    switch (connection->state) {
    case CONNECTION_GREETING:
        note_greeted(connection);
        return;
    case CONNECTION_OPEN:
    case CONNECTION_DRAINING:
        transfer_note_sent(&connection->transfer);
        after_output(connection);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_LINGERING:
    case CONNECTION_ENDED:
        return;
    }
}

/* --- Misbehaviour ---------------------------------------------------------------------------- */

/* Say FIN behind what has left the stage. It may end the connection. */
static void close_on_purpose(struct connection *connection)
{
    struct connection_group *group = connection->group;

    counters_add(group->counters, COUNTER_IMPAIR_CLOSED, 1);
    stream_impair_discard(connection->impair);
    connection->overdue_reason = CLOSE_ON_PURPOSE;
    timeout_touch(&group->closing, &connection->closing);
    if (group->limits.linger_timeout_ms > 0 && connection->state >= CONNECTION_OPEN)
        drain(connection, CLOSE_ON_PURPOSE);
    else
        end(connection, CLOSE_ON_PURPOSE);
}

static void reset_on_purpose(struct connection *connection, enum counter which,
                             enum close_reason reason)
{
    counters_add(connection->group->counters, which, 1);
    channel_reset_when_closed(&connection->transfer.channel);
    end(connection, reason);
}

/* Go on when some output was sent, or the stage has something to do. It may end the connection. */
static void go_on_impaired(struct connection *connection)
{
    switch (connection->state < CONNECTION_OPEN ? stream_impair_judge_age(connection->impair)
                                                : stream_impair_release(connection->impair)) {
    case STREAM_IMPAIR_GOES_ON:
        if (connection->state >= CONNECTION_OPEN)
            after_output(connection);
        return;
    case STREAM_IMPAIR_CLOSES:
        close_on_purpose(connection);
        return;
    case STREAM_IMPAIR_RESETS:
        reset_on_purpose(connection, COUNTER_IMPAIR_RESET, CLOSE_RESET_ON_PURPOSE);
        return;
    case STREAM_IMPAIR_FAILED:
        end(connection, CLOSE_NO_MEMORY);
        return;
    }
}

static void on_impair_due(void *argument)
{
    struct connection *connection = argument;

    if (connection->state <= CONNECTION_DRAINING)
        go_on_impaired(connection);
}

static void on_readable_impaired(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    if (connection->state != CONNECTION_OPEN) {
        transfer_discard_input(&connection->transfer);
    } else if (stream_impair_take(connection->impair) < 0) {
        end(connection, CLOSE_NO_MEMORY);
    } else {
        if (connection->is_leaving)
            begin_draining(connection, connection->reason);
        go_on_impaired(connection);
    }
}

static void on_writable_impaired(struct bufferevent *bufferevent, void *argument)
{
    struct connection *connection = argument;

    (void)bufferevent;
    switch (connection->state) {
    case CONNECTION_GREETING:
        note_greeted(connection);
        return;
    case CONNECTION_OPEN:
    case CONNECTION_DRAINING:
        go_on_impaired(connection);
        return;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_LINGERING:
    case CONNECTION_ENDED:
        return;
    }
}

/* The client's FIN came: what is held leaves as if it had not. */
static void on_impaired_input_ended(struct connection *connection)
{
    if (stream_impair_take(connection->impair) < 0) {
        end(connection, CLOSE_NO_MEMORY);
        return;
    }
    begin_draining(connection, CLOSE_CLIENT);
    go_on_impaired(connection);
}

/* --- Ends of input --------------------------------------------------------------------------- */

/* The client's FIN came. libevent reads no more; what is queued still has to leave. */
static void on_input_ended(struct connection *connection)
{
    connection->has_input_ended = true;
    if (connection->state == CONNECTION_LINGERING)
        end(connection, connection->reason);
    else if (connection->impair != NULL)
        on_impaired_input_ended(connection);
    else if (transfer_echo_input(&connection->transfer) < 0)
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

static void on_socket_readable(evutil_socket_t fd, short what, void *argument)
{
    struct connection *connection = argument;

    (void)fd, (void)what;
    switch (transfer_echo_socket(&connection->transfer)) {
    case TRANSFER_GOES_ON:
        after_input(connection);
        return;
    case TRANSFER_ENDED:
        on_input_ended(connection);
        return;
    case TRANSFER_FAILED:
        fail(connection, errno);
        return;
    }
}

/* --- Begin ------------------------------------------------------------------------------------ */

/* Begin to echo. Return 0, or -1 if the loop has no memory for it. */
static int begin_echo(struct connection *connection)
{
    if (transfer_start(&connection->transfer) < 0)
        return -1;
    connection->state = CONNECTION_OPEN;
    log_opened(connection);
    return 0;
}

/* Drain if that was asked meanwhile. */
static void leave_if_asked(struct connection *connection)
{
    if (connection->is_leaving && connection->state == CONNECTION_OPEN &&
        !is_input_waiting(connection))
        drain(connection, connection->reason);
}

static bool is_identity_all(const struct connection *connection)
{
    const unsigned mode = connection->group->identify.mode;

    return mode == LISTENER_IDENTIFY_ONLY || mode == LISTENER_IDENTIFY_ONLY_JSON;
}

/* The identity has left: go on with the echo, or end. It may end the connection. */
static void after_greeting(struct connection *connection)
{
    if (is_identity_all(connection)) {
        connection->state = CONNECTION_OPEN;
        connection_close(connection, CLOSE_IDENTIFIED);
    } else if (begin_echo(connection) < 0) {
        end(connection, CLOSE_NO_MEMORY);
    } else {
        leave_if_asked(connection);
    }
}

static size_t write_identity(const struct connection *connection, struct proxy_facts *proxy,
                             char bytes[IDENTITY_SIZE])
{
    const union peer *via = way_of(connection).via;
    char client[ADDRESS_TEXT_SIZE], local[ADDRESS_TEXT_SIZE];
    const struct identify_subject subject = {
        .id = connection->id, .client = client, .local = local, .proxy = proxy};

    peer_format(via == NULL ? &connection->peer : via, client);
    identify_format_local(channel_socket(&connection->transfer.channel), local);
    return identify_write(&connection->group->identify, &subject, bytes, IDENTITY_SIZE);
}

/*
 * Tell who we are; the echo begins when that has left, so that its account has nothing else in it.
 * Return 0, or -1 if there is no memory for it.
 */
static int begin_greeting(struct connection *connection)
{
    struct handshake *handshake = connection->handshake;
    struct proxy_facts *proxy = handshake == NULL ? NULL : handshake_take_facts(handshake);
    char bytes[IDENTITY_SIZE];
    const size_t length = write_identity(connection, proxy, bytes);

    free(proxy);
    connection->state = CONNECTION_GREETING;
    return transfer_greet(&connection->transfer, bytes, length);
}

/* Count a client that was not let in, and end it. */
static void refuse(struct connection *connection, enum counter which, enum close_reason reason)
{
    counters_add(connection->group->counters, which, 1);
    end(connection, reason);
}

/* Begin with this when something else came before it. It may end the connection. */
static void begin_late(struct connection *connection, int (*begin)(struct connection *connection))
{
    if (begin(connection) < 0)
        end(connection, CLOSE_NO_MEMORY);
    else
        leave_if_asked(connection);
}

/* Take over from the handshake. It may end the connection. */
static void on_header(struct connection *connection)
{
    connection->peer = *handshake_source(connection->handshake);
    begin_late(connection, connection->group->open);
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
    const int fd = channel_socket(&connection->transfer.channel);

    connection->handshake =
        handshake_new(connection->group, fd, &connection->peer, on_handshake_over, connection);
    return connection->handshake == NULL ? -1 : 0;
}

/* Go on when an accept-delay is over. It may end the connection. */
static void on_impair_begin(void *argument)
{
    struct connection *connection = argument;

    if (stream_impair_begin(connection->impair) == STREAM_IMPAIR_IS_REFUSED)
        reset_on_purpose(connection, COUNTER_IMPAIR_REFUSED, CLOSE_REFUSED_ON_PURPOSE);
    else
        begin_late(connection, connection->group->begin_well);
}

/* Let it begin well, now or later, and then misbehave. Return 0, or -1 if there is no memory. */
static int begin_impaired(struct connection *connection)
{
    static const struct stream_impair_events events = {on_impair_begin, on_impair_due};
    struct connection_group *group = connection->group;

    connection->impair = stream_impair_new(&connection->transfer, &events, connection);
    if (connection->impair == NULL)
        return -1;
    if (group->impair.is_fin_withheld)
        channel_reset_when_closed(&connection->transfer.channel);
    if (stream_impair_begin(connection->impair) == STREAM_IMPAIR_WAITS)
        return 0;
    return group->begin_well(connection);
}

/* --- Construction and destruction ------------------------------------------------------------ */

struct connection *connection_new(struct connection_group *group, int input_fd, int output_fd,
                                  const union peer *peer)
{
    const bool is_impaired = group->is_impaired;
    const struct channel_events events = {
        .on_readable = is_impaired ? on_readable_impaired : on_readable,
        .on_writable = is_impaired ? on_writable_impaired : on_writable,
        .on_event = on_event,
        .on_socket_readable =
            group->limits.has_shortcuts && !is_impaired ? on_socket_readable : NULL,
    };
    struct connection *connection = malloc(sizeof *connection);

    if (connection == NULL)
        return NULL;
    *connection = (struct connection){.group = group, .peer = *peer, .transfer.group = group};
    if (channel_open(&connection->transfer.channel, group->base, input_fd, output_fd, &events,
                     connection) < 0) {
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

    connection->id = id;
    connection->started_ms = clock_now_ms();
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

int connection_init_group(struct connection_group *group)
{
    static const struct connection_deadlines deadlines = {
        .on_handshake_overdue = handshake_on_overdue,
        .on_idle = on_idle,
        .on_lifetime_over = on_lifetime_over,
        .on_write_due = on_write_due,
        .on_closing_overdue = on_closing_overdue,
    };

    group->open = group->identify.mode == LISTENER_IDENTIFY_OFF ? begin_echo : begin_greeting;
    group->begin_well = group->proxy_versions == 0 ? group->open : begin_handshake;
    group->is_impaired = impair_is_on(&group->impair);
    group->begin = group->is_impaired ? begin_impaired : group->begin_well;
    if (group->is_impaired && stream_impair_prepare(group) < 0)
        return -1;
    return connection_group_init(group, &deadlines);
}
