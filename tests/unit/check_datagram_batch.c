/*
 * check_datagram_batch: whatever the system answers, what came is received once, and each answer
 * leaves once or is counted as failed.
 * The system is played: with the real one, check_datagram_echo does it.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_batch.h"

#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef HAVE_STRUCT_MMSGHDR
struct mmsghdr {
    struct msghdr msg_hdr;
    unsigned msg_len;
};
#endif
#if defined UDP_GRO && defined UDP_SEGMENT
#define HAS_TRAINS 1
#endif

enum { FD = 42, QUEUE = 2 * DATAGRAM_BATCH_COUNT, SEGMENT = 1000, FIRST_PORT = 5000, STEPS = 8 };

enum call { RECVMSG, RECVMMSG, SENDTO, SENDMSG, SENDMMSG };

/* What the system answers to a call that must come next. */
struct step {
    enum call call;
    int error;      /* errno, or 0 */
    unsigned count; /* that leave by sendmmsg; 0: all */
};

/* A datagram on its way. */
struct parcel {
    size_t length;
    uint16_t segment; /* 0: no train */
    uint16_t port;    /* of the client */
    unsigned char first;
};

static struct {
    struct datagram_batch *batch;
    struct datagram_tally tally;
    struct step steps[STEPS];
    size_t step_count, steps_done; /* after those the system does what it is asked for */
    struct parcel incoming[QUEUE], sent[QUEUE];
    unsigned incoming_count, received, sent_count;
} scene;

/* --- The system ------------------------------------------------------------------------------ */

static struct step next_step(enum call call, int fd, int flags)
{
    struct step step = {.call = call};

    ck_assert_int_eq(fd, FD);
    ck_assert(flags & MSG_DONTWAIT);
    if (scene.steps_done < scene.step_count)
        step = scene.steps[scene.steps_done++];
    ck_assert_int_eq(step.call, call);
    errno = step.error;
    return step;
}

/* A call that fails may leave anything in the header. */
static void spoil(struct msghdr *header)
{
    header->msg_namelen = 0;
    header->msg_controllen = 0;
    header->msg_flags = -1;
}

/* Append a control message, as the kernel does. */
static void tell_segment(struct msghdr *header, int segment)
{
    struct cmsghdr *control;

    header->msg_controllen = segment > 0 ? CMSG_SPACE(sizeof segment) : 0;
    if (segment == 0)
        return;
    control = CMSG_FIRSTHDR(header);
#ifdef HAS_TRAINS
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_GRO;
#endif
    control->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(control), &segment, sizeof segment);
}

/* Hand the next datagram over, into a header that is ready for it. Return its length, or -1. */
static ssize_t hand_over(struct msghdr *header)
{
    const struct parcel *parcel = &scene.incoming[scene.received];
    const struct sockaddr_in source = support_loopback(parcel->port);

    if (scene.received == scene.incoming_count) {
        errno = EAGAIN;
        spoil(header);
        return -1;
    }
    scene.received++;
    ck_assert_uint_ge(header->msg_namelen, sizeof(struct sockaddr_in6));
    ck_assert_uint_eq(header->msg_controllen, DATAGRAM_CONTROL_SIZE);
    ck_assert_uint_eq((size_t)header->msg_iovlen, 1);
    ck_assert_uint_eq(header->msg_iov->iov_len, DATAGRAM_BUFFER_BYTES);
    memcpy(header->msg_name, &source, sizeof source);
    header->msg_namelen = sizeof source;
    header->msg_flags = 0;
    tell_segment(header, parcel->segment);
    memset(header->msg_iov->iov_base, parcel->first, parcel->length);
    return (ssize_t)parcel->length;
}

/* Parameters have the names that they have in the C library, which says what they are. */

#ifdef __GLIBC__
typedef int batch_flags;
#else
typedef unsigned batch_flags;
#endif

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (next_step(RECVMSG, fd, flags).error == 0)
        return hand_over(message);
    spoil(message);
    return -1;
}

#ifdef HAVE_RECVMMSG
int recvmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, batch_flags flags,
             struct timespec *tmo)
{
    unsigned received = 0;
    ssize_t length;

    (void)tmo;
    if (next_step(RECVMMSG, fd, (int)flags).error != 0) {
        spoil(&vmessages[0].msg_hdr);
        return -1;
    }
    while (received < vlen && (length = hand_over(&vmessages[received].msg_hdr)) >= 0)
        vmessages[received++].msg_len = (unsigned)length;
    return received > 0 ? (int)received : -1;
}
#endif

