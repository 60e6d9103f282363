#include <config.h>

#include "works.h"

#include "client.h"
#include "pattern.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    EVENTS = 64,
    LOST_MS = 50, /* a datagram that has not come back by then is lost */
    TRAIN_BYTES = 65507,
    TRAIN_BUFFER_BYTES = 65536,
};

/* One peer of the server: a burst goes out, and the next one when all of it is back or lost. */
struct flow {
    int fd;
    uint64_t key;
    uint64_t first;   /* number of the burst's first datagram; they are counted through */
    uint64_t missing; /* bit i: datagram first + i is not back */
    uint64_t sent_ns;
    bool has_answered;
};

struct datagrams {
    const struct plan *plan;
    struct measure *measure;
    int epoll_fd;
    struct flow *flows;
    size_t receive_bytes; /* of one buffer */
    unsigned char *buffers;
    uint64_t heard_ns; /* when something came last */
};

/* A control message with room for one int. */
struct control {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

/* --- Sending. -------------------------------------------------------------------------------- */

/* What is sent: in each datagram its number, and the pattern from there on. */
struct burst {
    uint64_t numbers[WORKS_BURST];
    struct iovec pieces[WORKS_BURST][2];
    struct mmsghdr messages[WORKS_BURST];
    struct control control; /* the same for all */
};

static void burst_fill(struct burst *burst, const struct plan *plan, const struct flow *flow)
{
    for (size_t i = 0; i < plan->in_flight; i++) {
        burst->numbers[i] = flow->first + i;
        burst->pieces[i][0].iov_base = &burst->numbers[i];
        burst->pieces[i][0].iov_len = sizeof(burst->numbers[i]);
        burst->pieces[i][1].iov_base = pattern_at(flow->key, burst->numbers[i]);
        burst->pieces[i][1].iov_len = plan->size_bytes - sizeof(burst->numbers[i]);
    }
}

/* Let the kernel cut one message into datagrams of a size (udp(7), UDP_SEGMENT). */
static void burst_set_segment(struct burst *burst, struct msghdr *message, size_t size)
{
    const uint16_t segment = (uint16_t)size;
    struct cmsghdr *head;

    message->msg_control = &burst->control;
    message->msg_controllen = CMSG_SPACE(sizeof(segment));
    head = CMSG_FIRSTHDR(message);
    head->cmsg_level = SOL_UDP;
    head->cmsg_type = UDP_SEGMENT;
    head->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(head), &segment, sizeof(segment));
}

/* Make the messages: one for a datagram, or one for as many as a train holds. Return how many. */
static unsigned burst_pack(struct burst *burst, const struct plan *plan)
{
    const size_t most = plan->has_trains ? TRAIN_BYTES / plan->size_bytes : 1;
    unsigned count = 0;

    for (size_t i = 0; i < plan->in_flight; i += most) {
        const size_t left = plan->in_flight - i;
        struct msghdr *message = &burst->messages[count++].msg_hdr;

        *message = (struct msghdr){.msg_iov = burst->pieces[i],
                                   .msg_iovlen = 2 * (left < most ? left : most)};
        if (plan->has_trains)
            burst_set_segment(burst, message, plan->size_bytes);
    }
    return count;
}

/* Send the flow's next burst. */
static enum outcome send_burst(const struct datagrams *datagrams, struct flow *flow)
{
    const struct plan *plan = datagrams->plan;
    struct burst burst;
    unsigned count, sent = 0;

    flow->missing = UINT64_MAX >> (WORKS_BURST - plan->in_flight);
    flow->sent_ns = measure_now_ns();
    burst_fill(&burst, plan, flow);
    count = burst_pack(&burst, plan);
    while (sent < count) {
        const int result = sendmmsg(flow->fd, burst.messages + sent, count - sent, 0);

        if (result < 0)
            return errno == ECONNREFUSED ? OUTCOME_LOST : OUTCOME_SYSTEM;
        sent += (unsigned)result;
    }
    return OUTCOME_GOOD;
}

