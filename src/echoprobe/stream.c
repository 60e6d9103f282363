#include <config.h>

#include "echoprobe/stream.h"

#include "echoprobe/connector.h"
#include "echoprobe/greeting.h"
#include "echoprobe/preface.h"
#include "echoprobe/tls_client.h"
#include "echoprobe/transport.h"
#include "echoprobe/verifier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct stream {
    struct event_base *base;
    struct stream_scratch *scratch;
    const struct stream_events *events;
    void *argument;
    struct connector connector;
    struct transport transport; /* once it is open */
    struct event *reader, *writer;
    bool is_open, is_finishing, has_finished;
    bool waits_for_input; /* before it can send; inside TLS */
    bool waits_for_room;  /* before it can receive */
    int send_failure;     /* the errno of a failed send: the receiving side meets the end */
    uint64_t wanted;
    size_t preface_left;       /* bytes of the preface, its last ones, that were not sent */
    struct greeting *greeting; /* what comes before position 0, until it is whole; or NULL */
    struct verifier verifier;
};

/* --- Ends ------------------------------------------------------------------------------------ */

static void close_transport(struct stream *stream)
{
    if (stream->reader != NULL)
        event_free(stream->reader);
    if (stream->writer != NULL)
        event_free(stream->writer);
    stream->reader = stream->writer = NULL;
    transport_close(&stream->transport);
}

static void end_stream(struct stream *stream, const struct fault *fault)
{
    close_transport(stream);
    stream->events->on_end(stream->argument, fault);
}

static const char *peer_of(const struct stream *stream)
{
    return stream->connector.target->places[stream->connector.place].text;
}

static void end_by_error(struct stream *stream, int failure)
{
    struct fault reason, fault;

    transport_explain(&stream->transport, failure, &reason);
    if (fault_is_of_connecting(reason.kind))
        fault_set(&fault, reason.kind, 0, 0, "%s: %s", peer_of(stream), reason.text);
    else
        fault_set(&fault, reason.kind, stream->verifier.returned,
                  stream->verifier.sent - stream->verifier.returned,
                  "%s after %" PRIu64 " of %" PRIu64 " bytes", reason.text,
                  stream->verifier.returned, stream->verifier.sent);
    end_stream(stream, &fault);
}

static void end_by_fin(struct stream *stream)
{
    struct fault fault = {.kind = FAULT_NONE};

    if (stream->greeting != NULL)
        fault_set(&fault, FAULT_UNIDENTIFIED, 0, 0,
                  "the connection ended after %zu bytes of its identity", stream->greeting->length);
    else if (stream->connector.target->is_identified && stream->verifier.returned == 0 &&
             stream->verifier.sent > 0)
        fault_set(&fault, FAULT_TRUNCATED, 0, stream->verifier.sent,
                  "the connection ended behind the identity: the service does not echo");
    else if (stream->verifier.returned < stream->verifier.sent)
        fault_set(&fault, FAULT_TRUNCATED, stream->verifier.returned,
                  stream->verifier.sent - stream->verifier.returned,
                  "the connection ended after %" PRIu64 " of %" PRIu64 " bytes",
                  stream->verifier.returned, stream->verifier.sent);
    else if (stream->send_failure != 0)
        fault_set(&fault, FAULT_RESET, stream->verifier.returned, 0, "%s after %" PRIu64 " bytes",
                  strerror(stream->send_failure), stream->verifier.returned);
    end_stream(stream, &fault);
}

/* --- Identity -------------------------------------------------------------------------------- */

static void end_by_silence(struct stream *stream)
{
    struct fault fault;

    fault_set(&fault, FAULT_UNIDENTIFIED, 0, 0, "no identity came in time");
    end_stream(stream, &fault);
}

/* Take the identity off what came. Return false if it is none, and the stream has ended. */
static bool take_greeting(struct stream *stream, const unsigned char *bytes, size_t length,
                          size_t *taken)
{
    struct fault fault;

    switch (greeting_take(stream->greeting, bytes, length, taken)) {
    case GREETING_INCOMPLETE:
        return true;
    case GREETING_WHOLE:
        if (stream->events->on_identity != NULL)
            stream->events->on_identity(stream->argument, stream->greeting->text);
        free(stream->greeting);
        stream->greeting = NULL;
        return true;
    case GREETING_STRANGE:
        break;
    }
    greeting_judge(stream->greeting, stream->verifier.pattern, stream->verifier.number, &fault);
    end_stream(stream, &fault);
    return false;
}

/* --- Sending and receiving ------------------------------------------------------------------- */

/* Inside TLS, sending may wait for what comes, which is watched already. */
static void wait_to_send(struct stream *stream)
{
    stream->waits_for_input = transport_is_crossed(&stream->transport);
    if (!stream->waits_for_input && event_add(stream->writer, NULL) < 0)
        stream->send_failure = ENOMEM;
}

static bool has_unsent(const struct stream *stream)
{
    return stream->verifier.sent < stream->wanted || stream->preface_left > 0;
}

