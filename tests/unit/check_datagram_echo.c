/*
 * check_datagram_echo: each datagram returns once, unchanged, from where it was sent to.
 * What the guard and the rate say is check_datagram_guard's and check_source_rate's.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_echo.h"

#include "base/clock.h"
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LARGEST_V4 = 65507, /* 65,535 less the headers of IPv4 and UDP */
    LARGEST_V6 = 65527, /* IPv6 does not count its own header */
    SEGMENT = 1000,
    BURST = 200,
    BUFFER_BYTES = 4 << 20,
};

static struct {
    struct datagram_pool pool;
    struct datagram_limits limits;
    struct counters counters;
    struct datagram_echo *echo;
    int fd;     /* of the echo */
    int client; /* connected to it */
    struct sockaddr_storage address;
    socklen_t address_length;
    int over_count;
    unsigned char received[1 << 17];
} scene;

#define NO_HOPS "the system takes no number of hops with an answer over IPv4"

static void on_over(struct datagram_echo *echo, void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    ck_assert_ptr_eq(echo, scene.echo);
    scene.over_count++;
    datagram_echo_free(echo);
    scene.echo = NULL;
}

static int open_socket(int family)
{
    const int size = BUFFER_BYTES;
    const int fd = socket(family, SOCK_DGRAM, 0);

    ck_assert_int_ge(fd, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    support_set_nonblocking(fd);
    return fd;
}

/* Bind the echo's socket to a text like "127.0.0.1" or "::", with a port of the system's choice. */
static void bind_socket(const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&scene.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&scene.address;
    int family = AF_INET;

    memset(&scene.address, 0, sizeof scene.address);
    scene.address_length = sizeof *v4;
    if (inet_pton(AF_INET, text, &v4->sin_addr) != 1) {
        family = AF_INET6;
        scene.address_length = sizeof *v6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    }
    scene.address.ss_family = (sa_family_t)family;
    scene.fd = open_socket(family);
    ck_assert_int_eq(bind(scene.fd, (struct sockaddr *)&scene.address, scene.address_length), 0);
    ck_assert_int_eq(
        getsockname(scene.fd, (struct sockaddr *)&scene.address, &scene.address_length), 0);
}

static void start_echo(void)
{
    scene.echo =
        datagram_echo_new(support_base(), scene.fd, "udp://test", &scene.limits, &scene.pool,
                          support_log(LOG_FORMAT_TEXT), &scene.counters, on_over, &scene);
    ck_assert_ptr_nonnull(scene.echo);
}

/* Connect a client to an address with the echo's port. A connected socket takes no other's answer.
 */
static int connect_client(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const uint16_t port = ((struct sockaddr_in *)(void *)&scene.address)->sin_port;
    int fd;

    v4.sin_port = v6.sin6_port = port; /* both addresses have it in the same place */
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        fd = open_socket(AF_INET);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&v4, sizeof v4), 0);
    } else {
        fd = open_socket(AF_INET6);
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&v6, sizeof v6), 0);
    }
    return fd;
}

static void start(const char *text, const char *asked)
{
    bind_socket(text);
    start_echo();
    scene.client = connect_client(asked);
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.fd = scene.client = -1;
}

static void teardown(void)
{
    datagram_echo_free(scene.echo);
    datagram_echo_free(NULL);
    datagram_pool_fini(&scene.pool);
    support_close(&scene.client);
}

static uint64_t counted(enum counter which)
{
    return counters_get(&scene.counters, which);
}

static bool is_readable(void *argument)
{
    const int *fd = argument;
    char byte;

    return recv(*fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) >= 0;
}

/* Send a datagram; return whether the system took it. */
static bool ask(int fd, uint64_t offset, size_t size)
{
    return send(fd, support_payload(offset), size, 0) == (ssize_t)size;
}

/* Receive the next answer and check it. */
static void expect_answer(int fd, uint64_t offset, size_t size)
{
    ssize_t received;

    support_loop_until(is_readable, &fd);
    received = recv(fd, scene.received, sizeof scene.received, 0);
    ck_assert_int_eq(received, (ssize_t)size);
    ck_assert(memcmp(scene.received, support_payload(offset), size) == 0);
}

