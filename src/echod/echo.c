#include <config.h>

#include "echod/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined HAVE_LINUX_SOCK_DIAG_H && defined SO_MEMINFO /* Linux 4.12 */
#include <linux/sock_diag.h>
#define HAS_MEMINFO 1
#endif

enum { PIECES = 4 }; /* of input that are looked at in one go; one read fills at most two */

/* Copy the first pieces of input behind what output holds already. */
static int copy_pieces(struct evbuffer *input, struct evbuffer *output)
{
    struct evbuffer_iovec pieces[PIECES];
    const int count = evbuffer_peek(input, -1, NULL, pieces, PIECES);

    for (int i = 0; i < count && i < PIECES; i++) {
        if (evbuffer_add(output, pieces[i].iov_base, pieces[i].iov_len) < 0)
            return -1;
        if (evbuffer_drain(input, pieces[i].iov_len) < 0)
            return -1;
    }
    return 0;
}

int echo_input(struct evbuffer *input, struct evbuffer *output)
{
    if (evbuffer_get_length(output) == 0)
        return evbuffer_add_buffer(output, input);
    while (evbuffer_get_length(input) > 0) {
        if (copy_pieces(input, output) < 0)
            return -1;
    }
    return 0;
}

/* --- The shortcut ---------------------------------------------------------------------------- */

/* Measured; `make bench` shows what a change does. */
enum {
    LEAST_SIZE = 4 << 10,    /* what one read takes however little room there is */
    SPLICE_SIZE = 512 << 10, /* what the pipe holds */
    STREAM_SIZE = 16 << 10,  /* a spliced read of less than this is no stream any more */
    TURN_SIZE = 256 << 10,   /* read for one client before the others have their turn */
};

int echo_scratch_init(struct echo_scratch *scratch)
{
    scratch->pipe[0] = scratch->pipe[1] = -1;
    scratch->is_room_true = true;
    scratch->bytes = malloc(ECHO_SCRATCH_SIZE);
    if (scratch->bytes == NULL)
        return -1;
#ifdef HAVE_SPLICE
    if (pipe2(scratch->pipe, O_CLOEXEC | O_NONBLOCK) == 0)
        (void)fcntl(scratch->pipe[1], F_SETPIPE_SZ, SPLICE_SIZE);
#endif
    return 0;
}

static size_t least(size_t one, uint64_t other)
{
    return one < other ? one : (size_t)other;
}

/* Go on without splice, and keep errno. */
static void close_pipe(struct echo_scratch *scratch)
{
    const int saved_errno = errno;

    for (int i = 0; i < 2; i++) {
        if (scratch->pipe[i] >= 0)
            (void)close(scratch->pipe[i]);
        scratch->pipe[i] = -1;
    }
    errno = saved_errno;
}

void echo_scratch_fini(struct echo_scratch *scratch)
{
    close_pipe(scratch);
    free(scratch->bytes);
}

/* What it means that a read brought nothing. */
static enum echo_outcome outcome_of_nothing(ssize_t received)
{
    if (received == 0)
        return ECHO_ENDED;
    return errno == EAGAIN || errno == EINTR ? ECHO_SENT : ECHO_FAILED;
}

int echo_queue(struct evbuffer *output, const unsigned char *bytes, size_t length)
{
    while (length > 0) {
        const size_t piece = least(ECHO_PIECE_SIZE, length);

        if (evbuffer_add(output, bytes, piece) < 0) {
            errno = ENOMEM;
            return -1;
        }
        bytes += piece;
        length -= piece;
    }
    return 0;
}

/* Receive into the scratch and send from there. */
static enum echo_outcome copy(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                              size_t size, struct echo_progress *progress)
{
    const ssize_t received = recv(fd, scratch->bytes, size, MSG_DONTWAIT);
    ssize_t sent;

    if (received <= 0)
        return outcome_of_nothing(received);
    sent = send(fd, scratch->bytes, (size_t)received, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        sent = 0; /* whatever it is, output meets it again and reports it */
    progress->received += (size_t)received;
    progress->sent += (size_t)sent;
    if (sent == received)
        return ECHO_SENT;
    if (echo_queue(output, scratch->bytes + sent, (size_t)(received - sent)) < 0)
        return ECHO_FAILED;
    return ECHO_QUEUED;
}

#ifdef HAVE_SPLICE

#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

/* Empty the pipe into output. */
static enum echo_outcome queue_pipe(struct echo_scratch *scratch, struct evbuffer *output,
                                    size_t length)
{
    while (length > 0) {
        const ssize_t taken = read(scratch->pipe[0], scratch->bytes, ECHO_SCRATCH_SIZE);

        if (taken <= 0 || echo_queue(output, scratch->bytes, (size_t)taken) < 0) {
            close_pipe(scratch); /* what is in it must not reach another client */
            return ECHO_FAILED;
        }
        length -= (size_t)taken;
    }
    return ECHO_QUEUED;
}

/* Return how much the socket takes until it is full, or 0 where the system does not tell. */
static size_t socket_room(int fd)
{
#ifdef HAS_MEMINFO
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof memory;
    uint32_t used;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0 ||
        length <= SK_MEMINFO_WMEM_QUEUED * sizeof memory[0])
        return 0;
    used = memory[SK_MEMINFO_WMEM_QUEUED]; /* of TCP; a Unix socket counts what it allocated */
    if (used < memory[SK_MEMINFO_WMEM_ALLOC])
        used = memory[SK_MEMINFO_WMEM_ALLOC];
    return used < memory[SK_MEMINFO_SNDBUF] ? memory[SK_MEMINFO_SNDBUF] - used : 0;
#else
    (void)fd;
    return 0;
#endif
}