static void finish_if_due(struct stream *stream)
{
    if (!stream->is_finishing || stream->has_finished || has_unsent(stream))
        return;
    if (transport_finish(&stream->transport) < 0 && errno == EAGAIN)
        wait_to_send(stream);
    else
        stream->has_finished = true;
}

/* Put what leaves next into the scratch, the preface together with what follows it. */
static size_t fill_scratch(const struct stream *stream)
{
    unsigned char *bytes = stream->scratch->bytes;
    const size_t ahead = stream->preface_left;
    const size_t room = sizeof stream->scratch->bytes - ahead;
    const uint64_t left = stream->wanted - stream->verifier.sent;
    const size_t length = left < room ? (size_t)left : room;

    if (ahead > 0)
        memcpy(bytes, stream->connector.preface->bytes + stream->connector.preface->length - ahead,
               ahead);
    pattern_fill(stream->verifier.pattern, stream->verifier.number, stream->verifier.sent,
                 bytes + ahead, length);
    return ahead + length;
}

static void note_sent(struct stream *stream, size_t count)
{
    const size_t ahead = count < stream->preface_left ? count : stream->preface_left;

    stream->preface_left -= ahead;
    stream->verifier.sent += count - ahead;
}

static void send_wanted(struct stream *stream)
{
    while (has_unsent(stream) && !verifier_is_waiting(&stream->verifier) &&
           stream->send_failure == 0) {
        const size_t length = fill_scratch(stream);
        const ssize_t count = transport_send(&stream->transport, stream->scratch->bytes, length);

        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            wait_to_send(stream);
            return;
        }
        if (count < 0) {
            stream->send_failure = errno;
            return;
        }
        note_sent(stream, (size_t)count);
        if ((size_t)count < length) {
            wait_to_send(stream);
            return;
        }
    }
    finish_if_due(stream);
}

/* Say how far the echo is, as the last act. What waited for a judgement is sent first. */
static void report_returned(struct stream *stream)
{
    send_wanted(stream);
    stream->events->on_returned(stream->argument, stream->verifier.returned);
}

/* What came was judged: go on, or be over. */
static void follow(struct stream *stream, enum verifier_outcome outcome, const struct fault *fault)
{
    switch (outcome) {
    case VERIFIER_AGREES:
        report_returned(stream);
        break;
    case VERIFIER_WAITS:
        if (!verifier_suspects_preface(&stream->verifier))
            report_returned(stream);
        break;
    case VERIFIER_OBJECTS:
        end_stream(stream, fault);
        break;
    case VERIFIER_FAILS:
        end_by_error(stream, ENOMEM);
        break;
    }
}

/* Where an identity is expected, it comes first. */
static void take_received(struct stream *stream, const unsigned char *bytes, size_t length)
{
    size_t taken = 0;
    struct fault fault;

    if (stream->greeting != NULL && !take_greeting(stream, bytes, length, &taken))
        return;
    if (taken < length)
        follow(stream, verifier_take(&stream->verifier, bytes + taken, length - taken, &fault),
               &fault);
    else
        send_wanted(stream); /* what waited until something came */
}

/* What is inside TLS makes no socket readable. */
static void activate_if_more(struct stream *stream)
{
    if (transport_has_more(&stream->transport))
        event_active(stream->reader, EV_READ, 1);
}

/* What came was none of the echo's bytes. */
static void go_on(struct stream *stream)
{
    stream->waits_for_room = transport_is_crossed(&stream->transport);
    if (stream->waits_for_room && event_add(stream->writer, NULL) < 0)
        stream->send_failure = ENOMEM;
    else if (stream->waits_for_input)
        send_wanted(stream);
}

static void on_stream_readable(evutil_socket_t fd, short what, void *argument)
{
    struct stream *stream = argument;
    const ssize_t count = transport_receive(&stream->transport, stream->scratch->bytes,
                                            sizeof stream->scratch->bytes);
    const int failure = errno;
    struct fault fault;

    (void)fd;
    (void)what;
    if (count > 0) {
        activate_if_more(stream);
        take_received(stream, stream->scratch->bytes, (size_t)count);
        return;
    }
    if (count < 0 && (failure == EAGAIN || failure == EINTR)) {
        go_on(stream);
        return;
    }
    if (verifier_judge(&stream->verifier, &fault) == VERIFIER_OBJECTS)
        end_stream(stream, &fault);
    else if (count < 0)
        end_by_error(stream, failure);
    else
        end_by_fin(stream);
}

/* --- Opening --------------------------------------------------------------------------------- */

static void on_stream_writable(evutil_socket_t fd, short what, void *argument)
{
    struct stream *stream = argument;

    (void)fd;
    (void)what;
    if (stream->waits_for_room)
        event_active(stream->reader, EV_READ, 1);
    send_wanted(stream);
}

/*
 * What is sent from on_open takes the preface along. If nothing is, the loop sends it alone: who
 * expects it does not wait for long.
 */
