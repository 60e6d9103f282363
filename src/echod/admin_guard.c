#include <config.h>

#include "echod/admin_guard.h"

#include "echod/admin_answer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { HOST_SIZE = 256 };

static bool is_numeric(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Take the host out of "host:port", "[::1]:port" or either without a port. */
static bool cut_host(const char *header, char host[HOST_SIZE])
{
    const bool has_brackets = header[0] == '[';
    const char *begin = header + has_brackets;
    const size_t length = strcspn(begin, has_brackets ? "]" : ":");

    if (length == 0 || length >= HOST_SIZE)
        return false;
    memcpy(host, begin, length);
    host[length] = '\0';
    return true;
}

bool admin_guard_is_host_ours(const char *header, const char *host)
{
    char name[HOST_SIZE];

    if (!cut_host(header, name))
        return false;
    return is_numeric(name) || strcasecmp(name, "localhost") == 0 ||
           (host[0] != '\0' && strcasecmp(name, host) == 0);
}

bool admin_guard_is_origin_ours(const char *origin, const char *host_header)
{
    static const char scheme[] = "http://";

    return host_header != NULL && strncmp(origin, scheme, sizeof scheme - 1) == 0 &&
           strcasecmp(origin + sizeof scheme - 1, host_header) == 0;
}

bool admin_guard_may_act(const struct http_request *request)
{
    struct http_peer peer;

    http_request_peer(request, &peer);
    return peer.is_local;
}

/*
 * A browser comes to a Unix socket as well, through ssh or socat. What is typed for a tool's sake
 * has no dot, and for such a name no name server of the Internet answers.
 */
static bool is_typed(const struct http_request *request, const char *header)
{
    return admin_guard_may_act(request) && strchr(header, '.') == NULL;
}

bool admin_guard_check(struct http_request *request, const char *host)
{
    const char *header = http_request_header(request, "Host");
    const char *origin = http_request_header(request, "Origin");

    /* Without a Host it is HTTP/1.0, which no browser speaks. */
    if (header != NULL && !admin_guard_is_host_ours(header, host) && !is_typed(request, header)) {
        admin_answer_error(request, 403,
                           "\"%s\" is no name of this host; ask with its address, localhost, or "
                           "the name that --admin was given.",
                           header);
        return false;
    }
    if (origin != NULL && !admin_guard_is_origin_ours(origin, header)) {
        admin_answer_error(request, 403, "A page of %s may not ask here.", origin);
        return false;
    }
    return true;
}
