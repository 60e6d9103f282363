#include <config.h>

#include "echod/echo_tls.h"

#include <errno.h>

/* How a read of several records went. */
enum gathering {
    GATHERED_ALL,  /* nothing more is there */
    GATHERED_SOME, /* the scratch is full */
    GATHERED_END,  /* the client's end follows */
    GATHER_FAILED, /* errno says why */
};

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
    }
    return GATHERED_SOME;
}

/* Send in pieces, of which each is a record. Return how many bytes were taken, or -1 with errno. */
static ssize_t send_pieces(struct tls_session *session, const unsigned char *bytes, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        const size_t left = length - sent;
        const size_t piece = left < ECHO_PIECE_SIZE ? left : ECHO_PIECE_SIZE;

        if (tls_session_write(session, bytes + sent, piece) < 0)
            return errno == EAGAIN ? (ssize_t)sent : -1;
        sent += piece;
    }
    return (ssize_t)sent;
}

/*
 * Send what was gathered, and queue what the socket does not take. Return ECHO_SENT, ECHO_QUEUED or
 * ECHO_FAILED.
 */
static enum echo_outcome pass(const struct echo_scratch *scratch, struct tls_session *session,
                              struct evbuffer *output, size_t length,
                              struct echo_progress *progress)
{
    const ssize_t sent = send_pieces(session, scratch->bytes, length);

    progress->received += length;
    if (sent < 0)
        return ECHO_FAILED;
    progress->sent += (size_t)sent;
    if ((size_t)sent == length)
        return ECHO_SENT;
    if (echo_queue(output, scratch->bytes + sent, length - (size_t)sent) < 0)
        return ECHO_FAILED;
    return ECHO_QUEUED;
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
    if (outcome == ECHO_FAILED || gathering == GATHERED_ALL || gathering == GATHERED_SOME)
        return outcome;
    errno = error;
    return gathering == GATHERED_END ? ECHO_ENDED : ECHO_FAILED;
}
