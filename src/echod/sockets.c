#include <config.h>

#include "echod/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- Small things. --------------------------------------------------------------------------- */

static void close_and_keep_errno(int fd)
{
    const int saved_errno = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved_errno;
}

/* Make a descriptor non-blocking and close-on-exec. */
static int prepare_fd(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return 0;
}

static int switch_on(int fd, int level, int option)
{
    const int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on);
}

/* Put in front of a sentence about an address where that was asked for. */
static void locate(const struct listen_list *addresses, size_t index, const struct error *cause,
                   struct error *error)
{
    const struct origin *origin = &addresses->items[index].origin;

    if (origin->kind == ORIGIN_FILE)
        error_set(error, "%s: listen %s", origin->place, cause->text);
    else
        error_set(error, "--listen %s", cause->text);
}

static void sleep_ms(int milliseconds)
{
    const struct timespec pause = {.tv_nsec = milliseconds * 1000000L};

    (void)nanosleep(&pause, NULL);
}

/* Accepted sockets inherit it on Linux (tcp(7)). A Unix socket has no such option, nor needs it. */
static void set_no_delay(int fd)
{
    (void)switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
}

/* Say what the system answered for an address, and what may help. Saves and restores errno. */
static void explain(struct error *error, const char *name, const char *advice)
{
    error_set(error, "%s: %s; %s", name, strerror(errno), advice);
}

#define ADVICE_ON_FILES "raise the limit of open files (ulimit -n), or ask for fewer --workers"

static const char *advice_on_bind(int bind_errno)
{
    switch (bind_errno) {
    case EADDRINUSE:
        return "stop what listens there, or choose another port (0: any free one)";
    case EADDRNOTAVAIL:
        return "choose an address of this machine, or 0.0.0.0 or [::] for all of them";
    case EACCES:
        return "choose a port from 1024 on, or give echod the right to bind this one";
    case EMFILE:
    case ENFILE:
        return ADVICE_ON_FILES;
    default:
        return "choose another address";
    }
}

static const char *advice_on_path(int bind_errno)
{
    if (bind_errno == EMFILE || bind_errno == ENFILE)
        return ADVICE_ON_FILES;
    return "choose a path in a directory of echod's own, where nothing else is";
}

/* Tell whether two descriptors refer to one socket. */
static bool is_same_socket(int fd, int other_fd)
{
    struct stat status, other;

    return fstat(fd, &status) == 0 && fstat(other_fd, &other) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_dev == other.st_dev && status.st_ino == other.st_ino;
}

/* --- Endpoints. ------------------------------------------------------------------------------ */

/* Add an endpoint without descriptors. Return NULL with errno if there is no memory. */
static struct endpoint *add_endpoint(struct sockets *sockets, enum endpoint_kind kind)
{
    struct endpoint *endpoints =
        realloc(sockets->endpoints, (sockets->count + 1) * sizeof *endpoints);
    struct endpoint *endpoint;

    if (endpoints == NULL)
        return NULL;
    sockets->endpoints = endpoints;
    endpoint = &endpoints[sockets->count++];
    *endpoint = (struct endpoint){
        .kind = kind,
        .number = sockets->next_number++,
        .input_fd = -1,
        .output_fd = -1,
    };
    return endpoint;
}

/*
 * Add a listener whose first worker has this socket, which belongs to the endpoint from here on;
 * on failure it is closed.
 */
static struct endpoint *add_listener(struct sockets *sockets, int fd)
{
    int *fds = malloc(sockets->worker_count * sizeof *fds);
    struct endpoint *endpoint = fds == NULL ? NULL : add_endpoint(sockets, ENDPOINT_LISTENER);

    if (endpoint == NULL) {
        close_and_keep_errno(fd);
        free(fds);
        return NULL;
    }
    endpoint->listener_fds = fds;
    fds[0] = fd;
    for (size_t i = 1; i < sockets->worker_count; i++)
        fds[i] = -1;
    return endpoint;
}

/* Give every worker that has no socket of its own a duplicate of the first worker's. */
static int share_first_socket(struct endpoint *endpoint, size_t worker_count)
{
    for (size_t i = 1; i < worker_count; i++) {
        int *fd = &endpoint->listener_fds[i];

        if (*fd < 0)
            *fd = fcntl(endpoint->listener_fds[0], F_DUPFD_CLOEXEC, 0);
        if (*fd < 0)
            return -1;
    }
    return 0;
}

