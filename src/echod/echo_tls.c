#include <config.h>

#include "echod/echo_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The most that a record holds (RFC 8446, 5.1), as a client sends it that has much to send. */
enum { RECORD_SIZE = 16 << 10 };

/* How a read of several records went. */
enum gathering {
    GATHERED_ALL,  /* nothing more is there */
    GATHERED_SOME, /* the scratch is full */
    GATHERED_END,  /* the client's end follows */
    GATHER_FAILED, /* errno says why */
};

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

static enum gathering gather(const struct echo_scratch *scratch, struct tls_session *session,
                             size_t size, size_t *length)
{
    ssize_t received;

    *length = 0;
    while (*length < size) {
        received = tls_session_read(session, scratch->bytes + *length, size - *length);
        if (received == 0)
            return GATHERED_END;
        if (received < 0)
            return errno == EAGAIN ? GATHERED_ALL : GATHER_FAILED;
        *length += (size_t)received;
        if (!tls_session_may_have_more(session))
            return GATHERED_ALL;
    }
    return GATHERED_SOME;
}

/* Send in records as long as they may be. Return how many bytes were taken, or -1 with errno. */
static ssize_t send_records(struct tls_session *session, const unsigned char *bytes, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        const size_t left = length - sent;
        const size_t record = least(left, RECORD_SIZE);

        if (tls_session_write(session, bytes + sent, record, record < left) < 0)
            return errno == EAGAIN ? (ssize_t)sent : -1;
        sent += record;
    }
    return (ssize_t)sent;
}

static void free_copy(const void *bytes, size_t length, void *copy)
{
    (void)bytes, (void)length;
    free(copy);
}

/* Queue bytes as one piece, in memory of that size, of which libevent would take twice as much. */
static int queue_exactly(struct evbuffer *output, const unsigned char *bytes, size_t length)
{
    void *copy = malloc(length);

    if (copy == NULL)
        return -1;
    memcpy(copy, bytes, length);
    if (evbuffer_add_reference(output, copy, length, free_copy, copy) == 0)
        return 0;
    free(copy);
    errno = ENOMEM;
    return -1;
}

/* Queue what the socket did not take. OpenSSL wants the first record again, as long as it was. */
static int queue(struct evbuffer *output, const unsigned char *bytes, size_t length)
{
    const size_t record = least(length, RECORD_SIZE);

    if (record <= ECHO_PIECE_SIZE)
        return echo_queue(output, bytes, length);
    if (queue_exactly(output, bytes, record) < 0)
        return -1;
    return echo_queue(output, bytes + record, length - record);
}

/*
 * Send what was gathered, and queue what the socket does not take. Return ECHO_SENT, ECHO_QUEUED or
 * ECHO_FAILED.
 */
static enum echo_outcome pass(const struct echo_scratch *scratch, struct tls_session *session,
                              struct evbuffer *output, size_t length,
                              struct echo_progress *progress)
{
    const ssize_t sent = send_records(session, scratch->bytes, length);

    progress->received += length;
    if (sent < 0)
        return ECHO_FAILED;
    progress->sent += (size_t)sent;
    if ((size_t)sent == length)
        return ECHO_SENT;
    if (queue(output, scratch->bytes + sent, length - (size_t)sent) < 0)
        return ECHO_FAILED;
    return ECHO_QUEUED;
}

/* What an echo comes to, after how it gathered and sent. `error` is the errno of the former. */
static enum echo_outcome conclude(enum gathering gathering, enum echo_outcome outcome, int error)
{
    if (outcome == ECHO_FAILED || gathering == GATHERED_ALL || gathering == GATHERED_SOME)
        return outcome;
    errno = error;
    return gathering == GATHERED_END ? ECHO_ENDED : ECHO_FAILED;
}

enum echo_outcome echo_tls(struct echo_scratch *scratch, struct tls_session *session,
                           struct evbuffer *output, uint64_t room_bytes,
                           struct echo_progress *progress)
{
    const size_t size = echo_size(room_bytes);
    enum gathering gathering;
    enum echo_outcome outcome;
    size_t length;
    int error;

    *progress = (struct echo_progress){0};
    do {
        gathering = gather(scratch, session, size, &length);
        error = errno;
        outcome = pass(scratch, session, output, length, progress);
    } while (gathering == GATHERED_SOME && outcome == ECHO_SENT);
    return conclude(gathering, outcome, error);
}

enum echo_outcome echo_tls_once(struct echo_scratch *scratch, struct tls_session *session,
                                struct evbuffer *output, size_t size,
                                struct echo_progress *progress)
{
    size_t length;
    const enum gathering gathering = gather(scratch, session, size, &length);
    const int error = errno;

    *progress = (struct echo_progress){0};
    return conclude(gathering, pass(scratch, session, output, length, progress), error);
}
