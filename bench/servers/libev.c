/*
 * libev: the level-triggered loop with libev's watchers: one buffer of 64 KiB for all, and a
 * watcher that waits to write only while a socket takes no more. Leaves out limits, time-outs and a
 * way to stop. Run as: libev PORT
 */
#include <config.h>

#include "listen.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536 };

/* What the socket did not take. While there is any, nothing is read. */
struct client {
    ev_io watcher; /* first, so that a watcher is its client */
    char *rest;
    size_t rest_bytes;
    size_t rest_sent;
};

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events);

static void client_free(struct ev_loop *loop, struct client *client)
{
    ev_io_stop(loop, &client->watcher);
    (void)close(client->watcher.fd);
    free(client->rest);
    free(client);
}

static void client_watch(struct ev_loop *loop, struct client *client,
                         void (*callback)(struct ev_loop *, ev_io *, int), int events)
{
    const int fd = client->watcher.fd;

    ev_io_stop(loop, &client->watcher);
    ev_io_init(&client->watcher, callback, fd, events);
    ev_io_start(loop, &client->watcher);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct client *client = (struct client *)watcher;
    const ssize_t sent = write(watcher->fd, client->rest + client->rest_sent,
                               client->rest_bytes - client->rest_sent);

    (void)events;
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        client_free(loop, client);
        return;
    }
    client->rest_sent += (size_t)sent;
    if (client->rest_sent < client->rest_bytes)
        return;
    free(client->rest);
    client->rest = NULL;
    client_watch(loop, client, on_readable, EV_READ);
}

static void client_keep(struct ev_loop *loop, struct client *client, const char *rest,
                        size_t length)
{
    client->rest = must_have(malloc(length), "malloc");
    memcpy(client->rest, rest, length);
    client->rest_bytes = length;
    client->rest_sent = 0;
    client_watch(loop, client, on_writable, EV_WRITE);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    static char buffer[BUFFER_BYTES];
    struct client *client = (struct client *)watcher;
    const ssize_t received = read(watcher->fd, buffer, sizeof(buffer));
    ssize_t sent;

    (void)events;
    if (received < 0 && errno == EAGAIN)
        return;
    if (received <= 0) {
        client_free(loop, client);
        return;
    }
    sent = write(watcher->fd, buffer, (size_t)received);
    if (sent < 0 && errno != EAGAIN) {
        client_free(loop, client);
        return;
    }
    if (sent < 0)
        sent = 0;
    if (sent < received)
        client_keep(loop, client, buffer + sent, (size_t)(received - sent));
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    int fd;

    (void)events;
    while ((fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = must_have(calloc(1, sizeof(*client)), "calloc");

        ev_io_init(&client->watcher, on_readable, fd, EV_READ);
        ev_io_start(loop, &client->watcher);
    }
}

int main(int argument_count, char *arguments[])
{
    const int fd = listen_on_argument(argument_count, arguments);
    struct ev_loop *loop = must_have(ev_default_loop(EVBACKEND_EPOLL), "ev_default_loop");
    ev_io listener;

    ev_io_init(&listener, on_acceptable, fd, EV_READ);
    ev_io_start(loop, &listener);
    return ev_run(loop, 0);
}