static void expect_silence(int fd)
{
    support_loop_settle();
    ck_assert_int_eq(recv(fd, scene.received, sizeof scene.received, 0), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

static bool has_counted(void *argument)
{
    const enum counter *which = argument;

    return counted(*which) > 0;
}

static void expect_count(enum counter which, uint64_t amount)
{
    support_loop_until(has_counted, &which);
    ck_assert_uint_eq(counted(which), amount);
}

/* --- What returns. --------------------------------------------------------------------------- */

static const size_t SIZES[] = {0,    1,    2,    1471,           1472,       1473,      8191,
                               8192, 8193, 9000, LARGEST_V4 - 1, LARGEST_V4, LARGEST_V6};
enum { SIZE_COUNT = sizeof SIZES / sizeof SIZES[0] };

static void expect_sizes(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert(ask(scene.client, i, SIZES[i]));
        expect_answer(scene.client, i, SIZES[i]);
        expect_silence(scene.client); /* once */
    }
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_IN), count);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT), count);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAM_BYTES_OUT), counted(COUNTER_DATAGRAM_BYTES_IN));
}

START_TEST(every_size_returns_over_ipv4)
{
    start("127.0.0.1", "127.0.0.1");
    expect_sizes(SIZE_COUNT - 1);
}
END_TEST

START_TEST(every_size_returns_over_ipv6)
{
    start("::1", "::1");
    expect_sizes(SIZE_COUNT);
}
END_TEST

START_TEST(every_size_returns_in_a_burst)
{
    start("0.0.0.0", "127.0.0.1");
    for (size_t i = 0; i < SIZE_COUNT - 1; i++)
        ck_assert(ask(scene.client, i, SIZES[i]));
    for (size_t i = 0; i < SIZE_COUNT - 1; i++)
        expect_answer(scene.client, i, SIZES[i]);
    expect_silence(scene.client);
}
END_TEST

START_TEST(a_burst_returns_whole_and_in_order)
{
    start("127.0.0.1", "127.0.0.1");
    for (unsigned i = 0; i < BURST; i++)
        ck_assert(ask(scene.client, i, i));
    for (unsigned i = 0; i < BURST; i++)
        expect_answer(scene.client, i, i);
    expect_silence(scene.client);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT), BURST);
}
END_TEST

START_TEST(clients_get_their_own)
{
    int others[16];

    start("127.0.0.1", "127.0.0.1");
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 16; i++) {
            if (round == 0)
                others[i] = connect_client("127.0.0.1");
            ck_assert(ask(others[i], 100 * i + round, 50));
        }
        for (unsigned i = 0; i < 16; i++)
            expect_answer(others[i], 100 * i + round, 50);
    }
    for (unsigned i = 0; i < 16; i++)
        support_close(&others[i]);
}
END_TEST

START_TEST(an_answer_comes_from_the_address_that_was_asked)
{
    static const struct {
        const char *bound, *asked;
    } cases[] = {{"0.0.0.0", "127.0.0.1"},   {"0.0.0.0", "127.0.0.2"},
                 {"127.0.0.3", "127.0.0.3"}, {"::", "::1"},
                 {"::", "127.0.0.1"},        {"::", "127.0.0.2"}};

    if (_i == 1 && !support_system_tells_address())
        support_skip("the system does not tell where a datagram was sent to");
    start(cases[_i].bound, cases[_i].asked);
    for (unsigned i = 1; i <= 40; i++) { /* alone, and in bursts */
        for (unsigned k = 0; k < i; k++)
            ck_assert(ask(scene.client, k, i));
        for (unsigned k = 0; k < i; k++)
            expect_answer(scene.client, k, i); /* its socket is connected */
    }
}
END_TEST

/* --- Trains. --------------------------------------------------------------------------------- */