/* Tell whether this is the socket that was bound: another process may have put its own there. */
static bool is_bound(const struct endpoint *endpoint, const struct stat *now)
{
    return now->st_dev == endpoint->bound_device && now->st_ino == endpoint->bound_inode;
}

static bool has_bound_path(const struct endpoint *endpoint)
{
    struct stat now;

    return endpoint->bound_path[0] != '\0' && lstat(endpoint->bound_path, &now) == 0 &&
           is_bound(endpoint, &now);
}

/* Tell whether somebody removed the path of a Unix socket, or put something else there. */
static bool has_lost_path(const struct endpoint *endpoint)
{
    struct stat now;

    if (endpoint->bound_path[0] == '\0')
        return false;
    if (lstat(endpoint->bound_path, &now) == 0)
        return !is_bound(endpoint, &now);
    return errno == ENOENT || errno == ENOTDIR;
}

static void close_endpoint(struct endpoint *endpoint, size_t worker_count)
{
    for (size_t i = 0; endpoint->listener_fds != NULL && i < worker_count; i++)
        close_and_keep_errno(endpoint->listener_fds[i]);
    free(endpoint->listener_fds);
    close_and_keep_errno(endpoint->input_fd);
    if (endpoint->output_fd != endpoint->input_fd)
        close_and_keep_errno(endpoint->output_fd);
    if (has_bound_path(endpoint))
        (void)unlink(endpoint->bound_path);
}

/* --- tcp:// ---------------------------------------------------------------------------------- */

/* Open, bind and listen. SO_REUSEADDR lets a restart bind while old connections still end. */
static int open_tcp_listener(const struct addrinfo *info, int backlog, bool joins_group)
{
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);

    if (fd < 0)
        return -1;
    if (prepare_fd(fd) < 0 || switch_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0)
        goto fail;
#ifdef SO_REUSEPORT
    if (joins_group && switch_on(fd, SOL_SOCKET, SO_REUSEPORT) < 0)
        goto fail;
#endif
    if (info->ai_family == AF_INET6 && switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0)
        goto fail;
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, backlog) < 0)
        goto fail;
    set_no_delay(fd);
    return fd;

fail:
    close_and_keep_errno(fd);
    return -1;
}

/*
 * The same, and try again if the address is in use: of two processes that start at one instant,
 * listen(2) may refuse both, because each has bound already. They wait for different times.
 */
static int open_first_tcp_listener(const struct addrinfo *info, int backlog)
{
    int fd = open_tcp_listener(info, backlog, false);

    for (int i = 0; i < 3 && fd < 0 && errno == EADDRINUSE; i++) {
        sleep_ms(1 + getpid() % 13);
        fd = open_tcp_listener(info, backlog, false);
    }
    return fd;
}

/*
 * Give each worker a socket of its own, among which Linux spreads the clients (socket(7),
 * SO_REUSEPORT). The first one listens already, and was bound without that option, which proves
 * that the address was free. Where a socket cannot be had this way, the first one is shared.
 */
static int open_group(struct endpoint *endpoint, const struct addrinfo *bound, int backlog,
                      size_t worker_count)
{
#if defined __linux__ && defined SO_REUSEPORT
    if (worker_count > 1 && switch_on(endpoint->listener_fds[0], SOL_SOCKET, SO_REUSEPORT) == 0) {
        endpoint->is_group = true;
        for (size_t i = 1; i < worker_count; i++)
            endpoint->listener_fds[i] = open_tcp_listener(bound, backlog, true);
    }
#else
    (void)bound;
    (void)backlog;
#endif
    return share_first_socket(endpoint, worker_count);
}

/* Listen on one of the addresses that a name has. Return 0, or -1 with errno. */
static int open_tcp_endpoint(struct sockets *sockets, const struct addrinfo *info, int backlog)
{
    struct addrinfo bound = *info;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[ADDRESS_TEXT_SIZE];
    struct endpoint *endpoint;
    const int fd = open_first_tcp_listener(info, backlog);

    if (fd < 0)
        return -1;
    endpoint = add_listener(sockets, fd);
    if (endpoint == NULL || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    address_format_socket((struct sockaddr *)&address, length, text);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "tcp://%.280s", text);
    endpoint->bound = address;
    bound.ai_addr = (struct sockaddr *)&address; /* with the port that the system chose for 0 */
    bound.ai_addrlen = length;
    return open_group(endpoint, &bound, backlog, sockets->worker_count);
}

