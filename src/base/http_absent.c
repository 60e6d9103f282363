/*
 * http_absent: what a build without libmicrohttpd has instead of an HTTP server: none can be had,
 * and so there are no requests. Who would serve asks http_server_is_available first.
 */
#include <config.h>

#include "base/http_server.h"

#include <errno.h>
#include <stdlib.h>

const char *http_server_library_version(void)
{
    return "";
}

bool http_server_is_available(void)
{
    return false;
}

struct http_server *http_server_new(int listen_fd, const struct http_limits *limits,
                                    http_request_callback *on_request, void *owner)
{
    (void)listen_fd, (void)limits, (void)on_request, (void)owner;
    errno = ENOSYS;
    return NULL;
}

int http_server_fd(const struct http_server *server)
{
    (void)server;
    abort();
}

int http_server_timeout_ms(const struct http_server *server)
{
    (void)server;
    abort();
}

void http_server_run(struct http_server *server)
{
    (void)server;
    abort();
}

void http_server_free(struct http_server *server)
{
    (void)server;
}

const char *http_request_method(const struct http_request *request)
{
    (void)request;
    abort();
}

const char *http_request_path(const struct http_request *request)
{
    (void)request;
    abort();
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    (void)request, (void)name;
    abort();
}

const char *http_request_unknown_query(const struct http_request *request,
                                       const char *const known[])
{
    (void)request, (void)known;
    abort();
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    (void)request, (void)name;
    abort();
}

const char *http_request_body(const struct http_request *request, size_t *size)
{
    (void)request;
    *size = 0;
    abort();
}

void http_request_peer(const struct http_request *request, struct http_peer *peer)
{
    (void)request, (void)peer;
    abort();
}

void http_request_add_header(struct http_request *request, const char *name, const char *value)
{
    (void)request, (void)name, (void)value;
    abort();
}

void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 char *body, size_t size)
{
    (void)request, (void)status, (void)content_type, (void)size;
    free(body);
    abort();
}

void http_answer_text(struct http_request *request, unsigned status, const char *content_type,
                      const char *text)
{
    (void)request, (void)status, (void)content_type, (void)text;
    abort();
}
