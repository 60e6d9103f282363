/*
 * http_request: a request of HTTP that has come whole, and its answer.
 * Knows no resource, and no connection but its own.
 * Called by whatever answers requests; http_server gives them out.
 */
#ifndef BASE_HTTP_REQUEST_H
#define BASE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A request that has come whole and waits for its answer. */
struct http_request;

/*
 * Called in http_server_run for each request. It is answered exactly once, by http_answer, in here
 * or later in the same thread: also if its client has gone meanwhile, or the server was freed.
 * Of the functions that read a request, all have to be called in here, and what they return is
 * valid for as long; later it may only be answered.
 */
typedef void http_request_callback(struct http_request *request, void *owner);

/* --- Read a request -------------------------------------------------------------------------- */

/* As it was sent: "GET". */
const char *http_request_method(const struct http_request *request);

/* Decoded, without the query; begins with "/" in any sane request. It has no NUL in it. */
const char *http_request_path(const struct http_request *request);

/* The decoded value of the first parameter of a name in the query, "" without "=", or NULL. */
const char *http_request_query(const struct http_request *request, const char *name);

/* The name of a parameter in the query that is none of `known`, which ends with NULL; or NULL. */
const char *http_request_unknown_query(const struct http_request *request,
                                       const char *const known[]);

/* The value of a header, whose name is found in any case, or NULL. A host comes once at most. */
const char *http_request_header(const struct http_request *request, const char *name);

/* The body, with a NUL behind it; "" where there is none. */
const char *http_request_body(const struct http_request *request, size_t *size);

/* Who sent a request. */
struct http_peer {
    bool is_local; /* came by a Unix socket; the rest means something then */
    uid_t uid;     /* (uid_t)-1 where the system does not tell */
    pid_t pid;     /* 0 where the system does not tell, or it has none in our namespace */
};

void http_request_peer(const struct http_request *request, struct http_peer *peer);

/* --- Answer it ------------------------------------------------------------------------------- */

enum { HTTP_MAX_HEADERS = 4 };

/*
 * Give the answer another header: at most HTTP_MAX_HEADERS. Name and value have to stay until
 * http_answer.
 */
void http_request_add_header(struct http_request *request, const char *name, const char *value);

/*
 * Answer a request, which ends it: it is not to be used any more. The body comes from malloc and
 * becomes the server's; where its memory was missing it is NULL, and the connection ends without an
 * answer. To a HEAD the same is given as to a GET: its body is not sent.
 * Every answer has "Cache-Control: no-store" and "X-Content-Type-Options: nosniff".
 */
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 char *body, size_t size);

/* The same with a copy of a string. */
void http_answer_text(struct http_request *request, unsigned status, const char *content_type,
                      const char *text);

#endif
