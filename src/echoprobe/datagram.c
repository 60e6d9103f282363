#include <config.h>

#include "echoprobe/datagram.h"

#include "base/identity_reader.h"
#include "echoprobe/greeting.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef HAVE_LINUX_ERRQUEUE_H
#include <linux/errqueue.h>
#endif

enum {
    STRIDE_BITS = 16,   /* a datagram's bytes begin at a position of their own */
    SEQUENCE_BITS = 27, /* of a sequence that its bytes tell: 43 bits of position less the stride */
    BATCHES_PER_TURN = 4, /* then the others have their turn */
    WORDS = 16,           /* bytes that tell where they come from */
    LOOKED_BACK = 64,     /* settled datagrams that an answer of fewer bytes may be a copy of */
};

struct datagram {
    struct batch *batch;
    const struct target *target;
    const struct pattern *pattern;
    const struct datagram_events *events;
    void *argument;
    uint64_t number;
    size_t size;
    int fd;
    struct event *reader, *writer;
    uint64_t settled, sent, next; /* before these are settled, are sent, are to be sent */
};

static uint64_t position_of(uint64_t sequence)
{
    return sequence << STRIDE_BITS;
}

/* Of all sequences with these lower bits, the last that was sent. */
static uint64_t whole_sequence(const struct datagram *datagram, uint64_t lower)
{
    const uint64_t mask = (UINT64_C(1) << SEQUENCE_BITS) - 1;
    const uint64_t last = datagram->sent - 1;

    return last - ((last - lower) & mask);
}

/* Return which datagram came back, as far as its bytes tell; otherwise the oldest that has not. */
static uint64_t find_sequence(const struct datagram *datagram, const unsigned char *bytes,
                              size_t length)
{
    const uint64_t own = datagram->number & ((UINT64_C(1) << PATTERN_NUMBER_BITS) - 1);
    uint64_t number, position;

    for (size_t i = 0; i + WORDS <= length; i += WORDS / 2) {
        if (pattern_locate(datagram->pattern, bytes + i, length - i, &number, &position) &&
            number == own)
            return whole_sequence(datagram, position >> STRIDE_BITS);
    }
    for (uint64_t sequence = datagram->settled; sequence < datagram->sent; sequence++) {
        if (pattern_match(datagram->pattern, datagram->number, position_of(sequence), bytes,
                          length) == length)
            return sequence;
    }
    for (uint64_t i = 0; i < LOOKED_BACK && i < datagram->settled; i++) {
        const uint64_t sequence = datagram->settled - 1 - i;

        if (pattern_match(datagram->pattern, datagram->number, position_of(sequence), bytes,
                          length) == length)
            return sequence;
    }
    return datagram->settled < datagram->sent ? datagram->settled : datagram->sent - 1;
}

static bool is_same_address(const struct sockaddr_storage *one,
                            const struct sockaddr_storage *other)
{
    if (one->ss_family != other->ss_family)
        return false;
    if (one->ss_family == AF_INET) {
        const struct sockaddr_in *left = (const struct sockaddr_in *)one;
        const struct sockaddr_in *right = (const struct sockaddr_in *)other;

        return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
    }
    if (one->ss_family == AF_INET6) {
        const struct sockaddr_in6 *left = (const struct sockaddr_in6 *)one;
        const struct sockaddr_in6 *right = (const struct sockaddr_in6 *)other;

        return left->sin6_port == right->sin6_port &&
               memcmp(&left->sin6_addr, &right->sin6_addr, sizeof left->sin6_addr) == 0;
    }
    return false;
}

/* --- Errors of the network ------------------------------------------------------------------- */

#ifdef HAVE_LINUX_ERRQUEUE_H

/* Return the errno of what a router or a host answered; 0: it is the system's own. */
static int error_of(struct msghdr *header)
{
    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each != NULL;
         each = CMSG_NXTHDR(header, each)) {
        struct sock_extended_err error;

        if (!(each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_RECVERR) &&
            !(each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&error, CMSG_DATA(each), sizeof error);
        return error.ee_origin == SO_EE_ORIGIN_LOCAL ? 0 : (int)error.ee_errno;
    }
    return 0;
}

/*
 * Report the errors that wait, each with the datagram that it answers (ip(7), IP_RECVERR).
 * `failure` is the last of them.
 */
