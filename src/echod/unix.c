#include <config.h>

#include "echod/unix.h"

#include "base/denial.h"
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

/* EPERM says that a directory is another user's, or that no socket is allowed. */
static const char *advice_on(int failure, const struct endpoint *endpoint,
                             const struct address *address)
{
    if (endpoint == NULL)
        return endpoint_advice(failure, ENDPOINT_ADVICE_ON_REFUSAL);
    if (address_is_abstract(address))
        return endpoint_advice(failure, "stop what listens there, or choose another name");
    if (failure == EACCES && denial_of_directory_is_by_sandbox(address->path, W_OK | X_OK))
        return DENIAL_REASON "choose a path in a directory of echod's own, where nothing else is";
    return endpoint_advice(failure == EPERM ? EACCES : failure,
                           "choose a path in a directory of echod's own, where nothing else is");
}

/* Tell whether somebody listens on a Unix socket; without a listener it is left from a crash. */
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

/*
 * Bind with the permissions that were asked for. They come with the socket, since who may write to
 * its directory could put something else there before a chmod(2). No other thread makes files.
 */
static int bind_with_mode(int fd, const struct sockaddr_un *address, int mode)
{
    mode_t before;
    int status;

    if (mode == LISTENER_ANY_MODE)
        return bind(fd, (const struct sockaddr *)address, sizeof *address);
    before = umask(0777 & ~(mode_t)mode);
    status = bind(fd, (const struct sockaddr *)address, sizeof *address);
    (void)umask(before);
    return status;
}

/* Remember which socket sockets_close has to remove. */
static int note_bound_path(struct endpoint *endpoint, const struct sockaddr_un *address)
{
    struct stat bound;

    if (lstat(address->sun_path, &bound) < 0)
        return -1;
    memcpy(endpoint->bound_path, address->sun_path, sizeof endpoint->bound_path);
    endpoint->bound_device = bound.st_dev;
    endpoint->bound_inode = bound.st_ino;
    return 0;
}

/* Give it the owner that was asked for. If the system refuses that, `failed` names the option. */
static int set_owner(const struct endpoint *endpoint, const struct listener_options *options,
                     const char **failed)
{
    const uid_t uid = options->owner.is_given ? options->owner.uid : (uid_t)-1;
    const gid_t gid = options->group.is_given ? options->group.gid : (gid_t)-1;

    if (!options->owner.is_given && !options->group.is_given)
        return 0;
    if (unix_change_owner(endpoint, uid, gid) == 0)
        return 0;
    if (errno != ESTALE)
        *failed = options->owner.is_given ? "owner" : "group";
    return -1;
}

/* Bind in place of a stale socket and listen. Nobody can connect before it listens. */
static int bind_path(struct endpoint *endpoint, const struct sockaddr_un *address,
                     const struct listener_options *options, const char **failed)
{
    const int fd = endpoint->worker_fds[0];

    if (remove_stale_socket(address) < 0 || bind_with_mode(fd, address, options->mode) < 0 ||
        note_bound_path(endpoint, address) < 0 || set_owner(endpoint, options, failed) < 0)
        return -1;
    return listen(fd, (int)options->backlog);
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
 * Listen at a path. Of two processes that start at one instant, neither must find a socket of the
 * other that is bound and does not listen yet, and take it for stale.
 */
static int listen_at_path(struct endpoint *endpoint, const struct sockaddr_un *address,
                          const struct listener_options *options, const char **failed)
{
    const int directory = lock_directory_of(address);
    const int status = bind_path(endpoint, address, options, failed);

    descriptor_close(directory);
    return status;
}

/* Listen at a name without a path. It goes with its last socket. */
static int listen_at_name(const struct endpoint *endpoint, const struct sockaddr_un *address,
                          socklen_t length, const struct listener_options *options)
{
    const int fd = endpoint->worker_fds[0];

    if (bind(fd, (const struct sockaddr *)address, length) < 0)
        return -1;
    return listen(fd, (int)options->backlog);
}

static int listen_at(struct endpoint *endpoint, const struct listen *listen, const char **failed)
{
    struct sockaddr_un local;
    const socklen_t length = address_unix_socket(&listen->address, &local);

    if (address_is_abstract(&listen->address))
        return listen_at_name(endpoint, &local, length, &listen->options);
    return listen_at_path(endpoint, &local, &listen->options, failed);
}

/* An abstract name has no permissions, and is known to Linux only (unix(7)). */
static int check_options(const struct listen *listen, const char *name, struct error *error)
{
    const struct listener_options *options = &listen->options;

    if (!address_is_abstract(&listen->address))
        return 0;
#ifndef __linux__
    error_set(error, "%s: only Linux has abstract names; choose a path", name);
    return -1;
#endif
    if (options->mode == LISTENER_ANY_MODE && !options->owner.is_given && !options->group.is_given)
        return 0;
    error_set(error, "%s: an abstract name has no mode, owner or group; choose a path for them",
              name);
    return -1;
}

int unix_check(const struct listen *listen, const char *name, struct error *error)
{
    char directory[ADDRESS_PATH_SIZE];
    struct stat found;
    char *end;

    if (address_is_abstract(&listen->address))
        return check_options(listen, name, error);
    memcpy(directory, listen->address.path, sizeof directory);
    end = strrchr(directory, '/');
    end[end == directory ? 1 : 0] = '\0';
    if (stat(directory, &found) == 0 && S_ISDIR(found.st_mode))
        return 0;
    error_set(error, "%s: there is no directory %s; make it, or choose another", name, directory);
    return -1;
}

/* Add a socket that is not bound yet. Return its endpoint, or NULL with errno. */
static struct endpoint *add_socket(struct endpoint_list *list)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || descriptor_prepare(fd) < 0) {
        descriptor_close(fd);
        return NULL;
    }
    return endpoint_add_socket(list, ENDPOINT_LISTENER, fd);
}

