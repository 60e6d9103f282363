#include <config.h>

#include "base/http_server.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/text_buffer.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_RUN = 16, /* so that newcomers do not hold up who asks */
    EVENTS_PER_RUN = 64,
    ACCEPT_PAUSE_MS = 100, /* after descriptors or memory lacked */
    STATUS_TOO_LARGE = 413,
};

/* What a connection waits for, which tells until when. */
enum client_state {
    CLIENT_ASKING,   /* its request has yet to come whole */
    CLIENT_ANSWERED, /* ... or is being answered */
    CLIENT_KEPT,     /* it may ask again */
};

/* A connection, in a slot that is free while `fd` is -1. libmicrohttpd owns the descriptor. */
struct client {
    int fd;
    enum client_state state;
    uint64_t deadline_ms; /* of clock_now_ms */
    struct http_request *request;
    bool has_ended; /* it will send nothing more */
};

struct http_server {
    int epoll_fd; /* has the listening socket, libmicrohttpd's own epoll descriptor, and the ends of
                     clients */
    int listen_fd;
    bool is_local, is_listening;
    uint64_t listen_again_ms; /* while a lack of something keeps it from accepting, else 0 */
    struct MHD_Daemon *daemon;
    struct http_limits limits;
    http_request_callback *on_request;
    void *owner;
    struct client *clients; /* limits.max_connections of them */
};

struct http_header {
    const char *name, *value;
};

/* Freed when both libmicrohttpd and the owner are done with it. */
struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection; /* NULL: it has ended */
    struct client *client;
    const char *method, *path; /* libmicrohttpd's */
    char *body;
    size_t body_size;
    bool is_malformed; /* by its first line */
    bool has_begun;    /* its headers are here */
    bool is_asked;     /* the owner has been asked, and owes an answer */
    bool is_answered;
    bool is_suspended;
    struct http_header headers[HTTP_MAX_HEADERS];
    size_t header_count;
    struct MHD_Response *response; /* NULL with is_answered: memory lacked */
    unsigned status;
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

static struct client *find_client(const struct http_server *server, int fd)
{
    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        if (server->clients[i].fd == fd)
            return &server->clients[i];
    }
    return NULL;
}

/* Return the client that has waited longest and is not being answered, or NULL. */
static struct client *find_replaceable(const struct http_server *server)
{
    struct client *found = NULL;

    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        struct client *client = &server->clients[i];

        if (client->fd >= 0 && client->state != CLIENT_ANSWERED &&
            (found == NULL || client->deadline_ms < found->deadline_ms))
            found = client;
    }
    return found;
}

/* Let a suspended request be looked at again. */
static void resume(struct http_request *request)
{
    if (!request->is_suspended)
        return;
    request->is_suspended = false;
    MHD_resume_connection(request->connection);
}

/*
 * Let libmicrohttpd find the connection dead. What the client has not read is thrown away, or the
 * kernel would keep it for minutes.
 */
static void end_client(struct client *client)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    client->state = CLIENT_ANSWERED; /* once is enough */
    client->deadline_ms = UINT64_MAX;
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)shutdown(client->fd, SHUT_RDWR);
    if (client->request != NULL)
        resume(client->request);
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
        struct client *client = events[i].data.ptr;

        if (client != NULL)
            client->has_ended = true;
    }
}

/* Tell whether a client waits for us to go on, having said all. */
static bool is_finished(const struct client *client)
{
    char byte;

    return client->fd >= 0 && client->has_ended && client->state != CLIENT_ANSWERED &&
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
    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        struct client *client = &server->clients[i];

        if (!is_finished(client))
            continue;
        client->has_ended = false;
        (void)shutdown(client->fd, SHUT_RDWR);
    }
}

static void end_overdue_clients(struct http_server *server)
{
    const uint64_t now_ms = clock_now_ms();

    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        struct client *client = &server->clients[i];

        if (client->fd >= 0 && client->deadline_ms <= now_ms)
            end_client(client);
    }
}