#if defined UDP_SEGMENT && defined UDP_GRO
/* Send a train; return false where this system knows none. */
static bool ask_train(int fd, size_t length, uint16_t segment)
{
    _Alignas(max_align_t) unsigned char control[CMSG_SPACE(sizeof segment)] = {0};
    struct iovec piece = {.iov_base = scene.received, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    memcpy(scene.received, support_payload(0), length);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
    return sendmsg(fd, &message, 0) == (ssize_t)length;
}

START_TEST(a_train_returns_with_its_segments_and_the_odd_last_one)
{
    const size_t length = 40 * SEGMENT + 17;

    start("127.0.0.1", "127.0.0.1");
    for (unsigned i = 0; i < 3; i++) {
        if (!ask_train(scene.client, length, SEGMENT))
            support_skip("this system sends no trains");
        for (size_t offset = 0; offset < length; offset += SEGMENT)
            expect_answer(scene.client, offset,
                          length - offset < SEGMENT ? length - offset : SEGMENT);
        expect_silence(scene.client);
        ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT), 41 * (i + 1));
        ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_IN), 41 * (i + 1));
    }
}
END_TEST

START_TEST(a_train_that_is_refused_leaves_as_single_datagrams)
{
    const int on = 1;

    start("127.0.0.1", "127.0.0.1");
    /* Without checksums no train leaves (udp_send_skb gives EIO). */
    ck_assert_int_eq(setsockopt(scene.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    if (!ask_train(scene.client, 20 * SEGMENT + 1, SEGMENT))
        support_skip("this system sends no trains");
    for (size_t i = 0; i < 20; i++)
        expect_answer(scene.client, i * SEGMENT, SEGMENT);
    expect_answer(scene.client, 20 * SEGMENT, 1);
    expect_silence(scene.client);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT), 21);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAM_BYTES_OUT), 20 * SEGMENT + 1);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_FAILED), 0);
}
END_TEST

START_TEST(a_rate_cuts_a_train_between_two_datagrams)
{
    scene.limits.rate_per_second = 7;
    start("127.0.0.1", "127.0.0.1");
    if (!ask_train(scene.client, 20 * SEGMENT, SEGMENT))
        support_skip("this system sends no trains");
    for (size_t i = 0; i < 7; i++)
        expect_answer(scene.client, i * SEGMENT, SEGMENT);
    expect_silence(scene.client);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_IN), 20);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT) + counted(COUNTER_DATAGRAMS_ABOVE_RATE), 20);
}
END_TEST
#endif

/* --- What does not return. ------------------------------------------------------------------- */

START_TEST(what_comes_from_an_own_port_is_dropped)
{
    struct sockaddr_storage first;
    socklen_t length;
    int impostor;

    /* The impostor has another address, as an echo on another machine would. */
    bind_socket("127.0.0.2");
    first = scene.address;
    length = scene.address_length;
    start_echo();
    impostor = open_socket(AF_INET);
    ((struct sockaddr_in *)(void *)&first)->sin_addr.s_addr = htonl(0x7f000009);
    ck_assert_int_eq(bind(impostor, (struct sockaddr *)&first, length), 0);
    ck_assert_int_eq(connect(impostor, (struct sockaddr *)&scene.address, scene.address_length), 0);
    ck_assert(ask(impostor, 0, 10));
    expect_count(COUNTER_DATAGRAMS_FROM_OWN_PORT, 1);
    expect_silence(impostor);
    support_close(&impostor);
}
END_TEST

START_TEST(a_port_is_ours_as_long_as_a_socket_has_it)
{
    const struct datagram_ports none = {{0}};

    start("127.0.0.1", "127.0.0.1");
    ck_assert(memcmp(&scene.pool.own_ports, &none, sizeof none) != 0);
    datagram_echo_free(scene.echo);
    scene.echo = NULL;
    ck_assert(memcmp(&scene.pool.own_ports, &none, sizeof none) == 0);
}
END_TEST

/* The loopback's address: with _i as 0 of IPv4, or else of IPv6. */
static const char *loopback(int i)
{
    return i == 0 ? "127.0.0.1" : "::1";
}

/* Tell whether the hops of a datagram are known, and those of an answer can be told. */
static bool are_hops_told(int i)
{
#ifdef __linux__
    (void)i;
    return true;
#else
    return i != 0;
#endif
}