/*
 * Go on with the socket that was kept for an address. Its name had the inode of its path, so that
 * is its own still.
 */
static int take(struct endpoint_list *list, const struct listen *wanted, const struct kept *kept)
{
    struct endpoint *endpoint =
        endpoint_add_socket(list, ENDPOINT_LISTENER, kept_take(kept, NULL, 0));
    struct sockaddr_un local;

    if (endpoint == NULL)
        return -1;
    endpoint->is_kept = true;
    (void)address_unix_socket(&wanted->address, &local);
    if (!address_is_abstract(&wanted->address) && note_bound_path(endpoint, &local) < 0)
        return -1;
    return listen(endpoint->worker_fds[0], (int)wanted->options.backlog);
}

/* Open a listener. On failure `failed` names an option that was refused, or is NULL. */
static int bind_anew(struct endpoint_list *list, const struct listen *listen, const char **failed)
{
    struct endpoint *endpoint = add_socket(list);

    return endpoint == NULL ? -1 : listen_at(endpoint, listen, failed);
}

int unix_open(struct endpoint_list *list, const struct listen *listen, const char *name,
              const struct kept *kept, struct error *error)
{
    const size_t before = list->count;
    struct endpoint *endpoint;
    const char *failed = NULL;
    int status;

    if (check_options(listen, name, error) < 0)
        return -1;
    status = kept_has(kept, NULL, 0) ? take(list, listen, kept) : bind_anew(list, listen, &failed);
    endpoint = list->count > before ? &list->items[before] : NULL;
    if (status < 0 || endpoint_share_socket(endpoint, list->worker_count) < 0) {
        if (failed != NULL)
            endpoint_explain_option(error, name, failed);
        else
            endpoint_explain(error, name, advice_on(errno, endpoint, &listen->address));
        return -1;
    }
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
    return 0;
}

/*
 * Tell whether what is at its path is what was bound, or set errno. A socket of somebody else's may
 * have been linked there before we could look at ours.
 */
static bool is_what_was_bound(const struct endpoint *endpoint, const struct stat *now)
{
    if (endpoint_is_bound(endpoint, now) && S_ISSOCK(now->st_mode) && now->st_nlink == 1)
        return true;
    errno = ESTALE;
    return false;
}

#if defined O_PATH && defined AT_EMPTY_PATH
int unix_change_owner(const struct endpoint *endpoint, uid_t uid, gid_t gid)
{
    const int fd = open(endpoint->bound_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat now;
    int status = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &now) == 0 && is_what_was_bound(endpoint, &now))
        status = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
    descriptor_close(fd);
    return status;
}
#else
int unix_change_owner(const struct endpoint *endpoint, uid_t uid, gid_t gid)
{
    struct stat now;

    if (lstat(endpoint->bound_path, &now) < 0 || !is_what_was_bound(endpoint, &now))
        return -1;
    return lchown(endpoint->bound_path, uid, gid);
}
#endif
