/*
 * admin_page: the page that shows the service in a browser. It has all in itself, and asks for the
 * rest as any client does; its parts stand in page/, from which the build makes one document.
 * Knows nothing of the service.
 * Called by admin_routes.
 */
#ifndef ECHOD_ADMIN_PAGE_H
#define ECHOD_ADMIN_PAGE_H

#include "echod/admin_context.h"

/* GET /: the page, with a policy that lets it do nothing but ask this service (CSP level 3). */
void admin_page_answer(struct http_request *request, const struct admin_context *context,
                       const char *rest);

#endif
