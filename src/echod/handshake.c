#include <config.h>

#include "echod/handshake.h"

#include "base/error.h"
#include "base/network.h"
#include "base/proxy_header.h"
#include "echod/gate.h"
#include "echod/proxy_reader.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>

struct handshake {
    struct connection_group *group;
    struct channel *channel;
    handshake_callback *on_over;
    void *argument;
    struct event *readable; /* while the header comes; otherwise NULL */
    struct timeout deadline;
    struct proxy_reader reader;
    union peer peer, source;
    struct admission_source **known; /* the caller's */
    struct proxy_facts *facts;       /* for the identity; or NULL */
    bool has_source;                 /* which is not the peer */
    bool is_overdue;
    const char *error; /* while it is reported */
};

#define HANDSHAKE_OF(timeout)                                                                      \
    ((struct handshake *)(void *)((char *)(timeout)-offsetof(struct handshake, deadline)))

/* A header that waits for its end counts as output does: both are a client's bytes that we hold. */
static void account_reader(struct handshake *handshake, size_t size_before)
{
    gauge_change(&handshake->group->pool->queued_bytes, handshake->reader.size, size_before);
}

static void release_reader(struct handshake *handshake)
{
    const size_t size = handshake->reader.size;

    proxy_reader_fini(&handshake->reader);
    account_reader(handshake, size);
}

static void stop_reading(struct handshake *handshake)
{
    if (handshake->readable != NULL)
        event_free(handshake->readable);
    handshake->readable = NULL;
    release_reader(handshake);
}

/* The last thing that a callback does. */
static void finish(struct handshake *handshake, enum handshake_outcome outcome)
{
    const int saved_errno = errno;

    stop_reading(handshake);
    timeout_cancel(&handshake->group->handshake, &handshake->deadline);
    errno = saved_errno;
    handshake->on_over(outcome, handshake->argument);
}

/* The same, with what is wrong. */
static void finish_wrong(struct handshake *handshake, enum handshake_outcome outcome,
                         const char *error)
{
    handshake->error = error;
    finish(handshake, outcome);
}

/* --- TLS ------------------------------------------------------------------------------------- */

/* Behind a header that was read after the deadline it would have none. */
static void start_tls(struct handshake *handshake)
{
    if (handshake->is_overdue) {
        finish(handshake, HANDSHAKE_OVERDUE);
        return;
    }
    stop_reading(handshake);
    if (channel_start_tls(handshake->channel) == 0)
        return;
    errno = ENOMEM;
    finish(handshake, HANDSHAKE_FAILED);
}

/* The client's end is a failure of its handshake, unless it has not begun. */
static void on_tls_ended(struct handshake *handshake)
{
    if (tls_session_has_received(handshake->channel->tls))
        finish_wrong(handshake, HANDSHAKE_TLS, "the client closed in its handshake");
    else
        finish(handshake, HANDSHAKE_ENDED);
}

/* errno says why. */
static void on_tls_failed(struct handshake *handshake)
{
    if (errno == 0)
        on_tls_ended(handshake);
    else if (errno == EPROTO)
        finish_wrong(handshake, HANDSHAKE_TLS, tls_session_failure(handshake->channel->tls));
    else
        finish(handshake, HANDSHAKE_FAILED);
}

void handshake_on_socket(struct handshake *handshake)
{
    if (channel_shake_tls(handshake->channel) == 0)
        finish(handshake, HANDSHAKE_DONE);
    else if (errno != EAGAIN)
        on_tls_failed(handshake);
}

const struct tls_facts *handshake_tls(const struct handshake *handshake, struct tls_facts *facts)
{
    const struct tls_session *session = handshake->channel->tls;

    return session != NULL && tls_session_describe(session, facts) ? facts : NULL;
}

/* --- PROXY ----------------------------------------------------------------------------------- */

/* Tell whether the peer may speak for others. Who may open a Unix socket, its mode tells. */
static bool is_trusted(const struct connection_group *group, const union peer *peer)
{
    const struct network_list *from = &group->proxy_from;

    return from->count == 0 || peer->family == AF_UNIX || network_list_contains(from, &peer->any);
}

/* Keep what the identity will tell. Return 0, or -1 with errno ENOMEM. */
static int keep_facts(struct handshake *handshake, const struct proxy_header *header)
{
    if (handshake->group->identify.mode == LISTENER_IDENTIFY_OFF)
        return 0;
    handshake->facts = proxy_facts_new(header);
    return handshake->facts == NULL ? -1 : 0;
}

static void take_header(struct handshake *handshake, const struct proxy_header *header)
{
    if (keep_facts(handshake, header) < 0) {
        finish(handshake, HANDSHAKE_FAILED);
        return;
    }
    handshake->has_source = header->has_addresses;
    if (header->has_addresses)
        handshake->source = peer_make((const struct sockaddr *)&header->source);
    if (!gate_lets_in(&handshake->group->gate, handshake->has_source ? &handshake->source : NULL,
                      handshake->known))
        finish(handshake, HANDSHAKE_REFUSED);
    else if (handshake->group->tls != NULL)
        start_tls(handshake);
    else
        finish(handshake, HANDSHAKE_DONE);
}