static int watch_open_socket(struct stream *stream)
{
    const int fd = stream->transport.fd;

    if (event_assign(stream->reader, stream->base, fd, EV_READ | EV_PERSIST, on_stream_readable,
                     stream) < 0 ||
        event_assign(stream->writer, stream->base, fd, EV_WRITE, on_stream_writable, stream) < 0 ||
        event_add(stream->reader, NULL) < 0)
        return -1;
    return stream->preface_left == 0 ? 0 : event_add(stream->writer, NULL);
}

static void report_open(struct stream *stream)
{
    struct opening opening = {.peer = peer_of(stream)};
    struct tls_facts facts;

    if (stream->transport.tls != NULL) {
        tls_client_tell(stream->transport.tls, &facts);
        opening.tls = &facts;
    }
    stream->events->on_open(stream->argument, &opening);
}

static void on_connected(void *argument)
{
    struct stream *stream = argument;

    stream->transport = connector_take(&stream->connector);
    stream->preface_left = stream->connector.preface_left;
    stream->verifier.preface = stream->connector.preface;
    stream->verifier.has_tls = stream->transport.tls != NULL;
    stream->is_open = true;
    if (watch_open_socket(stream) < 0) {
        end_by_error(stream, ENOMEM);
        return;
    }
    activate_if_more(stream);
    report_open(stream);
}

static void on_failed(void *argument, const struct fault *fault)
{
    const struct stream *stream = argument;

    stream->events->on_end(stream->argument, fault);
}

static const struct connector_events stream_connector_events = {
    .on_connected = on_connected,
    .on_failed = on_failed,
};

/* Make the events before there is a socket for them: without memory nobody tries to connect. */
static int make_events(struct stream *stream)
{
    stream->reader = event_new(stream->base, -1, EV_READ | EV_PERSIST, on_stream_readable, stream);
    stream->writer = event_new(stream->base, -1, EV_WRITE, on_stream_writable, stream);
    if (stream->reader != NULL && stream->writer != NULL)
        return 0;
    errno = ENOMEM;
    return -1;
}

static int make_room_for_greeting(struct stream *stream, const struct target *target)
{
    if (!target->is_identified)
        return 0;
    stream->greeting = calloc(1, sizeof *stream->greeting);
    return stream->greeting == NULL ? -1 : 0;
}

struct stream *stream_new(struct event_base *base, struct stream_scratch *scratch,
                          const struct target *target, const struct pattern *pattern,
                          uint64_t number, const struct stream_events *events, void *argument)
{
    struct stream *stream = calloc(1, sizeof *stream);
    int failure;

    if (stream == NULL)
        return NULL;
    *stream = (struct stream){
        .base = base,
        .scratch = scratch,
        .events = events,
        .argument = argument,
        .transport = {.fd = -1},
        .verifier =
            {
                .pattern = pattern,
                .number = number,
                .on_corrupted = events->on_fault,
                .argument = argument,
            },
    };
    if (make_events(stream) == 0 && make_room_for_greeting(stream, target) == 0 &&
        connector_start(&stream->connector, base, target, &stream_connector_events, stream) == 0)
        return stream;
    failure = errno;
    close_transport(stream);
    free(stream->greeting);
    free(stream);
    errno = failure;
    return NULL;
}

void stream_free(struct stream *stream)
{
    if (stream == NULL)
        return;
    close_transport(stream);
    connector_stop(&stream->connector);
    free(stream->greeting);
    verifier_fini(&stream->verifier);
    free(stream);
}

void stream_send(struct stream *stream, uint64_t position)
{
    stream->wanted = position;
    if (stream->is_open)
        send_wanted(stream);
}

void stream_finish(struct stream *stream)
{
    stream->is_finishing = true;
    if (stream->is_open)
        finish_if_due(stream);
}

uint64_t stream_delivered(const struct stream *stream)
{
    int waiting = 0;

    /* What the system still holds (tcp(7), unix(7)); a socket that cannot tell holds nothing. */
    if (stream->transport.fd < 0 || ioctl(stream->transport.fd, TIOCOUTQ, &waiting) < 0 ||
        waiting < 0)
        waiting = 0;
    return (uint64_t)waiting < stream->verifier.sent ? stream->verifier.sent - (uint64_t)waiting
                                                     : 0;
}

uint64_t stream_returned(const struct stream *stream)
{
    return stream->verifier.returned;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->is_open;
}

uint64_t stream_began_ns(const struct stream *stream)
{
    return stream->connector.began_ns;
}

bool stream_judge(struct stream *stream, int failure)
{
    struct fault fault;

    if (!stream->is_open) {
        connector_give_up(&stream->connector, failure);
        return true;
    }
    if (stream->greeting != NULL) {
        end_by_silence(stream);
        return true;
    }
    if (!verifier_is_waiting(&stream->verifier))
        return false;
    follow(stream, verifier_judge(&stream->verifier, &fault), &fault);
    return true;
}
