/*
 * check_datagram_control: what the system tells of a datagram is read, and told with the answer.
 * Whether the system does so is check_datagram_echo's.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_control.h"

#include "support.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <string.h>

static struct {
    _Alignas(max_align_t) unsigned char bytes[DATAGRAM_CONTROL_SIZE];
    struct sockaddr_storage peer;
    struct msghdr message;
    struct datagram_arrival arrival;
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.message.msg_control = scene.bytes;
    scene.message.msg_name = &scene.peer;
    scene.peer.ss_family = AF_INET;
}

/* Append a control message, as the system does. */
static void tell(int level, int type, const void *data, size_t length)
{
    struct cmsghdr *header = (struct cmsghdr *)(void *)(scene.bytes + scene.message.msg_controllen);

    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(header), data, length);
    scene.message.msg_controllen += CMSG_SPACE(length);
}

static void read_all(void)
{
    memset(&scene.arrival, 0x5a, sizeof scene.arrival);
    datagram_control_read(&scene.message, &scene.arrival);
}

/* Return a message that is told with the answer, or NULL. */
static const struct cmsghdr *find_told(int level, int type)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&scene.message); header != NULL;
         header = CMSG_NXTHDR(&scene.message, header)) {
        if (header->cmsg_level == level && header->cmsg_type == type)
            return header;
    }
    return NULL;
}

/* Read one that must be there. */
static void read_told(int level, int type, void *data, size_t length)
{
    const struct cmsghdr *header = find_told(level, type);

    ck_assert_ptr_nonnull(header);
    if (header != NULL)
        memcpy(data, CMSG_DATA(header), length);
}

