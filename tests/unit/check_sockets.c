/*
 * check_sockets: addresses that are bound, descriptors that are taken over, and none that is left.
 * Resolves only "localhost", and reaches nothing beyond the loopback.
 * Run by make check.
 */
#include <config.h>

#include "echod/sockets.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, LIST_SIZE = 8, OTHER_ID = 2000000123 };

static struct {
    struct sockets sockets;
    struct passed passed;
    struct error error;   /* the last that was reported, */
    unsigned errors;      /* and how many were */
    unsigned descriptors; /* open before sockets_open */
    char directory[32];
    char path[64]; /* of a Unix socket in it */
    char url[80];  /* the same as an address */
    int saved[3];  /* standard descriptors while others stand in for them, or -1 */
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    (void)strcpy(scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene.directory));
    (void)snprintf(scene.path, sizeof scene.path, "%s/socket", scene.directory);
    (void)snprintf(scene.url, sizeof scene.url, "unix://%s", scene.path);
    for (int fd = 0; fd < 3; fd++)
        scene.saved[fd] = -1;
    (void)support_log(LOG_FORMAT_TEXT);
}

/* Put the standard descriptors back. */
static void restore_standard(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (scene.saved[fd] >= 0)
            ck_assert_int_eq(dup2(scene.saved[fd], fd), fd);
        support_close(&scene.saved[fd]);
    }
}

/* Let another descriptor stand in for a standard one; it is closed. */
static void replace_standard(int standard_fd, int fd)
{
    (void)fflush(NULL);
    scene.saved[standard_fd] = dup(standard_fd);
    ck_assert_int_ge(scene.saved[standard_fd], 0);
    ck_assert_int_eq(dup2(fd, standard_fd), standard_fd);
    support_close(&fd);
}

static void teardown(void)
{
    sockets_close(&scene.sockets);
    restore_standard();
    (void)unlink(scene.path);
    ck_assert_int_eq(rmdir(scene.directory), 0);
}

static void on_error(const struct error *error, void *argument)
{
    (void)argument;
    scene.error = *error;
    scene.errors++;
}

/* Make a list of addresses; it is said that the second one stands in a file. */
static struct listen_list make_list(struct listen items[LIST_SIZE], const char *const texts[])
{
    static const struct origin in_file = {.kind = ORIGIN_FILE, .place = "/etc/a.conf:7"};
    struct listen_list list = {.items = items};
    struct error error;

    for (; texts[list.count] != NULL; list.count++) {
        struct listen *item = &items[list.count];

        ck_assert_uint_lt(list.count, LIST_SIZE);
        *item = (struct listen){.options.backlog = BACKLOG};
        listener_options_set_defaults(&item->options);
        ck_assert_int_eq(address_parse(texts[list.count], &item->address, &error), 0);
        if (list.count == 1)
            item->origin = in_file;
    }
    return list;
}

static int open_into(struct sockets *sockets, size_t workers, const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = make_list(items, texts);

    return sockets_open(sockets, &list, workers, &scene.passed, support_log(LOG_FORMAT_TEXT),
                        on_error, NULL);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Open addresses, given as text. */
static void open_all(size_t workers, const char *const texts[])
{
    int status = open_into(&scene.sockets, workers, texts);

    ck_assert_msg(status == 0, "%s was refused: %s", texts[0], scene.error.text);
    ck_assert_uint_eq(scene.sockets.endpoints.worker_count, workers);
}

/* See that opening fails with a sentence that names `part`, and that nothing is left open. */
static void check_refused(size_t workers, const char *const texts[], const char *part)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockets sockets;

    ck_assert_int_eq(open_into(&sockets, workers, texts), -1);
    ck_assert_msg(strstr(scene.error.text, part) != NULL, "no \"%s\" in: %s", part,
                  scene.error.text);
    ck_assert_ptr_null(strchr(scene.error.text, '\n'));
    ck_assert_uint_le(support_descriptor_count(), descriptors);
}

/* Close everything, and see that no descriptor is left of those that were opened since. */
static void close_all(unsigned descriptors)
{
    sockets_close(&scene.sockets);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 0);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

static void check_listener(const struct endpoint *endpoint, size_t workers)
{
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_LISTENER);
    for (size_t i = 0; i < workers; i++) {
        ck_assert_int_eq(option_of(endpoint->worker_fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
        ck_assert(support_is_nonblocking(endpoint->worker_fds[i]));
        ck_assert(support_is_close_on_exec(endpoint->worker_fds[i]));
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(endpoint->worker_fds[j], endpoint->worker_fds[i]);
    }
}

/* Return the port that an endpoint's name ends with. */
static uint16_t port_of(const struct endpoint *endpoint)
{
    return (uint16_t)strtoul(strrchr(endpoint->name, ':') + 1, NULL, 10);
}

/* Connect to the loopback's port; close the socket. */
static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = support_loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Accept all that wait on one of an endpoint's sockets. Return how many there were. */
static unsigned accept_all(int listening_fd)
{
    unsigned count = 0;

    for (int fd; (fd = accept(listening_fd, NULL, NULL)) >= 0; count++)
        support_close(&fd);
    ck_assert_int_eq(errno, EAGAIN);
    return count;
}

static bool has_ipv6(void)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool is_there = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    support_close(&fd);
    return is_there;
}

