#include <config.h>

#include "base/http_server.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/http_client.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_RUN = 16, /* so that newcomers do not hold up who asks */
    EVENTS_PER_RUN = 64,
    ACCEPT_PAUSE_MS = 100, /* after descriptors or memory lacked */
    SEND_BUFFER_BYTES = 64 * 1024,
    RUNS_AT_END = 4, /* as many as an answer takes that its socket has room for */
};

struct http_server {
    int epoll_fd; /* has the listening socket, libmicrohttpd's own epoll descriptor, and the ends of
                     clients */
    int listen_fd;
    bool is_listening;
    uint64_t listen_again_ms; /* while a lack of something keeps it from accepting, else 0 */
    struct MHD_Daemon *daemon;
    struct http_service service;
    struct http_client *clients; /* limits.max_connections of them */
};

const char *http_server_library_version(void)
{
    return MHD_get_version();
}

bool http_server_is_available(void)
{
    return true;
}

/* --- Connections ----------------------------------------------------------------------------- */

static struct http_client *find_client(const struct http_server *server, int fd)
{
    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        if (server->clients[i].fd == fd)
            return &server->clients[i];
    }
    return NULL;
}

/* Return the client that has waited longest and is not being answered, or NULL. */
static struct http_client *find_replaceable(const struct http_server *server)
{
    struct http_client *found = NULL;

    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        struct http_client *client = &server->clients[i];

        if (client->fd >= 0 && client->state != HTTP_CLIENT_ANSWERED &&
            (found == NULL || client->deadline_ms < found->deadline_ms))
            found = client;
    }
    return found;
}

/*
 * Let libmicrohttpd find the connection dead. What the client has not read is thrown away, or the
 * kernel would keep it for minutes.
 */
static void end_client(struct http_client *client)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    client->state = HTTP_CLIENT_ANSWERED; /* once is enough */
    client->deadline_ms = UINT64_MAX;
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)shutdown(client->fd, SHUT_RDWR);
    if (client->request != NULL)
        http_request_resume(client->request);
}

/*
 * Note which clients will send nothing more. libmicrohttpd does not see that where it comes
 * together with the last bytes: it reads no more than these.
 */
static void note_ends(const struct http_server *server)
{
    struct epoll_event events[EVENTS_PER_RUN];
    const int count = epoll_wait(server->epoll_fd, events, EVENTS_PER_RUN, 0);

    for (int i = 0; i < count; i++) {
        struct http_client *client = events[i].data.ptr;

        if (client != NULL)
            client->has_ended = true;
    }
}

/* Tell whether a client waits for us to go on, having said all. */
static bool is_finished(const struct http_client *client)
{
    char byte;

    return client->fd >= 0 && client->has_ended && client->state != HTTP_CLIENT_ANSWERED &&
           recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Tell whether libmicrohttpd has something to do that it waits for nobody with. */
static bool is_pending(const struct http_server *server)
{
    unsigned long long pending_ms;

    return MHD_get_timeout(server->daemon, &pending_ms) == MHD_YES && pending_ms == 0;
}

/* Let libmicrohttpd find out that such clients will not ask again; their answers still leave. */
static void end_finished_clients(struct http_server *server)
{
    if (is_pending(server))
        return;
    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        struct http_client *client = &server->clients[i];

        if (!is_finished(client))
            continue;
        client->has_ended = false;
        (void)shutdown(client->fd, SHUT_RDWR);
    }
}

static void end_overdue_clients(struct http_server *server)
{
    const uint64_t now_ms = clock_now_ms();

    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        struct http_client *client = &server->clients[i];

        if (client->fd >= 0 && client->deadline_ms <= now_ms)
            end_client(client);
    }
}

static void on_connection(void *argument, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = argument;
    struct http_client *client = *context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        client->fd = -1;
        return;
    }
    client = find_client(
        server, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    *context = client;
}

/* --- Accept ---------------------------------------------------------------------------------- */

/* Look at the listening socket while a client that waits there could be taken. */
static void update_listening(struct http_server *server)
{
    const bool shall_listen = server->listen_again_ms == 0 &&
                              (find_client(server, -1) != NULL || find_replaceable(server) != NULL);
    struct epoll_event event = {.events = shall_listen ? EPOLLIN : 0};

    if (shall_listen != server->is_listening &&
        epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &event) == 0)
        server->is_listening = shall_listen;
}

/* Tell whether a failed accept will fail again in a moment, such as for a lack of descriptors or in
 * a sandbox; anything else is over with the client that it concerned. */
static bool is_lasting(int error)
{
    return error != EAGAIN && error != EINTR && error != ECONNABORTED;
}

/* Return a free slot. Where there is none, the client that has waited longest gives way. */
static struct http_client *make_room(struct http_server *server)
{
    struct http_client *client = find_client(server, -1);

    if (client != NULL)
        return client;
    client = find_replaceable(server);
    if (client == NULL)
        return NULL;
    end_client(client);
    (void)MHD_run(server->daemon);
    return find_client(server, -1);
}

