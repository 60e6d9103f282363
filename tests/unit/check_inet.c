/*
 * check_inet: hosts and ports that are bound.
 * Resolves only "localhost", and reaches nothing beyond the loopback.
 * Run by make check.
 */
#include <config.h>

#include "echod/inet.h"

#include "opening.h"
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_tcp_address_is_bound_and_named_with_its_real_port)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockaddr_in bound = {.sin_family = AF_INET};
    socklen_t length = sizeof bound;
    char name[ADDRESS_TEXT_SIZE];
    int client;

    opening_open(1, TEXTS("tcp://127.0.0.1:0"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    opening_check_listener(&opening.sockets.endpoints.items[0], 1);
    ck_assert(!opening.sockets.endpoints.items[0].is_group); /* nobody else may join it */
    ck_assert_int_eq(getsockname(opening.sockets.endpoints.items[0].worker_fds[0],
                                 (struct sockaddr *)&bound, &length),
                     0);
    ck_assert_uint_ne(bound.sin_port, 0);
    (void)snprintf(name, sizeof name, "tcp://127.0.0.1:%u", (unsigned)ntohs(bound.sin_port));
    ck_assert_str_eq(opening.sockets.endpoints.items[0].name, name);
    client = opening_connect_port(ntohs(bound.sin_port));
    ck_assert_uint_eq(opening_accept(opening.sockets.endpoints.items[0].worker_fds[0]), 1);
    support_close(&client);
    opening_close(descriptors);
}
END_TEST

START_TEST(each_worker_has_a_socket_and_every_client_one_worker)
{
    enum { WORKERS = 3, COUNT = 30 };
    const unsigned descriptors = support_descriptor_count();
    int clients[COUNT];
    const struct endpoint *endpoint;
    unsigned accepted = 0;

    opening_open(WORKERS, TEXTS("tcp://127.0.0.1:0"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    endpoint = &opening.sockets.endpoints.items[0];
    opening_check_listener(endpoint, WORKERS);
#ifdef __linux__
    ck_assert(endpoint->is_group); /* among which Linux spreads the clients */
#endif
    for (int i = 0; i < WORKERS; i++) {
        struct sockaddr_in bound = {.sin_family = AF_INET};
        socklen_t length = sizeof bound;

        ck_assert_int_eq(getsockname(endpoint->worker_fds[i], (struct sockaddr *)&bound, &length),
                         0);
        ck_assert_uint_eq(ntohs(bound.sin_port), opening_port_of(endpoint));
    }
    for (int i = 0; i < COUNT; i++)
        clients[i] = opening_connect_port(opening_port_of(endpoint));
    for (int i = 0; i < WORKERS; i++)
        accepted += opening_accept(endpoint->worker_fds[i]);
    ck_assert_uint_eq(accepted, COUNT);
    for (int i = 0; i < COUNT; i++)
        support_close(&clients[i]);
    opening_close(descriptors);
}
END_TEST

START_TEST(localhost_is_bound_with_all_of_its_addresses)
{
    const unsigned descriptors = support_descriptor_count();

    opening_open(2, TEXTS("localhost:0"));
    ck_assert_uint_ge(opening.sockets.endpoints.count, 1);
    for (size_t i = 0; i < opening.sockets.endpoints.count; i++) {
        support_assert_matches(opening.sockets.endpoints.items[i].name,
                               "^tcp://(127\\.0\\.[0-9]+\\.1|\\[::1\\]):[1-9][0-9]*$");
        opening_check_listener(&opening.sockets.endpoints.items[i], 2);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(opening.sockets.endpoints.items[j].name,
                             opening.sockets.endpoints.items[i].name);
    }
    opening_close(descriptors);
}
END_TEST

static bool has_ipv6(void)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool is_there = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    support_close(&fd);
    return is_there;
}

START_TEST(ipv6_leaves_ipv4_alone)
{
    struct sockets other = {0};
    char text[40];

    if (!has_ipv6())
        support_skip("there is no IPv6 here");
    opening_open(1, TEXTS("tcp://[::]:0"));
    opening_check_listener(&opening.sockets.endpoints.items[0], 1);
    support_assert_matches(opening.sockets.endpoints.items[0].name, "^tcp://\\[::\\]:[1-9][0-9]*$");
    ck_assert_int_eq(opening_option_of(opening.sockets.endpoints.items[0].worker_fds[0],
                                       IPPROTO_IPV6, IPV6_V6ONLY),
                     1);
    (void)snprintf(text, sizeof text, "tcp://0.0.0.0:%u",
                   (unsigned)opening_port_of(&opening.sockets.endpoints.items[0]));
    ck_assert_int_eq(opening_open_into(&other, 1, TEXTS(text)), 0);
    sockets_close(&other);
}
END_TEST

START_TEST(an_address_that_somebody_listens_on_is_refused)
{
    const int on = 1, is_shared = _i % 2;
    const size_t workers = 1 + (size_t)_i / 2;
    struct sockaddr_in address;
    char text[40], udp[40];
    int fd = support_bind_tcp(&address);

    support_close(&fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    if (is_shared)
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    (void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    opening_check_refused(workers, TEXTS("udp://127.0.0.1:0", "127.0.0.1:0", text), text);
    ck_assert_ptr_nonnull(strstr(opening.error.text, strerror(EADDRINUSE)));
    ck_assert_ptr_null(strstr(opening.error.text, "echod itself")); /* it has other addresses */
    (void)snprintf(udp, sizeof udp, "udp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    opening_check_refused(workers, TEXTS(udp, text), text);
    ck_assert_ptr_null(strstr(opening.error.text, "echod itself")); /* that port is another one */
    support_close(&fd);
    opening_open(workers, TEXTS(text)); /* free again */
}
END_TEST

START_TEST(an_address_of_another_echod_is_refused)
{
    opening_open((size_t)_i, TEXTS("tcp://127.0.0.1:0"));
    opening_check_refused(1, TEXTS(opening.sockets.endpoints.items[0].name),
                          opening.sockets.endpoints.items[0].name);
    opening_check_refused(2, TEXTS(opening.sockets.endpoints.items[0].name),
                          opening.sockets.endpoints.items[0].name);
}
END_TEST

START_TEST(an_address_cannot_be_bound_twice)
{
    struct sockaddr_in address;
    char text[40];
    int fd = support_bind_tcp(&address);

    support_close(&fd);
    (void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    opening_check_refused((size_t)_i, TEXTS(text, text), text);
}
END_TEST

START_TEST(an_address_of_another_machine_is_refused)
{
    /* 192.0.2.0/24 is for documentation, and on no machine (RFC 5737). */
    opening_check_refused(1, TEXTS("tcp://192.0.2.1:0"), "192.0.2.1");
    opening_check_refused(2, TEXTS("tcp://127.0.0.1:0", "tcp://192.0.2.1:0"), "192.0.2.1");
}
END_TEST

START_TEST(what_is_wrong_with_an_ipv6_address_is_said)
{
    static const char *const wrong[][2] = {
        {"[::ffff:127.0.0.1]:0", "this is an IPv4 address within IPv6"},
        {"[fe80::1]:0", "name the network interface of a link-local address"},
        {"[ff02::1]:0", ": Invalid argument; choose another address"},
    };

    if (!has_ipv6())
        support_skip("there is no IPv6 here");
    opening_check_refused(1, TEXTS(wrong[_i][0]), wrong[_i][1]);
}
END_TEST

/* Linux probes no later than after 32767 seconds of silence (tcp(7)). */
START_TEST(an_option_that_the_system_refuses_is_named)
{
#ifdef __linux__
    opening.options.keepalive_ms = 40000 * UINT64_C(1000);
    opening_check_refused((size_t)_i, TEXTS("tcp://127.0.0.1:0"),
                          "tcp://127.0.0.1:0: keepalive: Invalid argument; let the system");
    ck_assert_int_eq(listener_options_parse("device=no-such",
                                            &(const struct address){.scheme = ADDRESS_UDP},
                                            &opening.options, &opening.error),
                     0);
    opening_check_refused((size_t)_i, TEXTS("udp://127.0.0.1:0"),
                          "udp://127.0.0.1:0: device: No such device; leave it out");
#endif
}
END_TEST

START_TEST(a_port_is_bound_again_while_old_connections_end)
{
    char name[ADDRESS_TEXT_SIZE];
    int client, accepted;

    opening_open(1, TEXTS("tcp://127.0.0.1:0"));
    (void)strcpy(name, opening.sockets.endpoints.items[0].name);
    client = opening_connect_port(opening_port_of(&opening.sockets.endpoints.items[0]));
    accepted = accept(opening.sockets.endpoints.items[0].worker_fds[0], NULL, NULL);
    ck_assert_int_ge(accepted, 0);
    support_close(&accepted); /* waits for the client's FIN, and then longer */
    sockets_close(&opening.sockets);
    opening_open(2, TEXTS(name));
    support_close(&client);
}
END_TEST

START_TEST(a_datagram_socket_has_the_receive_buffer_that_was_asked_for)
{
    int sizes[2];

    for (int i = 0; i < 2; i++) {
        opening.options.receive_buffer_bytes = i == 0 ? 64 << 10 : 128 << 10;
        opening_open(1, TEXTS("udp://127.0.0.1:0"));
        sizes[i] = opening_option_of(opening.sockets.endpoints.items[0].worker_fds[0], SOL_SOCKET,
                                     SO_RCVBUF);
        sockets_close(&opening.sockets);
    }
    ck_assert_int_eq(sizes[1], 2 * sizes[0]);
}
END_TEST

/* Addresses of which one stands for the other as well, and which echod cannot bind both. */
static const char *const overlaps[][2] = {
    {"127.0.0.1", "127.0.0.1"}, {"0.0.0.0", "127.0.0.1"}, {"127.0.0.1", "0.0.0.0"},
    {"[::1]", "[::1]"},         {"[::]", "[::1]"},        {"[::1]", "[::]"},
    {"[::]", "0.0.0.0"},        {"0.0.0.0", "[::]"},      {"[::]", "127.0.0.1"}, /* v6only=off */
};

START_TEST(an_address_that_echod_has_itself_is_named)
{
    const char *const scheme = _i % 2 == 0 ? "tcp" : "udp";
    const char *const *hosts = overlaps[_i / 2];
    char first[40], second[40];
    struct sockaddr_in free_address;
    int fd = support_bind_tcp(&free_address);

    if ((hosts[0][0] == '[' || hosts[1][0] == '[') && !has_ipv6())
        support_skip("there is no IPv6 here");
    opening.options.v6only = (hosts[0][0] == '[') == (hosts[1][0] == '[');
    support_close(&fd);
    (void)snprintf(first, sizeof first, "%s://%s:%u", scheme, hosts[0],
                   (unsigned)ntohs(free_address.sin_port));
    (void)snprintf(second, sizeof second, "%s://%s:%u", scheme, hosts[1],
                   (unsigned)ntohs(free_address.sin_port));
    opening_check_refused(1, TEXTS(first, second), "echod itself listens on ");
    ck_assert_ptr_nonnull(strstr(strstr(opening.error.text, "itself listens"), first));
    if (!opening.options.v6only) { /* by default they have nothing to do with one another */
        opening.options.v6only = true;
        opening_open(1, TEXTS(first, second));
    }
}
END_TEST

static Suite *inet_suite(void)
{
    Suite *suite = suite_create("inet");
    TCase *test_case;

    test_case = opening_case(suite, "tcp");
    tcase_add_test(test_case, a_tcp_address_is_bound_and_named_with_its_real_port);
    tcase_add_test(test_case, each_worker_has_a_socket_and_every_client_one_worker);
    tcase_add_test(test_case, localhost_is_bound_with_all_of_its_addresses);
    tcase_add_test(test_case, ipv6_leaves_ipv4_alone);
    tcase_add_loop_test(test_case, an_address_that_somebody_listens_on_is_refused, 0, 4);
    tcase_add_loop_test(test_case, an_address_of_another_echod_is_refused, 1, 3);
    tcase_add_loop_test(test_case, an_address_cannot_be_bound_twice, 1, 3);
    tcase_add_test(test_case, an_address_of_another_machine_is_refused);
    tcase_add_loop_test(test_case, what_is_wrong_with_an_ipv6_address_is_said, 0, 3);
    tcase_add_loop_test(test_case, an_option_that_the_system_refuses_is_named, 1, 3);
    tcase_add_test(test_case, a_port_is_bound_again_while_old_connections_end);
    tcase_add_test(test_case, a_datagram_socket_has_the_receive_buffer_that_was_asked_for);
    tcase_add_loop_test(test_case, an_address_that_echod_has_itself_is_named, 0,
                        2 * (int)(sizeof overlaps / sizeof overlaps[0]));
    return suite;
}

int main(void)
{
    return support_run(inet_suite());
}