static struct addrinfo *resolve(struct names *names, const struct address *address,
                                const char *name, struct error *error)
{
    struct addrinfo *found = NULL;
    const int failure = names_find(names, address, &found);

    if (failure == 0)
        return found;
    error_set(error, "%s: %s; choose a name or an address of this machine", name,
              gai_strerror(failure));
    return NULL;
}

/* Check that a Unix socket has a directory. */
static int check_directory(const char *path, const char *name, struct error *error)
{
    char directory[ADDRESS_PATH_SIZE];
    struct stat found;
    char *end;

    memcpy(directory, path, strlen(path) + 1);
    end = strrchr(directory, '/');
    end[end == directory ? 1 : 0] = '\0';
    if (stat(directory, &found) == 0 && S_ISDIR(found.st_mode))
        return 0;
    error_set(error, "%s: there is no directory %s; make it, or choose another", name, directory);
    return -1;
}

/* The same for a host, that it has an address. */
static int check_host(const struct address *address, const char *name, struct error *error)
{
    struct addrinfo *found = resolve(NULL, address, name, error);

    if (found == NULL)
        return -1;
    freeaddrinfo(found);
    return 0;
}

int sockets_check(const struct listen_list *addresses, size_t index, struct error *error)
{
    const struct address *address = &addresses->items[index].address;
    char name[ADDRESS_TEXT_SIZE];
    struct error cause = {""};
    int status = 0;

    address_format(address, name);
    if (address->scheme == ADDRESS_UNIX)
        status = check_directory(address->path, name, &cause);
    else if (address->scheme == ADDRESS_TCP)
        status = check_host(address, name, &cause);
    if (status < 0)
        locate(addresses, index, &cause, error);
    return status;
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
    if (one->sa_family == AF_INET6) {
        struct sockaddr_in6 v6, other_v6;

        memcpy(&v6, one, sizeof v6);
        memcpy(&other_v6, other, sizeof other_v6);
        return v6.sin6_port == other_v6.sin6_port &&
               (IN6_ARE_ADDR_EQUAL(&v6.sin6_addr, &other_v6.sin6_addr) ||
                IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) ||
                IN6_IS_ADDR_UNSPECIFIED(&other_v6.sin6_addr));
    }
    return false;
}

/* Say why an address cannot be bound; it may be an endpoint of ours that is in the way. */
static void explain_bind(const struct sockets *sockets, const struct sockaddr *wanted,
                         const char *name, struct error *error)
{
    for (size_t i = 0; i < sockets->count && errno == EADDRINUSE; i++) {
        const struct endpoint *own = &sockets->endpoints[i];

        if (!do_overlap(wanted, (const struct sockaddr *)&own->bound))
            continue;
        error_set(error,
                  "%s: %s; echod itself listens on %s: ask for one of them only, and to replace "
                  "one by the other, reload twice, first without either, or restart echod",
                  name, strerror(errno), own->name);
        return;
    }
    explain(error, name, advice_on_bind(errno));
}

