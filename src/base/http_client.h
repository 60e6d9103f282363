/*
 * http_client: a connection as both see it who serve it: http_server, which takes it and bounds its
 * time, and http_request, which reads what it asks and answers. Nobody else includes this.
 */
#ifndef BASE_HTTP_CLIENT_H
#define BASE_HTTP_CLIENT_H

#include "base/http_server.h"

#include <microhttpd.h>

/* What a connection waits for, which tells until when. */
enum http_client_state {
    HTTP_CLIENT_ASKING,   /* its request has yet to come whole */
    HTTP_CLIENT_ANSWERED, /* ... or is being answered */
    HTTP_CLIENT_KEPT,     /* it may ask again */
};

/* A connection, in a slot that is free while `fd` is -1. libmicrohttpd owns the descriptor. */
struct http_client {
    int fd;
    enum http_client_state state;
    uint64_t deadline_ms; /* of clock_now_ms; UINT64_MAX: it is about to end */
    struct http_request *request;
    bool has_ended; /* it will send nothing more */
};

/* What the requests of a server have in common. */
struct http_service {
    struct http_limits limits;
    http_request_callback *on_request; /* NULL: the server is about to end */
    void *owner;
    bool is_local; /* clients come by a Unix socket */
};

/* Let a request that waits for its answer be looked at again. */
void http_request_resume(struct http_request *request);

/*
 * What libmicrohttpd calls: when the first line of a request has come (what it returns is the
 * context of the next two), when its headers have, for each piece of its body, behind that, and
 * when its answer has left or the connection has failed before. The first argument is the service.
 */
void *http_request_begin(void *argument, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_go_on(void *argument, struct MHD_Connection *connection,
                                   const char *path, const char *method, const char *version,
                                   const char *bytes, size_t *size, void **context);
void http_request_end(void *argument, struct MHD_Connection *connection, void **context,
                      enum MHD_RequestTerminationCode code);

#endif