START_TEST(what_has_no_hop_left_is_dropped)
{
    const int one = 1, two = 2;

    if (!are_hops_told(_i))
        support_skip(NO_HOPS);
    start(loopback(_i), loopback(_i));
    (void)setsockopt(scene.client, IPPROTO_IP, IP_TTL, &one, sizeof one);
    (void)setsockopt(scene.client, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &one, sizeof one);
    ck_assert(ask(scene.client, 0, 10));
    expect_count(COUNTER_DATAGRAMS_WITHOUT_HOPS, 1);
    (void)setsockopt(scene.client, IPPROTO_IP, IP_TTL, &two, sizeof two);
    (void)setsockopt(scene.client, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &two, sizeof two);
    ck_assert(ask(scene.client, 1, 10));
    expect_answer(scene.client, 1, 10);
    expect_silence(scene.client);
}
END_TEST

/* Receive an answer, and return how many hops it has. */
static int receive_hops(int fd)
{
    _Alignas(max_align_t) unsigned char control[DATAGRAM_CONTROL_SIZE];
    struct iovec piece = {.iov_base = scene.received, .iov_len = sizeof scene.received};
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    struct datagram_arrival arrival;

    support_loop_until(is_readable, &fd);
    ck_assert_int_eq(recvmsg(fd, &message, 0), 10);
    datagram_control_read(&message, &arrival);
    return arrival.hops;
}

START_TEST(an_answer_has_one_hop_less_than_its_question)
{
    static const int hops[] = {64, 64, 128, 2, 64, 255, 33, 33, 33};
    const int level = _i == 0 ? IPPROTO_IP : IPPROTO_IPV6;
    const int option = _i == 0 ? IP_TTL : IPV6_UNICAST_HOPS, on = 1;

    if (!are_hops_told(_i))
        support_skip(NO_HOPS);
    start(_i == 0 ? "0.0.0.0" : "::", loopback(_i));
    (void)setsockopt(scene.client, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    (void)setsockopt(scene.client, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
    for (unsigned i = 0; i < 90; i++) { /* alone and in bursts, near and far */
        const int *own = &hops[i % 9];
        const unsigned burst = i / 9 % 3 + 1;

        ck_assert_int_eq(setsockopt(scene.client, level, option, own, sizeof *own), 0);
        for (unsigned k = 0; k < burst; k++)
            ck_assert(ask(scene.client, i, 10));
        for (unsigned k = 0; k < burst; k++)
            ck_assert_int_eq(receive_hops(scene.client), *own - 1);
    }
}
END_TEST

START_TEST(a_pool_keeps_one_batch_for_whoever_has_its_turn)
{
    struct datagram_pool pool = {0};
    struct datagram_batch *kept = datagram_batch_new(), *other = datagram_batch_new();

    ck_assert_ptr_nonnull(kept);
    ck_assert_ptr_nonnull(other);
    datagram_pool_give_batch(&pool, kept);
    datagram_pool_give_batch(&pool, other);
    ck_assert_ptr_eq(datagram_pool_take_batch(&pool), kept);
    ck_assert_ptr_null(pool.spare);
    datagram_pool_give_batch(&pool, kept);
    datagram_pool_fini(&pool);
}
END_TEST

START_TEST(two_echoes_on_different_ports_go_quiet)
{
    struct sockaddr_storage first;
    struct datagram_pool other_pool = {0};
    struct datagram_echo *other;

    if (!are_hops_told(_i))
        support_skip(NO_HOPS);
    /* As two processes are: neither knows the ports of the other. */
    start(loopback(_i), loopback(_i));
    first = scene.address;
    bind_socket(loopback(_i));
    other = datagram_echo_new(support_base(), scene.fd, "udp://other", &scene.limits, &other_pool,
                              support_log(LOG_FORMAT_TEXT), &scene.counters, on_over, &scene);
    ck_assert_ptr_nonnull(other);
    /* What somebody forges comes from the socket itself. */
    ck_assert_int_eq(sendto(scene.fd, "loop", 4, 0, (struct sockaddr *)&first, sizeof first), 4);
    expect_count(COUNTER_DATAGRAMS_WITHOUT_HOPS, 1);
    support_loop_settle();
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_WITHOUT_HOPS), 1);
    ck_assert_uint_le(counted(COUNTER_DATAGRAMS_OUT), 255);
    datagram_echo_free(other);
    datagram_pool_fini(&other_pool);
}
END_TEST