static int open_tcp(struct sockets *sockets, const struct address *address, const char *name,
                    int backlog, struct log *log, struct error *error)
{
    struct addrinfo *found = resolve(sockets->names, address, name, error);
    size_t opened = 0;

    if (found == NULL)
        return -1;
    for (const struct addrinfo *info = found; info != NULL; info = info->ai_next) {
        char text[ADDRESS_TEXT_SIZE];

        if (is_listed_before(found, info))
            continue;
        if (open_tcp_endpoint(sockets, info, backlog) == 0) {
            opened++;
            continue;
        }
        explain_bind(sockets, info->ai_addr, name, error);
        if (!is_missing_on_this_machine(errno)) {
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

/* --- unix:// --------------------------------------------------------------------------------- */

/* Tell whether somebody listens on a Unix socket; a path without a listener is left from a crash.
 */
static bool is_unix_socket_in_use(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool is_in_use;

    if (fd < 0 || prepare_fd(fd) < 0) {
        close_and_keep_errno(fd);
        return true;
    }
    is_in_use = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                (errno != ECONNREFUSED && errno != ENOENT);
    (void)close(fd);
    return is_in_use;
}

/* Make way for a new socket, unless the path is somebody's. Return 0, or -1 with errno. */
static int remove_stale_socket(const struct sockaddr_un *address)
{
    struct stat there;

    if (lstat(address->sun_path, &there) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(there.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    if (is_unix_socket_in_use(address)) {
        errno = EADDRINUSE;
        return -1;
    }
    return unlink(address->sun_path);
}

/* Bind in place of a stale socket and listen. */
static int bind_unix_listener(const struct sockaddr_un *address, int backlog)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0)
        return -1;
    if (prepare_fd(fd) < 0 || remove_stale_socket(address) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ||
        listen(fd, backlog) < 0) {
        close_and_keep_errno(fd);
        return -1;
    }
    return fd;
}

/*
 * Lock the directory of a path, and return what unlocks it when it is closed: -1 where it cannot be
 * opened. Whoever may read a directory may lock it, so do not wait for ever.
 */
static int lock_directory_of(const struct sockaddr_un *address)
{
    char path[sizeof address->sun_path];
    int directory;

    memcpy(path, address->sun_path, sizeof path);
    directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 50 && directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) < 0; i++)
        sleep_ms(10);
    return directory;
}

/*
 * Of two processes that start at one instant, neither must find a socket of the other that is bound
 * and does not listen yet, and take it for stale.
 */
static int open_unix_listener(const struct sockaddr_un *address, int backlog)
{
    const int directory = lock_directory_of(address);
    const int fd = bind_unix_listener(address, backlog);

    close_and_keep_errno(directory);
    return fd;
}

/* Remember which socket sockets_close has to remove. */
static int note_bound_path(struct endpoint *endpoint, const char *path)
{
    struct stat bound;

    if (lstat(path, &bound) < 0)
        return -1;
    memcpy(endpoint->bound_path, path, sizeof endpoint->bound_path);
    endpoint->bound_device = bound.st_dev;
    endpoint->bound_inode = bound.st_ino;
    return 0;
}

static int open_unix(struct sockets *sockets, const struct address *address, const char *name,
                     int backlog, struct error *error)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct endpoint *endpoint = NULL;
    int fd;

    memcpy(local.sun_path, address->path, sizeof local.sun_path);
    fd = open_unix_listener(&local, backlog);
    if (fd >= 0)
        endpoint = add_listener(sockets, fd);
    if (endpoint == NULL || note_bound_path(endpoint, address->path) < 0 ||
        share_first_socket(endpoint, sockets->worker_count) < 0) {
        explain(error, name, advice_on_path(errno));
        return -1;
    }
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
    return 0;
}

/* --- fd:// ----------------------------------------------------------------------------------- */

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

static int take_listener(struct sockets *sockets, int fd, const char *name)
{
    struct endpoint *endpoint = add_listener(sockets, fd);

    if (endpoint == NULL)
        return -1;
    endpoint->is_passed = true;
    set_no_delay(fd);
    name_passed_socket(endpoint, fd, name);
    return share_first_socket(endpoint, sockets->worker_count);
}

static int take_client(struct sockets *sockets, int fd, const char *name)
{
    struct endpoint *endpoint = add_endpoint(sockets, ENDPOINT_CLIENT);

    if (endpoint == NULL)
        return -1;
    endpoint->input_fd = endpoint->output_fd = fd;
    set_no_delay(fd);
    name_passed_socket(endpoint, fd, name);
    return 0;
}

/* Take over a stream socket that listens or is connected. */
static int take_fd(struct sockets *sockets, int fd, const char *name, struct error *error)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const int type = socket_option(fd, SO_TYPE);
    int status;

    if (type < 0) {
        explain(error, name, "pass a stream socket that listens or is connected");
        return -1;
    }
    if (type != SOCK_STREAM) {
        error_set(error, "%s: not a stream socket; pass one that listens or is connected", name);
        return -1;
    }
    if (socket_option(fd, SO_ACCEPTCONN) == 1)
        status = prepare_fd(fd) < 0 ? -1 : take_listener(sockets, fd, name);
    else if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
        status = prepare_fd(fd) < 0 ? -1 : take_client(sockets, fd, name);
    else
        status = -1;
    if (status < 0)
        explain(error, name, "pass a stream socket that listens or is connected");
    return status;
}