/* Hear once when a client will send nothing more. Without memory for that its deadline counts. */
static void watch_end(const struct http_server *server, struct http_client *client)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = client};

    (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

/* What a client does not read the kernel keeps: it would let a socket grow to megabytes. */
static void bound_unread(int fd)
{
    const int bytes = SEND_BUFFER_BYTES;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* Hand a new connection over. */
static void serve_client(struct http_server *server, int fd, const struct sockaddr *address,
                         socklen_t length)
{
    struct http_client *client = make_room(server);

    if (client == NULL) {
        descriptor_close(fd);
        return;
    }
    bound_unread(fd);
    *client = (struct http_client){
        .fd = fd, .deadline_ms = clock_now_ms() + server->service.limits.request_timeout_ms};
    if (MHD_add_connection(server->daemon, fd, address, length) == MHD_NO)
        client->fd = -1; /* it is closed */
    else
        watch_end(server, client);
}

/* Accept one client. Return whether there may be another. */
static bool accept_client(struct http_server *server)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int fd = accept(server->listen_fd, (struct sockaddr *)&address, &length);

    if (fd < 0) {
        const int error = errno;

        if (is_lasting(error))
            server->listen_again_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
        return error == EINTR || error == ECONNABORTED;
    }
    if (descriptor_prepare(fd) < 0)
        descriptor_close(fd);
    else
        serve_client(server, fd, (struct sockaddr *)&address, length);
    return true;
}

static void accept_clients(struct http_server *server)
{
    if (server->listen_again_ms != 0 && server->listen_again_ms <= clock_now_ms())
        server->listen_again_ms = 0;
    update_listening(server);
    for (int i = 0; i < ACCEPTS_PER_RUN && server->is_listening; i++) {
        if (!accept_client(server))
            break;
        update_listening(server);
    }
}

/* --- Server ---------------------------------------------------------------------------------- */

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_limits *limits = &server->service.limits;

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        http_request_go_on, &server->service, MHD_OPTION_CONNECTION_LIMIT, limits->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, 2 * limits->max_header_bytes,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, http_request_begin,
        &server->service, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, http_request_end, &server->service, MHD_OPTION_END);
}

static bool is_unix(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;

    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           address.ss_family == AF_UNIX;
}

/* Let the server's epoll descriptor look at all that it waits for. */
static int init_epoll(struct http_server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0)
        return -1;
    if (info != NULL && watch(server->epoll_fd, info->epoll_fd) == 0 &&
        watch(server->epoll_fd, server->listen_fd) == 0)
        return 0;
    descriptor_close(server->epoll_fd);
    return -1;
}

struct http_server *http_server_new(int listen_fd, const struct http_limits *limits,
                                    http_request_callback *on_request, void *owner)
{
    struct http_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    *server = (struct http_server){
        .listen_fd = listen_fd,
        .is_listening = true,
        .service = {*limits, on_request, owner, is_unix(listen_fd)},
        .clients = calloc(limits->max_connections, sizeof(struct http_client)),
    };
    if (server->clients == NULL)
        goto free_server;
    for (unsigned i = 0; i < limits->max_connections; i++)
        server->clients[i].fd = -1;
    server->daemon = start_daemon(server);
    if (server->daemon == NULL)
        goto free_clients;
    if (init_epoll(server) < 0)
        goto stop_daemon;
    return server;

stop_daemon:
    MHD_stop_daemon(server->daemon);
free_clients:
    free(server->clients);
free_server:
    free(server);
    return NULL;
}

int http_server_fd(const struct http_server *server)
{
    return server->epoll_fd;
}

/* Return the earliest moment at which something is due, or UINT64_MAX. */
static uint64_t next_deadline_ms(const struct http_server *server)
{
    uint64_t next_ms = server->listen_again_ms == 0 ? UINT64_MAX : server->listen_again_ms;

    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        const struct http_client *client = &server->clients[i];

        if (client->fd >= 0 && client->deadline_ms < next_ms)
            next_ms = client->deadline_ms;
    }
    return next_ms;
}

int http_server_timeout_ms(const struct http_server *server)
{
    const uint64_t now_ms = clock_now_ms(), next_ms = next_deadline_ms(server);

    if (is_pending(server))
        return 0;
    if (next_ms == UINT64_MAX)
        return -1;
    if (next_ms <= now_ms)
        return 0;
    return next_ms - now_ms > INT_MAX ? INT_MAX : (int)(next_ms - now_ms);
}

void http_server_run(struct http_server *server)
{
    note_ends(server);
    end_overdue_clients(server);
    accept_clients(server);
    (void)MHD_run(server->daemon);
    end_finished_clients(server);
    update_listening(server);
}

/* Send what has been answered, as far as the sockets have room, and ask for nothing more. */
static void send_last_answers(struct http_server *server)
{
    server->service.on_request = NULL;
    for (int i = 0; i < RUNS_AT_END; i++)
        (void)MHD_run(server->daemon);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    send_last_answers(server);
    for (unsigned i = 0; i < server->service.limits.max_connections; i++) {
        if (server->clients[i].fd >= 0)
            end_client(&server->clients[i]);
    }
    MHD_stop_daemon(server->daemon);
    descriptor_close(server->epoll_fd);
    free(server->clients);
    free(server);
}
