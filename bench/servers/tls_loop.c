/*
 * tls_loop: the baseline over TLS: the loop that one writes by hand with OpenSSL. Level-triggered,
 * one buffer for all, SSL_read as long as OpenSSL has something, SSL_write, and EPOLLOUT only while
 * a socket takes no more. Leaves out limits, time-outs and a way to stop. Run as: tls_loop PORT
 * FILE, with a certificate and its key in FILE
 */
#include <config.h>

#include "listen.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER_BYTES = 16384 }; /* a record: SSL_read returns no more */

/* What the socket did not take. While there is any, nothing is read. */
struct client {
    int fd;
    SSL *ssl;
    char *rest;
    size_t rest_bytes;
};

static void client_watch(int epoll_fd, struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    must(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &event), "epoll_ctl");
}

static void client_free(struct client *client)
{
    SSL_free(client->ssl);
    (void)close(client->fd);
    free(client->rest);
    free(client);
}

static bool must_wait(const struct client *client, int result)
{
    const int error = SSL_get_error(client->ssl, result);

    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Answer the client's close_notify, or drop one that failed. */
static void client_end(struct client *client, int result)
{
    if (SSL_get_error(client->ssl, result) == SSL_ERROR_ZERO_RETURN)
        (void)SSL_shutdown(client->ssl);
    ERR_clear_error();
    client_free(client);
}

/* OpenSSL has part of it in a record, and wants to be asked for the same bytes. */
static void client_keep(int epoll_fd, struct client *client, const char *rest, size_t length)
{
    client->rest = must_have(malloc(length), "malloc");
    memcpy(client->rest, rest, length);
    client->rest_bytes = length;
    client_watch(epoll_fd, client, EPOLLOUT);
}

static void on_readable(int epoll_fd, struct client *client)
{
    static char buffer[BUFFER_BYTES];

    do {
        const int received = SSL_read(client->ssl, buffer, sizeof(buffer));
        int sent;

        if (received <= 0) {
            if (!must_wait(client, received))
                client_end(client, received);
            return;
        }
        sent = SSL_write(client->ssl, buffer, received);
        if (sent <= 0) {
            if (must_wait(client, sent))
                client_keep(epoll_fd, client, buffer, (size_t)received);
            else
                client_end(client, sent);
            return;
        }
    } while (SSL_has_pending(client->ssl));
}

static void on_writable(int epoll_fd, struct client *client)
{
    const int sent = SSL_write(client->ssl, client->rest, (int)client->rest_bytes);

    if (sent <= 0) {
        if (!must_wait(client, sent))
            client_end(client, sent);
        return;
    }
    free(client->rest);
    client->rest = NULL;
    client_watch(epoll_fd, client, EPOLLIN);
    if (SSL_has_pending(client->ssl)) /* of which the socket no longer tells */
        on_readable(epoll_fd, client);
}

static void on_acceptable(int epoll_fd, int listener_fd, SSL_CTX *context)
{
    int fd;

    while ((fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = must_have(calloc(1, sizeof(*client)), "calloc");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

        client->fd = fd;
        client->ssl = must_have(SSL_new(context), "SSL_new");
        must(SSL_set_fd(client->ssl, fd) - 1, "SSL_set_fd");
        SSL_set_accept_state(client->ssl); /* SSL_read shakes hands */
        must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    } // NOLINT(clang-analyzer-unix.Malloc): epoll keeps the client
}

/* Partial writes are off: SSL_write takes all, or is asked again. */
static SSL_CTX *make_context(const char *file)
{
    SSL_CTX *context = must_have(SSL_CTX_new(TLS_server_method()), "SSL_CTX_new");

    if (SSL_CTX_use_certificate_chain_file(context, file) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* there are tickets */
    return context;
}

int main(int argument_count, char *arguments[])
{
    const int listener_fd = listen_on_argument(argument_count - 1, arguments);
    SSL_CTX *context = make_context(arguments[2]);
    const int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}}; /* no pointer: the listener */

    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener_fd, &events[0]), "epoll_ctl");
    for (;;) {
        const int count = epoll_wait(epoll_fd, events, EVENTS, -1);

        must(count < 0 && errno != EINTR ? -1 : 0, "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;

            if (client == NULL)
                on_acceptable(epoll_fd, listener_fd, context);
            else if (client->rest != NULL)
                on_writable(epoll_fd, client);
            else
                on_readable(epoll_fd, client);
        }
    }
}