/* Take over a socket that systemd may have passed, too. */
static int take_passed_fd(struct sockets *sockets, const struct passed *passed, int fd,
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
    if (take_fd(sockets, fd, name, error) < 0)
        return -1;
    if (socket != NULL)
        socket->is_taken = true;
    return 0;
}

/* --- systemd:// ------------------------------------------------------------------------------ */

#define ADVICE_ON_SYSTEMD "pass stream sockets that listen: ListenStream= with Accept=no"

/* Take over a listening socket. */
static int take_systemd_socket(struct sockets *sockets, struct passed_socket *socket,
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
    if (type < 0 || prepare_fd(socket->fd) < 0 || take_listener(sockets, socket->fd, name) < 0) {
        explain(error, name, ADVICE_ON_SYSTEMD);
        return -1;
    }
    socket->is_taken = true;
    return 0;
}

/* Take over all sockets that systemd passed under a name, or under any if it is empty. */
static int take_systemd(struct sockets *sockets, const struct passed *passed, const char *name,
                        struct error *error)
{
    struct passed_socket *socket;
    size_t cursor = 0, taken = 0;

    while ((socket = passed_next(passed, name, &cursor)) != NULL) {
        if (take_systemd_socket(sockets, socket, error) < 0)
            return -1;
        taken++;
    }
    if (taken == 0) {
        passed_explain(passed, name, error);
        return -1;
    }
    return 0;
}

/* --- stdio: ---------------------------------------------------------------------------------- */

/* Tell whether epoll takes a descriptor: it does not take files, nor devices such as /dev/null. */
static bool can_be_polled(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(fd));
}

/* Keep how standard input and output were opened, which must be for reading and for writing. */
static int note_standard_flags(struct sockets *sockets)
{
    const int input = fcntl(STDIN_FILENO, F_GETFL), output = fcntl(STDOUT_FILENO, F_GETFL);

    if (input < 0 || output < 0)
        return -1;
    if ((input & O_ACCMODE) == O_WRONLY || (output & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    sockets->has_standard = true;
    sockets->standard_flags[STDIN_FILENO] = input;
    sockets->standard_flags[STDOUT_FILENO] = output;
    return 0;
}

/*
 * Serve duplicates of standard input and output. O_NONBLOCK belongs to what they refer to, which a
 * shell may share, so what was there before is kept for sockets_close.
 */
static int take_standard(struct sockets *sockets, const char *name, struct error *error)
{
    struct endpoint *endpoint = add_endpoint(sockets, ENDPOINT_CLIENT);

    if (endpoint == NULL || note_standard_flags(sockets) < 0)
        goto fail;
    endpoint->input_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    endpoint->output_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (endpoint->input_fd < 0 || endpoint->output_fd < 0 || prepare_fd(endpoint->input_fd) < 0 ||
        prepare_fd(endpoint->output_fd) < 0)
        goto fail;
    if (is_same_socket(STDIN_FILENO, STDOUT_FILENO)) { /* a client like any other */
        (void)close(endpoint->output_fd);
        endpoint->output_fd = endpoint->input_fd;
    }
    endpoint->is_file = !can_be_polled(STDIN_FILENO) || !can_be_polled(STDOUT_FILENO);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
    return 0;

fail:
    explain(error, name, "leave standard input open for reading and standard output for writing");
    return -1;
}

static void give_back_standard(const struct sockets *sockets)
{
    for (int fd = STDIN_FILENO; sockets->has_standard && fd <= STDOUT_FILENO; fd++)
        (void)fcntl(fd, F_SETFL, sockets->standard_flags[fd]);
}

/* --- All of them. ---------------------------------------------------------------------------- */

static int open_address(struct sockets *sockets, const struct address *address, int backlog,
                        const struct passed *passed, struct log *log, struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];

    address_format(address, name);
    switch (address->scheme) {
    case ADDRESS_TCP:
        return open_tcp(sockets, address, name, backlog, log, error);
    case ADDRESS_UNIX:
        return open_unix(sockets, address, name, backlog, error);
    case ADDRESS_FD:
        return take_passed_fd(sockets, passed, address->fd, name, error);
    case ADDRESS_SYSTEMD:
        return take_systemd(sockets, passed, address->name, error);
    case ADDRESS_STDIO:
        return take_standard(sockets, name, error);
    case ADDRESS_UDP:
        break; /* address_parse gives none */
    }
    abort();
}

static bool is_passed(const struct address *address)
{
    return address->scheme == ADDRESS_FD || address->scheme == ADDRESS_SYSTEMD ||
           address->scheme == ADDRESS_STDIO;
}

/* Return how many equal addresses stand before one of a list. */
static size_t occurrence_of(const struct listen_list *addresses, size_t index)
{
    size_t count = 0;

    for (size_t i = 0; i < index; i++)
        count += address_is_equal(&addresses->items[i].address, &addresses->items[index].address);
    return count;
}

/* Tell whether an endpoint was opened for an address of a list. */
static bool is_endpoint_of(const struct endpoint *endpoint, const struct listen_list *addresses,
                           size_t index)
{
    return address_is_equal(&endpoint->address, &addresses->items[index].address) &&
           endpoint->occurrence == occurrence_of(addresses, index);
}

/* Tell whether one of the first `count` endpoints serves an address of a list, and stays. */
static bool is_open(const struct sockets *sockets, size_t count,
                    const struct listen_list *addresses, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (!sockets->endpoints[i].is_leaving &&
            is_endpoint_of(&sockets->endpoints[i], addresses, index))
            return true;
    }
    return false;
}