/* TCP. */

START_TEST(a_tcp_address_is_bound_and_named_with_its_real_port)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockaddr_in bound;
    socklen_t length = sizeof bound;
    char name[ADDRESS_TEXT_SIZE];
    int client;

    open_all(1, TEXTS("tcp://127.0.0.1:0"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    check_listener(&scene.sockets.endpoints.items[0], 1);
    ck_assert_int_eq(getsockname(scene.sockets.endpoints.items[0].worker_fds[0],
                                 (struct sockaddr *)&bound, &length),
                     0);
    ck_assert_uint_ne(bound.sin_port, 0);
    (void)snprintf(name, sizeof name, "tcp://127.0.0.1:%u", (unsigned)ntohs(bound.sin_port));
    ck_assert_str_eq(scene.sockets.endpoints.items[0].name, name);
    client = connect_to(ntohs(bound.sin_port));
    ck_assert_uint_eq(accept_all(scene.sockets.endpoints.items[0].worker_fds[0]), 1);
    support_close(&client);
    close_all(descriptors);
}
END_TEST

START_TEST(each_worker_has_a_socket_and_every_client_one_worker)
{
    enum { WORKERS = 3, COUNT = 30 };
    const unsigned descriptors = support_descriptor_count();
    int clients[COUNT];
    const struct endpoint *endpoint;
    unsigned accepted = 0;

    open_all(WORKERS, TEXTS("tcp://127.0.0.1:0"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    endpoint = &scene.sockets.endpoints.items[0];
    check_listener(endpoint, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        struct sockaddr_in bound;
        socklen_t length = sizeof bound;

        ck_assert_int_eq(getsockname(endpoint->worker_fds[i], (struct sockaddr *)&bound, &length),
                         0);
        ck_assert_uint_eq(ntohs(bound.sin_port), port_of(endpoint));
    }
    for (int i = 0; i < COUNT; i++)
        clients[i] = connect_to(port_of(endpoint));
    for (int i = 0; i < WORKERS; i++)
        accepted += accept_all(endpoint->worker_fds[i]);
    ck_assert_uint_eq(accepted, COUNT);
    for (int i = 0; i < COUNT; i++)
        support_close(&clients[i]);
    close_all(descriptors);
}
END_TEST

START_TEST(localhost_is_bound_with_all_of_its_addresses)
{
    const unsigned descriptors = support_descriptor_count();

    open_all(2, TEXTS("localhost:0"));
    ck_assert_uint_ge(scene.sockets.endpoints.count, 1);
    for (size_t i = 0; i < scene.sockets.endpoints.count; i++) {
        support_assert_matches(scene.sockets.endpoints.items[i].name,
                               "^tcp://(127\\.0\\.[0-9]+\\.1|\\[::1\\]):[1-9][0-9]*$");
        check_listener(&scene.sockets.endpoints.items[i], 2);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(scene.sockets.endpoints.items[j].name,
                             scene.sockets.endpoints.items[i].name);
    }
    close_all(descriptors);
}
END_TEST

START_TEST(ipv6_leaves_ipv4_alone)
{
    struct sockets other = {0};
    char text[40];

    if (!has_ipv6())
        return;
    open_all(1, TEXTS("tcp://[::]:0"));
    check_listener(&scene.sockets.endpoints.items[0], 1);
    support_assert_matches(scene.sockets.endpoints.items[0].name, "^tcp://\\[::\\]:[1-9][0-9]*$");
    ck_assert_int_eq(
        option_of(scene.sockets.endpoints.items[0].worker_fds[0], IPPROTO_IPV6, IPV6_V6ONLY), 1);
    (void)snprintf(text, sizeof text, "tcp://0.0.0.0:%u",
                   (unsigned)port_of(&scene.sockets.endpoints.items[0]));
    ck_assert_int_eq(open_into(&other, 1, TEXTS(text)), 0);
    sockets_close(&other);
}
END_TEST

START_TEST(an_address_that_somebody_listens_on_is_refused)
{
    const int on = 1, is_shared = _i % 2;
    const size_t workers = 1 + (size_t)_i / 2;
    struct sockaddr_in address;
    char text[40];
    int fd = support_bind_tcp(&address);

    support_close(&fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    if (is_shared)
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    (void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    check_refused(workers, TEXTS(text), text);
    ck_assert_ptr_nonnull(strstr(scene.error.text, strerror(EADDRINUSE)));
    support_close(&fd);
    open_all(workers, TEXTS(text)); /* free again */
}
END_TEST

START_TEST(an_address_of_another_echod_is_refused)
{
    open_all((size_t)_i, TEXTS("tcp://127.0.0.1:0"));
    check_refused(1, TEXTS(scene.sockets.endpoints.items[0].name),
                  scene.sockets.endpoints.items[0].name);
    check_refused(2, TEXTS(scene.sockets.endpoints.items[0].name),
                  scene.sockets.endpoints.items[0].name);
}
END_TEST

START_TEST(an_address_cannot_be_bound_twice)
{
    struct sockaddr_in address;
    char text[40];
    int fd = support_bind_tcp(&address);

    support_close(&fd);
    (void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    check_refused((size_t)_i, TEXTS(text, text), text);
}
END_TEST

START_TEST(an_address_of_another_machine_is_refused)
{
    /* 192.0.2.0/24 is for documentation, and on no machine (RFC 5737). */
    check_refused(1, TEXTS("tcp://192.0.2.1:0"), "192.0.2.1");
    check_refused(2, TEXTS("tcp://127.0.0.1:0", "tcp://192.0.2.1:0"), "192.0.2.1");
}
END_TEST

START_TEST(without_descriptors_nothing_is_left_open)
{
    struct rlimit before, limit;
    unsigned allowed;
    int status = -1;

    if (support_is_under_valgrind())
        return; /* it keeps the limit itself, and closes what exceeds it */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (allowed = 0; status != 0; allowed++) { /* one more each time, until it is enough */
        const unsigned descriptors = support_descriptor_count();
        int lowest_free = dup(STDERR_FILENO);

        ck_assert_uint_lt(allowed, 100);
        limit = before;
        limit.rlim_cur = (rlim_t)lowest_free + allowed;
        support_close(&lowest_free);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        status = open_into(&scene.sockets, 3, TEXTS("tcp://127.0.0.1:0", scene.url));
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (status != 0) {
            ck_assert_uint_eq(support_descriptor_count(), descriptors);
            ck_assert_int_eq(access(scene.path, F_OK), -1);
        }
    }
    ck_assert_uint_gt(allowed, 6); /* three for each address */
}
END_TEST

/* Unix sockets. */

/* Bind a Unix socket of the test's own, and listen if asked to. */
static int bind_path(bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, scene.path, sizeof scene.path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    if (listens)
        ck_assert_int_eq(listen(fd, BACKLOG), 0);
    support_set_nonblocking(fd);
    return fd;
}

static int connect_path(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, scene.path, sizeof scene.path);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

START_TEST(a_unix_socket_is_bound_and_removed)
{
    const unsigned descriptors = support_descriptor_count();
    int client;

    open_all(3, TEXTS(scene.url));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    ck_assert_str_eq(scene.sockets.endpoints.items[0].name, scene.url);
    check_listener(&scene.sockets.endpoints.items[0], 3);
    client = connect_path();
    ck_assert_uint_eq(accept_all(scene.sockets.endpoints.items[0].worker_fds[_i]), 1);
    support_close(&client);
    close_all(descriptors);
    ck_assert_int_eq(access(scene.path, F_OK), -1);
}
END_TEST

START_TEST(a_path_that_nobody_listens_on_is_taken)
{
    int fd = bind_path(_i == 0), client;

    support_close(&fd); /* as after a crash */
    open_all(1, TEXTS(scene.url));
    client = connect_path();
    ck_assert_uint_eq(accept_all(scene.sockets.endpoints.items[0].worker_fds[0]), 1);
    support_close(&client);
}
END_TEST

START_TEST(a_path_that_somebody_listens_on_is_refused)
{
    int fd = bind_path(true), client;

    check_refused(1, TEXTS(scene.url), scene.url);
    client = connect_path(); /* it is there still */
    ck_assert_uint_ge(accept_all(fd), 1);
    support_close(&client);
    support_close(&fd);
}
END_TEST

/* Say whose the Unix socket's path is. */
static uid_t owner_of_path(void)
{
    struct stat status;

    ck_assert_int_eq(lstat(scene.path, &status), 0);
    return status.st_uid;
}

START_TEST(a_unix_socket_is_handed_over)
{
    if (getuid() != 0)
        return;
    open_all(1, TEXTS(scene.url, "127.0.0.1:0"));
    sockets_hand_over(&scene.sockets, OTHER_ID, OTHER_ID, support_log(LOG_FORMAT_TEXT));
    ck_assert_uint_eq(owner_of_path(), OTHER_ID);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(what_took_its_place_is_not_handed_over)
{
    char other[80];
    struct stat status;

    if (getuid() != 0)
        return;
    (void)snprintf(other, sizeof other, "%s/other", scene.directory);
    open_all(1, TEXTS(scene.url));
    switch (_i) {
    case 0: /* a symbolic link to it */
        ck_assert_int_eq(rename(scene.path, other), 0);
        ck_assert_int_eq(symlink(other, scene.path), 0);
        break;
    case 1: /* a link, so that it might be the socket of another */
        ck_assert_int_eq(link(scene.path, other), 0);
        break;
    case 2: /* a file */
        ck_assert_int_eq(rename(scene.path, other), 0);
        ck_assert_int_eq(mknod(scene.path, S_IFREG | 0600, 0), 0);
        break;
    case 3: /* a socket that somebody else bound */
        ck_assert_int_eq(rename(scene.path, other), 0);
        ck_assert_int_eq(mknod(scene.path, S_IFSOCK | 0600, 0), 0);
        break;
    }
    sockets_hand_over(&scene.sockets, OTHER_ID, OTHER_ID, support_log(LOG_FORMAT_TEXT));
    ck_assert_uint_eq(owner_of_path(), 0);
    ck_assert_int_eq(stat(other, &status), 0);
    ck_assert_uint_eq(status.st_uid, 0);
    support_assert_matches(support_log_text(), "warning: .*/socket stays with its owner: ");
    ck_assert_int_eq(unlink(other), 0);
}
END_TEST

START_TEST(a_path_cannot_be_bound_twice)
{
    check_refused(1, TEXTS(scene.url, scene.url), scene.url);
    ck_assert_int_eq(access(scene.path, F_OK), -1);
}
END_TEST

START_TEST(a_file_is_not_taken_for_a_socket)
{
    int fd = open(scene.path, O_CREAT | O_EXCL | O_RDWR, 0600);
    struct stat before, after;

    ck_assert_int_eq(fstat(fd, &before), 0);
    check_refused(1, TEXTS(scene.url), scene.url);
    ck_assert_int_eq(stat(scene.path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    support_close(&fd);
}
END_TEST

START_TEST(a_path_without_directory_is_refused)
{
    char url[100];

    (void)snprintf(url, sizeof url, "%s/below/socket", scene.url);
    check_refused(1, TEXTS(url), url);
}
END_TEST

START_TEST(a_path_that_is_somebody_elses_by_now_is_not_removed)
{
    int fd;

    open_all(1, TEXTS(scene.url));
    ck_assert_int_eq(unlink(scene.path), 0);
    fd = bind_path(true);
    sockets_close(&scene.sockets);
    ck_assert_int_eq(access(scene.path, F_OK), 0);
    support_close(&fd);
}
END_TEST

START_TEST(a_path_that_is_gone_by_now_is_no_problem)
{
    open_all(1, TEXTS(scene.url));
    ck_assert_int_eq(unlink(scene.path), 0);
    sockets_close(&scene.sockets);
}
END_TEST

START_TEST(a_later_failure_undoes_what_came_before)
{
    check_refused(2, TEXTS(scene.url, "tcp://127.0.0.1:0", "tcp://192.0.2.1:7"), "192.0.2.1");
    ck_assert_int_eq(access(scene.path, F_OK), -1);
}
END_TEST

START_TEST(several_addresses_are_opened)
{
    const unsigned descriptors = support_descriptor_count();
    unsigned unix_count = 0;

    open_all(2, TEXTS("127.0.0.1:0", scene.url, "tcp://127.0.0.1:0"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 3);
    for (size_t i = 0; i < 3; i++) {
        check_listener(&scene.sockets.endpoints.items[i], 2);
        unix_count += strcmp(scene.sockets.endpoints.items[i].name, scene.url) == 0;
    }
    ck_assert_uint_eq(unix_count, 1);
    close_all(descriptors);
}
END_TEST

/* What was passed. */

/* Write the address of a descriptor. */
static const char *fd_url(int fd)
{
    static char text[32];

    (void)snprintf(text, sizeof text, "fd://%d", fd);
    return text;
}

START_TEST(a_passed_listener_is_taken_over)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockaddr_in address = {0};
    int fd = _i == 0 ? support_bind_tcp(&address) : bind_path(false), client;
    const char *url = fd_url(fd);

    ck_assert_int_eq(listen(fd, BACKLOG), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0); /* supervisord passes blocking ones */
    open_all(3, TEXTS(url));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    check_listener(&scene.sockets.endpoints.items[0], 3);
    ck_assert_ptr_nonnull(strstr(scene.sockets.endpoints.items[0].name, url));
    client = _i == 0 ? connect_to(ntohs(address.sin_port)) : connect_path();
    ck_assert_uint_eq(accept_all(scene.sockets.endpoints.items[0].worker_fds[2]), 1);
    support_close(&client);
    close_all(descriptors);
    if (_i == 1)
        ck_assert_int_eq(access(scene.path, F_OK), 0); /* it is not ours to remove */
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
    open_all(2, TEXTS(fd_url(fds[1])));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    endpoint = &scene.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_CLIENT);
    ck_assert_int_eq(endpoint->input_fd, fds[1]);
    ck_assert_int_eq(endpoint->output_fd, fds[1]);
    ck_assert(!endpoint->is_file);
    ck_assert(support_is_nonblocking(fds[1]));
    ck_assert(support_is_close_on_exec(fds[1]));
    close_all(descriptors - 1);
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
    open_datagram, open_connected_datagram, open_unconnected, open_bound, open_pipe,
    open_null,     support_open_file,       open_nothing,
};

START_TEST(a_descriptor_that_is_no_stream_of_clients_is_refused)
{
    int fd = useless[_i]();

    check_refused(1, TEXTS(fd_url(fd)), fd_url(fd));
    ck_assert_ptr_nonnull(strstr(scene.error.text, "stream socket"));
    if (fcntl(fd, F_GETFD) != -1)
        support_close(&fd);
}
END_TEST

START_TEST(a_passed_descriptor_is_not_mistaken_for_one_of_our_own)
{
    int free_fd = open_nothing();

    /* Whatever is opened first gets this number, and is no socket that was passed. */
    check_refused(1, TEXTS("tcp://127.0.0.1:0", fd_url(free_fd)), fd_url(free_fd));
}
END_TEST

/* Standard input and output. */

START_TEST(standard_input_and_output_are_one_client)
{
    const struct endpoint *endpoint;
    unsigned descriptors;
    int in[2], out[2];

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    replace_standard(STDIN_FILENO, in[0]);
    replace_standard(STDOUT_FILENO, out[1]);
    descriptors = support_descriptor_count();
    open_all(2, TEXTS("stdio:"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    endpoint = &scene.sockets.endpoints.items[0];
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_CLIENT);
    ck_assert_str_eq(endpoint->name, "stdio:");
    ck_assert(!endpoint->is_file);
    ck_assert(support_is_nonblocking(endpoint->input_fd));
    ck_assert(support_is_nonblocking(endpoint->output_fd));
    ck_assert(support_is_close_on_exec(endpoint->input_fd));
    ck_assert(support_is_close_on_exec(endpoint->output_fd));
    ck_assert_int_eq((int)write(in[1], "in", 2), 2);
    ck_assert_int_eq((int)read(endpoint->input_fd, (char[2]){0}, 2), 2);
    ck_assert_int_eq((int)write(endpoint->output_fd, "out", 3), 3);
    ck_assert_int_eq((int)read(out[0], (char[3]){0}, 3), 3);
    close_all(descriptors);
    ck_assert(!support_is_nonblocking(STDIN_FILENO)); /* as they were */
    ck_assert(!support_is_nonblocking(STDOUT_FILENO));
    restore_standard();
    support_close(&in[1]);
    support_close(&out[0]);
}
END_TEST

START_TEST(what_epoll_does_not_take_is_known_as_a_file)
{
    int pipe_fds[2], file_fd = _i < 2 ? support_open_file() : open_null();

    support_pipe(pipe_fds);
    replace_standard(STDIN_FILENO, _i % 2 == 0 ? file_fd : pipe_fds[0]);
    replace_standard(STDOUT_FILENO, _i % 2 == 0 ? pipe_fds[1] : file_fd);
    open_all(1, TEXTS("stdio:"));
    ck_assert(scene.sockets.endpoints.items[0].is_file);
    sockets_close(&scene.sockets);
    restore_standard();
    support_close(&pipe_fds[_i % 2 == 0 ? 0 : 1]);
}
END_TEST

START_TEST(a_socket_as_standard_input_and_output_is_one_descriptor)
{
    const struct endpoint *endpoint;
    int fds[2], copy;

    support_tcp_pair(fds); /* as inetd's nowait passes it */
    copy = dup(fds[1]);
    replace_standard(STDIN_FILENO, fds[1]);
    replace_standard(STDOUT_FILENO, copy);
    open_all(1, TEXTS("stdio:"));
    endpoint = &scene.sockets.endpoints.items[0];
    ck_assert_int_eq(endpoint->input_fd, endpoint->output_fd); /* so that it can linger */
    sockets_close(&scene.sockets);
    restore_standard();
    support_close(&fds[0]);
}
END_TEST

START_TEST(standard_descriptors_that_cannot_serve_are_refused)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    if (_i == 0) { /* the wrong ends */
        replace_standard(STDIN_FILENO, fds[1]);
        replace_standard(STDOUT_FILENO, fds[0]);
    } else {
        replace_standard(_i - 1, fds[_i - 1]);
        support_close(&fds[2 - _i]);
        ck_assert_int_eq(close(_i - 1), 0);
    }
    check_refused(1, TEXTS("stdio:"), "stdio:");
}
END_TEST

START_TEST(zeroed_sockets_may_be_closed_and_so_may_closed_ones)
{
    struct sockets zeroed = {0};
    int in[2], out[2];

    support_pipe(in); /* non-blocking, which must stay so */
    support_pipe(out);
    replace_standard(STDIN_FILENO, in[0]);
    replace_standard(STDOUT_FILENO, out[1]);
    sockets_close(&zeroed);
    sockets_close(&zeroed);
    ck_assert(support_is_nonblocking(STDIN_FILENO));
    ck_assert(support_is_nonblocking(STDOUT_FILENO));
    open_all(1, TEXTS("stdio:"));
    sockets_close(&scene.sockets);
    sockets_close(&scene.sockets);
    ck_assert(support_is_nonblocking(STDIN_FILENO));
    ck_assert(support_is_nonblocking(STDOUT_FILENO));
    restore_standard();
    support_close(&in[1]);
    support_close(&out[0]);
}
END_TEST

static bool includes_standard_error(const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = make_list(items, texts);

    return sockets_include_standard_error(&list);
}

START_TEST(a_log_that_would_reach_the_client_is_noticed)
{
    int fds[2], other[2], copy;

    support_unix_pair(fds);
    support_unix_pair(other);
    copy = dup(fds[1]);
    replace_standard(STDERR_FILENO, copy);
    ck_assert(includes_standard_error(TEXTS("127.0.0.1:0", fd_url(fds[1]))));
    ck_assert(includes_standard_error(TEXTS(fd_url(STDERR_FILENO))));
    ck_assert(!includes_standard_error(TEXTS(fd_url(fds[0]))));
    ck_assert(!includes_standard_error(TEXTS(fd_url(other[0]))));
    ck_assert(!includes_standard_error(TEXTS("stdio:")));
    ck_assert(!includes_standard_error(TEXTS("127.0.0.1:0", scene.url)));
    replace_standard(STDIN_FILENO, dup(fds[1]));
    ck_assert(includes_standard_error(TEXTS("stdio:")));
    restore_standard();
    replace_standard(STDERR_FILENO, dup(fds[1]));
    replace_standard(STDOUT_FILENO, dup(fds[1]));
    ck_assert(includes_standard_error(TEXTS("stdio:")));
    restore_standard();
    ck_assert(!includes_standard_error(TEXTS("stdio:", fd_url(fds[1]))));
    for (int i = 0; i < 2; i++) {
        support_close(&fds[i]);
        support_close(&other[i]);
    }
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

    scene.passed = (struct passed){.sockets = passed, .count = 3};
    open_all(3, TEXTS("systemd://web", "tcp://127.0.0.1:0"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 3);
    for (size_t i = 0; i < 2; i++) {
        check_listener(&scene.sockets.endpoints.items[i], 3);
        support_assert_matches(scene.sockets.endpoints.items[i].name,
                               "^systemd://web \\(127.0.0.1:[0-9]+\\)$");
    }
    ck_assert(passed[0].is_taken && !passed[1].is_taken && passed[2].is_taken);
    ck_assert(!support_is_nonblocking(passed[1].fd)); /* it is nobody's */
    support_close(&passed[1].fd);
    close_all(descriptors);
}
END_TEST

START_TEST(systemd_without_a_name_takes_all_sockets)
{
    const unsigned descriptors = support_descriptor_count();
    struct passed_socket passed[] = {
        {.fd = listen_tcp(), .name = "web"},
        {.fd = bind_path(true), .name = "other"},
    };

    scene.passed = (struct passed){.sockets = passed, .count = 2};
    open_all(1, TEXTS("systemd://"));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 2);
    support_assert_matches(scene.sockets.endpoints.items[0].name, "^systemd://web \\(127.0.0.1:");
    support_assert_matches(scene.sockets.endpoints.items[1].name,
                           "^systemd://other \\(/tmp/check-");
    ck_assert(passed[0].is_taken && passed[1].is_taken);
    close_all(descriptors);
    ck_assert_int_eq(access(scene.path, F_OK), 0); /* it is not ours to remove */
}
END_TEST

START_TEST(what_systemd_did_not_pass_is_refused)
{
    struct passed_socket passed = {.fd = listen_tcp(), .name = "web"};

    scene.passed = (struct passed){.absence = {"it is a holiday"}};
    check_refused(1, TEXTS("systemd://"), "--listen systemd://: nothing was passed: it is a hol");
    scene.passed = (struct passed){.sockets = &passed, .count = 1};
    check_refused(1, TEXTS("systemd://wbe"), "--listen systemd://wbe: no socket was passed ");
    support_close(&passed.fd);
}
END_TEST

START_TEST(what_systemd_passed_must_listen)
{
    struct sockaddr_in address;
    struct passed_socket passed = {.name = "web"};

    scene.passed = (struct passed){.sockets = &passed, .count = 1};
    passed.fd = support_bind_tcp(&address);
    check_refused(1, TEXTS("systemd://"), "--listen systemd://web: descriptor ");
    ck_assert_ptr_nonnull(strstr(scene.error.text, " does not listen; pass sockets that listen"));
    support_close(&passed.fd);
    passed.fd = socket(AF_INET, SOCK_DGRAM, 0);
    check_refused(1, TEXTS("systemd://web"),
                  "is neither a stream socket nor a UDP socket that is bound");
    support_close(&passed.fd);
    passed.fd = support_open_file();
    check_refused(1, TEXTS("systemd://web"), "--listen systemd://web: ");
    support_close(&passed.fd);
}
END_TEST

START_TEST(a_socket_of_systemd_is_served_once)
{
    struct passed_socket passed = {.name = "web"};
    char url[32];

    scene.passed = (struct passed){.sockets = &passed, .count = 1};
    for (int i = 0; i < 2; i++) {
        passed.fd = listen_tcp();
        passed.is_taken = false;
        (void)strcpy(url, fd_url(passed.fd));
        if (i == 0)
            check_refused(1, TEXTS(url, "systemd://"), url);
        else
            check_refused(1, TEXTS("systemd://", url), url);
    }
}
END_TEST

START_TEST(all_that_cannot_be_had_is_reported_with_its_place)
{
    const char *const bad[] = {"fd://999", "bad..name:1", "192.0.2.1:1", "127.0.0.1:0", NULL};

    check_refused(1, bad, "--listen tcp://192.0.2.1:1: ");
    ck_assert_uint_eq(scene.errors, 3);
    check_refused(1, TEXTS("127.0.0.1:0", "unix:///nowhere/x"),
                  "/etc/a.conf:7: listen unix:///nowhere/x: ");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *test_case = support_case(suite, name);

    tcase_add_checked_fixture(test_case, setup, teardown);
    return test_case;
}

/* --- Addresses that change. ------------------------------------------------------------------ */

static int change_to(const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = make_list(items, texts);

    return sockets_change(&scene.sockets, &list, NULL, support_log(LOG_FORMAT_TEXT), on_error,
                          NULL);
}

START_TEST(what_stays_is_not_touched_and_the_rest_comes_or_leaves)
{
    const unsigned descriptors = support_descriptor_count();
    const size_t workers = (size_t)_i;
    unsigned long stays, comes;
    int fd;

    open_all(workers, TEXTS("127.0.0.1:0", scene.url));
    stays = scene.sockets.endpoints.items[0].number;
    fd = scene.sockets.endpoints.items[0].worker_fds[0];
    ck_assert_int_eq(change_to(TEXTS("[::1]:0", "127.0.0.1:0")), 0);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 3);
    check_listener(&scene.sockets.endpoints.items[2], workers);
    comes = scene.sockets.endpoints.items[2].number;
    ck_assert(!scene.sockets.endpoints.items[0].is_leaving);
    ck_assert(scene.sockets.endpoints.items[1].is_leaving);
    ck_assert(!scene.sockets.endpoints.items[2].is_leaving);
    ck_assert_int_eq(access(scene.path, F_OK), 0);

    sockets_finish_change(&scene.sockets);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 2);
    ck_assert_uint_eq(scene.sockets.endpoints.items[0].number, stays);
    ck_assert_uint_eq(scene.sockets.endpoints.items[1].number, comes);
    ck_assert_int_eq(scene.sockets.endpoints.items[0].worker_fds[0], fd);
    ck_assert_int_lt(access(scene.path, F_OK), 0);
    ck_assert_uint_eq(support_descriptor_count(), descriptors + 2 * workers);

    ck_assert_int_eq(change_to(TEXTS(scene.url, "[::1]:0", "127.0.0.1:0")), 0);
    ck_assert_uint_ne(scene.sockets.endpoints.items[2].number, comes);
    ck_assert_int_eq(access(scene.path, F_OK), 0);
    close_all(descriptors);
}
END_TEST

START_TEST(an_address_is_checked_without_opening_it)
{
    const unsigned descriptors = support_descriptor_count();
    struct listen items[LIST_SIZE];
    const struct listen_list list =
        make_list(items, TEXTS("127.0.0.1:1", "localhost:1", "[::1]:1", "unix:///x", "fd://999",
                               "stdio:", "bad..name:1", "unix:///nowhere/x"));

    for (size_t i = 0; i + 2 < list.count; i++)
        ck_assert_int_eq(sockets_check(&list, i, &scene.error), 0);
    ck_assert_int_eq(sockets_check(&list, list.count - 2, &scene.error), -1);
    ck_assert_ptr_nonnull(strstr(scene.error.text, "--listen tcp://bad..name:1: "));
    ck_assert_int_eq(sockets_check(&list, list.count - 1, &scene.error), -1);
    ck_assert_ptr_nonnull(strstr(scene.error.text, "there is no directory /nowhere; "));
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
}
END_TEST

START_TEST(an_address_that_stands_there_twice_is_two)
{
    open_all(1, TEXTS("127.0.0.1:0", "127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    ck_assert(!scene.sockets.endpoints.items[0].is_leaving);
    ck_assert(scene.sockets.endpoints.items[1].is_leaving);
    sockets_finish_change(&scene.sockets);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")), 0);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 3);
    for (size_t i = 0; i < scene.sockets.endpoints.count; i++)
        ck_assert(!scene.sockets.endpoints.items[i].is_leaving);
}
END_TEST

START_TEST(a_name_with_several_addresses_stays_whole)
{
    size_t count;

    open_all(1, TEXTS("localhost:0"));
    count = scene.sockets.endpoints.count;
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "localhost:0")), 0);
    ck_assert_uint_eq(scene.sockets.endpoints.count, count + 1);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    sockets_finish_change(&scene.sockets);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
}
END_TEST

START_TEST(a_change_that_fails_changes_nothing)
{
    struct sockaddr_in address;
    int busy = support_bind_tcp(&address);
    unsigned descriptors;
    char text[64];

    ck_assert_int_eq(listen(busy, 1), 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    open_all(2, TEXTS("127.0.0.1:0"));
    descriptors = support_descriptor_count();
    ck_assert_int_eq(change_to(TEXTS(scene.url, "[::1]:0", text)), -1);
    ck_assert_ptr_nonnull(strstr(scene.error.text, text));
    ck_assert_uint_eq(scene.sockets.endpoints.count, 1);
    ck_assert(!scene.sockets.endpoints.items[0].is_leaving);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_int_lt(access(scene.path, F_OK), 0);
    support_close(&busy);
}
END_TEST

START_TEST(a_change_reports_all_that_cannot_be_had)
{
    open_all(1, TEXTS("127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("fd://999", "bad..name:1", "127.0.0.1:0")), -1);
    ck_assert_uint_eq(scene.errors, 2);
    ck_assert_ptr_nonnull(strstr(scene.error.text, "/etc/a.conf:7: listen tcp://bad..name:1: "));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
}
END_TEST

START_TEST(what_is_passed_comes_at_the_start_only)
{
    struct sockaddr_in address;
    int passed = support_bind_tcp(&address);
    char text[32];

    ck_assert_int_eq(listen(passed, 1), 0);
    (void)snprintf(text, sizeof text, "fd://%d", passed);
    open_all(1, TEXTS("127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", text)), -1);
    ck_assert_ptr_nonnull(strstr(scene.error.text, text));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "stdio:")), -1);
    sockets_close(&scene.sockets);

    open_all(1, TEXTS("127.0.0.1:0", text));
    ck_assert(scene.sockets.endpoints.items[0].is_passed);
    ck_assert_int_eq(change_to(TEXTS(text)), 0);
    ck_assert(!scene.sockets.endpoints.items[0].is_leaving);
    ck_assert(scene.sockets.endpoints.items[1].is_leaving);
}
END_TEST

START_TEST(a_passed_client_never_leaves)
{
    char text[32];
    int fds[2];

    support_tcp_pair(fds);
    (void)snprintf(text, sizeof text, "fd://%d", fds[1]);
    open_all(1, TEXTS(text, "127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    ck_assert(!scene.sockets.endpoints.items[0].is_leaving);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", text)), 0);
    ck_assert_uint_eq(scene.sockets.endpoints.count, 2);
    support_close(&fds[0]);
}
END_TEST

static Suite *sockets_suite(void)
{
    Suite *suite = suite_create("sockets");
    TCase *test_case;

    test_case = add_case(suite, "tcp");
    tcase_add_test(test_case, a_tcp_address_is_bound_and_named_with_its_real_port);
    tcase_add_test(test_case, each_worker_has_a_socket_and_every_client_one_worker);
    tcase_add_test(test_case, localhost_is_bound_with_all_of_its_addresses);
    tcase_add_test(test_case, ipv6_leaves_ipv4_alone);
    tcase_add_loop_test(test_case, an_address_that_somebody_listens_on_is_refused, 0, 4);
    tcase_add_loop_test(test_case, an_address_of_another_echod_is_refused, 1, 3);
    tcase_add_loop_test(test_case, an_address_cannot_be_bound_twice, 1, 3);
    tcase_add_test(test_case, an_address_of_another_machine_is_refused);
    tcase_add_test(test_case, without_descriptors_nothing_is_left_open);
    tcase_add_test(test_case, several_addresses_are_opened);

    test_case = add_case(suite, "unix");
    tcase_add_loop_test(test_case, a_unix_socket_is_bound_and_removed, 0, 3);
    tcase_add_loop_test(test_case, a_path_that_nobody_listens_on_is_taken, 0, 2);
    tcase_add_test(test_case, a_path_that_somebody_listens_on_is_refused);
    tcase_add_test(test_case, a_unix_socket_is_handed_over);
    tcase_add_loop_test(test_case, what_took_its_place_is_not_handed_over, 0, 4);
    tcase_add_test(test_case, a_path_cannot_be_bound_twice);
    tcase_add_test(test_case, a_file_is_not_taken_for_a_socket);
    tcase_add_test(test_case, a_path_without_directory_is_refused);
    tcase_add_test(test_case, a_path_that_is_somebody_elses_by_now_is_not_removed);
    tcase_add_test(test_case, a_path_that_is_gone_by_now_is_no_problem);
    tcase_add_test(test_case, a_later_failure_undoes_what_came_before);

    test_case = add_case(suite, "changes");
    tcase_add_loop_test(test_case, what_stays_is_not_touched_and_the_rest_comes_or_leaves, 1, 3);
    tcase_add_test(test_case, an_address_is_checked_without_opening_it);
    tcase_add_test(test_case, an_address_that_stands_there_twice_is_two);
    tcase_add_test(test_case, a_name_with_several_addresses_stays_whole);
    tcase_add_test(test_case, a_change_that_fails_changes_nothing);
    tcase_add_test(test_case, a_change_reports_all_that_cannot_be_had);
    tcase_add_test(test_case, what_is_passed_comes_at_the_start_only);
    tcase_add_test(test_case, a_passed_client_never_leaves);

    test_case = add_case(suite, "passed");
    tcase_add_loop_test(test_case, a_passed_listener_is_taken_over, 0, 2);
    tcase_add_loop_test(test_case, a_passed_connection_is_one_client, 0, 2);
    tcase_add_loop_test(test_case, a_descriptor_that_is_no_stream_of_clients_is_refused, 0,
                        (int)(sizeof useless / sizeof useless[0]));
    tcase_add_test(test_case, a_passed_descriptor_is_not_mistaken_for_one_of_our_own);

    test_case = add_case(suite, "systemd");
    tcase_add_test(test_case, sockets_of_systemd_are_taken_by_name);
    tcase_add_test(test_case, systemd_without_a_name_takes_all_sockets);
    tcase_add_test(test_case, what_systemd_did_not_pass_is_refused);
    tcase_add_test(test_case, what_systemd_passed_must_listen);
    tcase_add_test(test_case, a_socket_of_systemd_is_served_once);
    tcase_add_test(test_case, all_that_cannot_be_had_is_reported_with_its_place);

    test_case = add_case(suite, "standard");
    tcase_add_test(test_case, standard_input_and_output_are_one_client);
    tcase_add_loop_test(test_case, what_epoll_does_not_take_is_known_as_a_file, 0, 4);
    tcase_add_test(test_case, a_socket_as_standard_input_and_output_is_one_descriptor);
    tcase_add_loop_test(test_case, standard_descriptors_that_cannot_serve_are_refused, 0, 3);
    tcase_add_test(test_case, zeroed_sockets_may_be_closed_and_so_may_closed_ones);
    tcase_add_test(test_case, a_log_that_would_reach_the_client_is_noticed);
    return suite;
}

int main(void)
{
    return support_run(sockets_suite());
}