static uint16_t told_segment(const struct msghdr *header)
{
    uint16_t segment = 0;
#ifdef HAS_TRAINS
    struct cmsghdr *control = header->msg_controllen > 0 ? CMSG_FIRSTHDR(header) : NULL;

    if (control != NULL && control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_SEGMENT)
        memcpy(&segment, CMSG_DATA(control), sizeof segment);
#else
    (void)header;
#endif
    return segment;
}

/* Take what leaves. */
static void take(const void *bytes, size_t length, uint16_t segment, const void *target)
{
    struct sockaddr_in address;

    memcpy(&address, target, sizeof address);
    ck_assert_uint_lt(scene.sent_count, QUEUE);
    scene.sent[scene.sent_count++] = (struct parcel){
        .length = length,
        .segment = segment,
        .port = ntohs(address.sin_port),
        .first = length > 0 ? *(const unsigned char *)bytes : 0,
    };
}

static void take_message(const struct msghdr *header)
{
    ck_assert_uint_eq((size_t)header->msg_iovlen, 1);
    take(header->msg_iov->iov_base, header->msg_iov->iov_len, told_segment(header),
         header->msg_name);
}

/* The GNU C library declares the address as a union of pointers. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
               socklen_t addr_len)
{
    ck_assert_uint_eq(addr_len, sizeof(struct sockaddr_in));
    if (next_step(SENDTO, fd, flags).error != 0)
        return -1;
    take(buf, n, 0, addr);
    return (ssize_t)n;
}
#pragma GCC diagnostic pop

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (next_step(SENDMSG, fd, flags).error != 0)
        return -1;
    take_message(message);
    return (ssize_t)message->msg_iov->iov_len;
}

#ifdef HAVE_SENDMMSG
int sendmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, batch_flags flags)
{
    const struct step step = next_step(SENDMMSG, fd, (int)flags);
    const unsigned sent = step.count > 0 && step.count < vlen ? step.count : vlen;

    if (step.error != 0)
        return -1;
    for (unsigned i = 0; i < sent; i++)
        take_message(&vmessages[i].msg_hdr);
    return (int)sent;
}
#endif

/* --- Scene ----------------------------------------------------------------------------------- */

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.batch = datagram_batch_new();
    ck_assert_ptr_nonnull(scene.batch);
}

static void teardown(void)
{
    datagram_batch_free(scene.batch);
    datagram_batch_free(NULL);
}

static void plan(const struct step *steps, size_t count)
{
    ck_assert_uint_le(count, STEPS);
    memcpy(scene.steps, steps, count * sizeof *steps);
    scene.step_count = count;
    scene.steps_done = 0;
}