static void on_connection(void *argument, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = argument;
    struct client *client = *context;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        client->fd = -1;
        return;
    }
    client = find_client(
        server, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    *context = client;
}

/* --- Requests -------------------------------------------------------------------------------- */

static void free_request(struct http_request *request)
{
    if (request->response != NULL)
        MHD_destroy_response(request->response);
    free(request->body);
    free(request);
}

/* Tell whether a path or query as it was sent has what can be no text: a NUL. */
static bool has_nul(const char *uri)
{
    return strstr(uri, "%00") != NULL;
}

/* Called when the first line of a request has come. What it returns is on_access's context. */
static void *on_first_line(void *argument, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = argument;
    struct client *client =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct http_request *request = calloc(1, sizeof *request);

    if (client->state == CLIENT_KEPT) {
        client->state = CLIENT_ASKING;
        client->deadline_ms = clock_now_ms() + server->limits.request_timeout_ms;
    }
    if (request == NULL)
        return NULL;
    request->server = server;
    request->connection = connection;
    request->client = client;
    request->is_malformed = has_nul(uri);
    client->request = request;
    return request;
}

/* Called when the answer has left, or the connection has failed before. */
static void on_completed(void *argument, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct http_server *server = argument;
    struct http_request *request = *context;

    (void)connection;
    (void)code;
    *context = NULL;
    if (request == NULL)
        return;
    if (request->client->deadline_ms != UINT64_MAX) {
        request->client->state = CLIENT_KEPT;
        request->client->deadline_ms = clock_now_ms() + server->limits.idle_timeout_ms;
    }
    request->client->request = NULL;
    request->connection = NULL;
    request->is_suspended = false;
    if (!request->is_asked || request->is_answered)
        free_request(request);
}

struct value_count {
    const char *name;
    unsigned count;
};

static enum MHD_Result count_value(void *argument, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct value_count *count = argument;

    (void)kind;
    (void)value;
    if (strcasecmp(name, count->name) == 0)
        count->count++;
    return MHD_YES;
}

static bool comes_twice(struct http_request *request, const char *name)
{
    struct value_count count = {name, 0};

    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_value, &count);
    return count.count > 1;
}

/* A reason to refuse a request before its body comes. */
struct refusal {
    unsigned status;
    const char *text;
};

static const struct refusal body_too_large = {STATUS_TOO_LARGE,
                                              "{\"error\":\"The body is too large.\"}\n"};

/* Tell whether the length that a request gives its body is more than is taken. */
static bool is_too_long(const struct http_request *request)
{
    const char *length = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return length != NULL && strtoull(length, NULL, 10) > request->server->limits.max_body_bytes;
}

/* Return why a request is refused, or NULL. */
static const struct refusal *find_refusal(struct http_request *request, const char *version)
{
    static const struct refusal
        version_unknown = {MHD_HTTP_HTTP_VERSION_NOT_SUPPORTED,
                           "{\"error\":\"Only HTTP/1.1 and HTTP/1.0 are spoken here.\"}\n"},
        malformed = {MHD_HTTP_BAD_REQUEST, "{\"error\":\"The request is malformed.\"}\n"},
        is_chunked = {MHD_HTTP_LENGTH_REQUIRED,
                      "{\"error\":\"A body is only taken with a Content-Length.\"}\n"};

    if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)
        return &version_unknown;
    if (request->is_malformed || comes_twice(request, MHD_HTTP_HEADER_HOST) ||
        comes_twice(request, MHD_HTTP_HEADER_CONTENT_LENGTH))
        return &malformed;
    if (http_request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        return &is_chunked;
    return is_too_long(request) ? &body_too_large : NULL;
}

/* --- Answers --------------------------------------------------------------------------------- */

