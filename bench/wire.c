#include <config.h>

#include "wire.h"

#include "client.h"
#include "pattern.h"
#include "works.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SEND_PIECES = 4 }; /* of the pattern, in one system call: 256 KiB */

/* What is as good as done where there is no TLS. */
static int succeed(struct wire *wire)
{
    (void)wire;
    return 0;
}

static bool is_never(const struct wire *wire)
{
    (void)wire;
    return false;
}

static void free_nothing(struct wire *wire)
{
    (void)wire;
}

static ssize_t send_plain(struct wire *wire, uint64_t offset, uint64_t length)
{
    struct iovec pieces[SEND_PIECES];
    struct msghdr message = {.msg_iov = pieces};

    while (length > 0 && message.msg_iovlen < SEND_PIECES) {
        struct iovec *piece = &pieces[message.msg_iovlen++];

        piece->iov_base = pattern_at(wire->key, offset);
        piece->iov_len = length < PATTERN_PIECE_BYTES ? (size_t)length : PATTERN_PIECE_BYTES;
        offset += piece->iov_len;
        length -= piece->iov_len;
    }
    return sendmsg(wire->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t receive_plain(struct wire *wire, void *bytes, size_t size)
{
    return recv(wire->fd, bytes, size, MSG_DONTWAIT);
}

static int end_plain(struct wire *wire)
{
    return shutdown(wire->fd, SHUT_WR);
}

const struct wire_kind *wire_plain(void)
{
    static const struct wire_kind kind = {
        .begin = succeed,
        .shake = succeed,
        .is_resumed = is_never,
        .send = send_plain,
        .receive = receive_plain,
        .has_more = is_never,
        .end = end_plain,
        .free = free_nothing,
    };

    return &kind;
}

int wire_open(struct wire *wire, uint16_t port, uint64_t key)
{
    int saved;

    wire->key = key;
    wire->fd = client_connect(port, key);
    if (wire->fd < 0)
        return -1;
    if (wire->kind->begin(wire) == 0)
        return 0;
    saved = errno;
    (void)close(wire->fd);
    errno = saved;
    return -1;
}

int wire_shake(struct wire *wire)
{
    return wire->kind->shake(wire);
}

int wire_shake_hands(struct wire *wire)
{
    struct pollfd input = {.fd = wire->fd, .events = POLLIN};

    while (wire_shake(wire) < 0) {
        if (errno != EAGAIN)
            return -1;
        if (poll(&input, 1, WORKS_PATIENCE_MS) == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
    return 0;
}

bool wire_is_resumed(const struct wire *wire)
{
    return wire->kind->is_resumed(wire);
}

ssize_t wire_send(struct wire *wire, uint64_t offset, uint64_t length)
{
    return wire->kind->send(wire, offset, length);
}

ssize_t wire_receive(struct wire *wire, void *bytes, size_t size)
{
    return wire->kind->receive(wire, bytes, size);
}

bool wire_has_more(const struct wire *wire)
{
    return wire->kind->has_more(wire);
}

int wire_end(struct wire *wire)
{
    return wire->kind->end(wire);
}

void wire_close(struct wire *wire)
{
    wire->kind->free(wire);
    (void)close(wire->fd);
}
