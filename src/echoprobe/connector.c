#include <config.h>

#include "echoprobe/connector.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stop_watching(struct connector *connector)
{
    if (connector->reader != NULL)
        event_free(connector->reader);
    if (connector->writer != NULL)
        event_free(connector->writer);
    connector->reader = connector->writer = NULL;
}

static void close_connection(struct connector *connector)
{
    stop_watching(connector);
    transport_close(&connector->transport);
}

/* --- The next place -------------------------------------------------------------------------- */

static int start_connecting(struct connector *connector);

static const char *place_text(const struct connector *connector)
{
    return connector->target->places[connector->place].text;
}

/* Add what a place said to the sentence that is told if none of them answers. */
static void note_refusal(struct connector *connector, int failure)
{
    const size_t length = strlen(connector->refusals);

    connector->refusal = failure;
    (void)snprintf(connector->refusals + length, sizeof connector->refusals - length, "%s%s: %s",
                   length == 0 ? "" : "; ", place_text(connector), strerror(failure));
}

/* Go on with the next place, or end for what all of them said. */
static void connect_next(struct connector *connector, int failure)
{
    struct fault fault;

    note_refusal(connector, failure);
    close_connection(connector);
    while (++connector->place < connector->target->count) {
        if (start_connecting(connector) == 0)
            return;
        note_refusal(connector, errno);
    }
    fault_set(&fault, FAULT_CONNECT, 0, 0, "%s%s", connector->refusals,
              target_hint(connector->target, connector->refusal));
    connector->events->on_failed(connector->argument, &fault);
}

/* Somebody answers here, but no TLS came of it. */
static void fail_handshake(struct connector *connector, const struct fault *reason)
{
    struct fault fault;

    fault_set(&fault, reason->kind, 0, 0, "%s: %s", place_text(connector), reason->text);
    close_connection(connector);
    connector->events->on_failed(connector->argument, &fault);
}

/* --- TLS ------------------------------------------------------------------------------------- */

static void hand_over(struct connector *connector)
{
    stop_watching(connector);
    connector->events->on_connected(connector->argument);
}

/* Return 0 once the preface has left, or -1 with errno. */
static int send_preface(struct connector *connector)
{
    const struct preface *preface = connector->preface;

    while (connector->preface_left > 0) {
        const ssize_t count = transport_send(
            &connector->transport, preface->bytes + preface->length - connector->preface_left,
            connector->preface_left);

        if (count < 0)
            return -1;
        connector->preface_left -= (size_t)count;
    }
    return 0;
}

/* TLS begins behind the preface, which is sent in clear. */
static int advance_handshake(struct connector *connector)
{
    struct transport *transport = &connector->transport;

    if (transport->tls == NULL &&
        (send_preface(connector) < 0 || transport_begin_tls(transport, connector->target->tls) < 0))
        return -1;
    return transport_shake_hands(transport);
}

static int wait_for_socket(const struct connector *connector)
{
    const struct transport *transport = &connector->transport;

    if (transport->tls == NULL || transport_is_crossed(transport))
        return event_add(connector->writer, NULL);
    return event_add(connector->reader, NULL);
}

static void shake_hands(struct connector *connector)
{
    struct fault reason;
    int failure;

    if (advance_handshake(connector) == 0) {
        hand_over(connector);
        return;
    }
    failure = errno;
    if (failure == EAGAIN || failure == EINTR) {
        if (wait_for_socket(connector) == 0)
            return;
        failure = ENOMEM;
    }
    if (connector->transport.tls == NULL) {
        connect_next(connector, failure);
        return;
    }
    transport_explain(&connector->transport, failure, &reason);
    fail_handshake(connector, &reason);
}

static void on_connector_readable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    shake_hands(argument);
}

/* --- Connecting ------------------------------------------------------------------------------ */

/* Write what stands before the first byte, if anything does. Return 0, or -1 with errno. */
static int prepare_preface(struct connector *connector)
{
    if (connector->preface == NULL)
        return 0;
    if (preface_write(&connector->target->preface, connector->transport.fd, connector->preface) < 0)
        return -1;
    connector->preface_left = connector->preface->length;
    return 0;
}

static void on_connected(struct connector *connector)
{
    if (prepare_preface(connector) < 0)
        connect_next(connector, errno);
    else if (connector->target->tls == NULL)
        hand_over(connector);
    else
        shake_hands(connector);
}

