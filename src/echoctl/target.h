/*
 * target: what is asked for in a request: a path and a query, percent-encoded (RFC 3986). Pure.
 * Knows no resource.
 * Called by looks, listing and actions.
 */
#ifndef ECHOCTL_TARGET_H
#define ECHOCTL_TARGET_H

#include "echoctl/http_message.h"

#include <stddef.h>
#include <stdint.h>

/* What does not fit is left out; then the request is too long as well, and is refused as such. */
struct target {
    size_t length;
    char text[HTTP_REQUEST_SIZE];
};

/* Begin with a path that needs no encoding: "/connections". */
void target_begin(struct target *target, const char *path);

/* Append "/" and text from anywhere. */
void target_add_segment(struct target *target, const char *segment);

/* Append a parameter of the query; NULL: none. */
void target_add_text(struct target *target, const char *name, const char *value);
void target_add_number(struct target *target, const char *name, uint64_t value);

#endif
