#include <config.h>

#include "echod/admin_routes.h"

#include "echod/admin_actions.h"
#include "echod/admin_answer.h"
#include "echod/admin_connections.h"
#include "echod/admin_guard.h"
#include "echod/admin_health.h"
#include "echod/admin_page.h"
#include "echod/admin_status.h"
#include "echod/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOW_SIZE = 64 };

/* A row of the table. */
struct admin_route {
    const char *method; /* GET stands for HEAD as well */
    const char *path;   /* a "*" in it stands for anything but nothing */
    bool is_action;     /* only for who came by a Unix socket */
    admin_handler *handler;
    const char *parameters[9]; /* that its query may have; NULL ends them */
};

static const struct admin_route routes[] = {
    {.method = "GET", .path = "/", .handler = admin_page_answer},
    {.method = "GET", .path = "/healthz", .handler = admin_health_answer_live},
    {.method = "GET", .path = "/readyz", .handler = admin_health_answer_ready},
    {.method = "GET", .path = "/status", .handler = admin_status_answer},
    {.method = "GET", .path = "/metrics", .handler = metrics_answer},
    {.method = "GET",
     .path = "/connections",
     .handler = admin_connections_answer_list,
     .parameters = {"limit", "after", "listener", "peer", "state", "min_idle", "min_age",
                    "min_queued"}},
    {.method = "GET", .path = "/connections/*", .handler = admin_connections_answer_one},
    {.method = "DELETE",
     .path = "/connections/*",
     .is_action = true,
     .handler = admin_connections_end_one,
     .parameters = {"abort"}},
    {.method = "POST", .path = "/drain", .is_action = true, .handler = admin_actions_drain},
    {.method = "POST", .path = "/reload", .is_action = true, .handler = admin_actions_reload},
    {.method = "PUT",
     .path = "/log-level",
     .is_action = true,
     .handler = admin_actions_set_log_level},
    {.method = "POST",
     .path = "/listeners/*/pause",
     .is_action = true,
     .handler = admin_actions_pause},
    {.method = "POST",
     .path = "/listeners/*/resume",
     .is_action = true,
     .handler = admin_actions_resume},
};

enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

/* Return whether a path is a route's, and a copy of what stands for its "*", or NULL without one.
 */
static bool has_path(const struct admin_route *route, const char *path, char **rest)
{
    const char *star = strchr(route->path, '*');
    const size_t length = strlen(path);
    size_t before, behind;

    *rest = NULL;
    if (star == NULL)
        return strcmp(route->path, path) == 0;
    before = (size_t)(star - route->path);
    behind = strlen(star + 1);
    if (length <= before + behind || strncmp(path, route->path, before) != 0 ||
        strcmp(path + length - behind, star + 1) != 0)
        return false;
    *rest = strndup(path + before, length - before - behind);
    return true;
}

static bool has_method(const struct admin_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* Let a route's handler answer, if the client may ask that. */
static void take(const struct admin_route *route, const char *rest, struct http_request *request,
                 const struct admin_context *context)
{
    const char *parameter = http_request_unknown_query(request, route->parameters);

    if (strchr(route->path, '*') != NULL && rest == NULL)
        admin_answer_error(request, 503, "Memory is short.");
    else if (route->is_action && !admin_guard_may_act(request))
        admin_answer_error(request, 403, "This can be asked for at a Unix socket only.");
    else if (parameter != NULL)
        admin_answer_error(request, 400, "\"%s\" is no parameter of %s.", parameter, route->path);
    else
        route->handler(request, context, rest);
}

/* Add the methods of a route to those that are allowed. */
static void add_method(char allowed[ALLOW_SIZE], const struct admin_route *route)
{
    const size_t length = strlen(allowed);

    (void)snprintf(allowed + length, ALLOW_SIZE - length, "%s%s%s", length == 0 ? "" : ", ",
                   route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
}

/* Nobody answers this method of this path. */
static void refuse(struct http_request *request, const char *allowed)
{
    if (allowed[0] == '\0') {
        admin_answer_error(request, 404, "There is nothing at %s.", http_request_path(request));
        return;
    }
    http_request_add_header(request, "Allow", allowed);
    admin_answer_error(request, 405, "%s takes %s.", http_request_path(request), allowed);
}

void admin_routes_answer(struct http_request *request, const struct admin_context *context)
{
    char allowed[ALLOW_SIZE] = "";

    if (!admin_guard_check(request, context->host))
        return;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        char *rest;

        if (!has_path(&routes[i], http_request_path(request), &rest))
            continue;
        if (has_method(&routes[i], http_request_method(request))) {
            take(&routes[i], rest, request, context);
            free(rest);
            return;
        }
        free(rest);
        add_method(allowed, &routes[i]);
    }
    refuse(request, allowed);
}