/* Count what is missing as lost, and go on. */
static enum outcome next_burst(const struct datagrams *datagrams, struct flow *flow)
{
    measure_lost(datagrams->measure, (uint64_t)__builtin_popcountll(flow->missing));
    flow->first += datagrams->plan->in_flight;
    return send_burst(datagrams, flow);
}

/* --- Receiving. ------------------------------------------------------------------------------ */

/* Judge one datagram. What comes after it was given up is no fault, and not counted. */
static enum outcome take(const struct datagrams *datagrams, struct flow *flow,
                         const unsigned char *bytes, size_t length, uint64_t now_ns)
{
    const struct plan *plan = datagrams->plan;
    uint64_t number;
    uint64_t bit;

    if (length != plan->size_bytes)
        return OUTCOME_WRONG_BYTES;
    memcpy(&number, bytes, sizeof(number));
    if (number >= flow->first + plan->in_flight ||
        !pattern_matches(flow->key, number, bytes + sizeof(number), length - sizeof(number)))
        return OUTCOME_WRONG_BYTES;
    if (number < flow->first)
        return OUTCOME_GOOD;
    bit = UINT64_C(1) << (number - flow->first);
    if ((flow->missing & bit) == 0)
        return OUTCOME_WRONG_BYTES; /* it came twice */
    flow->missing &= ~bit;
    measure_bytes(datagrams->measure, length);
    measure_message(datagrams->measure, flow->sent_ns, now_ns);
    return OUTCOME_GOOD;
}

/* Return how long each datagram of a train is (udp(7), UDP_GRO), or the message's own length. */
static size_t segment_bytes(struct msghdr *message, size_t length)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        int segment;

        if (head->cmsg_level != SOL_UDP || head->cmsg_type != UDP_GRO)
            continue;
        memcpy(&segment, CMSG_DATA(head), sizeof(segment));
        return (size_t)segment;
    }
    return length;
}

/* Judge a message: a datagram, or a train of them. */
static enum outcome take_message(const struct datagrams *datagrams, struct flow *flow,
                                 struct mmsghdr *message, uint64_t now_ns)
{
    const unsigned char *bytes = message->msg_hdr.msg_iov->iov_base;
    const size_t segment = segment_bytes(&message->msg_hdr, message->msg_len);
    size_t left = message->msg_len;
    enum outcome outcome;

    do {
        const size_t length = left < segment ? left : segment;

        outcome = take(datagrams, flow, bytes, length, now_ns);
        bytes += length;
        left -= length;
    } while (outcome == OUTCOME_GOOD && left > 0);
    return outcome;
}

/* Receive what is there, at most a burst, and send the next one if this one is back. */
static enum outcome on_readable(struct datagrams *datagrams, struct flow *flow)
{
    const size_t size = datagrams->receive_bytes;
    struct mmsghdr messages[WORKS_BURST];
    struct iovec pieces[WORKS_BURST];
    struct control controls[WORKS_BURST];
    uint64_t now_ns;
    int count;

    for (size_t i = 0; i < WORKS_BURST; i++) {
        pieces[i] = (struct iovec){.iov_base = datagrams->buffers + i * size, .iov_len = size};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i],
                                              .msg_iovlen = 1,
                                              .msg_control = &controls[i],
                                              .msg_controllen = sizeof(controls[i])};
    }
    count = recvmmsg(flow->fd, messages, WORKS_BURST, MSG_DONTWAIT, NULL);
    if (count < 0)
        return errno == EAGAIN ? OUTCOME_GOOD : OUTCOME_LOST;
    now_ns = measure_now_ns();
    datagrams->heard_ns = now_ns;
    if (!flow->has_answered)
        datagrams->measure->silent--;
    flow->has_answered = true;
    for (int i = 0; i < count; i++) {
        const enum outcome outcome = take_message(datagrams, flow, &messages[i], now_ns);

        if (outcome != OUTCOME_GOOD)
            return outcome;
    }
    return flow->missing == 0 ? next_burst(datagrams, flow) : OUTCOME_GOOD;
}