/* Add all headers to a response. Return whether there was memory for them. */
static bool add_headers(const struct http_request *request, struct MHD_Response *response,
                        const char *content_type)
{
    const struct http_header common[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, content_type},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {"X-Content-Type-Options", "nosniff"},
    };

    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        if (MHD_add_response_header(response, common[i].name, common[i].value) == MHD_NO)
            return false;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        if (MHD_add_response_header(response, request->headers[i].name,
                                    request->headers[i].value) == MHD_NO)
            return false;
    }
    return true;
}

/* Make a response, which owns the body. Return NULL if memory lacks. */
static struct MHD_Response *new_response(const struct http_request *request,
                                         const char *content_type, char *body, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        free(body);
        return NULL;
    }
    if (add_headers(request, response, content_type))
        return response;
    MHD_destroy_response(response);
    return NULL;
}

/* Keep an answer until libmicrohttpd asks for it. */
static void set_answer(struct http_request *request, unsigned status, const char *content_type,
                       char *body, size_t size)
{
    request->is_answered = true;
    request->status = status;
    request->response =
        body == NULL && size > 0 ? NULL : new_response(request, content_type, body, size);
}

/* Copy a text as a body: NULL and a size that is not 0 if memory lacks. */
static char *copy_text(const char *text, size_t *size)
{
    struct text_buffer buffer = {.bytes = NULL};

    *size = 1;
    text_buffer_append_text(&buffer, text);
    return text_buffer_take(&buffer, size);
}

/* Queue the answer, if there is one: libmicrohttpd sends it. */
static enum MHD_Result queue_answer(struct http_request *request)
{
    if (request->response == NULL)
        return MHD_NO; /* memory lacked: the connection ends */
    return MHD_queue_response(request->connection, request->status, request->response);
}

static enum MHD_Result refuse(struct http_request *request, const struct refusal *refusal)
{
    size_t size;
    char *body = copy_text(refusal->text, &size);

    request->client->state = CLIENT_ANSWERED;
    http_request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
    set_answer(request, refusal->status, "application/json", body, size);
    return queue_answer(request);
}

/* Keep what has come of a body. Its length was looked at before. */
static enum MHD_Result append_body(struct http_request *request, const char *bytes, size_t *size)
{
    char *body;

    if (*size > request->server->limits.max_body_bytes - request->body_size)
        return MHD_NO;
    body = realloc(request->body, request->body_size + *size + 1);
    if (body == NULL)
        return MHD_NO;
    memcpy(body + request->body_size, bytes, *size);
    request->body = body;
    request->body_size += *size;
    body[request->body_size] = '\0';
    *size = 0;
    return MHD_YES;
}

