/*
 * epoll_level: the baseline: the loop that one writes by hand. Level-triggered, one buffer of
 * 64 KiB for all, read, write, and EPOLLOUT only while a socket takes no more.
 * Leaves out limits, time-outs and a way to stop.
 * Run as: epoll_level PORT
 */
#include <config.h>

#include "listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER_BYTES = 65536 };

/* What the socket did not take. While there is any, nothing is read. */
struct client {
    int fd;
    char *rest;
    size_t rest_bytes;
    size_t rest_sent;
};

static void client_watch(int epoll_fd, struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    must(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &event), "epoll_ctl");
}

static void client_free(struct client *client)
{
    (void)close(client->fd);
    free(client->rest);
    free(client);
}

static void client_keep(int epoll_fd, struct client *client, const char *rest, size_t length)
{
    client->rest = must_have(malloc(length), "malloc");
    memcpy(client->rest, rest, length);
    client->rest_bytes = length;
    client->rest_sent = 0;
    client_watch(epoll_fd, client, EPOLLOUT);
}

static void on_writable(int epoll_fd, struct client *client)
{
    const ssize_t sent =
        write(client->fd, client->rest + client->rest_sent, client->rest_bytes - client->rest_sent);

    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        client_free(client);
        return;
    }
    client->rest_sent += (size_t)sent;
    if (client->rest_sent < client->rest_bytes)
        return;
    free(client->rest);
    client->rest = NULL;
    client_watch(epoll_fd, client, EPOLLIN);
}

static void on_readable(int epoll_fd, struct client *client)
{
    static char buffer[BUFFER_BYTES];
    const ssize_t received = read(client->fd, buffer, sizeof(buffer));
    ssize_t sent;

    if (received < 0 && errno == EAGAIN)
        return;
    if (received <= 0) {
        client_free(client);
        return;
    }
    sent = write(client->fd, buffer, (size_t)received);
    if (sent < 0 && errno != EAGAIN) {
        client_free(client);
        return;
    }
    if (sent < 0)
        sent = 0;
    if (sent < received)
        client_keep(epoll_fd, client, buffer + sent, (size_t)(received - sent));
}

static void on_acceptable(int epoll_fd, int listener_fd)
{
    int fd;

    while ((fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = must_have(calloc(1, sizeof(*client)), "calloc");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

        client->fd = fd;
        must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    } // NOLINT(clang-analyzer-unix.Malloc): epoll keeps the client
}

int main(int argument_count, char *arguments[])
{
    const int listener_fd = listen_on_argument(argument_count, arguments);
    const int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}}; /* no pointer: the listener */

    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener_fd, &events[0]), "epoll_ctl");
    for (;;) {
        const int count = epoll_wait(epoll_fd, events, EVENTS, -1);

        must(count < 0 && errno != EINTR ? -1 : 0, "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;

            if (client == NULL)
                on_acceptable(epoll_fd, listener_fd);
            else if (client->rest != NULL)
                on_writable(epoll_fd, client);
            else
                on_readable(epoll_fd, client);
        }
    }
}
