/*
 * http_server: answers requests of HTTP/1.1 and 1.0 at one listening socket, with libmicrohttpd.
 * Bounds what a client can take: connections, time, memory. Knows no resource and no event loop.
 * Called by admin and metrics_server, each in one thread; options_check asks for it.
 */
#ifndef BASE_HTTP_SERVER_H
#define BASE_HTTP_SERVER_H

#include "base/http_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

struct http_limits {
    unsigned max_connections; /* beyond, a client that has not asked yet gives way to a new one */
    size_t max_header_bytes;  /* of a request's first line and headers; twice as many never pass */
    size_t max_body_bytes;
    uint64_t request_timeout_ms; /* from accept or a later request's first line to the answer's end
                                  */
    uint64_t idle_timeout_ms;    /* from an answer's end to the next request's first line */
};

/*
 * Tell whether this build can serve: where it cannot, http_server_new fails with ENOSYS, and
 * nothing else below is ever called.
 */
bool http_server_is_available(void);

/* Return which libmicrohttpd this is: "0.9.75"; empty: there is none. */
const char *http_server_library_version(void);

/*
 * Serve at a socket that listens, is non-blocking and stays the caller's; it has to stay open until
 * http_server_free. Return NULL with errno.
 */
struct http_server *http_server_new(int listen_fd, const struct http_limits *limits,
                                    http_request_callback *on_request, void *owner)
    __attribute__((warn_unused_result));

/* The descriptor that is readable when http_server_run is to be called. */
int http_server_fd(const struct http_server *server);

/* Return after how many milliseconds http_server_run is to be called anyway, or -1: never. */
int http_server_timeout_ms(const struct http_server *server);

/* Do what is due, without blocking. Ask for the time-out anew after it, and after http_answer. */
void http_server_run(struct http_server *server);

/*
 * Send the answers that are there, as far as this takes no waiting, and end all connections. The
 * request callback is not called any more. NULL is fine.
 */
void http_server_free(struct http_server *server);

#endif
