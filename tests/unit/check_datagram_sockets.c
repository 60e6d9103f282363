/*
 * check_datagram_sockets: UDP addresses are bound, one socket for each worker, or taken over.
 * What is served there is check_datagrams'.
 * Run by make check.
 */
#include <config.h>

#include "echod/sockets.h"

#include "base/setting.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIST_SIZE = 4, WORKERS = 3, CLIENTS = 64 };

static struct {
    struct sockets sockets;
    struct passed passed;
    struct error error;
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
}

static void teardown(void)
{
    sockets_close(&scene.sockets);
}

static void on_error(const struct error *error, void *argument)
{
    (void)argument;
    scene.error = *error;
}

/* Open two addresses, of which the second may be NULL. */
static int try_open(struct sockets *sockets, size_t workers, const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    struct listen items[LIST_SIZE];
    struct listen_list list = {.items = items};

    for (; list.count < 2 && texts[list.count] != NULL; list.count++) {
        struct listen *item = &items[list.count];
        struct error error;

        *item = (struct listen){.options.receive_buffer_bytes = SETTING_AUTO};
        listener_options_set_defaults(&item->options);
        ck_assert_int_eq(address_parse(texts[list.count], &item->address, &error), 0);
    }
    return sockets_open(sockets, &list, workers, &scene.passed, support_log(LOG_FORMAT_TEXT),
                        on_error, NULL);
}

static void open_all(size_t workers, const char *first, const char *second)
{
    const int status = try_open(&scene.sockets, workers, first, second);

    ck_assert_msg(status == 0, "%s", scene.error.text);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

/* Send a datagram to an endpoint from a socket of its own. */
static void send_to(const struct endpoint *endpoint)
{
    int fd = socket(endpoint->bound.ss_family, SOCK_DGRAM, 0);
    const struct sockaddr *address = (const struct sockaddr *)&endpoint->bound;

    ck_assert_int_eq(sendto(fd, "x", 1, 0, address, sizeof(struct sockaddr_in)), 1);
    support_close(&fd);
}

static unsigned receive_all(int fd)
{
    char byte;
    unsigned count = 0;

    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        count++;
    return count;
}

START_TEST(an_address_is_bound_and_named_with_its_real_port)
{
    const struct endpoint *endpoint;
    int fd;

    open_all(1, "udp://127.0.0.1:0", NULL);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    endpoint = &scene.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_DATAGRAM);
    support_assert_matches(endpoint->name, "^udp://127\\.0\\.0\\.1:[1-9][0-9]*$");
    fd = endpoint->worker_fds[0];
    ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_REUSEADDR), 0); /* nobody may take some */
    ck_assert(support_is_nonblocking(fd));
    ck_assert(support_is_close_on_exec(fd));
}
END_TEST

START_TEST(each_worker_has_a_socket_and_every_client_one_worker)
{
    const struct endpoint *endpoint;
    unsigned received = 0, workers = 0;

    open_all(WORKERS, "udp://127.0.0.1:0", NULL);
    endpoint = &scene.sockets.endpoints.items[0];
    for (unsigned i = 0; i < CLIENTS; i++)
        send_to(endpoint);
    for (unsigned i = 0; i < WORKERS; i++) {
        const unsigned count = receive_all(endpoint->worker_fds[i]);

        received += count;
        workers += count > 0;
    }
    ck_assert_uint_eq(received, CLIENTS);
    if (endpoint->is_group)
        ck_assert_uint_gt(workers, 1);
}
END_TEST

START_TEST(an_address_that_somebody_has_is_refused)
{
    struct sockets other;
    char name[ADDRESS_TEXT_SIZE];

    open_all((size_t)_i, "udp://127.0.0.1:0", NULL);
    memcpy(name, scene.sockets.endpoints.items[0].name, sizeof name);
    ck_assert_int_eq(try_open(&other, 1, name, NULL), -1);
    ck_assert_ptr_nonnull(strstr(scene.error.text, "stop what listens there"));
    ck_assert_int_eq(try_open(&other, 2, name, NULL), -1);
}
END_TEST

START_TEST(tcp_and_udp_may_have_one_port)
{
    char name[ADDRESS_TEXT_SIZE];
    struct sockets other;
    int status;

    open_all(2, "udp://127.0.0.1:0", NULL);
    (void)snprintf(name, sizeof name, "tcp%s",
                   scene.sockets.endpoints.items[0].name + strlen("udp"));
    status = try_open(&other, 2, name, NULL);
    if (status < 0) /* another program has it */
        ck_assert_ptr_null(strstr(scene.error.text, "echod itself"));
    else
        sockets_close(&other);
}
END_TEST

START_TEST(the_receive_buffer_holds_a_burst)
{
    int fd;

    open_all(1, "udp://127.0.0.1:0", NULL);
    fd = scene.sockets.endpoints.items[0].worker_fds[0];
    ck_assert_int_ge(option_of(fd, SOL_SOCKET, SO_RCVBUF), 200 << 10);
}
END_TEST

/* Return a UDP socket that is bound to a free port of the loopback. */
static int bind_udp(void)
{
    const struct sockaddr_in address = support_loopback(0);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

START_TEST(a_passed_socket_is_taken_over_by_all_workers)
{
    const int fd = bind_udp();
    const struct endpoint *endpoint;
    char url[32];

    (void)snprintf(url, sizeof url, "fd://%d", fd);
    open_all(WORKERS, url, NULL);
    endpoint = &scene.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_DATAGRAM);
    ck_assert(endpoint->is_passed);
    ck_assert(!endpoint->is_group);
    ck_assert_int_eq(endpoint->worker_fds[0], fd);
    for (unsigned i = 1; i < WORKERS; i++)
        ck_assert_int_ge(endpoint->worker_fds[i], 0);
}
END_TEST

START_TEST(systemd_may_pass_both_kinds)
{
    struct sockaddr_in address;
    struct passed_socket passed[] = {{.fd = bind_udp(), .name = "echo"},
                                     {.fd = support_bind_tcp(&address), .name = "echo"}};

    ck_assert_int_eq(listen(passed[1].fd, 1), 0);
    scene.passed = (struct passed){.sockets = passed, .count = 2};
    open_all(1, "systemd://echo", NULL);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 2);
    ck_assert_int_eq((int)scene.sockets.endpoints.items[0].kind, ENDPOINT_DATAGRAM);
    ck_assert_int_eq((int)scene.sockets.endpoints.items[1].kind, ENDPOINT_LISTENER);
}
END_TEST

static Suite *datagram_sockets_suite(void)
{
    Suite *suite = suite_create("datagram_sockets");
    TCase *tests = support_case(suite, "datagram_sockets");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_address_is_bound_and_named_with_its_real_port);
    tcase_add_test(tests, each_worker_has_a_socket_and_every_client_one_worker);
    tcase_add_loop_test(tests, an_address_that_somebody_has_is_refused, 1, 3);
    tcase_add_test(tests, tcp_and_udp_may_have_one_port);
    tcase_add_test(tests, the_receive_buffer_holds_a_burst);
    tcase_add_test(tests, a_passed_socket_is_taken_over_by_all_workers);
    tcase_add_test(tests, systemd_may_pass_both_kinds);
    return suite;
}

int main(void)
{
    return support_run(datagram_sockets_suite());
}
