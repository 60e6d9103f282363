#include <config.h>

#include "echod/inet.h"

#include "base/descriptor.h"
#include "echod/datagram_control.h"
#include "echod/socket_options.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- Opening one socket ---------------------------------------------------------------------- */

static int switch_on(int fd, int level, int option)
{
    const int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on);
}

static void sleep_ms(int milliseconds)
{
    const struct timespec pause = {.tv_nsec = milliseconds * 1000000L};

    (void)nanosleep(&pause, NULL);
}

static bool is_datagram(const struct addrinfo *info)
{
    return info->ai_socktype == SOCK_DGRAM;
}

/* What was refused, if it was not the address nor an option: the system allows no such thing. */
static const char any_socket[] = "socket";

/*
 * Make a bound datagram socket ready. What a worker cannot do without is asked for here already,
 * where a refusal still changes nothing.
 */
static int make_datagrams_ready(int fd, const struct listener_options *options, const char **failed)
{
    socket_options_set_receive_buffer(fd, options->receive_buffer_bytes);
    *failed = any_socket;
    if (datagram_control_enable(fd) < 0)
        return -1;
    *failed = NULL;
    return 0;
}

/*
 * Make a bound stream socket listen, or a datagram socket ready. Accepted sockets inherit what is
 * set here.
 */
static int make_ready(int fd, const struct addrinfo *info, const struct listener_options *options,
                      const char **failed)
{
    if (is_datagram(info))
        return make_datagrams_ready(fd, options, failed);
    if (socket_options_set_for_clients(fd, options, failed) < 0)
        return -1;
    return listen(fd, (int)options->backlog);
}

/*
 * Open and bind. SO_REUSEADDR lets a restart bind while old connections still end; of datagrams it
 * would let others take some. On failure `failed` names what was refused, any_socket or an option,
 * or is NULL if it was the address.
 */
static int open_socket(const struct addrinfo *info, const struct listener_options *options,
                       bool joins_group, const char **failed)
{
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);

    *failed = fd < 0 && errno == EAFNOSUPPORT ? NULL : any_socket;
    if (fd < 0)
        return -1;
    if (descriptor_prepare(fd) < 0 ||
        (!is_datagram(info) && switch_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0))
        goto fail;
#ifdef SO_REUSEPORT
    if (joins_group && switch_on(fd, SOL_SOCKET, SO_REUSEPORT) < 0)
        goto fail;
#endif
    /* Each lets `failed` be NULL where it succeeds. */
    if (socket_options_set_before_bind(fd, info->ai_family, options, failed) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || make_ready(fd, info, options, failed) < 0)
        goto fail;
    return fd;

fail:
    descriptor_close(fd);
    return -1;
}

/*
 * The same, and try again if the address is in use: of two processes that start at one instant,
 * listen(2) may refuse both, because each has bound already. They wait for different times.
 */
static int open_first_socket(const struct addrinfo *info, const struct listener_options *options,
                             const char **failed)
{
    int fd = open_socket(info, options, false, failed);

    for (int i = 0; i < 3 && fd < 0 && errno == EADDRINUSE; i++) {
        sleep_ms(1 + getpid() % 13);
        fd = open_socket(info, options, false, failed);
    }
    return fd;
}

/* Take a socket that was kept, and make it listen again, if it was shut, under these options. */
static int take_socket(const struct addrinfo *info, const struct kept *kept,
                       const struct listener_options *options, const char **failed)
{
    const int fd = kept_take(kept, info->ai_addr, info->ai_addrlen);

    *failed = any_socket;
    if (fd >= 0 && make_ready(fd, info, options, failed) == 0)
        return fd;
    descriptor_close(fd);
    return -1;
}

#if defined __linux__ && defined SO_REUSEPORT

/* Open another socket of a group. */
static int open_member(const struct addrinfo *bound, const struct kept *kept,
                       const struct listener_options *options)
{
    const char *failed;
    const int fd = take_socket(bound, kept, options, &failed);

    return fd >= 0 ? fd : open_socket(bound, options, true, &failed);
}

static void open_members(struct endpoint *endpoint, const struct addrinfo *bound,
                         const struct kept *kept, const struct listener_options *options,
                         size_t worker_count)
{
    if (worker_count < 2 || switch_on(endpoint->worker_fds[0], SOL_SOCKET, SO_REUSEPORT) < 0)
        return;
    endpoint->is_group = true;
    for (size_t i = 1; i < worker_count; i++)
        endpoint->worker_fds[i] = open_member(bound, kept, options);
    for (size_t i = 1; i < worker_count; i++)
        endpoint->is_group = endpoint->is_group && endpoint->worker_fds[i] >= 0;
}

#else

static void open_members(struct endpoint *endpoint, const struct addrinfo *bound,
                         const struct kept *kept, const struct listener_options *options,
                         size_t worker_count)
{
    (void)endpoint, (void)bound, (void)kept, (void)options, (void)worker_count;
}