static void report_errors(struct datagram *datagram, int failure)
{
    unsigned char *bytes = datagram->batch->slots[0].bytes;
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[512];
    } control;

    (void)failure;
    for (;;) {
        struct iovec piece = {.iov_base = bytes, .iov_len = BATCH_BYTES};
        struct msghdr header = {.msg_iov = &piece,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof control.bytes};
        const ssize_t length = recvmsg(datagram->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
        int error;

        if (length < 0)
            return;
        error = error_of(&header);
        if (error != 0 && datagram->sent > 0)
            datagram->events->on_error(datagram->argument,
                                       find_sequence(datagram, bytes, (size_t)length), error);
    }
}

#else

static void report_errors(struct datagram *datagram, int failure)
{
    if (failure != 0 && datagram->settled < datagram->sent)
        datagram->events->on_error(datagram->argument, datagram->settled, failure);
}

#endif

/* --- Sending --------------------------------------------------------------------------------- */

static size_t fill_batch(struct datagram *datagram)
{
    const uint64_t left = datagram->next - datagram->sent;
    const size_t count = left < BATCH_DATAGRAMS ? (size_t)left : BATCH_DATAGRAMS;

    for (size_t i = 0; i < count; i++) {
        struct batch_slot *slot = &datagram->batch->slots[i];

        slot->length = datagram->size;
        pattern_fill(datagram->pattern, datagram->number, position_of(datagram->sent + i),
                     slot->bytes, slot->length);
    }
    return count;
}

static int send_batch(struct datagram *datagram)
{
    return batch_send(datagram->fd, datagram->batch, fill_batch(datagram),
                      (const struct sockaddr *)&datagram->target->places[0].address,
                      datagram->target->places[0].length);
}

/* Send a batch. A first failure may be that of an earlier datagram (udp(7)): then try once more. */
static int send_batch_anew(struct datagram *datagram)
{
    const int count = send_batch(datagram);

    if (count >= 0 || errno == EAGAIN)
        return count;
    report_errors(datagram, 0);
    return datagram->sent < datagram->next ? send_batch(datagram) : 0;
}

static void send_waiting(struct datagram *datagram)
{
    while (datagram->sent < datagram->next) {
        const int count = send_batch_anew(datagram);
        const int failure = errno;

        if (count > 0)
            datagram->sent += (uint64_t)count;
        else if (count < 0 && failure == EAGAIN && event_add(datagram->writer, NULL) == 0)
            return;
        else if (count < 0)
            datagram->events->on_unsent(datagram->argument, datagram->sent++, failure);
    }
}

static void report_turn(struct datagram *datagram)
{
    if (datagram->events->on_turn != NULL)
        datagram->events->on_turn(datagram->argument);
}

static void on_datagram_writable(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    send_waiting(argument);
    report_turn(argument);
}

/* --- Receiving ------------------------------------------------------------------------------- */

/* Tell whether an answer is an identity with its line feed. */
static bool is_identity(const unsigned char *bytes, size_t length)
{
    char identity[IDENTITY_SIZE];

    if (length == 0 || length > sizeof identity || bytes[length - 1] != '\n')
        return false;
    memcpy(identity, bytes, length);
    identity[length - 1] = '\0';
    return strlen(identity) == length - 1 && identity_read(identity, NULL, 0) == 0;
}

/* Return which datagram is answered; an identity does not tell: the oldest that is not settled. */
static uint64_t judge_answer(struct datagram *datagram, const struct batch_slot *slot,
                             struct fault *fault)
{
    uint64_t sequence;

    if (datagram->target->is_identified) {
        sequence = datagram->settled < datagram->sent ? datagram->settled : datagram->sent - 1;
        *fault = (struct fault){.kind = FAULT_NONE};
        if (!is_identity(slot->bytes, slot->length))
            fault_set(fault, FAULT_UNIDENTIFIED, 0, slot->length,
                      "an answer of %zu bytes is no identity%s", slot->length,
                      slot->length == datagram->size ? ": the service may echo" : "");
        return sequence;
    }
    sequence = find_sequence(datagram, slot->bytes, slot->length);
    fault_judge_datagram(datagram->pattern, datagram->number, position_of(sequence), datagram->size,
                         slot->bytes, slot->length, fault);
    if (fault->kind != FAULT_NONE && greeting_is_unasked(slot->bytes, slot->length))
        fault_set(fault, FAULT_INSERTED, 0, slot->length,
                  "the service says who it is instead of an echo: ask with --identify");
    return sequence;
}

/* Report who an answer is from. */
static void report_identity(const struct datagram *datagram, const struct batch_slot *slot)
{
    char identity[IDENTITY_SIZE];

    memcpy(identity, slot->bytes, slot->length);
    identity[slot->length - 1] = '\0'; /* its line feed */
    if (datagram->events->on_identity != NULL)
        datagram->events->on_identity(datagram->argument, identity);
}

