/*
 * http_client: asks one question over a connection of its own, and waits for the whole answer, but
 * for no longer than it may take, and for no more bytes than anybody needs.
 * Does not know what is asked, nor what an answer means; service does.
 * Called by service.
 */
#ifndef ECHOCTL_HTTP_CLIENT_H
#define ECHOCTL_HTTP_CLIENT_H

#include "base/error.h"
#include "echoctl/place.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_MAX (UINT64_C(64) * 1024 * 1024) /* bytes of the longest body that is read */

struct http_question {
    const char *method;  /* "GET" */
    const char *target;  /* path and query, percent-encoded */
    const char *body;    /* text; NULL: none */
    uint64_t timeout_ms; /* from the connection to the end of the answer; of a name's look-up only
                            what follows it */
};

struct http_reply {
    unsigned status;  /* 200 to 599 */
    const char *body; /* with a NUL behind it */
    size_t size;
    char *bytes; /* what the body lies in; http_reply_free frees it */
};

enum http_outcome {
    HTTP_ANSWERED,
    HTTP_ENDED,  /* nobody is there, or it went away before the answer was whole */
    HTTP_FAILED, /* anything else: it may not be asked, does not answer in time, or no HTTP */
};

/*
 * Ask. Unless the outcome is HTTP_ANSWERED, `error` has a sentence that begins with the place, and
 * there is nothing to free.
 */
enum http_outcome http_client_ask(const struct place *place, const struct http_question *question,
                                  struct http_reply *answer, struct error *error)
    __attribute__((warn_unused_result));

void http_reply_free(struct http_reply *answer);

#endif
