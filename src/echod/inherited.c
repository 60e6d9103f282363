#include <config.h>

#include "echod/inherited.h"

#include "base/descriptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

/* --- fd:// ----------------------------------------------------------------------------------- */

#define ADVICE_ON_FD                                                                               \
    "pass a stream socket that listens or is connected, or a UDP socket that is bound"

/* Return an integer option of a socket, or -1 with errno. */
static int socket_option(int fd, int option)
{
    int value;
    socklen_t length = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

/* Make a passed socket ready to be served. Return 0, or -1 with errno. */
static int prepare(int fd)
{
    endpoint_decline_reports(fd);
    return descriptor_prepare(fd);
}

/* Name a descriptor and the address behind it. */
static void name_passed_socket(struct endpoint *endpoint, int fd, const char *name)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[ADDRESS_TEXT_SIZE] = "unknown";

    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        address_format_socket((struct sockaddr *)&address, length, text);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%.170s (%.120s)", name, text);
}

static int take_listener(struct endpoint_list *list, int fd, const char *name)
{
    struct endpoint *endpoint = endpoint_add_socket(list, ENDPOINT_LISTENER, fd);

    if (endpoint == NULL)
        return -1;
    endpoint->is_passed = true;
    endpoint_set_no_delay(fd);
    name_passed_socket(endpoint, fd, name);
    return endpoint_share_socket(endpoint, list->worker_count);
}

static int take_client(struct endpoint_list *list, int fd, const char *name)
{
    struct endpoint *endpoint = endpoint_add(list, ENDPOINT_CLIENT);

    if (endpoint == NULL)
        return -1;
    endpoint->input_fd = endpoint->output_fd = fd;
    endpoint_set_no_delay(fd);
    name_passed_socket(endpoint, fd, name);
    return 0;
}

/* Take over a datagram socket, whose receive buffer is its opener's matter, too. */
static int take_datagrams(struct endpoint_list *list, int fd, const char *name)
{
    struct endpoint *endpoint = endpoint_add_socket(list, ENDPOINT_DATAGRAM, fd);

    if (endpoint == NULL)
        return -1;
    endpoint->is_passed = true;
    name_passed_socket(endpoint, fd, name);
    return endpoint_share_socket(endpoint, list->worker_count);
}

/* Those of ping have an address and a port as well (icmp(7)), and UDP-Lite other checksums. */
static bool is_of_udp(int fd)
{
#ifdef SO_PROTOCOL
    return socket_option(fd, SO_PROTOCOL) == IPPROTO_UDP;
#else
    (void)fd;
    return true;
#endif
}

/* Tell whether this is a UDP socket that was bound: it can be sent to. */
static bool is_udp(int fd)
{
    struct sockaddr_in6 own = {.sin6_family =
                                   AF_UNSPEC}; /* sockaddr_in has its port in the same place */
    socklen_t length = sizeof own;

    return socket_option(fd, SO_TYPE) == SOCK_DGRAM &&
           getsockname(fd, (struct sockaddr *)&own, &length) == 0 &&
           (own.sin6_family == AF_INET || own.sin6_family == AF_INET6) && own.sin6_port != 0 &&
           is_of_udp(fd);
}

/* Take over a stream socket that listens or is connected, or a UDP socket. */
static int take_fd(struct endpoint_list *list, int fd, const char *name, struct error *error)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const int type = socket_option(fd, SO_TYPE);
    int status;

    if (type < 0) {
        endpoint_explain(error, name, endpoint_advice(errno, ADVICE_ON_FD));
        return -1;
    }
    if (type != SOCK_STREAM && !is_udp(fd)) {
        error_set(error,
                  "%s: neither a stream socket nor a UDP socket that is bound; " ADVICE_ON_FD,
                  name);
        return -1;
    }
    if (type != SOCK_STREAM)
        status = prepare(fd) < 0 ? -1 : take_datagrams(list, fd, name);
    else if (socket_option(fd, SO_ACCEPTCONN) == 1)
        status = prepare(fd) < 0 ? -1 : take_listener(list, fd, name);
    else if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
        status = prepare(fd) < 0 ? -1 : take_client(list, fd, name);
    else
        status = -1;
    if (status < 0)
        endpoint_explain(error, name, endpoint_advice(errno, ADVICE_ON_FD));
    return status;
}

int inherited_take_fd(struct endpoint_list *list, const struct passed *passed, int fd,
                      const char *name, struct error *error)
{
    struct passed_socket *socket = passed_find(passed, fd);

    if (socket != NULL && socket->is_taken) {
        error_set(error,
                  "%s: another listen serves \"%s\", which is this socket; "
                  "give it once",
                  name, socket->name);
        return -1;
    }
    if (take_fd(list, fd, name, error) < 0)
        return -1;
    if (socket != NULL)
        socket->is_taken = true;
    return 0;
}

/* --- systemd:// ------------------------------------------------------------------------------ */

#define ADVICE_ON_SYSTEMD                                                                          \
    "pass sockets that listen: ListenStream= with Accept=no, or ListenDatagram= with a port"

/* Take over a socket whose kind was checked. */
static int take_checked(struct endpoint_list *list, int fd, int type, const char *name)
{
    if (type < 0 || prepare(fd) < 0)
        return -1;
    return type == SOCK_STREAM ? take_listener(list, fd, name) : take_datagrams(list, fd, name);
}

/* Take over a listening socket, or one of UDP. */
static int take_systemd_socket(struct endpoint_list *list, struct passed_socket *socket,
                               const char *prefix, struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];
    const int type = socket_option(socket->fd, SO_TYPE);

    (void)snprintf(name, sizeof name, "%s%.280s", prefix, socket->name);
    if (socket->is_taken) {
        error_set(error,
                  "%s: another listen serves fd://%d, which is this socket; give "
                  "it once",
                  name, socket->fd);
        return -1;
    }
    if (type >= 0 && type != SOCK_STREAM && !is_udp(socket->fd)) {
        error_set(error,
                  "%s: descriptor %d is neither a stream socket nor a UDP socket that is "
                  "bound; " ADVICE_ON_SYSTEMD,
                  name, socket->fd);
        return -1;
    }
    if (type == SOCK_STREAM && socket_option(socket->fd, SO_ACCEPTCONN) != 1) {
        error_set(error, "%s: descriptor %d does not listen; " ADVICE_ON_SYSTEMD, name, socket->fd);
        return -1;
    }
    if (take_checked(list, socket->fd, type, name) < 0) {
        endpoint_explain(error, name, endpoint_advice(errno, ADVICE_ON_SYSTEMD));
        return -1;
    }
    socket->is_taken = true;
    return 0;
}

int inherited_take_systemd(struct endpoint_list *list, const struct passed *passed,
                           const struct address *address, struct error *error)
{
    struct passed_socket *socket;
    size_t cursor = 0, taken = 0;

    while ((socket = passed_next(passed, address->name, &cursor)) != NULL) {
        if (take_systemd_socket(list, socket, address_prefix(address), error) < 0)
            return -1;
        taken++;
    }
    if (taken == 0) {
        passed_explain(passed, address->name, error);
        return -1;
    }
    return 0;
}
