#include <config.h>

#include "opening.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct opening opening;

void opening_setup(void)
{
    memset(&opening, 0, sizeof opening);
    (void)strcpy(opening.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(opening.directory));
    (void)snprintf(opening.path, sizeof opening.path, "%s/socket", opening.directory);
    (void)snprintf(opening.url, sizeof opening.url, "unix://%s", opening.path);
    opening.options.backlog = BACKLOG;
    listener_options_set_defaults(&opening.options);
    (void)support_log(LOG_FORMAT_TEXT);
}

void opening_teardown(void)
{
    sockets_close(&opening.sockets);
    (void)unlink(opening.path);
    ck_assert_int_eq(rmdir(opening.directory), 0);
}

void opening_on_error(const struct error *error, void *argument)
{
    (void)argument;
    opening.error = *error;
    opening.errors++;
}

struct listen_list opening_list(struct listen items[LIST_SIZE], const char *const texts[])
{
    static const struct origin in_file = {.kind = ORIGIN_FILE, .place = "/etc/a.conf:7"};
    struct listen_list list = {.items = items};
    struct error error;

    for (; texts[list.count] != NULL; list.count++) {
        struct listen *item = &items[list.count];

        ck_assert_uint_lt(list.count, LIST_SIZE);
        *item = (struct listen){.options = opening.options};
        ck_assert_int_eq(address_parse(texts[list.count], &item->address, &error), 0);
        if (list.count == 1)
            item->origin = in_file;
    }
    return list;
}

int opening_open_into(struct sockets *sockets, size_t workers, const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = opening_list(items, texts);

    return sockets_open(sockets, &list, workers, &opening.passed, support_log(LOG_FORMAT_TEXT),
                        opening_on_error, NULL);
}

void opening_open(size_t workers, const char *const texts[])
{
    int status = opening_open_into(&opening.sockets, workers, texts);

    ck_assert_msg(status == 0, "%s was refused: %s", texts[0], opening.error.text);
    ck_assert_uint_eq(opening.sockets.endpoints.worker_count, workers);
}

void opening_check_refused(size_t workers, const char *const texts[], const char *part)
{
    const unsigned descriptors = support_descriptor_count();
    struct sockets sockets;

    ck_assert_int_eq(opening_open_into(&sockets, workers, texts), -1);
    ck_assert_msg(strstr(opening.error.text, part) != NULL, "no \"%s\" in: %s", part,
                  opening.error.text);
    ck_assert_ptr_null(strchr(opening.error.text, '\n'));
    ck_assert_uint_le(support_descriptor_count(), descriptors);
}

void opening_close(unsigned descriptors)
{
    sockets_close(&opening.sockets);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 0);
}

int opening_option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

void opening_check_listener(const struct endpoint *endpoint, size_t workers)
{
    ck_assert_int_eq((int)endpoint->kind, ENDPOINT_LISTENER);
    for (size_t i = 0; i < workers; i++) {
        ck_assert_int_eq(opening_option_of(endpoint->worker_fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
        ck_assert(support_is_nonblocking(endpoint->worker_fds[i]));
        ck_assert(support_is_close_on_exec(endpoint->worker_fds[i]));
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(endpoint->worker_fds[j], endpoint->worker_fds[i]);
    }
}

uint16_t opening_port_of(const struct endpoint *endpoint)
{
    return (uint16_t)strtoul(strrchr(endpoint->name, ':') + 1, NULL, 10);
}

int opening_connect_port(uint16_t port)
{
    const struct sockaddr_in address = support_loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

unsigned opening_accept(int listening_fd)
{
    unsigned count = 0;

    for (int fd; (fd = accept(listening_fd, NULL, NULL)) >= 0; count++)
        support_close(&fd);
    ck_assert_int_eq(errno, EAGAIN);
    return count;
}

int opening_bind_path(bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, opening.path, sizeof opening.path);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    if (listens)
        ck_assert_int_eq(listen(fd, BACKLOG), 0);
    support_set_nonblocking(fd);
    return fd;
}

int opening_connect_path(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, opening.path, sizeof opening.path);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

const char *opening_fd_url(int fd)
{
    static char text[32];

    (void)snprintf(text, sizeof text, "fd://%d", fd);
    return text;
}

TCase *opening_case(Suite *suite, const char *name)
{
    TCase *test_case = support_case(suite, name);

    tcase_add_checked_fixture(test_case, opening_setup, opening_teardown);
    return test_case;
}
