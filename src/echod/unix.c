#include <config.h>

#include "echod/unix.h"

#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char *advice_on_path(int bind_errno)
{
    if (bind_errno == EMFILE || bind_errno == ENFILE)
        return endpoint_advice_on_files();
    return "choose a path in a directory of echod's own, where nothing else is";
}

int unix_check(const char *path, const char *name, struct error *error)
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

/* Tell whether somebody listens on a Unix socket; a path without a listener is left from a crash.
 */
static bool is_unix_socket_in_use(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool is_in_use;

    if (fd < 0 || descriptor_prepare(fd) < 0) {
        descriptor_close(fd);
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
    if (descriptor_prepare(fd) < 0 || remove_stale_socket(address) < 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ||
        listen(fd, backlog) < 0) {
        descriptor_close(fd);
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
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int directory;

    memcpy(path, address->sun_path, sizeof path);
    directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 50 && directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) < 0; i++)
        (void)nanosleep(&pause, NULL);
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

    descriptor_close(directory);
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

int unix_open(struct endpoint_list *list, const struct listen *listen, const char *name,
              struct error *error)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct endpoint *endpoint = NULL;
    int fd;

    memcpy(local.sun_path, listen->address.path, sizeof local.sun_path);
    fd = open_unix_listener(&local, (int)listen->options.backlog);
    if (fd >= 0)
        endpoint = endpoint_add_socket(list, ENDPOINT_LISTENER, fd);
    if (endpoint == NULL || note_bound_path(endpoint, listen->address.path) < 0 ||
        endpoint_share_socket(endpoint, list->worker_count) < 0) {
        endpoint_explain(error, name, advice_on_path(errno));
        return -1;
    }
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
    return 0;
}

int unix_change_owner(const struct endpoint *endpoint, uid_t uid, gid_t gid)
{
#if defined O_PATH && defined AT_EMPTY_PATH
    const int fd = open(endpoint->bound_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat now;
    int status = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &now) == 0) {
        /* A socket of somebody else's may have been linked there before we could look at ours. */
        if (endpoint_is_bound(endpoint, &now) && S_ISSOCK(now.st_mode) && now.st_nlink == 1)
            status = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
        else
            errno = ESTALE;
    }
    descriptor_close(fd);
    return status;
#else
    return endpoint_has_path(endpoint) ? lchown(endpoint->bound_path, uid, gid) : 0;
#endif
}
