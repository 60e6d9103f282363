#include <config.h>

#include "echod/datagram_batch.h"

#include <errno.h>
#include <stdlib.h>

#ifndef HAVE_STRUCT_MMSGHDR
struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};
#endif

/* What belongs to one datagram: the system reads and writes it through the headers. */
struct slot {
    struct datagram datagram;
    struct iovec piece;
    _Alignas(max_align_t) unsigned char control[DATAGRAM_CONTROL_SIZE];
};

/* An answer that waits stands in `answers` from `first` to `end`, and its datagram in a slot. */
struct datagram_batch {
    struct mmsghdr headers[DATAGRAM_BATCH_COUNT]; /* one for each slot, to receive */
    struct mmsghdr answers[DATAGRAM_BATCH_COUNT];
    struct slot slots[DATAGRAM_BATCH_COUNT];
    struct slot *answered[DATAGRAM_BATCH_COUNT]; /* the slot of each answer */
    unsigned used;                               /* headers that the last receive has changed */
    unsigned first, end;
    bool has_no_recvmmsg, has_no_sendmmsg; /* this kernel has not */
    bool is_split;   /* the first answer leaves as single datagrams; its piece is what is left */
    bool is_retried; /* the first answer failed once */
    unsigned char buffers[DATAGRAM_BATCH_COUNT][DATAGRAM_BUFFER_BYTES];
};

/* Make a slot ready for the next datagram. */
static void prepare(struct datagram_batch *batch, unsigned index)
{
    struct msghdr *header = &batch->headers[index].msg_hdr;
    struct slot *slot = &batch->slots[index];

    slot->piece.iov_base = batch->buffers[index];
    slot->piece.iov_len = DATAGRAM_BUFFER_BYTES;
    header->msg_name = &slot->datagram.source;
    header->msg_namelen = sizeof slot->datagram.source;
    header->msg_iov = &slot->piece;
    header->msg_iovlen = 1;
    header->msg_control = slot->control;
    header->msg_controllen = sizeof slot->control;
    header->msg_flags = 0;
}

struct datagram_batch *datagram_batch_new(void)
{
    struct datagram_batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL)
        return NULL;
    for (unsigned i = 0; i < DATAGRAM_BATCH_COUNT; i++)
        prepare(batch, i);
    return batch;
}

void datagram_batch_free(struct datagram_batch *batch)
{
    free(batch);
}

/* --- Receive --------------------------------------------------------------------------------- */

static int receive_one(struct mmsghdr *header, int fd)
{
    const ssize_t received = recvmsg(fd, &header->msg_hdr, MSG_DONTWAIT);

    if (received < 0)
        return -1;
    header->msg_len = (unsigned)received;
    return 1;
}

static int receive_one_by_one(struct mmsghdr *headers, int fd, unsigned count)
{
    unsigned received = 0;

    while (received < count && receive_one(&headers[received], fd) > 0)
        received++;
    return received > 0 ? (int)received : -1;
}

#ifdef HAVE_RECVMMSG

/* Tell whether the system refuses a call and not what it would do: a sandbox, another kernel. */
static bool is_refusal(int error)
{
    return error == ENOSYS || error == EPERM || error == EACCES || error == EOPNOTSUPP ||
           error == EINVAL || error == ENOMEM || error == ENOBUFS;
}

/* Receive with one call. Where that is refused, nothing was taken: do it one by one. */
static int receive_at_once(struct datagram_batch *batch, int fd, unsigned count)
{
    const int received = recvmmsg(fd, batch->headers, count, MSG_DONTWAIT, NULL);

    if (received >= 0 || !is_refusal(errno))
        return received;
    batch->has_no_recvmmsg = errno == ENOSYS;
    prepare(batch, 0);
    return receive_one_by_one(batch->headers, fd, count);
}

#else

static int receive_at_once(struct datagram_batch *batch, int fd, unsigned count)
{
    return receive_one_by_one(batch->headers, fd, count);
}

#endif

/* One alone costs less by recvmsg. */
static int receive_some(struct datagram_batch *batch, int fd, unsigned count)
{
    if (count == 1 || batch->has_no_recvmmsg)
        return receive_one_by_one(batch->headers, fd, count);
    return receive_at_once(batch, fd, count);
}

int datagram_batch_receive(struct datagram_batch *batch, int fd, unsigned count)
{
    int received;

    for (unsigned i = 0; i < batch->used; i++)
        prepare(batch, i);
    batch->used = 0;
    batch->first = batch->end = 0;
    received = receive_some(batch, fd, count);
    for (int i = 0; i < received; i++) {
        struct datagram *datagram = &batch->slots[i].datagram;

        datagram->length = batch->headers[i].msg_len;
        datagram_control_read(&batch->headers[i].msg_hdr, &datagram->arrival);
    }
    batch->used = received > 0 ? (unsigned)received : 1; /* who failed may have changed it, too */
    return received;
}

const struct datagram *datagram_batch_at(const struct datagram_batch *batch, unsigned index)
{
    return &batch->slots[index].datagram;
}

char *datagram_batch_bytes(struct datagram_batch *batch, unsigned index)
{
    return (char *)batch->buffers[index];
}

void datagram_batch_set_segment(struct datagram_batch *batch, unsigned index,
                                uint16_t segment_bytes)
{
    batch->slots[index].datagram.arrival.segment_bytes = segment_bytes;
}

static bool is_train(const struct datagram_arrival *arrival, size_t length)
{
    return arrival->segment_bytes > 0 && length > arrival->segment_bytes;
}

static uint64_t count_of(const struct datagram_arrival *arrival, size_t length)
{
    if (!is_train(arrival, length))
        return 1;
    return (length + arrival->segment_bytes - 1) / arrival->segment_bytes;
}