START_TEST(a_source_above_its_rate_waits_for_others)
{
    int other;

    scene.limits.rate_per_second = 5;
    start("0.0.0.0", "127.0.0.1");
    for (unsigned i = 0; i < 50; i++)
        ck_assert(ask(scene.client, i, 10));
    for (unsigned i = 0; i < 5; i++)
        expect_answer(scene.client, i, 10);
    expect_silence(scene.client);
    other = connect_client("127.0.0.1");
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_ABOVE_RATE), 45);
    scene.limits.rate_per_second = 0;
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    ck_assert(ask(other, 1, 10));
    expect_answer(other, 1, 10);
    ck_assert(ask(scene.client, 2, 10));
    expect_answer(scene.client, 2, 10);
    support_close(&other);
}
END_TEST

START_TEST(what_the_kernel_dropped_is_counted)
{
    const int least = 1;
    uint64_t returned = 0;

    if (!support_system_tells_drops())
        support_skip("the system does not tell what it drops");
    bind_socket("127.0.0.1");
    ck_assert_int_eq(setsockopt(scene.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    start_echo();
    scene.client = connect_client("127.0.0.1");
    for (unsigned i = 0; i < 100; i++)
        ck_assert(ask(scene.client, i, 500));
    support_loop_settle();
    while (recv(scene.client, scene.received, sizeof scene.received, 0) == 500)
        returned++;
    ck_assert(ask(scene.client, 0, 10));
    expect_answer(scene.client, 0, 10);
    ck_assert_uint_lt(returned, 100);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OVERFLOWED), 100 - returned);
}
END_TEST

