/*
 * http_message: the text of a request, and the head of an answer (HTTP/1.0, RFC 1945, and what
 * RFC 9112 lets a server answer to it). Pure.
 * Opens no connection; http_client does.
 * Called by http_client.
 */
#ifndef ECHOCTL_HTTP_MESSAGE_H
#define ECHOCTL_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_REQUEST_SIZE = 4096, /* of the longest request, with its NUL */
    HTTP_HEAD_SIZE = 16384,   /* of the longest head of an answer */
};

/*
 * Write a request: a method, "GET"; a path and a query, percent-encoded; the value of the Host
 * header, "127.0.0.1:9265"; a body of text, or NULL. Return its length, or 0 if it is too long.
 */
size_t http_message_write(const char *method, const char *target, const char *host,
                          const char *body, char text[HTTP_REQUEST_SIZE])
    __attribute__((warn_unused_result));

/* What an answer begins with. */
struct http_head {
    unsigned status;      /* 100 to 599 */
    size_t size;          /* of the head, with the empty line; the body follows */
    bool has_body_length; /* otherwise the body lasts until the connection ends */
    uint64_t body_length;
};

enum http_head_state {
    HTTP_HEAD_PARTIAL, /* more has to come */
    HTTP_HEAD_WHOLE,
    HTTP_HEAD_WRONG, /* this is no HTTP, or has a form that nobody asked for, or is too long */
};

/* Read the head from all that has come. */
enum http_head_state http_message_read_head(const char *bytes, size_t count, struct http_head *head)
    __attribute__((warn_unused_result));

#endif