static void on_end_of_input(struct handshake *handshake)
{
    struct error error = {""};

    if (handshake->reader.length == 0) {
        finish(handshake, HANDSHAKE_ENDED);
        return;
    }
    error_set(&error, "it ends after %zu bytes", handshake->reader.length);
    finish_wrong(handshake, HANDSHAKE_INVALID, error.text);
}

/* More of the header must come, if there is time and memory for it. */
static void go_on(struct handshake *handshake)
{
    const struct connection_group *group = handshake->group;

    if (handshake->is_overdue) {
        finish(handshake, HANDSHAKE_OVERDUE);
    } else if (handshake->reader.size > PROXY_READER_LEAST_SIZE &&
               gauge_get(&group->pool->queued_bytes) > group->limits.max_queued_bytes) {
        errno = ENOMEM;
        finish(handshake, HANDSHAKE_FAILED);
    }
}

static void read_header(struct handshake *handshake, int fd)
{
    const size_t size_before = handshake->reader.size;
    struct proxy_header header;
    struct error cause = {""};
    const enum proxy_reading reading = proxy_reader_read(
        &handshake->reader, fd, handshake->group->proxy_versions, &header, &cause);
    const int error = errno;

    account_reader(handshake, size_before);
    errno = error;
    switch (reading) {
    case PROXY_READING_DONE:
        take_header(handshake, &header);
        return;
    case PROXY_READING_INCOMPLETE:
        go_on(handshake);
        return;
    case PROXY_READING_INVALID:
        finish_wrong(handshake, HANDSHAKE_INVALID, cause.text);
        return;
    case PROXY_READING_ENDED:
        on_end_of_input(handshake);
        return;
    case PROXY_READING_FAILED:
        finish(handshake, HANDSHAKE_FAILED);
        return;
    }
}

static void on_header_readable(evutil_socket_t fd, short what, void *argument)
{
    struct handshake *handshake = argument;

    (void)what;
    if (is_trusted(handshake->group, &handshake->peer))
        read_header(handshake, fd);
    else
        finish(handshake, HANDSHAKE_UNTRUSTED);
}

/* Begin to read the header. Return 0, or -1 if there is no memory for it. */
static int start_header(struct handshake *handshake)
{
    handshake->readable = event_new(handshake->group->base, channel_socket(handshake->channel),
                                    EV_READ | EV_PERSIST, on_header_readable, handshake);
    if (handshake->readable == NULL || event_add(handshake->readable, NULL) < 0)
        return -1;
    if (!is_trusted(handshake->group, &handshake->peer))
        event_active(handshake->readable, EV_READ, 1); /* it need not say anything */
    return 0;
}

/* --- Begin and end --------------------------------------------------------------------------- */

/* What came before the deadline, while the process was stopped for instance, still counts. */
void handshake_on_overdue(struct timeout *timeout)
{
    struct handshake *handshake = HANDSHAKE_OF(timeout);

    handshake->is_overdue = true;
    if (handshake->readable != NULL)
        on_header_readable(event_get_fd(handshake->readable), EV_TIMEOUT, handshake);
    else
        finish(handshake, HANDSHAKE_OVERDUE);
}

struct handshake *handshake_new(struct connection_group *group, struct channel *channel,
                                const union peer *peer, struct admission_source **known,
                                handshake_callback *on_over, void *argument)
{
    struct handshake *handshake = calloc(1, sizeof *handshake);

    if (handshake == NULL)
        return NULL;
    handshake->group = group;
    handshake->channel = channel;
    handshake->known = known;
    handshake->on_over = on_over;
    handshake->argument = argument;
    handshake->peer = *peer;
    if ((group->proxy_versions != 0 ? start_header(handshake) : channel_start_tls(channel)) < 0) {
        handshake_free(handshake);
        errno = ENOMEM;
        return NULL;
    }
    timeout_touch(&group->handshake, &handshake->deadline);
    return handshake;
}

void handshake_free(struct handshake *handshake)
{
    if (handshake == NULL)
        return;
    stop_reading(handshake);
    free(handshake->facts);
    timeout_cancel(&handshake->group->handshake, &handshake->deadline);
    free(handshake);
}

const union peer *handshake_source(const struct handshake *handshake)
{
    return handshake->has_source ? &handshake->source : &handshake->peer;
}

struct proxy_facts *handshake_take_facts(struct handshake *handshake)
{
    struct proxy_facts *facts = handshake->facts;

    handshake->facts = NULL;
    return facts;
}

const union peer *handshake_via(const struct handshake *handshake)
{
    return handshake->has_source ? &handshake->peer : NULL;
}

const char *handshake_error(const struct handshake *handshake)
{
    return handshake->error;
}