/* --- The loop. ------------------------------------------------------------------------------- */

/* Give up what is late on every flow. */
static enum outcome give_up_late(const struct datagrams *datagrams)
{
    const uint64_t now_ns = measure_now_ns();

    for (size_t i = 0; i < datagrams->plan->connections; i++) {
        struct flow *flow = &datagrams->flows[i];
        enum outcome outcome;

        if (now_ns - flow->sent_ns < LOST_MS * UINT64_C(1000000))
            continue;
        outcome = next_burst(datagrams, flow);
        if (outcome != OUTCOME_GOOD)
            return client_report(flow->key, outcome);
    }
    if (now_ns - datagrams->heard_ns > WORKS_PATIENCE_MS * UINT64_C(1000000))
        return client_report(0, OUTCOME_STALLED);
    return OUTCOME_GOOD;
}

static enum outcome turn(struct datagrams *datagrams)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(datagrams->epoll_fd, events, EVENTS, LOST_MS);

    for (int i = 0; i < count; i++) {
        struct flow *flow = events[i].data.ptr;
        const enum outcome outcome = on_readable(datagrams, flow);

        if (outcome != OUTCOME_GOOD)
            return client_report(flow->key, outcome);
    }
    return count < 0 ? OUTCOME_SYSTEM : give_up_late(datagrams);
}

static enum outcome loop(struct datagrams *datagrams)
{
    enum outcome outcome = OUTCOME_GOOD;

    datagrams->measure->silent = datagrams->plan->connections;
    measure_start(datagrams->measure);
    datagrams->heard_ns = measure_now_ns();
    for (size_t i = 0; i < datagrams->plan->connections && outcome == OUTCOME_GOOD; i++)
        outcome = send_burst(datagrams, &datagrams->flows[i]);
    if (outcome != OUTCOME_GOOD)
        return client_report(0, outcome);
    while (outcome == OUTCOME_GOOD && !measure_is_over(datagrams->measure))
        outcome = turn(datagrams);
    return outcome;
}

static enum outcome open_flow(const struct datagrams *datagrams, struct flow *flow, uint64_t key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = flow};
    const int on = 1;

    flow->key = key;
    flow->fd = client_connect_datagrams(datagrams->plan->port, key);
    if (flow->fd < 0 || epoll_ctl(datagrams->epoll_fd, EPOLL_CTL_ADD, flow->fd, &event) < 0)
        return OUTCOME_SYSTEM;
    /* Otherwise the server would pay for cutting its train, at the end of its own sendmsg. */
    if (datagrams->plan->has_trains && setsockopt(flow->fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0)
        return OUTCOME_SYSTEM;
    return OUTCOME_GOOD;
}

enum outcome datagrams_run(const struct plan *plan, struct measure *measure)
{
    static struct datagrams datagrams; /* the process ends after it: all goes then */

    datagrams.plan = plan;
    datagrams.measure = measure;
    datagrams.receive_bytes = plan->has_trains ? TRAIN_BUFFER_BYTES : plan->size_bytes + 1;
    datagrams.buffers = malloc(WORKS_BURST * datagrams.receive_bytes);
    datagrams.flows = calloc(plan->connections, sizeof(*datagrams.flows));
    datagrams.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (datagrams.buffers == NULL || datagrams.flows == NULL || datagrams.epoll_fd < 0)
        return client_report(0, OUTCOME_SYSTEM);
    for (size_t i = 0; i < plan->connections; i++) {
        const enum outcome outcome = open_flow(&datagrams, &datagrams.flows[i], i);

        if (outcome != OUTCOME_GOOD)
            return client_report(i, outcome);
    }
    return loop(&datagrams);
}
