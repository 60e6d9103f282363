/*
 * check_inherited: descriptors that a parent or systemd passed.
 * Passes its own; system tests have real parents.
 * Run by make check.
 */
#include <config.h>

#include "echod/inherited.h"

#include "opening.h"
#include "support.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_passed_listener_is_taken_over)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockaddr_in address = {0};
    int fd = _i == 0 ? support_bind_tcp(&address) : opening_bind_path(false), client;
    const char *url = opening_fd_url(fd);

    ck_assert_int_eq(listen(fd, BACKLOG), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0); /* supervisord passes blocking ones */
    opening_open(3, TEXTS(url));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    opening_check_listener(&opening.sockets.endpoints.items[0], 3);
    ck_assert_ptr_nonnull(strstr(opening.sockets.endpoints.items[0].name, url));
    ck_assert(opening.sockets.endpoints.items[0].is_passed);
    if (_i == 0)
        ck_assert_int_ne(opening_option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    client = _i == 0 ? opening_connect_port(ntohs(address.sin_port)) : opening_connect_path();
    ck_assert_uint_eq(opening_accept(opening.sockets.endpoints.items[0].worker_fds[2]), 1);
    support_close(&client);
    opening_close(descriptors);
    if (_i == 1)
        ck_assert_int_eq(access(opening.path, F_OK), 0); /* it is not ours to remove */
}
END_TEST

START_TEST(a_passed_connection_is_one_client)
{
    const struct endpoint *endpoint;
    unsigned descriptors;
    int fds[2];

    if (_i == 0)
        support_tcp_pair(fds);
    else
        support_unix_pair(fds);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
    descriptors = support_descriptor_count();
    opening_open(2, TEXTS(opening_fd_url(fds[1])));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    endpoint = &opening.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_CLIENT);
    support_assert_matches(endpoint->name, _i == 0 ? "^fd://[0-9]+ \\(127\\.0\\.0\\.1:[0-9]+\\)$"
                                                   : "^fd://[0-9]+ \\(unix\\)$");
    ck_assert_int_eq(endpoint->input_fd, fds[1]);
    ck_assert_int_eq(endpoint->output_fd, fds[1]);
    ck_assert(!endpoint->is_file);
    if (_i == 0)
        ck_assert_int_ne(opening_option_of(fds[1], IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert(support_is_nonblocking(fds[1]));
    ck_assert(support_is_close_on_exec(fds[1]));
    opening_close(descriptors - 1);
    support_close(&fds[0]);
}
END_TEST

static int open_datagram(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static int open_connected_datagram(void)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    support_close(&fds[1]);
    return fds[0];
}

/*
 * It is bound as UDP's are; where the system has no such protocol, or does not tell which a socket
 * has, it is none of UDP either.
 */
static int open_bound_datagram(int protocol)
{
#ifdef SO_PROTOCOL
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_DGRAM, protocol);

    if (fd < 0)
        return open_datagram();
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
#else
    (void)protocol;
    return open_datagram();
#endif
}

static int open_ping(void)
{
    return open_bound_datagram(IPPROTO_ICMP);
}

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136 /* RFC 3828 */
#endif

static int open_udp_lite(void)
{
    return open_bound_datagram(IPPROTO_UDPLITE);
}

