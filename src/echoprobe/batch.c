#include <config.h>

#include "echoprobe/batch.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

static int send_one_by_one(int fd, struct batch *batch, size_t count, const struct sockaddr *to,
                           socklen_t to_length)
{
    size_t sent = 0;

    while (sent < count) {
        const struct batch_slot *slot = &batch->slots[sent];

        if (sendto(fd, slot->bytes, slot->length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to_length) >= 0)
            sent++;
        else if (errno != EINTR)
            break;
    }
    return sent > 0 ? (int)sent : -1;
}

static int receive_one_by_one(int fd, struct batch *batch)
{
    int count = 0;

    while (count < BATCH_DATAGRAMS) {
        struct batch_slot *slot = &batch->slots[count];
        ssize_t length;

        slot->from_length = sizeof slot->from;
        length = recvfrom(fd, slot->bytes, BATCH_BYTES, MSG_DONTWAIT,
                          (struct sockaddr *)&slot->from, &slot->from_length);
        if (length >= 0) {
            slot->length = (size_t)length;
            count++;
        } else if (errno != EINTR) {
            break;
        }
    }
    return count > 0 ? count : -1;
}

#if defined(HAVE_SENDMMSG) && defined(HAVE_RECVMMSG)

/*
 * Tell whether the system may refuse the call for many and not what it would do, as a sandbox or
 * another kernel does. Then nothing moved, and the call for one tells.
 */
static bool is_refusal(int error)
{
    return error == ENOSYS || error == EPERM || error == EACCES || error == EOPNOTSUPP ||
           error == EINVAL || error == ENOMEM || error == ENOBUFS;
}

/* What the system is told of the first `count` slots. */
struct vector {
    struct mmsghdr headers[BATCH_DATAGRAMS];
    struct iovec pieces[BATCH_DATAGRAMS];
};

static void add_slot(struct vector *vector, size_t i, struct batch_slot *slot, size_t length)
{
    vector->pieces[i] = (struct iovec){.iov_base = slot->bytes, .iov_len = length};
    memset(&vector->headers[i], 0, sizeof vector->headers[i]);
    vector->headers[i].msg_hdr.msg_iov = &vector->pieces[i];
    vector->headers[i].msg_hdr.msg_iovlen = 1;
}

int batch_send(int fd, struct batch *batch, size_t count, const struct sockaddr *to,
               socklen_t to_length)
{
    struct sockaddr_storage address;
    struct vector vector;
    int sent;

    memcpy(&address, to, to_length);
    for (size_t i = 0; i < count; i++) {
        add_slot(&vector, i, &batch->slots[i], batch->slots[i].length);
        vector.headers[i].msg_hdr.msg_name = &address;
        vector.headers[i].msg_hdr.msg_namelen = to_length;
    }
    do {
        sent = sendmmsg(fd, vector.headers, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && is_refusal(errno))
        return send_one_by_one(fd, batch, count, to, to_length);
    return sent;
}

int batch_receive(int fd, struct batch *batch)
{
    struct vector vector;
    int count;

    for (size_t i = 0; i < BATCH_DATAGRAMS; i++) {
        add_slot(&vector, i, &batch->slots[i], BATCH_BYTES);
        vector.headers[i].msg_hdr.msg_name = &batch->slots[i].from;
        vector.headers[i].msg_hdr.msg_namelen = sizeof batch->slots[i].from;
    }
    do {
        count = recvmmsg(fd, vector.headers, BATCH_DATAGRAMS, MSG_DONTWAIT, NULL);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && is_refusal(errno))
        return receive_one_by_one(fd, batch);
    for (int i = 0; i < count; i++) {
        batch->slots[i].length = vector.headers[i].msg_len;
        batch->slots[i].from_length = vector.headers[i].msg_hdr.msg_namelen;
    }
    return count;
}

#else

int batch_send(int fd, struct batch *batch, size_t count, const struct sockaddr *to,
               socklen_t to_length)
{
    return send_one_by_one(fd, batch, count, to, to_length);
}

int batch_receive(int fd, struct batch *batch)
{
    return receive_one_by_one(fd, batch);
}

#endif
