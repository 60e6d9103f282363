#include <config.h>

#include "echoprobe/target.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    ECHO_PORT = 7, /* RFC 862 */
    DATAGRAM_ROOM_BYTES = 4194304,
};

static void add_place(struct target *target, const void *address, socklen_t length)
{
    if (target->count == TARGET_ADDRESSES)
        return;
    memcpy(&target->places[target->count].address, address, length);
    target->places[target->count].length = length;
    address_format_socket(address, length, target->places[target->count].text);
    target->count++;
}

/* Tell whether one is known on one link alone, and no interface is named (RFC 4007, 6). */
static bool lacks_zone(const struct target *target)
{
    for (size_t i = 0; i < target->count; i++) {
        const struct sockaddr_in6 *address =
            (const struct sockaddr_in6 *)&target->places[i].address;

        if (address->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr) &&
            address->sin6_scope_id == 0)
            return true;
    }
    return false;
}

const char *target_hint(const struct target *target, int failure)
{
    if (failure == EADDRNOTAVAIL)
        return " (no local port or address is left for it)";
    if (failure == ECONNREFUSED && target->port == ECHO_PORT)
        return " (echod listens on port 13265 unless it is told otherwise)";
    if (failure == EINVAL && lacks_zone(target))
        return " (name the network interface of a link-local address, as in [fe80::1%eth0]:7)";
    if (failure == EMFILE)
        return " (raise the limit of open files: ulimit -n)";
    return "";
}

static void add_path(struct target *target, const struct address *address)
{
    struct sockaddr_un place;
    const socklen_t length = address_unix_socket(address, &place);

    add_place(target, &place, length);
}

void target_init(struct target *target, const struct address *address)
{
    *target = (struct target){.is_datagram = address->scheme == ADDRESS_UDP};
    if (address->scheme != ADDRESS_UNIX)
        target->port = address->port;
    address_format(address, target->name);
}

/* Return 0, or an EAI_* of getaddrinfo(3). */
static int find(const struct address *address, int family, int flags, struct addrinfo **found)
{
    const struct addrinfo hints = {
        .ai_family = family,
        .ai_socktype = address->scheme == ADDRESS_UDP ? SOCK_DGRAM : SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | flags,
    };
    char port[sizeof "65535"];

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    return getaddrinfo(address->host, port, &hints, found);
}

bool target_needs_lookup(const struct address *address)
{
    struct addrinfo *found;

    if (address->scheme == ADDRESS_UNIX)
        return false;
    if (find(address, AF_UNSPEC, AI_NUMERICHOST, &found) != 0)
        return true;
    freeaddrinfo(found);
    return false;
}

int target_look_up(struct target *target, const struct address *address, int family,
                   struct error *error)
{
    struct addrinfo *found;
    int status;

    if (address->scheme == ADDRESS_UNIX) {
        target->count = 0;
        add_path(target, address);
        return 0;
    }
    status = find(address, family, 0, &found);
    if (status != 0) {
        error_set(error, "%s: %s", address->host,
                  status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status));
        errno = status == EAI_MEMORY ? ENOMEM : EINVAL;
        return -1;
    }
    target->count = 0;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
        add_place(target, each->ai_addr, each->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

int target_resolve(struct target *target, const struct address *address, int family,
                   struct error *error)
{
    target_init(target, address);
    return target_look_up(target, address, family, error);
}

bool target_has_place(const struct target *target, const char *text)
{
    for (size_t i = 0; i < target->count; i++) {
        if (strcmp(target->places[i].text, text) == 0)
            return true;
    }
    return false;
}

bool target_has_same_places(const struct target *target, const struct target *other)
{
    if (target->count != other->count)
        return false;
    for (size_t i = 0; i < target->count; i++) {
        if (!target_has_place(other, target->places[i].text))
            return false;
    }
    return true;
}

static int prepare_socket(int fd, bool is_tcp)
{
    const int on = 1;
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return is_tcp ? setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) : 0;
}

/*
 * Ask for room for whole windows of answers: what does not fit is lost here and not on the path.
 * The system may grant less (socket(7)).
 */
static void ask_for_room(int fd)
{
    const int size = DATAGRAM_ROOM_BYTES;

#ifdef SO_RCVBUFFORCE
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0)
        return;
#endif
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

/* Let the system report what routers and hosts answer to an unconnected socket (ip(7)). */
static void ask_for_errors(int fd, sa_family_t family)
{
#ifdef IP_RECVERR
    const int on = 1;

    if (family == AF_INET)
        (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
#else
    (void)fd;
    (void)family;
#endif
}

/* Make a socket for a place. Return -1 with errno, and the option that failed, or NULL. */
static int make_socket(const struct target *target, size_t place, const char **failed)
{
    const sa_family_t family = target->places[place].address.ss_family;
    const int type = target->is_datagram ? SOCK_DGRAM : SOCK_STREAM;
    const int fd = socket(family, type, 0);
    int failure;

    *failed = NULL;
    if (fd < 0)
        return -1;
    if (prepare_socket(fd, family != AF_UNIX && !target->is_datagram) == 0 &&
        (family == AF_UNIX || socket_plan_set(&target->sockets, fd, family, type, failed) == 0)) {
        if (target->is_datagram) {
            ask_for_errors(fd, family);
            ask_for_room(fd);
        }
        return fd;
    }
    failure = errno;
    (void)close(fd);
    errno = failure;
    return -1;
}

int target_socket(const struct target *target, size_t place)
{
    const char *failed;

    return make_socket(target, place, &failed);
}

/* Return what helps with a refusal of what the plan asks for, as a sentence goes on, or "". */
static const char *plan_hint(int failure)
{
    if (failure == EPERM)
        return " (it needs root or CAP_NET_RAW here)";
    if (failure == EADDRNOTAVAIL)
        return " (no interface has this address)";
    return failure == ENODEV ? " (there is no such interface)" : "";
}

int target_try_socket(const struct target *target, struct error *error)
{
    const char *failed;
    int fd;

    if (!socket_plan_is_set(&target->sockets))
        return 0;
    fd = make_socket(target, 0, &failed);
    if (fd >= 0)
        return close(fd);
    if (failed == NULL)
        return 0; /* it is told where it is needed */
    error_set(error, "%s: the system refuses it: %s%s", failed, strerror(errno), plan_hint(errno));
    return -1;
}