static bool is_shaking_hands(const struct connector *connector)
{
    return connector->preface_left > 0 || connector->transport.tls != NULL;
}

static void on_connector_writable(evutil_socket_t fd, short what, void *argument)
{
    struct connector *connector = argument;
    socklen_t length = sizeof(int);
    int failure = 0;

    (void)what;
    if (is_shaking_hands(connector)) {
        shake_hands(connector);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) < 0)
        failure = errno;
    if (failure != 0)
        connect_next(connector, failure);
    else
        on_connected(connector);
}

static int watch_socket(struct connector *connector)
{
    const bool is_tls = connector->target->tls != NULL;
    const int fd = connector->transport.fd;

    if (is_tls)
        connector->reader =
            event_new(connector->base, fd, EV_READ, on_connector_readable, connector);
    connector->writer = event_new(connector->base, fd, EV_WRITE, on_connector_writable, connector);
    if ((connector->reader != NULL || !is_tls) && connector->writer != NULL &&
        event_add(connector->writer, NULL) == 0)
        return 0;
    errno = ENOMEM;
    return -1;
}

static int connect_to_place(const struct connector *connector)
{
    const struct target *target = connector->target;
    const struct sockaddr *address =
        (const struct sockaddr *)&target->places[connector->place].address;

    if (connect(connector->transport.fd, address, target->places[connector->place].length) == 0 ||
        errno == EINPROGRESS)
        return 0;
    return -1;
}

/* Begin to connect to the place. Return 0, or -1 with errno, and then nothing is left open. */
static int start_connecting(struct connector *connector)
{
    int failure;

    connector->began_ns = clock_now_ns();
    connector->preface_left = 0;
    connector->transport.fd = target_socket(connector->target, connector->place);
    if (connector->transport.fd < 0)
        return -1;
    if (watch_socket(connector) == 0 && connect_to_place(connector) == 0)
        return 0;
    failure = errno;
    close_connection(connector);
    errno = failure;
    return -1;
}

/* --- Start and end --------------------------------------------------------------------------- */

static void on_start_failed(evutil_socket_t fd, short what, void *argument)
{
    struct connector *connector = argument;
    struct fault fault;

    (void)fd;
    (void)what;
    if (connector->target->count > 0) {
        connect_next(connector, connector->failure);
        return;
    }
    fault_set(&fault, FAULT_CONNECT, 0, 0, "%s", connector->target->problem);
    close_connection(connector);
    connector->events->on_failed(connector->argument, &fault);
}

/* What fails at once is reported from the loop, too, as the rest is. */
static int fail_later(struct connector *connector, int failure)
{
    connector->failure = failure;
    connector->writer = event_new(connector->base, -1, 0, on_start_failed, connector);
    if (connector->writer == NULL) {
        errno = ENOMEM;
        return -1;
    }
    event_active(connector->writer, EV_TIMEOUT, 1);
    return 0;
}

static bool is_shortage(int failure)
{
    return failure == EMFILE || failure == ENFILE || failure == ENOBUFS || failure == ENOMEM;
}

static int begin(struct connector *connector)
{
    if (connector->target->preface.version != 0) {
        connector->preface = calloc(1, sizeof *connector->preface);
        if (connector->preface == NULL)
            return -1;
    }
    if (connector->target->count == 0)
        return fail_later(connector, 0);
    if (start_connecting(connector) == 0)
        return 0;
    return is_shortage(errno) ? -1 : fail_later(connector, errno);
}

int connector_start(struct connector *connector, struct event_base *base,
                    const struct target *target, const struct connector_events *events,
                    void *argument)
{
    int failure;

    *connector = (struct connector){
        .base = base,
        .target = target,
        .events = events,
        .argument = argument,
        .transport = {.fd = -1},
    };
    if (begin(connector) == 0)
        return 0;
    failure = errno;
    connector_stop(connector);
    errno = failure;
    return -1;
}

void connector_stop(struct connector *connector)
{
    close_connection(connector);
    free(connector->preface);
    connector->preface = NULL;
}

void connector_give_up(struct connector *connector, int failure)
{
    struct fault reason;

    if (connector->transport.tls == NULL) {
        connect_next(connector, failure);
        return;
    }
    transport_explain(&connector->transport, failure, &reason);
    fail_handshake(connector, &reason);
}

struct transport connector_take(struct connector *connector)
{
    const struct transport transport = connector->transport;

    connector->transport = (struct transport){.fd = -1};
    return transport;
}
