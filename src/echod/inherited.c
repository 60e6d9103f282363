#include <config.h>

#include "echod/inherited.h"

#include "base/descriptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

/* --- fd:// ------------------------------------------------------------------------------------ */

/* Return an integer option of a socket, or -1 with errno. */
static int socket_option(int fd, int option)
{
    int value;
    socklen_t length = sizeof value;

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
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

/* Take over a stream socket that listens or is connected. */
static int take_fd(struct endpoint_list *list, int fd, const char *name, struct error *error)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const int type = socket_option(fd, SO_TYPE);
    int status;

    if (type < 0) {
        endpoint_explain(error, name, "pass a stream socket that listens or is connected");
        return -1;
    }
    if (type != SOCK_STREAM) {
        error_set(error, "%s: not a stream socket; pass one that listens or is connected", name);
        return -1;
    }
    if (socket_option(fd, SO_ACCEPTCONN) == 1)
        status = descriptor_prepare(fd) < 0 ? -1 : take_listener(list, fd, name);
    else if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
        status = descriptor_prepare(fd) < 0 ? -1 : take_client(list, fd, name);
    else
        status = -1;
    if (status < 0)
        endpoint_explain(error, name, "pass a stream socket that listens or is connected");
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

/* --- systemd:// ------------------------------------------------------------------------------- */

#define ADVICE_ON_SYSTEMD "pass stream sockets that listen: ListenStream= with Accept=no"

/* Take over a listening socket. */
static int take_systemd_socket(struct endpoint_list *list, struct passed_socket *socket,
                               struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];
    const int type = socket_option(socket->fd, SO_TYPE);

    (void)snprintf(name, sizeof name, "systemd://%.280s", socket->name);
    if (socket->is_taken) {
        error_set(error,
                  "%s: another listen serves fd://%d, which is this socket; give "
                  "it once",
                  name, socket->fd);
        return -1;
    }
    if (type >= 0 && type != SOCK_STREAM) {
        error_set(error, "%s: descriptor %d is not a stream socket; " ADVICE_ON_SYSTEMD, name,
                  socket->fd);
        return -1;
    }
    if (type >= 0 && socket_option(socket->fd, SO_ACCEPTCONN) != 1) {
        error_set(error, "%s: descriptor %d does not listen; " ADVICE_ON_SYSTEMD, name, socket->fd);
        return -1;
    }
    if (type < 0 || descriptor_prepare(socket->fd) < 0 ||
        take_listener(list, socket->fd, name) < 0) {
        endpoint_explain(error, name, ADVICE_ON_SYSTEMD);
        return -1;
    }
    socket->is_taken = true;
    return 0;
}

int inherited_take_systemd(struct endpoint_list *list, const struct passed *passed,
                           const char *name, struct error *error)
{
    struct passed_socket *socket;
    size_t cursor = 0, taken = 0;

    while ((socket = passed_next(passed, name, &cursor)) != NULL) {
        if (take_systemd_socket(list, socket, error) < 0)
            return -1;
        taken++;
    }
    if (taken == 0) {
        passed_explain(passed, name, error);
        return -1;
    }
    return 0;
}
