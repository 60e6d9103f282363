#include <config.h>

#include "echod/echo_tls.h"

#include <errno.h>
#include <stdbool.h>

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

/* What is on its way between input and output. */
struct passage {
    struct echo_scratch *scratch;
    struct tls_session *session;
    struct evbuffer *output;
    bool is_blocked; /* the socket takes no more, and so nothing more is received */
};

/* Send what was gathered, or queue it. Return 0, or -1 with errno. */
static int pass(struct passage *passage, size_t length, struct echo_progress *progress)
{
    const unsigned char *bytes = passage->scratch->bytes;
    const ssize_t sent = passage->is_blocked ? 0 : send_pieces(passage->session, bytes, length);

    progress->received += length;
    if (sent < 0)
        return -1;
    progress->sent += (size_t)sent;
    if ((size_t)sent == length)
        return 0;
    if (!passage->is_blocked)
        tls_session_stop_receiving(passage->session);
    passage->is_blocked = true;
    return echo_queue(passage->output, bytes + sent, length - (size_t)sent);
}

enum echo_outcome echo_tls(struct echo_scratch *scratch, struct tls_session *session,
                           struct evbuffer *output, uint64_t room_bytes,
                           struct echo_progress *progress)
{
    struct passage passage = {.scratch = scratch, .session = session, .output = output};
    const size_t size = echo_size(room_bytes);
    enum gathering gathering;
    size_t length;
    int error;

    *progress = (struct echo_progress){0};
    do {
        gathering = gather(scratch, session, size, &length);
        error = errno;
        if (pass(&passage, length, progress) < 0)
            return ECHO_FAILED;
    } while (gathering == GATHERED_SOME);
    errno = error;
    if (gathering == GATHER_FAILED)
        return ECHO_FAILED;
    if (gathering == GATHERED_END)
        return ECHO_ENDED;
    return passage.is_blocked ? ECHO_QUEUED : ECHO_SENT;
}