static int open_unconnected(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int open_bound(void)
{
    struct sockaddr_in address;

    return support_bind_tcp(&address);
}

static int open_pipe(void)
{
    int fds[2];

    support_pipe(fds);
    support_close(&fds[1]);
    return fds[0];
}

static int open_null(void)
{
    return open("/dev/null", O_RDWR);
}

static int open_nothing(void)
{
    int fd = open_null(), closed = fd;

    support_close(&fd);
    return closed;
}

static int (*const useless[])(void) = {
    open_datagram,     open_connected_datagram,
    open_ping,         open_udp_lite,
    open_unconnected,  open_bound,
    open_pipe,         open_null,
    support_open_file, open_nothing,
};

START_TEST(a_descriptor_that_is_no_stream_of_clients_is_refused)
{
    int fd = useless[_i]();

    opening_check_refused(1, TEXTS(opening_fd_url(fd)), opening_fd_url(fd));
    ck_assert_ptr_nonnull(strstr(opening.error.text, "stream socket"));
    if (fcntl(fd, F_GETFD) != -1)
        support_close(&fd);
}
END_TEST

START_TEST(a_passed_descriptor_is_not_mistaken_for_one_of_our_own)
{
    int free_fd = open_nothing();

    /* Whatever is opened first gets this number, and is no socket that was passed. */
    opening_check_refused(1, TEXTS("tcp://127.0.0.1:0", opening_fd_url(free_fd)),
                          opening_fd_url(free_fd));
}
END_TEST

/* What systemd passed. */

/* A TCP socket, as systemd passes it: blocking. */
static int listen_tcp(void)
{
    struct sockaddr_in address;
    const int fd = support_bind_tcp(&address);

    ck_assert_int_eq(listen(fd, BACKLOG), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

START_TEST(sockets_of_systemd_are_taken_by_name)
{
    const unsigned descriptors = support_descriptor_count();
    struct passed_socket passed[] = {
        {.fd = listen_tcp(), .name = "web"},
        {.fd = listen_tcp(), .name = "other"},
        {.fd = listen_tcp(), .name = "web"},
    };

    opening.passed = (struct passed){.sockets = passed, .count = 3};
    opening_open(3, TEXTS("systemd://web", "tcp://127.0.0.1:0"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 3);
    for (size_t i = 0; i < 2; i++) {
        opening_check_listener(&opening.sockets.endpoints.items[i], 3);
        support_assert_matches(opening.sockets.endpoints.items[i].name,
                               "^systemd://web \\(127.0.0.1:[0-9]+\\)$");
    }
    ck_assert(passed[0].is_taken && !passed[1].is_taken && passed[2].is_taken);
    ck_assert(!support_is_nonblocking(passed[1].fd)); /* it is nobody's */
    support_close(&passed[1].fd);
    opening_close(descriptors);
}
END_TEST

START_TEST(systemd_without_a_name_takes_all_sockets)
{
    const unsigned descriptors = support_descriptor_count();
    struct passed_socket passed[] = {
        {.fd = listen_tcp(), .name = "web"},
        {.fd = opening_bind_path(true), .name = "other"},
    };

    opening.passed = (struct passed){.sockets = passed, .count = 2};
    opening_open(1, TEXTS("systemd://"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 2);
    support_assert_matches(opening.sockets.endpoints.items[0].name, "^systemd://web \\(127.0.0.1:");
    support_assert_matches(opening.sockets.endpoints.items[1].name,
                           "^systemd://other \\(/tmp/check-");
    ck_assert(passed[0].is_taken && passed[1].is_taken);
    opening_close(descriptors);
    ck_assert_int_eq(access(opening.path, F_OK), 0); /* it is not ours to remove */
}
END_TEST

START_TEST(what_systemd_did_not_pass_is_refused)
{
    struct passed_socket passed = {.fd = listen_tcp(), .name = "web"};

    opening.passed = (struct passed){.absence = {"it is a holiday"}};
    opening_check_refused(1, TEXTS("systemd://"),
                          "--listen systemd://: nothing was passed: it is a hol");
    opening.passed = (struct passed){.sockets = &passed, .count = 1};
    opening_check_refused(1, TEXTS("systemd://wbe"),
                          "--listen systemd://wbe: no socket was passed ");
    support_close(&passed.fd);
}
END_TEST

START_TEST(what_systemd_passed_must_listen)
{
    struct sockaddr_in address;
    struct passed_socket passed = {.name = "web"};

    opening.passed = (struct passed){.sockets = &passed, .count = 1};
    passed.fd = support_bind_tcp(&address);
    opening_check_refused(1, TEXTS("systemd://"), "--listen systemd://web: descriptor ");
    ck_assert_ptr_nonnull(strstr(opening.error.text, " does not listen; pass sockets that listen"));
    support_close(&passed.fd);
    passed.fd = socket(AF_INET, SOCK_DGRAM, 0);
    opening_check_refused(1, TEXTS("systemd://web"),
                          "is neither a stream socket nor a UDP socket that is bound");
    support_close(&passed.fd);
    passed.fd = support_open_file();
    opening_check_refused(1, TEXTS("systemd://web"), "--listen systemd://web: ");
    support_close(&passed.fd);
}
END_TEST

START_TEST(a_socket_of_systemd_may_be_taken_by_its_number)
{
    struct passed_socket passed[] = {{.fd = listen_tcp(), .name = "web"},
                                     {.fd = listen_tcp(), .name = "other"}};

    opening.passed = (struct passed){.sockets = passed, .count = 2};
    opening_open(1, TEXTS(opening_fd_url(passed[0].fd)));
    ck_assert(passed[0].is_taken && !passed[1].is_taken);
    support_close(&passed[1].fd);
}
END_TEST

START_TEST(a_socket_of_systemd_is_served_once)
{
    struct passed_socket passed = {.name = "web"};
    char url[32];

    opening.passed = (struct passed){.sockets = &passed, .count = 1};
    for (int i = 0; i < 2; i++) {
        passed.fd = listen_tcp();
        passed.is_taken = false;
        (void)strcpy(url, opening_fd_url(passed.fd));
        if (i == 0)
            opening_check_refused(1, TEXTS(url, "systemd://"), url);
        else
            opening_check_refused(1, TEXTS("systemd://", url), url);
    }
}
END_TEST

static Suite *inherited_suite(void)
{
    Suite *suite = suite_create("inherited");
    TCase *test_case;

    test_case = opening_case(suite, "passed");
    tcase_add_loop_test(test_case, a_passed_listener_is_taken_over, 0, 2);
    tcase_add_loop_test(test_case, a_passed_connection_is_one_client, 0, 2);
    tcase_add_loop_test(test_case, a_descriptor_that_is_no_stream_of_clients_is_refused, 0,
                        (int)(sizeof useless / sizeof useless[0]));
    tcase_add_test(test_case, a_passed_descriptor_is_not_mistaken_for_one_of_our_own);

    test_case = opening_case(suite, "systemd");
    tcase_add_test(test_case, sockets_of_systemd_are_taken_by_name);
    tcase_add_test(test_case, systemd_without_a_name_takes_all_sockets);
    tcase_add_test(test_case, what_systemd_did_not_pass_is_refused);
    tcase_add_test(test_case, what_systemd_passed_must_listen);
    tcase_add_test(test_case, a_socket_of_systemd_may_be_taken_by_its_number);
    tcase_add_test(test_case, a_socket_of_systemd_is_served_once);
    return suite;
}

int main(void)
{
    return support_run(inherited_suite());
}