/* Let the system answer so, to these calls in this order. */
#define PLAN(...)                                                                                  \
    plan((const struct step[]){__VA_ARGS__},                                                       \
         sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

#if defined HAVE_SENDMMSG || defined HAS_TRAINS
static void plan_nothing(void)
{
    scene.step_count = scene.steps_done = 0;
}
#endif

static void expect_plan_done(void)
{
    ck_assert_uint_eq(scene.steps_done, scene.step_count);
}

/* Let a datagram come, from a client of its own; of what was there before, it is told apart. */
static void come(size_t length, uint16_t segment)
{
    const unsigned index = scene.incoming_count++;

    ck_assert_uint_lt(index, QUEUE);
    scene.incoming[index] = (struct parcel){
        .length = length,
        .segment = segment,
        .port = (uint16_t)(FIRST_PORT + index),
        .first = length > 0 ? (unsigned char)(index + 1) : 0,
    };
}

static void receive(unsigned count, int expected)
{
    ck_assert_int_eq(datagram_batch_receive(scene.batch, FD, count), expected);
}

static void expect_received(unsigned index, const struct parcel *parcel)
{
    const struct datagram *datagram = datagram_batch_at(scene.batch, index);
    struct sockaddr_in source;

    memcpy(&source, &datagram->source, sizeof source);
    ck_assert_uint_eq(datagram->length, parcel->length);
    ck_assert_uint_eq(datagram->arrival.segment_bytes, parcel->segment);
    ck_assert_uint_eq(ntohs(source.sin_port), parcel->port);
}

/* Receive `count` datagrams of one length, and queue their answers. */
static void queue(unsigned count, size_t length, uint16_t segment)
{
    for (unsigned i = 0; i < count; i++)
        come(length, segment);
    receive(DATAGRAM_BATCH_COUNT, (int)count);
    for (unsigned i = 0; i < count; i++)
        datagram_batch_answer(scene.batch, i, length, 0);
}

static void expect_outcome(enum datagram_outcome outcome)
{
    ck_assert_int_eq(datagram_batch_send(scene.batch, FD, &scene.tally), outcome);
    expect_plan_done();
}

static void expect_tally(uint64_t count, uint64_t bytes, uint64_t failed)
{
    ck_assert_uint_eq(scene.tally.count, count);
    ck_assert_uint_eq(scene.tally.bytes, bytes);
    ck_assert_uint_eq(scene.tally.failed, failed);
}

/* A datagram left as it had come, to where it had come from. */
static void expect_sent(unsigned index, unsigned incoming)
{
    const struct parcel *sent = &scene.sent[index], *expected = &scene.incoming[incoming];

    ck_assert_uint_lt(index, scene.sent_count);
    ck_assert_uint_eq(sent->length, expected->length);
    ck_assert_uint_eq(sent->port, expected->port);
    ck_assert_uint_eq(sent->first, expected->first);
    ck_assert_uint_eq(sent->segment, expected->segment);
}

/* All left, each once, in order. */
static void expect_all_sent(void)
{
    ck_assert_uint_eq(scene.sent_count, scene.incoming_count);
    for (unsigned i = 0; i < scene.sent_count; i++)
        expect_sent(i, i);
}

/* --- Receiving ------------------------------------------------------------------------------- */

START_TEST(what_waits_is_received)
{
    come(0, 0);
    come(5, 0);
    come(65507, 0);
    receive(DATAGRAM_BATCH_COUNT, 3);
    for (unsigned i = 0; i < 3; i++) {
        expect_received(i, &scene.incoming[i]);
        ck_assert_uint_eq(datagram_count(datagram_batch_at(scene.batch, i)), 1);
    }
    receive(DATAGRAM_BATCH_COUNT, -1);
    ck_assert_int_eq(errno, EAGAIN);
    come(7, 0);
    receive(1, 1); /* into the same slots */
    expect_received(0, &scene.incoming[3]);
}
END_TEST

START_TEST(no_more_is_received_than_wanted)
{
    for (int i = 0; i < DATAGRAM_BATCH_COUNT + 10; i++)
        come(10, 0);
    receive(2, 2);
    receive(1, 1);
    expect_received(0, &scene.incoming[2]);
    receive(DATAGRAM_BATCH_COUNT, DATAGRAM_BATCH_COUNT);
    receive(DATAGRAM_BATCH_COUNT, 7);
    expect_received(6, &scene.incoming[DATAGRAM_BATCH_COUNT + 9]);
}
END_TEST

START_TEST(one_alone_needs_no_recvmmsg)
{
    come(10, 0);
    PLAN({RECVMSG, 0, 0});
    receive(1, 1);
    expect_plan_done();
}
END_TEST

#ifdef HAVE_RECVMMSG

static const int refusals[] = {EPERM, EACCES, EOPNOTSUPP, EINVAL, ENOMEM, ENOBUFS, ENOSYS};

START_TEST(where_recvmmsg_is_refused_they_are_received_one_by_one)
{
    const int error = refusals[_i];

    come(10, 0);
    come(20, 0);
    PLAN({RECVMMSG, error, 0}, {RECVMSG, 0, 0}, {RECVMSG, 0, 0}, {RECVMSG, 0, 0});
    receive(DATAGRAM_BATCH_COUNT, 2);
    expect_plan_done();
    expect_received(0, &scene.incoming[0]);
    expect_received(1, &scene.incoming[1]);
    come(30, 0);
    if (error == ENOSYS)
        PLAN({RECVMSG, 0, 0}, {RECVMSG, 0, 0}); /* there is none: who asks again gets it never */
    else
        PLAN({RECVMMSG, 0, 0});
    receive(DATAGRAM_BATCH_COUNT, 1);
    expect_plan_done();
    expect_received(0, &scene.incoming[2]);
}
END_TEST

START_TEST(an_error_of_a_datagram_is_no_refusal)
{
    come(10, 0);
    PLAN({RECVMMSG, ECONNREFUSED, 0});
    receive(DATAGRAM_BATCH_COUNT, -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    expect_plan_done();
    receive(DATAGRAM_BATCH_COUNT, 1);
    expect_received(0, &scene.incoming[0]);
}
END_TEST

START_TEST(an_error_between_two_leaves_the_first)
{
    come(10, 0);
    come(20, 0);
    PLAN({RECVMMSG, EPERM, 0}, {RECVMSG, 0, 0}, {RECVMSG, ECONNREFUSED, 0});
    receive(DATAGRAM_BATCH_COUNT, 1);
    expect_plan_done();
    receive(DATAGRAM_BATCH_COUNT, 1);
    expect_received(0, &scene.incoming[1]);
}
END_TEST

#endif

/* --- Sending --------------------------------------------------------------------------------- */

START_TEST(answers_leave_in_order)
{
    queue(5, 100, 0);
    expect_outcome(DATAGRAM_SENT);
    expect_all_sent();
    expect_tally(5, 500, 0);
    expect_outcome(DATAGRAM_SENT); /* nothing waits */
    expect_tally(5, 500, 0);
    queue(1, 0, 0);
    PLAN({SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_all_sent();
    expect_tally(6, 500, 0);
}
END_TEST

START_TEST(only_what_is_answered_leaves)
{
    for (int i = 0; i < 4; i++)
        come(10, 0);
    receive(DATAGRAM_BATCH_COUNT, 4);
    datagram_batch_answer(scene.batch, 1, 10, 0);
    datagram_batch_answer(scene.batch, 3, 10, 0);
    expect_outcome(DATAGRAM_SENT);
    ck_assert_uint_eq(scene.sent_count, 2);
    expect_sent(0, 1);
    expect_sent(1, 3);
}
END_TEST

START_TEST(a_full_socket_keeps_what_waits)
{
    queue(1, 10, 0);
    PLAN({SENDTO, EAGAIN, 0});
    expect_outcome(DATAGRAM_FULL);
    expect_tally(0, 0, 0);
    PLAN({SENDTO, EINTR, 0}, {SENDTO, EAGAIN, 0});
    expect_outcome(DATAGRAM_FULL);
    PLAN({SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(1, 10, 0);
    expect_all_sent();
}
END_TEST

START_TEST(a_system_short_of_buffers_keeps_what_waits)
{
    queue(1, 10, 0);
    PLAN({SENDTO, ENOBUFS, 0});
    expect_outcome(DATAGRAM_SHORT);
    PLAN({SENDTO, ENOMEM, 0});
    expect_outcome(DATAGRAM_SHORT);
    expect_tally(0, 0, 0);
    expect_outcome(DATAGRAM_SENT);
    expect_tally(1, 10, 0);
    expect_all_sent();
}
END_TEST

START_TEST(an_error_of_another_answer_costs_none)
{
    queue(1, 10, 0);
    PLAN({SENDTO, ECONNREFUSED, 0}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(1, 10, 0);
    expect_all_sent();
}
END_TEST

START_TEST(an_error_that_comes_again_is_the_answers_own)
{
    queue(1, 10, 0);
    PLAN({SENDTO, ECONNREFUSED, 0}, {SENDTO, EAGAIN, 0});
    expect_outcome(DATAGRAM_FULL);
    PLAN({SENDTO, EPERM, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(0, 0, 1);
    ck_assert_int_eq(scene.tally.failure, EPERM);
    ck_assert_uint_eq(scene.sent_count, 0);
}
END_TEST

#ifdef HAVE_SENDMMSG

START_TEST(what_is_left_of_a_call_leaves_with_the_next)
{
    queue(5, 10, 0);
    PLAN({SENDMMSG, 0, 2}, {SENDMMSG, EINTR, 0}, {SENDMMSG, 0, 1}, {SENDMMSG, EAGAIN, 0});
    expect_outcome(DATAGRAM_FULL);
    expect_tally(3, 30, 0);
    PLAN({SENDMMSG, 0, 1}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(5, 50, 0);
    expect_all_sent();
}
END_TEST

/* The first alone tells whose the error is. */
START_TEST(where_sendmmsg_fails_the_first_is_tried_alone)
{
    queue(4, 10, 0);
    PLAN({SENDMMSG, EPERM, 0}, {SENDTO, 0, 0}, {SENDMMSG, ENOBUFS, 0}, {SENDTO, ENOBUFS, 0});
    expect_outcome(DATAGRAM_SHORT);
    expect_tally(1, 10, 0);
    PLAN({SENDMMSG, EINVAL, 0}, {SENDTO, EINVAL, 0}, {SENDMMSG, EINVAL, 0}, {SENDTO, EINVAL, 0},
         {SENDMMSG, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(3, 30, 1);
    ck_assert_int_eq(scene.tally.failure, EINVAL);
    expect_sent(1, 2);
    expect_sent(2, 3);
}
END_TEST

START_TEST(each_answer_is_tried_twice)
{
    queue(2, 10, 0);
    PLAN({SENDMMSG, EPERM, 0}, {SENDTO, EPERM, 0}, {SENDMMSG, EPERM, 0}, {SENDTO, EPERM, 0},
         {SENDTO, ECONNREFUSED, 0}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(1, 10, 1);
    expect_sent(0, 1);
}
END_TEST

START_TEST(where_there_is_no_sendmmsg_they_leave_one_by_one)
{
    queue(3, 10, 0);
    PLAN({SENDMMSG, ENOSYS, 0}, {SENDTO, 0, 0}, {SENDTO, 0, 0}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    plan_nothing();
    queue(2, 10, 0);
    PLAN({SENDTO, 0, 0}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(5, 50, 0);
    expect_all_sent();
}
END_TEST

#endif

/* --- Trains ---------------------------------------------------------------------------------- */

#ifdef HAS_TRAINS

static void expect_piece(unsigned index, size_t length, unsigned incoming)
{
    const struct parcel *sent = &scene.sent[index];

    ck_assert_uint_lt(index, scene.sent_count);
    ck_assert_uint_eq(sent->length, length);
    ck_assert_uint_eq(sent->segment, 0);
    ck_assert_uint_eq(sent->port, scene.incoming[incoming].port);
    ck_assert_uint_eq(sent->first, scene.incoming[incoming].first);
}

START_TEST(a_train_counts_as_its_datagrams)
{
    static const struct {
        size_t length;
        uint64_t count;
    } trains[] = {{0, 1},    {1, 1},    {999, 1},  {1000, 1},
                  {1001, 2}, {2000, 2}, {2001, 3}, {64000, 64}};
    const size_t count = sizeof trains / sizeof *trains;

    for (size_t i = 0; i < count; i++)
        come(trains[i].length, SEGMENT);
    receive(DATAGRAM_BATCH_COUNT, (int)count);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(datagram_count(datagram_batch_at(scene.batch, i)), trains[i].count);
}
END_TEST

START_TEST(a_train_leaves_as_one)
{
    queue(1, 2 * SEGMENT + 1, SEGMENT);
    PLAN({SENDMSG, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_all_sent();
    expect_tally(3, 2 * SEGMENT + 1, 0);
}
END_TEST

START_TEST(a_train_may_be_cut)
{
    come(2 * SEGMENT + 1, SEGMENT);
    come(2 * SEGMENT + 1, SEGMENT);
    receive(DATAGRAM_BATCH_COUNT, 2);
    datagram_batch_answer(scene.batch, 0, 2 * SEGMENT, 0);
    datagram_batch_answer(scene.batch, 1, SEGMENT, 0); /* no train any more */
    expect_outcome(DATAGRAM_SENT);
    ck_assert_uint_eq(scene.sent[0].length, 2 * SEGMENT);
    ck_assert_uint_eq(scene.sent[0].segment, SEGMENT);
    expect_piece(1, SEGMENT, 1);
    expect_tally(3, 3 * SEGMENT, 0);
}
END_TEST

static const int train_refusals[] = {EINVAL, EIO, EMSGSIZE, EOPNOTSUPP};

START_TEST(a_train_that_is_refused_leaves_as_its_datagrams)
{
    queue(1, 2 * SEGMENT + 1, SEGMENT);
    PLAN({SENDMSG, train_refusals[_i], 0}, {SENDTO, 0, 0}, {SENDTO, EINTR, 0}, {SENDTO, 0, 0},
         {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_piece(0, SEGMENT, 0);
    expect_piece(1, SEGMENT, 0);
    expect_piece(2, 1, 0);
    expect_tally(3, 2 * SEGMENT + 1, 0);
    plan_nothing();
    queue(1, 2 * SEGMENT, SEGMENT); /* the next may leave whole */
    PLAN({SENDMSG, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_sent(3, 1);
}
END_TEST

START_TEST(a_full_socket_keeps_the_rest_of_a_train)
{
    queue(2, 2 * SEGMENT + 1, SEGMENT);
    PLAN({SENDMMSG, EMSGSIZE, 0}, {SENDMSG, EMSGSIZE, 0}, {SENDTO, 0, 0}, {SENDTO, EAGAIN, 0});
    expect_outcome(DATAGRAM_FULL);
    expect_tally(1, SEGMENT, 0);
    PLAN({SENDTO, 0, 0}, {SENDTO, ENOBUFS, 0});
    expect_outcome(DATAGRAM_SHORT);
    expect_tally(2, 2 * SEGMENT, 0);
    PLAN({SENDTO, 0, 0}, {SENDMSG, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_piece(2, 1, 0);
    expect_sent(3, 1);
    expect_tally(6, 4 * SEGMENT + 2, 0);
}
END_TEST

START_TEST(a_datagram_of_a_train_that_fails_takes_those_behind_with_it)
{
    queue(2, 2 * SEGMENT + 1, SEGMENT);
    PLAN({SENDMMSG, EINVAL, 0}, {SENDMSG, EINVAL, 0}, {SENDTO, 0, 0}, {SENDTO, EINVAL, 0},
         {SENDTO, EINVAL, 0}, {SENDMSG, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(4, 3 * SEGMENT + 1, 2);
    expect_piece(0, SEGMENT, 0);
    expect_sent(1, 1);
}
END_TEST

START_TEST(errors_of_other_answers_cost_a_train_nothing)
{
    queue(1, 2 * SEGMENT + 1, SEGMENT);
    PLAN({SENDMSG, ECONNREFUSED, 0}, {SENDMSG, EMSGSIZE, 0}, {SENDTO, ECONNREFUSED, 0},
         {SENDTO, 0, 0}, {SENDTO, EHOSTUNREACH, 0}, {SENDTO, 0, 0}, {SENDTO, 0, 0});
    expect_outcome(DATAGRAM_SENT);
    expect_tally(3, 2 * SEGMENT + 1, 0);
}
END_TEST

#endif

/* --- Suite ----------------------------------------------------------------------------------- */

static void add_receiving(Suite *suite)
{
    TCase *tests = support_case(suite, "receiving");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_waits_is_received);
    tcase_add_test(tests, no_more_is_received_than_wanted);
    tcase_add_test(tests, one_alone_needs_no_recvmmsg);
#ifdef HAVE_RECVMMSG
    tcase_add_loop_test(tests, where_recvmmsg_is_refused_they_are_received_one_by_one, 0,
                        sizeof refusals / sizeof *refusals);
    tcase_add_test(tests, an_error_of_a_datagram_is_no_refusal);
    tcase_add_test(tests, an_error_between_two_leaves_the_first);
#endif
}

static void add_sending(Suite *suite)
{
    TCase *tests = support_case(suite, "sending");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, answers_leave_in_order);
    tcase_add_test(tests, only_what_is_answered_leaves);
    tcase_add_test(tests, a_full_socket_keeps_what_waits);
    tcase_add_test(tests, a_system_short_of_buffers_keeps_what_waits);
    tcase_add_test(tests, an_error_of_another_answer_costs_none);
    tcase_add_test(tests, an_error_that_comes_again_is_the_answers_own);
#ifdef HAVE_SENDMMSG
    tcase_add_test(tests, what_is_left_of_a_call_leaves_with_the_next);
    tcase_add_test(tests, where_sendmmsg_fails_the_first_is_tried_alone);
    tcase_add_test(tests, each_answer_is_tried_twice);
    tcase_add_test(tests, where_there_is_no_sendmmsg_they_leave_one_by_one);
#endif
}

static void add_trains(Suite *suite)
{
#ifdef HAS_TRAINS
    TCase *tests = support_case(suite, "trains");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_train_counts_as_its_datagrams);
    tcase_add_test(tests, a_train_leaves_as_one);
    tcase_add_test(tests, a_train_may_be_cut);
    tcase_add_loop_test(tests, a_train_that_is_refused_leaves_as_its_datagrams, 0,
                        sizeof train_refusals / sizeof *train_refusals);
    tcase_add_test(tests, a_full_socket_keeps_the_rest_of_a_train);
    tcase_add_test(tests, a_datagram_of_a_train_that_fails_takes_those_behind_with_it);
    tcase_add_test(tests, errors_of_other_answers_cost_a_train_nothing);
#else
    (void)suite;
#endif
}

int main(void)
{
    Suite *suite = suite_create("datagram_batch");

    add_receiving(suite);
    add_sending(suite);
    add_trains(suite);
    return support_run(suite);
}
