#include <config.h>

#include "base/http_request.h"

#include "base/clock.h"
#include "base/http_client.h"
#include "base/text_buffer.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { STATUS_TOO_LARGE = 413 };

struct http_header {
    const char *name, *value;
};

/* Freed when both libmicrohttpd and the owner are done with it. */
struct http_request {
    const struct http_service *service;
    struct MHD_Connection *connection; /* NULL: it has ended */
    struct http_client *client;
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
void *http_request_begin(void *argument, const char *uri, struct MHD_Connection *connection)
{
    const struct http_service *service = argument;
    struct http_client *client =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct http_request *request = calloc(1, sizeof *request);

    if (client->state == HTTP_CLIENT_KEPT) {
        client->state = HTTP_CLIENT_ASKING;
        client->deadline_ms = clock_now_ms() + service->limits.request_timeout_ms;
    }
    if (request == NULL)
        return NULL;
    request->service = service;
    request->connection = connection;
    request->client = client;
    request->is_malformed = has_nul(uri);
    client->request = request;
    return request;
}

/* Called when the answer has left, or the connection has failed before. */
void http_request_end(void *argument, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code)
{
    const struct http_service *service = argument;
    struct http_request *request = *context;

    (void)connection;
    (void)code;
    *context = NULL;
    if (request == NULL)
        return;
    if (request->client->deadline_ms != UINT64_MAX) {
        request->client->state = HTTP_CLIENT_KEPT;
        request->client->deadline_ms = clock_now_ms() + service->limits.idle_timeout_ms;
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

    return length != NULL && strtoull(length, NULL, 10) > request->service->limits.max_body_bytes;
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
    request->response = body == NULL ? NULL : new_response(request, content_type, body, size);
}

/* Copy a text as a body: NULL if memory lacks. */
static char *copy_text(const char *text, size_t *size)
{
    struct text_buffer buffer = {.bytes = NULL};

    *size = 0;
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

    request->client->state = HTTP_CLIENT_ANSWERED;
    http_request_add_header(request, MHD_HTTP_HEADER_CONNECTION, "close");
    set_answer(request, refusal->status, "application/json", body, size);
    return queue_answer(request);
}

/* Keep what has come of a body. */
static enum MHD_Result append_body(struct http_request *request, const char *bytes, size_t *size)
{
    char *body;

    if (*size > request->service->limits.max_body_bytes - request->body_size)
        return MHD_NO; /* more than its Content-Length, at which was looked before */
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
    if (!request->is_asked && request->service->on_request == NULL)
        return MHD_NO;
    if (!request->is_asked) {
        request->is_asked = true;
        request->client->state = HTTP_CLIENT_ANSWERED;
        request->service->on_request(request, request->service->owner);
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
enum MHD_Result http_request_go_on(void *argument, struct MHD_Connection *connection,
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

void http_request_resume(struct http_request *request)
{
    if (!request->is_suspended)
        return;
    request->is_suspended = false;
    MHD_resume_connection(request->connection);
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

    *peer = (struct http_peer){.is_local = request->service->is_local, .uid = (uid_t)-1};
    if (!peer->is_local ||
        getsockopt(request->client->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return;
    peer->uid = credentials.uid;
    peer->pid = credentials.pid;
}

/* --- Answering it ---------------------------------------------------------------------------- */

void http_request_add_header(struct http_request *request, const char *name, const char *value)
{
    assert(request->header_count < HTTP_MAX_HEADERS);
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
    http_request_resume(request);
}

void http_answer_text(struct http_request *request, unsigned status, const char *content_type,
                      const char *text)
{
    size_t size;
    char *body = copy_text(text, &size);

    http_answer(request, status, content_type, body, size);
}