static void take_datagram(struct datagram *datagram, const struct batch_slot *slot)
{
    const bool is_from_target = is_same_address(&slot->from, &datagram->target->places[0].address);
    struct fault fault;
    uint64_t sequence;

    if (datagram->sent == 0)
        return; /* nothing was asked for yet */
    sequence = judge_answer(datagram, slot, &fault);
    if (fault.kind != FAULT_NONE && !is_from_target)
        return; /* neither the bytes nor the address are what was asked for: a stranger's */
    if (fault.kind == FAULT_NONE && datagram->target->is_identified)
        report_identity(datagram, slot);
    if (!is_from_target) {
        char text[ADDRESS_TEXT_SIZE];

        address_format_socket((const struct sockaddr *)&slot->from, slot->from_length, text);
        fault_set(&fault, FAULT_MISADDRESSED, 0, 0, "the answer comes from %.200s", text);
    }
    datagram->events->on_returned(datagram->argument, sequence, &fault);
}

static void on_datagram_readable(evutil_socket_t fd, short what, void *argument)
{
    struct datagram *datagram = argument;

    (void)what;
    report_errors(datagram, 0);
    for (int i = 0; i < BATCHES_PER_TURN; i++) {
        const int count = batch_receive(fd, datagram->batch);
        const int failure = errno;

        if (count < 0 && failure == EAGAIN)
            break;
        if (count < 0)
            report_errors(datagram, failure);
        for (int k = 0; k < count; k++)
            take_datagram(datagram, &datagram->batch->slots[k]);
    }
    report_turn(datagram);
}

/* --- Construction and destruction ------------------------------------------------------------ */

static int watch_socket(struct datagram *datagram, struct event_base *base)
{
    datagram->reader =
        event_new(base, datagram->fd, EV_READ | EV_PERSIST, on_datagram_readable, datagram);
    datagram->writer = event_new(base, datagram->fd, EV_WRITE, on_datagram_writable, datagram);
    if (datagram->reader != NULL && datagram->writer != NULL &&
        event_add(datagram->reader, NULL) == 0)
        return 0;
    errno = ENOMEM;
    return -1;
}

struct datagram *datagram_new(struct event_base *base, struct batch *batch,
                              const struct target *target, const struct pattern *pattern,
                              uint64_t number, size_t size, const struct datagram_events *events,
                              void *argument)
{
    struct datagram *datagram = calloc(1, sizeof *datagram);
    int failure;

    if (datagram == NULL)
        return NULL;
    *datagram = (struct datagram){
        .batch = batch,
        .target = target,
        .pattern = pattern,
        .events = events,
        .argument = argument,
        .number = number,
        .size = size,
        .fd = target_socket(target, 0),
    };
    if (datagram->fd >= 0 && watch_socket(datagram, base) == 0)
        return datagram;
    failure = errno;
    datagram_free(datagram);
    errno = failure;
    return NULL;
}

void datagram_free(struct datagram *datagram)
{
    if (datagram == NULL)
        return;
    if (datagram->reader != NULL)
        event_free(datagram->reader);
    if (datagram->writer != NULL)
        event_free(datagram->writer);
    if (datagram->fd >= 0)
        (void)close(datagram->fd);
    free(datagram);
}

int datagram_forbid_fragments(struct datagram *datagram)
{
#if defined(IP_PMTUDISC_PROBE) && defined(IPV6_PMTUDISC_PROBE) /* ip(7), Linux 2.6.22 */
    const int probe_ipv4 = IP_PMTUDISC_PROBE, probe_ipv6 = IPV6_PMTUDISC_PROBE;

    if (datagram->target->places[0].address.ss_family == AF_INET)
        return setsockopt(datagram->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe_ipv4,
                          sizeof probe_ipv4);
    return setsockopt(datagram->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe_ipv6,
                      sizeof probe_ipv6);
#else
    (void)datagram;
    errno = ENOSYS;
    return -1;
#endif
}

void datagram_send(struct datagram *datagram, uint64_t sequence)
{
    datagram->next = sequence;
    if (!event_pending(datagram->writer, EV_WRITE, NULL))
        send_waiting(datagram);
}

uint64_t datagram_sent(const struct datagram *datagram)
{
    return datagram->sent;
}

void datagram_settle(struct datagram *datagram, uint64_t sequence)
{
    datagram->settled = sequence;
    if (datagram->sent < sequence)
        datagram->sent = sequence;
}