/*
 * Return how much to read at once: what the socket does not take must be copied, so no more than
 * it has room for, or than is little to copy. That may be more than output has room for, as long
 * as sockets took what they said.
 */
static size_t splice_size(const struct echo_scratch *scratch, int fd, uint64_t room_bytes)
{
    const size_t most = scratch->is_room_true ? SPLICE_SIZE : least(SPLICE_SIZE, room_bytes);
    const size_t room = socket_room(fd);

    return room < ECHO_SCRATCH_SIZE ? ECHO_SCRATCH_SIZE : least(room, most);
}

/* What an error of splice means. */
enum refusal {
    REFUSED_NEVER,   /* it is the connection's, or tells that nothing is there */
    REFUSED_NOW,     /* memory is short */
    REFUSED_FOR_GOOD /* the call does not exist, or not for us: a sandbox, another kernel */
};

static enum refusal refusal_of(int error)
{
    switch (error) {
    case ENOMEM:
    case ENOBUFS:
        return REFUSED_NOW;
    case ENOSYS:
    case EPERM:
    case EACCES:
    case EBADF:
    case EOPNOTSUPP:
    case EINVAL:
        return REFUSED_FOR_GOOD;
    default:
        return REFUSED_NEVER;
    }
}

/*
 * Go on where splice took nothing from the socket, but failed. Whatever it said, recv knows whether
 * there are bytes; only the connection's own error is told once, and who comes later finds an end.
 */
static enum echo_outcome copy_instead(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                                      struct echo_progress *progress)
{
    const int error = errno;
    enum echo_outcome outcome;

    if (error == EAGAIN || error == EINTR)
        return ECHO_SENT;
    if (refusal_of(error) == REFUSED_FOR_GOOD)
        close_pipe(scratch);
    outcome = copy(scratch, fd, output, ECHO_SCRATCH_SIZE, progress);
    if (outcome != ECHO_ENDED || refusal_of(error) != REFUSED_NEVER)
        return outcome;
    errno = error;
    return ECHO_FAILED;
}

/*
 * Move what is in the pipe to the socket. Return how many bytes are left: it is full; or an error
 * came, which output meets again and reports.
 */
static size_t send_pipe(struct echo_scratch *scratch, int fd, size_t length)
{
    errno = 0; /* for a splice that moves nothing without an error */
    while (length > 0) {
        const ssize_t sent = splice(scratch->pipe[0], NULL, fd, NULL, length, SPLICE_FLAGS);

        if (sent <= 0) {
            if (errno == EAGAIN && length > ECHO_SCRATCH_SIZE)
                scratch->is_room_true = false; /* as with tcp_notsent_lowat, tcp(7) */
            return length;
        }
        length -= (size_t)sent;
    }
    return 0;
}

/* Move bytes from the socket into the pipe and from there to the socket. */
static enum echo_outcome splice_through(struct echo_scratch *scratch, int fd,
                                        struct evbuffer *output, uint64_t room_bytes,
                                        struct echo_progress *progress)
{
    const size_t size = splice_size(scratch, fd, room_bytes);
    const ssize_t received = splice(fd, NULL, scratch->pipe[1], NULL, size, SPLICE_FLAGS);
    enum echo_outcome outcome;
    enum refusal refusal;
    size_t left;

    if (received == 0) /* the end, or an urgent byte with the end behind it: let recv tell */
        return copy(scratch, fd, output, ECHO_SCRATCH_SIZE, progress);
    if (received < 0)
        return copy_instead(scratch, fd, output, progress);
    left = send_pipe(scratch, fd, (size_t)received);
    progress->received += (size_t)received;
    progress->sent += (size_t)received - left;
    if (left == 0)
        return ECHO_SENT;
    refusal = refusal_of(errno);
    outcome = queue_pipe(scratch, output, left);
    if (refusal == REFUSED_FOR_GOOD)
        close_pipe(scratch);
    return outcome;
}

#else

static enum echo_outcome splice_through(struct echo_scratch *scratch, int fd,
                                        struct evbuffer *output, uint64_t room_bytes,
                                        struct echo_progress *progress)
{
    (void)scratch, (void)fd, (void)output, (void)room_bytes, (void)progress;
    abort(); /* there is no pipe */
}

#endif

size_t echo_size(uint64_t room_bytes)
{
    const size_t size = least(ECHO_SCRATCH_SIZE, room_bytes);

    return size < LEAST_SIZE ? LEAST_SIZE : size;
}

enum echo_outcome echo_socket(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                              uint64_t room_bytes, bool *is_streaming,
                              struct echo_progress *progress)
{
    const bool has_room = room_bytes >= ECHO_SCRATCH_SIZE;
    const size_t size = echo_size(room_bytes);
    enum echo_outcome outcome;
    size_t before;

    *progress = (struct echo_progress){0};
    do {
        before = progress->received;
        if (*is_streaming && has_room && scratch->pipe[0] >= 0)
            outcome = splice_through(scratch, fd, output, room_bytes, progress);
        else
            outcome = copy(scratch, fd, output, size, progress);
        *is_streaming = progress->received >= ECHO_SCRATCH_SIZE;
    } while (outcome == ECHO_SENT && progress->received < TURN_SIZE &&
             progress->received - before >= STREAM_SIZE);
    return outcome;
}

enum echo_outcome echo_socket_once(struct echo_scratch *scratch, int fd, struct evbuffer *output,
                                   size_t size, struct echo_progress *progress)
{
    *progress = (struct echo_progress){0};
    return copy(scratch, fd, output, size, progress);
}