#endif

/*
 * Give each worker a socket of its own, among which Linux spreads the clients (socket(7),
 * SO_REUSEPORT). The first one listens already, and was bound without that option, which proves
 * that the address was free. Where a socket cannot be had this way, the first one is shared.
 */
static int open_group(struct endpoint *endpoint, const struct addrinfo *bound,
                      const struct kept *kept, const struct listener_options *options,
                      size_t worker_count)
{
    open_members(endpoint, bound, kept, options, worker_count);
    return endpoint_share_socket(endpoint, worker_count);
}

/* Open one of the addresses that a name has. Return 0, or -1 with errno and as open_socket. */
static int open_endpoint(struct endpoint_list *list, const struct addrinfo *info,
                         const struct listen *listen, const struct kept *kept, const char **failed)
{
    const struct listener_options *options = &listen->options;
    struct addrinfo bound = *info;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[ADDRESS_TEXT_SIZE];
    struct endpoint *endpoint;
    const int fd = kept_has(kept, info->ai_addr, info->ai_addrlen)
                       ? take_socket(info, kept, options, failed)
                       : open_first_socket(info, options, failed);

    if (fd < 0)
        return -1;
    *failed = any_socket;
    endpoint =
        endpoint_add_socket(list, is_datagram(info) ? ENDPOINT_DATAGRAM : ENDPOINT_LISTENER, fd);
    if (endpoint == NULL || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    address_format_socket((struct sockaddr *)&address, length, text);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s%.280s",
                   address_prefix(&listen->address), text);
    endpoint->bound = address;
    bound.ai_addr = (struct sockaddr *)&address; /* with the port that the system chose for 0 */
    bound.ai_addrlen = length;
    return open_group(endpoint, &bound, kept, options, list->worker_count);
}

/* The same, and let clients who wait be served, where there were more workers before. */
static int open_endpoints(struct endpoint_list *list, const struct addrinfo *info,
                          const struct listen *listen, const struct kept *kept, const char **failed)
{
    int status = open_endpoint(list, info, listen, kept, failed);

    while (status == 0 && kept_has(kept, info->ai_addr, info->ai_addrlen))
        status = open_endpoint(list, info, listen, kept, failed);
    return status;
}

/* --- Opening all that a name stands for ------------------------------------------------------ */

static struct addrinfo *resolve(struct lookup *lookup, const struct address *address,
                                const char *name, struct error *error)
{
    struct addrinfo *found = NULL;
    const int failure = lookup_find(lookup, address, &found);

    if (failure == 0)
        return found;
    error_set(error, "%s: %s; choose a name or an address of this machine", name,
              gai_strerror(failure));
    errno = failure == EAI_MEMORY ? ENOMEM : EINVAL;
    return NULL;
}

int inet_check(const struct address *address, const char *name, struct error *error)
{
    struct addrinfo *found = resolve(NULL, address, name, error);

    if (found == NULL)
        return -1;
    freeaddrinfo(found);
    return 0;
}