uint64_t datagram_count(const struct datagram *datagram)
{
    return count_of(&datagram->arrival, datagram->length);
}

/* --- Send ------------------------------------------------------------------------------------ */

void datagram_batch_answer(struct datagram_batch *batch, unsigned index, size_t length,
                           uint8_t usual_hops)
{
    struct mmsghdr *answer = &batch->answers[batch->end];
    struct slot *slot = &batch->slots[index];

    *answer = batch->headers[index];
    slot->piece.iov_len = length;
    datagram_control_write(&answer->msg_hdr, &slot->datagram.arrival, usual_hops,
                           is_train(&slot->datagram.arrival, length));
    batch->answered[batch->end++] = slot;
}

static void go_on_with_next(struct datagram_batch *batch)
{
    batch->first++;
    batch->is_split = false;
    batch->is_retried = false;
}

/* Take note that the first answer left, whole. */
static void note_sent(struct datagram_batch *batch, struct datagram_tally *tally)
{
    const struct slot *slot = batch->answered[batch->first];

    tally->count += count_of(&slot->datagram.arrival, slot->piece.iov_len);
    tally->bytes += slot->piece.iov_len;
    go_on_with_next(batch);
}

/* One alone, of which there is nothing to tell, costs less by sendto. */
static ssize_t send_one(const struct msghdr *header, int fd)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

    if (header->msg_controllen > 0)
        return sendmsg(fd, header, flags);
    return sendto(fd, header->msg_iov->iov_base, header->msg_iov->iov_len, flags, header->msg_name,
                  header->msg_namelen);
}

/* Send the next datagram of the first answer. Return 1, or -1 with errno. */
static int send_segment(struct datagram_batch *batch, int fd, struct datagram_tally *tally)
{
    struct slot *slot = batch->answered[batch->first];
    const size_t left = slot->piece.iov_len, segment = slot->datagram.arrival.segment_bytes;
    const size_t length = left < segment ? left : segment;
    struct iovec piece = {.iov_base = slot->piece.iov_base, .iov_len = length};
    struct msghdr header = batch->answers[batch->first].msg_hdr;

    header.msg_iov = &piece;
    if (send_one(&header, fd) < 0)
        return -1;
    tally->count++;
    tally->bytes += length;
    batch->is_retried = false;
    slot->piece.iov_base = (unsigned char *)slot->piece.iov_base + length;
    slot->piece.iov_len = left - length;
    if (left == length)
        go_on_with_next(batch);
    return 1;
}

/*
 * Send answers with one call. Where that fails, nothing left: whether it is the call that is
 * refused or the first answer, this one alone will tell.
 * Return how many left, at least 1, or -1 with errno.
 */
static int send_some(struct datagram_batch *batch, int fd)
{
    struct mmsghdr *answers = &batch->answers[batch->first];

#ifdef HAVE_SENDMMSG
    if (batch->end - batch->first > 1 && !batch->has_no_sendmmsg) {
        const int sent =
            sendmmsg(fd, answers, batch->end - batch->first, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent > 0 || errno == EAGAIN || errno == EINTR)
            return sent;
        batch->has_no_sendmmsg = errno == ENOSYS;
    }
#endif
    return send_one(&answers->msg_hdr, fd) < 0 ? -1 : 1;
}

/* Send what can be sent at once, and take note. Return -1 with errno if nothing was. */
static int send_whole(struct datagram_batch *batch, int fd, struct datagram_tally *tally)
{
    const int sent = send_some(batch, fd);

    for (int i = 0; i < sent; i++)
        note_sent(batch, tally);
    return sent;
}

/*
 * Tell whether a train may leave as single datagrams: they fit into nothing on the way in one
 * piece, the device computes no checksums, or the system cannot do it for this path (udp(7)).
 */
static bool can_split(const struct datagram_batch *batch, int failure)
{
    const struct slot *slot = batch->answered[batch->first];

    return !batch->is_split && is_train(&slot->datagram.arrival, slot->piece.iov_len) &&
           (failure == EINVAL || failure == EIO || failure == EMSGSIZE || failure == EOPNOTSUPP);
}

static void split(struct datagram_batch *batch)
{
    batch->is_split = true;
    batch->is_retried = false; /* each of its datagrams may be tried twice */
    datagram_control_write(&batch->answers[batch->first].msg_hdr,
                           &batch->answered[batch->first]->datagram.arrival, 0, false);
}

/* Give the first answer up: that of a train, its next datagram and what is behind it. */
static void give_up(struct datagram_batch *batch, int failure, struct datagram_tally *tally)
{
    const struct slot *slot = batch->answered[batch->first];

    tally->failed += count_of(&slot->datagram.arrival, slot->piece.iov_len);
    tally->failure = failure;
    go_on_with_next(batch);
}

/*
 * The first answer was not sent, and not for want of room. The error may be that of another peer,
 * which the network told of meanwhile, and is over once it was read: so try again once.
 */
static void handle_failure(struct datagram_batch *batch, int failure, struct datagram_tally *tally)
{
    if (can_split(batch, failure))
        split(batch);
    else if (!batch->is_retried)
        batch->is_retried = true;
    else
        give_up(batch, failure, tally);
}

enum datagram_outcome datagram_batch_send(struct datagram_batch *batch, int fd,
                                          struct datagram_tally *tally)
{
    while (batch->first < batch->end) {
        const int sent =
            batch->is_split ? send_segment(batch, fd, tally) : send_whole(batch, fd, tally);

        if (sent > 0 || errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return DATAGRAM_FULL;
        if (errno == ENOBUFS || errno == ENOMEM)
            return DATAGRAM_SHORT;
        handle_failure(batch, errno, tally);
    }
    return DATAGRAM_SENT;
}