START_TEST(what_the_kernel_dropped_last_is_counted_at_the_end)
{
    const int least = 1;

    if (!support_system_tells_drops())
        support_skip("the system does not tell what it drops");
    bind_socket("127.0.0.1");
    ck_assert_int_eq(setsockopt(scene.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    start_echo();
    scene.client = connect_client("127.0.0.1");
    for (unsigned i = 0; i < 100; i++)
        ck_assert(ask(scene.client, i, 500));
    datagram_echo_free(scene.echo);
    scene.echo = NULL;
    ck_assert_uint_gt(counted(COUNTER_DATAGRAMS_OVERFLOWED), 50);
}
END_TEST

/* --- What the system refuses. ---------------------------------------------------------------- */

#ifdef IP_RECVERR /* elsewhere a socket that is not connected hears of no error */
START_TEST(an_error_of_one_peer_harms_no_other)
{
    struct sockaddr_in gone;
    socklen_t length = sizeof gone;
    int other = open_socket(AF_INET);
    const int on = 1;

    start("127.0.0.1", "127.0.0.1");
    ck_assert_int_eq(setsockopt(scene.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    ck_assert_int_eq(connect(other, (struct sockaddr *)&scene.address, scene.address_length), 0);
    ck_assert_int_eq(getsockname(other, (struct sockaddr *)&gone, &length), 0);
    ck_assert(ask(other, 0, 10));
    support_close(&other); /* the answer will find nobody, and the socket gets an error */
    support_loop_settle();
    for (unsigned i = 0; i < 20; i++) {
        ck_assert(ask(scene.client, i, 10));
        expect_answer(scene.client, i, 10);
    }
}
END_TEST
#endif

/*
 * Unix sockets wait for room in the receiver's queue, which a test can fill; for IP that takes a
 * slow network. The echo's is connected, so that it is not writable as long as the queue is full.
 */
static void start_unix(void)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX}, peer = {.sun_family = AF_UNIX};
    socklen_t own_length = sizeof own, peer_length = sizeof peer;

    scene.fd = open_socket(AF_UNIX);
    scene.client = open_socket(AF_UNIX);
    ck_assert_int_eq(bind(scene.fd, (struct sockaddr *)&own, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(bind(scene.client, (struct sockaddr *)&peer, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(getsockname(scene.fd, (struct sockaddr *)&own, &own_length), 0);
    ck_assert_int_eq(getsockname(scene.client, (struct sockaddr *)&peer, &peer_length), 0);
    ck_assert_int_eq(connect(scene.fd, (struct sockaddr *)&peer, peer_length), 0);
    start_echo();
    memcpy(&scene.address, &own, sizeof own);
    scene.address_length = own_length;
}

static bool ask_unix(uint64_t offset, size_t size)
{
    return sendto(scene.client, support_payload(offset), size, 0, (struct sockaddr *)&scene.address,
                  scene.address_length) == (ssize_t)size;
}

/* Ask as often as the system lets us while nobody reads the answers; return how often. */
static unsigned fill(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 10; i++) {
        while (ask_unix(count, 10 + count))
            count++;
        support_loop_settle();
    }
    return count;
}

#if defined IPV6_MTU && defined IPV6_DONTFRAG
/*
 * Connect the echo to its client, so that it hears who refuses, and keep its datagrams small.
 * Return false where the system cannot do that, as an emulator.
 */
static bool restrict_echo(void)
{
    const int most = 1280, on = 1; /* the least MTU of IPv6 */
    struct sockaddr_in6 client;
    socklen_t length = sizeof client;

    ck_assert_int_eq(getsockname(scene.client, (struct sockaddr *)&client, &length), 0);
    ck_assert_int_eq(connect(scene.fd, (struct sockaddr *)&client, length), 0);
    ck_assert_int_eq(setsockopt(scene.fd, IPPROTO_IPV6, IPV6_MTU, &most, sizeof most), 0);
    return setsockopt(scene.fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on) == 0;
}

static bool has_failed_twice(void *argument)
{
    (void)argument;
    return counted(COUNTER_DATAGRAMS_FAILED) == 2;
}

START_TEST(an_answer_that_fails_hides_no_failure_to_receive)
{
    start("::1", "::1");
    if (!restrict_echo())
        support_skip("the system does not know IPV6_DONTFRAG");
    ck_assert(ask(scene.client, 0, 2000)); /* more than its answer may have */
    expect_count(COUNTER_DATAGRAMS_FAILED, 1);
    ck_assert(ask(scene.client, 0, 10));
    support_close(&scene.client);
    support_loop_until(has_failed_twice, NULL);
    support_assert_matches(
        support_log_text(),
        support_format("datagrams at udp://test fail: %s\n"
                       "[^\n]* datagrams at udp://test fail: Connection refused\n",
                       strerror(EMSGSIZE)));
}
END_TEST
#endif

START_TEST(a_full_send_buffer_drops_nothing_and_turns_no_loop)
{
    unsigned count;

    start_unix();
    count = fill();
    ck_assert_uint_gt(count, counted(COUNTER_DATAGRAMS_OUT)); /* some wait */
    ck_assert_uint_lt(support_loop_for(200), 20);
    for (unsigned i = 0; i < count; i++)
        expect_answer(scene.client, i, 10 + i);
    expect_silence(scene.client);
    ck_assert(ask_unix(3, 5)); /* and it goes on */
    expect_answer(scene.client, 3, 5);
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_FAILED), 0);
}
END_TEST

START_TEST(a_socket_that_waits_leaves_the_batch_to_others)
{
    unsigned count;
    struct datagram_echo *first;
    int first_client;

    start_unix();
    count = fill();
    first = scene.echo;
    first_client = scene.client;
    start("127.0.0.1", "127.0.0.1");
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(ask(scene.client, i, 100));
        expect_answer(scene.client, i, 100);
    }
    for (unsigned i = 0; i < count; i++)
        expect_answer(first_client, i, 10 + i);
    datagram_echo_free(first);
    support_close(&first_client);
}
END_TEST

/* --- Ends. ----------------------------------------------------------------------------------- */

static bool is_over(void *argument)
{
    (void)argument;
    return scene.over_count > 0;
}

START_TEST(a_drain_answers_what_has_arrived)
{
    start("127.0.0.1", "127.0.0.1");
    for (unsigned i = 0; i < BURST; i++)
        ck_assert(ask(scene.client, i, 100));
    datagram_echo_drain(scene.echo);
    support_loop_until(is_over, NULL);
    for (unsigned i = 0; i < BURST; i++)
        expect_answer(scene.client, i, 100);
    ck_assert_int_eq(scene.over_count, 1);
}
END_TEST

START_TEST(a_drain_of_nothing_is_over_at_once)
{
    start("127.0.0.1", "127.0.0.1");
    datagram_echo_drain(scene.echo);
    ck_assert_int_eq(scene.over_count, 0); /* from the loop only */
    support_loop_until(is_over, NULL);
}
END_TEST

START_TEST(a_drain_waits_for_a_full_send_buffer)
{
    unsigned count;

    start_unix();
    count = fill();
    datagram_echo_drain(scene.echo);
    support_loop_settle();
    ck_assert_int_eq(scene.over_count, 0);
    for (unsigned i = 0; i < count; i++)
        expect_answer(scene.client, i, 10 + i);
    support_loop_until(is_over, NULL);
}
END_TEST

START_TEST(a_flood_holds_up_no_drain)
{
    start("127.0.0.1", "127.0.0.1");
    datagram_echo_drain(scene.echo);
    for (unsigned i = 0; scene.over_count == 0; i++) { /* it always has something to do */
        for (unsigned k = 0; k < 4; k++)
            (void)ask(scene.client, i, 10);
        support_loop_once();
        ck_assert_uint_lt(i, 1000000);
    }
}
END_TEST

START_TEST(silence_ends_an_echo_that_has_an_idle_timeout)
{
    const uint64_t begin_ms = clock_now_ms();

    scene.limits.idle_timeout_ms = 300;
    start("127.0.0.1", "127.0.0.1");
    support_loop_until(is_over, NULL);
    ck_assert_uint_ge(clock_now_ms() + 10, begin_ms + 300);
}
END_TEST

START_TEST(what_comes_puts_the_idle_timeout_off)
{
    scene.limits.idle_timeout_ms = 1500;
    start("127.0.0.1", "127.0.0.1");
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t begin_ms = clock_now_ms();

        ck_assert(ask(scene.client, i, 10));
        expect_answer(scene.client, i, 10);
        (void)support_loop_for(150);
        if (clock_now_ms() - begin_ms > 1000)
            support_skip("the machine is too busy to tell");
        ck_assert_int_eq(scene.over_count, 0);
    }
    support_loop_until(is_over, NULL);
}
END_TEST

START_TEST(a_full_send_buffer_is_no_silence)
{
    unsigned count;

    scene.limits.idle_timeout_ms = 40;
    start_unix();
    count = fill();
    ck_assert_uint_lt(support_loop_for(400), 40);
    ck_assert_int_eq(scene.over_count, 0);
    for (unsigned i = 0; i < count; i++)
        expect_answer(scene.client, i, 10 + i);
    support_loop_until(is_over, NULL);
}
END_TEST

START_TEST(a_stop_of_the_process_is_no_silence)
{
    scene.limits.idle_timeout_ms = 200;
    start("127.0.0.1", "127.0.0.1");
    ck_assert(ask(scene.client, 0, 10));
    (void)usleep(400000); /* the process turns no loop: the timer is due, and so is the datagram */
    support_loop_once();
    ck_assert_int_eq(scene.over_count, 0);
    expect_answer(scene.client, 0, 10);
}
END_TEST

START_TEST(without_memory_there_is_no_echo)
{
    bool has_failed = true;

    bind_socket("127.0.0.1");
    (void)support_base();
    (void)support_log(LOG_FORMAT_TEXT);
    for (unsigned long i = 1; has_failed; i++) {
        support_memory_fail(i, 1);
        scene.echo =
            datagram_echo_new(support_base(), scene.fd, "udp://test", &scene.limits, &scene.pool,
                              support_log(LOG_FORMAT_TEXT), &scene.counters, on_over, &scene);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (scene.echo == NULL)
            ck_assert_int_eq(errno, ENOMEM);
        ck_assert(has_failed || scene.echo != NULL);
        if (scene.echo != NULL && has_failed) { /* it got along without */
            const int copy = dup(scene.fd);

            datagram_echo_free(scene.echo);
            scene.fd = copy;
        }
    }
    scene.client = connect_client("127.0.0.1");
    ck_assert(ask(scene.client, 0, 10));
    expect_answer(scene.client, 0, 10);
}
END_TEST

static void add_returns(TCase *tests)
{
    tcase_add_test(tests, every_size_returns_over_ipv4);
    tcase_add_test(tests, every_size_returns_over_ipv6);
    tcase_add_test(tests, every_size_returns_in_a_burst);
    tcase_add_test(tests, a_burst_returns_whole_and_in_order);
    tcase_add_test(tests, clients_get_their_own);
    tcase_add_loop_test(tests, an_answer_comes_from_the_address_that_was_asked, 0, 6);
#if defined UDP_SEGMENT && defined UDP_GRO
    tcase_add_test(tests, a_train_returns_with_its_segments_and_the_odd_last_one);
    tcase_add_test(tests, a_train_that_is_refused_leaves_as_single_datagrams);
    tcase_add_test(tests, a_rate_cuts_a_train_between_two_datagrams);
#endif
}

static void add_drops(TCase *tests)
{
    tcase_add_test(tests, what_comes_from_an_own_port_is_dropped);
    tcase_add_test(tests, a_port_is_ours_as_long_as_a_socket_has_it);
    tcase_add_loop_test(tests, what_has_no_hop_left_is_dropped, 0, 2);
    tcase_add_loop_test(tests, an_answer_has_one_hop_less_than_its_question, 0, 2);
    tcase_add_test(tests, a_pool_keeps_one_batch_for_whoever_has_its_turn);
    tcase_add_loop_test(tests, two_echoes_on_different_ports_go_quiet, 0, 2);
    tcase_add_test(tests, a_source_above_its_rate_waits_for_others);
    tcase_add_test(tests, what_the_kernel_dropped_is_counted);
    tcase_add_test(tests, what_the_kernel_dropped_last_is_counted_at_the_end);
#ifdef IP_RECVERR
    tcase_add_test(tests, an_error_of_one_peer_harms_no_other);
#endif
#if defined IPV6_MTU && defined IPV6_DONTFRAG
    tcase_add_test(tests, an_answer_that_fails_hides_no_failure_to_receive);
#endif
    tcase_add_test(tests, a_full_send_buffer_drops_nothing_and_turns_no_loop);
    tcase_add_test(tests, a_socket_that_waits_leaves_the_batch_to_others);
}

static void add_ends(TCase *tests)
{
    tcase_add_test(tests, a_drain_answers_what_has_arrived);
    tcase_add_test(tests, a_drain_of_nothing_is_over_at_once);
    tcase_add_test(tests, a_drain_waits_for_a_full_send_buffer);
    tcase_add_test(tests, a_flood_holds_up_no_drain);
    tcase_add_test(tests, silence_ends_an_echo_that_has_an_idle_timeout);
    tcase_add_test(tests, what_comes_puts_the_idle_timeout_off);
    tcase_add_test(tests, a_full_send_buffer_is_no_silence);
    tcase_add_test(tests, a_stop_of_the_process_is_no_silence);
    tcase_add_test(tests, without_memory_there_is_no_echo);
}

static Suite *datagram_echo_suite(void)
{
    Suite *suite = suite_create("datagram_echo");
    TCase *returns = support_case(suite, "returns"), *drops = support_case(suite, "drops"),
          *ends = support_case(suite, "ends");

    tcase_add_checked_fixture(returns, setup, teardown);
    tcase_add_checked_fixture(drops, setup, teardown);
    tcase_add_checked_fixture(ends, setup, teardown);
    add_returns(returns);
    add_drops(drops);
    add_ends(ends);
    return suite;
}

int main(void)
{
    if (!support_system_sends_hops())
        return support_skip_all("the system sends no datagram with as many hops as asked");
    return support_run(datagram_echo_suite());
}