/* A name may list an address twice; it can be bound once. */
static bool is_listed_before(const struct addrinfo *first, const struct addrinfo *info)
{
    for (; first != info; first = first->ai_next) {
        if (first->ai_addrlen == info->ai_addrlen &&
            memcmp(first->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    }
    return false;
}

/* Not every machine has IPv6, and "localhost" may stand for ::1 all the same. */
static bool is_missing_on_this_machine(int bind_errno)
{
    return bind_errno == EADDRNOTAVAIL || bind_errno == EAFNOSUPPORT;
}

/* Tell whether two addresses cannot both be bound: one may stand for all of its family. */
static bool do_overlap(const struct sockaddr *one, const struct sockaddr *other)
{
    struct sockaddr_in6 v6, other_v6;

    if (one->sa_family != other->sa_family)
        return false;
    if (one->sa_family == AF_INET) {
        struct sockaddr_in v4, other_v4;

        memcpy(&v4, one, sizeof v4);
        memcpy(&other_v4, other, sizeof other_v4);
        return v4.sin_port == other_v4.sin_port &&
               (v4.sin_addr.s_addr == other_v4.sin_addr.s_addr ||
                v4.sin_addr.s_addr == INADDR_ANY || other_v4.sin_addr.s_addr == INADDR_ANY);
    }
    memcpy(&v6, one, sizeof v6);
    memcpy(&other_v6, other, sizeof other_v6);
    return v6.sin6_port == other_v6.sin6_port &&
           (IN6_ARE_ADDR_EQUAL(&v6.sin6_addr, &other_v6.sin6_addr) ||
            IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&other_v6.sin6_addr));
}

/* Tell whether an address is [::] and serves IPv4 as well. */
static bool serves_both_families(const struct sockaddr *address,
                                 const struct listener_options *options)
{
    struct sockaddr_in6 v6;

    if (address->sa_family != AF_INET6 || options->v6only)
        return false;
    memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

static in_port_t port_of(const struct sockaddr *address)
{
    struct sockaddr_in v4; /* sockaddr_in6 has its port in the same place */

    memcpy(&v4, address, sizeof v4);
    return v4.sin_port;
}

/* Tell whether an endpoint of ours keeps an address from being bound. */
static bool is_in_the_way(const struct endpoint *own, const struct addrinfo *wanted,
                          const struct listener_options *options)
{
    const struct sockaddr *bound = (const struct sockaddr *)&own->bound;

    if ((own->kind == ENDPOINT_DATAGRAM) != is_datagram(wanted))
        return false;
    if (do_overlap(wanted->ai_addr, bound))
        return true;
    return port_of(wanted->ai_addr) == port_of(bound) &&
           (serves_both_families(wanted->ai_addr, options) ||
            serves_both_families(bound, &own->options));
}

/* Say what the system finds invalid about an IPv6 address. */
static const char *advice_on_invalid(const struct sockaddr *wanted)
{
    struct sockaddr_in6 v6;

    if (wanted->sa_family != AF_INET6)
        return "choose another address";
    memcpy(&v6, wanted, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return "this is an IPv4 address within IPv6: write the IPv4 address itself";
    if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) && v6.sin6_scope_id == 0)
        return "name the network interface of a link-local address: [fe80::1%eth0]:7";
    return "choose another address";
}

static const char *advice_on_bind(int bind_errno, const struct sockaddr *wanted)
{
    switch (bind_errno) {
    case EADDRINUSE:
        return "stop what listens there, or choose another port (0: any free one)";
    case EADDRNOTAVAIL:
        return "choose an address of this machine, or 0.0.0.0 or [::] for all of them";
    case EACCES:
        if (port_of(wanted) == 0 || ntohs(port_of(wanted)) >= IPPORT_RESERVED)
            return ENDPOINT_ADVICE_ON_REFUSAL;
        return "choose a port from 1024 on, or give echod the right to bind this one";
    case EINVAL:
        return advice_on_invalid(wanted);
    default:
        return endpoint_advice(bind_errno, "choose another address");
    }
}

/* Say that the system refuses something else than the address. */
static void explain_refusal(const struct listener_options *options, const char *name,
                            const char *failed, struct error *error)
{
    char what[ADDRESS_TEXT_SIZE + 32];

    if (failed != any_socket && listener_options_has(options, failed)) {
        endpoint_explain_option(error, name, failed);
        return;
    }
    (void)snprintf(what, sizeof what, "%s: %s", name, failed);
    endpoint_explain(error, what, endpoint_advice(errno, ENDPOINT_ADVICE_ON_REFUSAL));
}

/* Say why an address cannot be bound; it may be an endpoint of ours that is in the way. */
static void explain_bind(const struct endpoint_list *list, const struct addrinfo *wanted,
                         const struct listener_options *options, const char *name,
                         struct error *error)
{
    for (size_t i = 0; i < list->count && errno == EADDRINUSE; i++) {
        const struct endpoint *own = &list->items[i];

        if (!is_in_the_way(own, wanted, options))
            continue;
        error_set(error,
                  "%s: %s; echod itself listens on %s: ask for one of them only, and to replace "
                  "one by the other, reload twice, first without either, or restart echod",
                  name, strerror(errno), own->name);
        return;
    }
    endpoint_explain(error, name, advice_on_bind(errno, wanted->ai_addr));
}

int inet_open(struct endpoint_list *list, const struct listen *listen, const char *name,
              const struct kept *kept, struct lookup *lookup, struct log *log, struct error *error)
{
    struct addrinfo *found = resolve(lookup, &listen->address, name, error);
    size_t opened = 0;

    if (found == NULL)
        return -1;
    for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
        char text[ADDRESS_TEXT_SIZE];
        const char *failed;

        if (is_listed_before(found, info))
            continue;
        if (open_endpoints(list, info, listen, kept, &failed) == 0) {
            opened++;
            continue;
        }
        if (failed != NULL)
            explain_refusal(&listen->options, name, failed, error);
        else
            explain_bind(list, info, &listen->options, name, error);
        if (failed != NULL || !is_missing_on_this_machine(errno)) {
            opened = 0;
            break;
        }
        if (found->ai_next == NULL)
            break; /* it stands for nothing else: the error says it all */
        address_format_socket(info->ai_addr, info->ai_addrlen, text);
        log_write(log, LOG_LEVEL_WARNING, "%s stands for %s too, which this machine does not have",
                  name, text);
    }
    freeaddrinfo(found);
    return opened > 0 ? 0 : -1;
}