static void tell_v6_address(const char *text, unsigned interface)
{
    struct in6_pktinfo info = {.ipi6_ifindex = interface};

    ck_assert_int_eq(inet_pton(AF_INET6, text, &info.ipi6_addr), 1);
    tell(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

START_TEST(what_is_not_told_is_not_known)
{
    read_all();
    ck_assert_int_eq(scene.arrival.asked_family, AF_UNSPEC);
    ck_assert_uint_eq(scene.arrival.hops, 0);
    ck_assert_uint_eq(scene.arrival.segment_bytes, 0);
    ck_assert_uint_eq(scene.arrival.overflow_total, 0);
    ck_assert(!scene.arrival.is_to_many);
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    ck_assert_uint_eq(scene.message.msg_controllen, 0);
}
END_TEST

START_TEST(an_ipv6_address_goes_back_with_its_interface)
{
    struct in6_pktinfo info;

    tell_v6_address("fe80::7", 3);
    read_all();
    ck_assert_int_eq(scene.arrival.asked_family, AF_INET6);
    ck_assert(!scene.arrival.is_to_many);
    scene.peer.ss_family = AF_INET6;
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    read_told(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    ck_assert_uint_eq(info.ipi6_ifindex, 3);
    ck_assert_uint_eq(info.ipi6_addr.s6_addr[15], 7);
}
END_TEST

START_TEST(a_group_of_ipv6_is_many)
{
    tell_v6_address("ff02::1", 3);
    read_all();
    ck_assert(scene.arrival.is_to_many);
}
END_TEST

#ifdef IP_PKTINFO
static void tell_v4_address(const char *in_header, const char *own, int interface)
{
    struct in_pktinfo info = {.ipi_ifindex = interface};

    ck_assert_int_eq(inet_pton(AF_INET, in_header, &info.ipi_addr), 1);
    ck_assert_int_eq(inet_pton(AF_INET, own, &info.ipi_spec_dst), 1);
    tell(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}

START_TEST(an_ipv4_address_goes_back_and_the_route_is_the_systems)
{
    static const struct {
        const char *address;
        int interface; /* that is told with the answer */
    } cases[] = {{"192.0.2.1", 0}, {"127.0.0.2", 0}, {"169.254.1.1", 5}};
    struct in_pktinfo info;

    tell_v4_address(cases[_i].address, cases[_i].address, 5);
    read_all();
    ck_assert_int_eq(scene.arrival.asked_family, AF_INET);
    ck_assert(!scene.arrival.is_to_many);
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    read_told(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    ck_assert_uint_eq(info.ipi_spec_dst.s_addr, inet_addr(cases[_i].address));
    ck_assert_int_eq(info.ipi_ifindex, cases[_i].interface);
}
END_TEST

START_TEST(an_address_that_is_not_the_machines_is_many)
{
    tell_v4_address("192.0.2.255", "192.0.2.1", 5);
    read_all();
    ck_assert(scene.arrival.is_to_many);
}
END_TEST

START_TEST(of_ipv4_at_a_socket_for_both_ip_says_more)
{
    if (_i == 0)
        tell_v6_address("::ffff:192.0.2.255", 5);
    tell_v4_address("192.0.2.255", "192.0.2.1", 5);
    if (_i == 1)
        tell_v6_address("::ffff:192.0.2.255", 5);
    read_all();
    ck_assert_int_eq(scene.arrival.asked_family, AF_INET);
    ck_assert(scene.arrival.is_to_many);
}
END_TEST
#endif

#ifdef __linux__ /* where hops and trains are told */
START_TEST(hops_are_told_only_where_they_are_not_usual)
{
    const int hops = 64;
    int told;

    tell(IPPROTO_IP, IP_TTL, &hops, sizeof hops);
    read_all();
    ck_assert_uint_eq(scene.arrival.hops, 64);
    datagram_control_write(&scene.message, &scene.arrival, 63, false);
    ck_assert_uint_eq(scene.message.msg_controllen, 0);
    datagram_control_write(&scene.message, &scene.arrival, 64, false);
    read_told(IPPROTO_IP, IP_TTL, &told, sizeof told);
    ck_assert_int_eq(told, 63);
}
END_TEST

START_TEST(hops_say_nothing_of_an_address)
{
    const int hops = 63;

    tell(_i == 0 ? IPPROTO_IP : IPPROTO_IPV6, _i == 0 ? IP_TTL : IPV6_HOPLIMIT, &hops, sizeof hops);
    read_all();
    ck_assert_uint_eq(scene.arrival.hops, 63);
    ck_assert_int_eq(scene.arrival.asked_family, AF_UNSPEC);
    ck_assert_uint_eq(scene.arrival.interface, 0);
}
END_TEST

START_TEST(hops_of_ipv4_are_told_as_those_of_ipv4_at_a_socket_for_both)
{
    struct sockaddr_in6 *peer = (struct sockaddr_in6 *)&scene.peer;

    scene.arrival.hops = 64;
    peer->sin6_family = AF_INET6;
    ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.9", &peer->sin6_addr), 1);
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    ck_assert_ptr_nonnull(find_told(IPPROTO_IP, IP_TTL));
    ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8::9", &peer->sin6_addr), 1);
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    ck_assert_ptr_null(find_told(IPPROTO_IP, IP_TTL));
    ck_assert_ptr_nonnull(find_told(IPPROTO_IPV6, IPV6_HOPLIMIT));
}
END_TEST

START_TEST(a_train_is_told_with_its_segments)
{
    const int segment = 1400;
    uint16_t told;

    tell(IPPROTO_UDP, UDP_GRO, &segment, sizeof segment);
    read_all();
    ck_assert_uint_eq(scene.arrival.segment_bytes, 1400);
    datagram_control_write(&scene.message, &scene.arrival, 0, false);
    ck_assert_ptr_null(find_told(IPPROTO_UDP, UDP_SEGMENT));
    datagram_control_write(&scene.message, &scene.arrival, 0, true);
    read_told(IPPROTO_UDP, UDP_SEGMENT, &told, sizeof told);
    ck_assert_uint_eq(told, 1400);
}
END_TEST

START_TEST(all_that_is_told_has_room)
{
    const int hops = 64, segment = 1400;

    tell_v6_address("::ffff:192.0.2.1", 5);
    tell_v4_address("192.0.2.1", "192.0.2.1", 5);
    tell(IPPROTO_IP, IP_TTL, &hops, sizeof hops);
    tell(IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
    tell(IPPROTO_UDP, UDP_GRO, &segment, sizeof segment);
    tell(SOL_SOCKET, SO_RXQ_OVFL, &segment, sizeof segment);
    ck_assert_uint_le(scene.message.msg_controllen, DATAGRAM_CONTROL_SIZE);
    read_all();
    ck_assert_uint_eq(scene.arrival.overflow_total, 1400);
    datagram_control_write(&scene.message, &scene.arrival, 0, true);
    ck_assert_uint_le(scene.message.msg_controllen, DATAGRAM_CONTROL_SIZE);
}
END_TEST

/* Tell whether an option can be read, which is not so of each with every emulator. */
static bool is_readable(int level, int option)
{
    int value, fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof value;
    const bool is = getsockopt(fd, level, option, &value, &length) == 0;

    support_close(&fd);
    return is;
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

START_TEST(only_a_socket_without_an_address_is_told_which_was_asked)
{
    static const char *const addresses[] = {"0.0.0.0", "127.255.255.255", "224.0.0.1", "127.0.0.1"};
    struct sockaddr_in own = support_loopback(0);
    int fd;

    if (!is_readable(IPPROTO_IP, IP_RECVTTL))
        support_skip("the system does not say whether hops are told");
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    own.sin_addr.s_addr = inet_addr(addresses[_i]);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(datagram_control_enable(fd), 0);
    ck_assert_int_eq(option_of(fd, IPPROTO_IP, IP_PKTINFO), _i < 3);
    ck_assert_int_eq(option_of(fd, IPPROTO_IP, IP_RECVTTL), 1);
    ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_RXQ_OVFL), 1);
    support_close(&fd);
}
END_TEST

START_TEST(an_ipv6_socket_is_told_the_same_of_both)
{
    struct sockaddr_in6 own = {.sin6_family = AF_INET6};
    int fd;

    if (!is_readable(IPPROTO_IP, IP_RECVTTL))
        support_skip("the system does not say whether hops are told");
    fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (_i == 1)
        own.sin6_addr = in6addr_loopback;
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0) {
        support_close(&fd);
        support_skip("there is no IPv6 here");
    }
    ck_assert_int_eq(datagram_control_enable(fd), 0);
    ck_assert_int_eq(option_of(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT), 1);
    ck_assert_int_eq(option_of(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), _i == 0);
    ck_assert_int_eq(option_of(fd, IPPROTO_IP, IP_PKTINFO), _i == 0);
    if (_i == 0)
        ck_assert_int_eq(option_of(fd, IPPROTO_IP, IP_RECVTTL), 1);
    support_close(&fd);
}
END_TEST

START_TEST(hops_are_set_for_both_families)
{
    int fd = socket(_i == 0 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

    if (fd < 0)
        support_skip("there is no IPv6 here");
    ck_assert_int_eq(datagram_control_set_hops(fd, 63), 0);
    ck_assert_int_eq(option_of(fd, IPPROTO_IP, IP_TTL), 63);
    if (_i == 1)
        ck_assert_int_eq(option_of(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 63);
    support_close(&fd);
    fd = support_open_file();
    ck_assert_int_eq(datagram_control_set_hops(fd, 63), -1);
    ck_assert_int_eq(datagram_control_enable(fd), -1);
    support_close(&fd);
}
END_TEST
#endif

static Suite *datagram_control_suite(void)
{
    Suite *suite = suite_create("datagram_control");
    TCase *tests = support_case(suite, "datagram_control");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, what_is_not_told_is_not_known);
    tcase_add_test(tests, an_ipv6_address_goes_back_with_its_interface);
    tcase_add_test(tests, a_group_of_ipv6_is_many);
#ifdef IP_PKTINFO
    tcase_add_loop_test(tests, an_ipv4_address_goes_back_and_the_route_is_the_systems, 0, 3);
    tcase_add_test(tests, an_address_that_is_not_the_machines_is_many);
    tcase_add_loop_test(tests, of_ipv4_at_a_socket_for_both_ip_says_more, 0, 2);
#endif
#ifdef __linux__
    tcase_add_test(tests, hops_are_told_only_where_they_are_not_usual);
    tcase_add_loop_test(tests, hops_say_nothing_of_an_address, 0, 2);
    tcase_add_test(tests, hops_of_ipv4_are_told_as_those_of_ipv4_at_a_socket_for_both);
    tcase_add_test(tests, a_train_is_told_with_its_segments);
    tcase_add_test(tests, all_that_is_told_has_room);
    tcase_add_loop_test(tests, only_a_socket_without_an_address_is_told_which_was_asked, 0, 4);
    tcase_add_loop_test(tests, an_ipv6_socket_is_told_the_same_of_both, 0, 2);
    tcase_add_loop_test(tests, hops_are_set_for_both_families, 0, 2);
#endif
    return suite;
}

int main(void)
{
    return support_run(datagram_control_suite());
}