/* Ask the owner for an answer, once, and send it, or wait for it. */
static enum MHD_Result answer_or_wait(struct http_request *request)
{
    if (!request->is_asked) {
        request->is_asked = true;
        request->client->state = CLIENT_ANSWERED;
        request->server->on_request(request, request->server->owner);
    }
    if (request->is_answered)
        return queue_answer(request);
    if (request->client->deadline_ms == UINT64_MAX)
        return MHD_NO; /* end_client was called */
    request->is_suspended = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* Called when the headers have come, for each piece of the body, behind it, and after a resume. */
static enum MHD_Result on_access(void *argument, struct MHD_Connection *connection,
                                 const char *path, const char *method, const char *version,
                                 const char *bytes, size_t *size, void **context)
{
    struct http_request *request = *context;

    (void)argument;
    (void)connection;
    if (request == NULL)
        return MHD_NO; /* there was no memory for it */
    if (!request->has_begun) {
        const struct refusal *refusal = find_refusal(request, version);

        request->has_begun = true;
        request->path = path;
        request->method = method;
        return refusal == NULL ? MHD_YES : refuse(request, refusal);
    }
    if (*size > 0)
        return append_body(request, bytes, size);
    return answer_or_wait(request);
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

/* Tell whether a failed accept says that something lacks which takes time to come back. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Return a free slot. Where there is none, the client that has waited longest gives way. */
static struct client *make_room(struct http_server *server)
{
    struct client *client = find_client(server, -1);

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
static void watch_end(const struct http_server *server, struct client *client)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = client};

    (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

/* Hand a new connection over. */
static void serve_client(struct http_server *server, int fd, const struct sockaddr *address,
                         socklen_t length)
{
    struct client *client = make_room(server);

    if (client == NULL) {
        descriptor_close(fd);
        return;
    }
    *client = (struct client){.fd = fd,
                              .deadline_ms = clock_now_ms() + server->limits.request_timeout_ms};
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
        if (is_shortage(errno))
            server->listen_again_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
        return errno == EINTR || errno == ECONNABORTED;
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
    const struct http_limits *limits = &server->limits;

    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0,
                            NULL, NULL, on_access, server, MHD_OPTION_CONNECTION_LIMIT,
                            limits->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            2 * limits->max_header_bytes, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_URI_LOG_CALLBACK, on_first_line, server,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
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
        .is_local = is_unix(listen_fd),
        .is_listening = true,
        .limits = *limits,
        .on_request = on_request,
        .owner = owner,
        .clients = calloc(limits->max_connections, sizeof(struct client)),
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

    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        const struct client *client = &server->clients[i];

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

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    for (unsigned i = 0; i < server->limits.max_connections; i++) {
        if (server->clients[i].fd >= 0)
            end_client(&server->clients[i]);
    }
    MHD_stop_daemon(server->daemon);
    descriptor_close(server->epoll_fd);
    free(server->clients);
    free(server);
}

/* --- Reading a request ----------------------------------------------------------------------- */

const char *http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_path(const struct http_request *request)
{
    return request->path;
}

struct query_search {
    const char *name;         /* that of the parameter that is looked for, or NULL ... */
    const char *const *known; /* ... for one that is none of these */
    const char *found;
};

static bool is_known(const char *const known[], const char *name)
{
    for (; *known != NULL; known++) {
        if (strcmp(*known, name) == 0)
            return true;
    }
    return false;
}

static enum MHD_Result look_at_parameter(void *argument, enum MHD_ValueKind kind, const char *name,
                                         const char *value)
{
    struct query_search *search = argument;

    (void)kind;
    if (search->name == NULL && !is_known(search->known, name))
        search->found = name;
    else if (search->name != NULL && strcmp(search->name, name) == 0)
        search->found = value == NULL ? "" : value;
    return search->found == NULL ? MHD_YES : MHD_NO;
}

static const char *search_query(const struct http_request *request, struct query_search *search)
{
    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look_at_parameter,
                                    search);
    return search->found;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return search_query(request, &(struct query_search){.name = name});
}

const char *http_request_unknown_query(const struct http_request *request,
                                       const char *const known[])
{
    return search_query(request, &(struct query_search){.known = known});
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_request_body(const struct http_request *request, size_t *size)
{
    *size = request->body_size;
    return request->body == NULL ? "" : request->body;
}

void http_request_peer(const struct http_request *request, struct http_peer *peer)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    *peer = (struct http_peer){.is_local = request->server->is_local, .uid = (uid_t)-1};
    if (!peer->is_local ||
        getsockopt(request->client->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return;
    peer->uid = credentials.uid;
    peer->pid = credentials.pid;
}

/* --- Answering it ---------------------------------------------------------------------------- */

void http_request_add_header(struct http_request *request, const char *name, const char *value)
{
    if (request->header_count < HTTP_MAX_HEADERS)
        request->headers[request->header_count++] = (struct http_header){name, value};
}

void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 char *body, size_t size)
{
    request->is_answered = true;
    if (request->connection == NULL) {
        free(body);
        free_request(request);
        return;
    }
    set_answer(request, status, content_type, body, size);
    resume(request);
}

void http_answer_text(struct http_request *request, unsigned status, const char *content_type,
                      const char *text)
{
    size_t size;
    char *body = copy_text(text, &size);

    http_answer(request, status, content_type, body, size);
}