/* Open an address of a list, and note which one it is. */
static int open_listed(struct sockets *sockets, const struct listen_list *addresses, size_t index,
                       int backlog, const struct passed *passed, struct log *log,
                       struct error *error)
{
    const size_t before = sockets->count;
    const struct address *address = &addresses->items[index].address;

    if (open_address(sockets, address, backlog, passed, log, error) < 0)
        return -1;
    for (size_t i = before; i < sockets->count; i++) {
        sockets->endpoints[i].address = *address;
        sockets->endpoints[i].occurrence = occurrence_of(addresses, index);
    }
    return 0;
}

/* Say what is wrong with an address of a list. */
static void report(const struct listen_list *addresses, size_t index, const struct error *cause,
                   sockets_error_callback *on_error, void *argument)
{
    struct error error = {""};

    locate(addresses, index, cause, &error);
    on_error(&error, argument);
}

/* Open those addresses that were passed, or those that were not. Report all that fail. */
static int open_addresses(struct sockets *sockets, const struct listen_list *addresses,
                          bool are_passed, int backlog, const struct passed *passed,
                          struct log *log, sockets_error_callback *on_error, void *argument)
{
    int status = 0;

    for (size_t i = 0; i < addresses->count; i++) {
        struct error cause = {""};

        if (is_passed(&addresses->items[i].address) != are_passed ||
            open_listed(sockets, addresses, i, backlog, passed, log, &cause) == 0)
            continue;
        report(addresses, i, &cause, on_error, argument);
        status = -1;
    }
    return status;
}

int sockets_open(struct sockets *sockets, const struct listen_list *addresses, int backlog,
                 size_t worker_count, const struct passed *passed, struct log *log,
                 sockets_error_callback *on_error, void *argument)
{
    int status;

    *sockets = (struct sockets){.worker_count = worker_count};
    /* What was passed comes first, while no descriptor is our own that could be taken for it. */
    status = open_addresses(sockets, addresses, true, backlog, passed, log, on_error, argument);
    if (open_addresses(sockets, addresses, false, backlog, passed, log, on_error, argument) < 0)
        status = -1;
    if (status < 0)
        sockets_close(sockets);
    return status;
}

/*
 * Hand over what was bound at a path, and nothing that was put there since: where the system lets
 * us hold on to it, what is looked at is what is handed over. Return 0, or -1 with errno.
 */
static int change_owner(const struct endpoint *endpoint, uid_t uid, gid_t gid)
{
#if defined O_PATH && defined AT_EMPTY_PATH
    const int fd = open(endpoint->bound_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat now;
    int status = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &now) == 0) {
        /* A socket of somebody else's may have been linked there before we could look at ours. */
        if (is_bound(endpoint, &now) && S_ISSOCK(now.st_mode) && now.st_nlink == 1)
            status = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
        else
            errno = ESTALE;
    }
    close_and_keep_errno(fd);
    return status;
