/*
 * admin_guard: whether a request may be answered at all: no page of another site, and no name that
 * was made to stand for our address, leads a browser to us; and whether its client may act.
 * Knows no resource.
 * Called by admin_routes.
 */
#ifndef ECHOD_ADMIN_GUARD_H
#define ECHOD_ADMIN_GUARD_H

#include "base/http_request.h"

#include <stdbool.h>

/*
 * Answer a request with an error, and return false, if its Host is neither an address, a name of
 * the loopback nor `host`, nor, at a Unix socket, a name without a dot, or if it comes from a page
 * whose origin is another one.
 */
bool admin_guard_check(struct http_request *request, const char *host);

/* Tell whether the client came by a Unix socket, whose permissions say who may act. */
bool admin_guard_may_act(const struct http_request *request);

/* Tell whether a Host header names us, when our address was written with `host`. Pure. */
bool admin_guard_is_host_ours(const char *header, const char *host);

/* Tell whether an Origin is that of the page that Host served. Pure. */
bool admin_guard_is_origin_ours(const char *origin, const char *host_header);

#endif