#else
    return has_bound_path(endpoint) ? lchown(endpoint->bound_path, uid, gid) : 0;
#endif
}

void sockets_hand_over(const struct sockets *sockets, uid_t uid, gid_t gid, struct log *log)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct endpoint *endpoint = &sockets->endpoints[i];

        if (endpoint->bound_path[0] != '\0' && change_owner(endpoint, uid, gid) < 0)
            log_write(log, LOG_LEVEL_WARNING, "%s stays with its owner: %s", endpoint->name,
                      strerror(errno));
    }
}

/* Close the endpoints from the `count`-th on. */
static void close_added(struct sockets *sockets, size_t count)
{
    while (sockets->count > count)
        close_endpoint(&sockets->endpoints[--sockets->count], sockets->worker_count);
}

/* Open an address that was not there when echod started. */
static int open_late(struct sockets *sockets, const struct listen_list *addresses, size_t index,
                     int backlog, struct log *log, struct error *error)
{
    char name[ADDRESS_TEXT_SIZE];

    if (!is_passed(&addresses->items[index].address))
        return open_listed(sockets, addresses, index, backlog, NULL, log, error);
    address_format(&addresses->items[index].address, name);
    error_set(error, "%s: it can be passed at the start only; restart echod for it", name);
    return -1;
}

static bool is_asked_for(const struct endpoint *endpoint, const struct listen_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (is_endpoint_of(endpoint, addresses, i))
            return true;
    }
    return false;
}

/* Close the endpoints behind the first `before`, which all stay. */
static void undo_change(struct sockets *sockets, size_t before)
{
    for (size_t i = 0; i < before; i++)
        sockets->endpoints[i].is_leaving = false;
    close_added(sockets, before);
}

int sockets_change(struct sockets *sockets, const struct listen_list *addresses,
                   struct names *names, int backlog, struct log *log,
                   sockets_error_callback *on_error, void *argument)
{
    const size_t before = sockets->count;
    int status = 0;

    for (size_t i = 0; i < before; i++) {
        struct endpoint *endpoint = &sockets->endpoints[i];

        endpoint->is_leaving = endpoint->kind == ENDPOINT_LISTENER &&
                               (!is_asked_for(endpoint, addresses) || has_lost_path(endpoint));
    }
    sockets->names = names;
    for (size_t i = 0; i < addresses->count; i++) {
        struct error cause = {""};

        if (is_open(sockets, before, addresses, i) ||
            open_late(sockets, addresses, i, backlog, log, &cause) == 0)
            continue;
        report(addresses, i, &cause, on_error, argument);
        status = -1;
    }
    sockets->names = NULL;
    if (status < 0)
        undo_change(sockets, before);
    return status;
}

void sockets_undo_change(struct sockets *sockets, unsigned long first_new_number)
{
    size_t before = 0;

    while (before < sockets->count && sockets->endpoints[before].number < first_new_number)
        before++;
    undo_change(sockets, before);
}

size_t sockets_count_staying(const struct sockets *sockets)
{
    size_t count = 0;

    for (size_t i = 0; i < sockets->count; i++)
        count += !sockets->endpoints[i].is_leaving;
    return count;
}

void sockets_close_leaving(struct sockets *sockets)
{
    size_t kept = 0;

    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->endpoints[i].is_leaving)
            close_endpoint(&sockets->endpoints[i], sockets->worker_count);
        else
            sockets->endpoints[kept++] = sockets->endpoints[i];
    }
    sockets->count = kept;
}

void sockets_close(struct sockets *sockets)
{
    close_added(sockets, 0);
    free(sockets->endpoints);
    give_back_standard(sockets);
    *sockets = (struct sockets){0};
}

bool sockets_include_standard_error(const struct listen_list *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        const struct address *address = &addresses->items[i].address;

        if (address->scheme == ADDRESS_FD && is_same_socket(address->fd, STDERR_FILENO))
            return true;
        if (address->scheme == ADDRESS_STDIO && (is_same_socket(STDIN_FILENO, STDERR_FILENO) ||
                                                 is_same_socket(STDOUT_FILENO, STDERR_FILENO)))
            return true;
    }
    return false;
}
