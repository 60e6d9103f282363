#include <config.h>

#include "echod/pidfile.h"

#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTENT_SIZE = 32 }; /* a number, a line feed, and room to see that there is more */

int pidfile_parse(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);

    if (length == 0 || length >= PIDFILE_PATH_SIZE) {
        error_set(error, "a path of 1 to %d bytes; write for example /run/echod/echod.pid",
                  PIDFILE_PATH_SIZE - 1);
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

bool pidfile_format(const void *member, char text[SETTING_VALUE_SIZE])
{
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s", (const char *)member);
    return text[0] != '\0';
}

int pidfile_check(const char *path, struct error *error)
{
    char copy[PIDFILE_PATH_SIZE];
    struct stat found;
    const char *directory;

    memcpy(copy, path, strlen(path) + 1);
    directory = dirname(copy);
    if (*path == '\0' || (stat(directory, &found) == 0 && S_ISDIR(found.st_mode)))
        return 0;
    error_set(error, "there is no directory %s; make it, or choose another", directory);
    return -1;
}

/* Say that the path leads to a directory, a link, a pipe or the like. */
static void refuse_kind(const char *path, struct error *error)
{
    error_set(error, "--pid-file %s: not a plain file; choose a path where nothing is", path);
}

/* Say what the system answered. */
static void explain(const char *path, struct error *error)
{
    if (errno == EISDIR || errno == ELOOP) /* a link: O_NOFOLLOW */
        refuse_kind(path, error);
    else
        error_set(error, "--pid-file %s: %s; choose a path in a directory that echod can write to",
                  path, strerror(errno));
}

/* Tell whether the path leads to the open file still. */
static bool is_in_place(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* Read the number that a file holds, or 0 if it is empty. Return -1 if it holds something else. */
static int read_pid(int fd, uint64_t *pid)
{
    char content[CONTENT_SIZE];
    const ssize_t length = pread(fd, content, sizeof content - 1, 0);

    *pid = 0;
    if (length <= 0)
        return (int)length;
    content[length] = '\0';
    content[strcspn(content, "\n")] = '\0';
    return (size_t)length <= strlen(content) + 1 ? units_parse_count(content, pid) : -1;
}

/* Lock what was opened, and not for this process: it would lose that with any descriptor of it. */
static int set_lock(int fd)
{
#ifdef F_OFD_SETLK
    return fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
#else
    return flock(fd, LOCK_EX | LOCK_NB);
#endif
}

/* Lock a file, or say who has locked it, as far as the file itself tells. */
static int lock(int fd, const char *path, struct error *error)
{
    uint64_t pid;

    if (set_lock(fd) == 0)
        return 0;
    if (errno != EACCES && errno != EAGAIN)
        explain(path, error);
    else if (read_pid(fd, &pid) == 0 && pid > 0)
        error_set(error,
                  "--pid-file %s: process %" PRIu64 " has it, by what it holds; stop that one, or "
                  "choose another path",
                  path, pid);
    else
        error_set(error,
                  "--pid-file %s: another process has it; stop that one, or choose another "
                  "path",
                  path);
    return -1;
}

static int write_pid(int fd)
{
    char content[CONTENT_SIZE];
    const int length = snprintf(content, sizeof content, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) < 0)
        return -1;
    errno = ENOSPC; /* where a part is written, pwrite leaves it as it is */
    return pwrite(fd, content, (size_t)length, 0) == length ? 0 : -1;
}

/* Remove a file that is locked, or empty it. */
static void leave(int fd, const char *path)
{
    int status = -1;

    if (is_in_place(fd, path))
        status = unlink(path);
    if (status < 0)
        status = ftruncate(fd, 0);
    (void)status; /* what is left is taken over as after a crash */
}

/*
 * Tell whether nobody else has what was opened: a link may lead to the file of another, and an
 * owner could write a number that a script of root's then sends signals to.
 */
static bool is_ours(int fd, const char *path, struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        explain(path, error);
    else if (!S_ISREG(status.st_mode))
        refuse_kind(path, error);
    else if (status.st_nlink > 1)
        error_set(error,
                  "--pid-file %s: a hard link, which has another name too; choose a path where "
                  "nothing is",
                  path);
    else if (status.st_uid != geteuid() && status.st_uid != 0)
        error_set(error, "--pid-file %s: belongs to user %lu; remove it, or choose another path",
                  path, (unsigned long)status.st_uid);
    else
        return true;
    return false;
}

/* Make what was opened ours. Return 0, or -1; `is_gone` tells whether its owner removed it. */
static int take(int fd, const char *path, bool *is_gone, struct error *error)
{
    uint64_t stale;

    *is_gone = false;
    if (!is_ours(fd, path, error) || lock(fd, path, error) < 0)
        return -1;
    *is_gone = !is_in_place(fd, path);
    if (*is_gone) {
        error_set(error, "--pid-file %s: somebody removes it again and again; choose another path",
                  path);
        return -1;
    }
    if (read_pid(fd, &stale) < 0) {
        error_set(error,
                  "--pid-file %s: holds something else than a number; choose a path where nothing "
                  "is",
                  path);
        return -1;
    }
    if (write_pid(fd) < 0) {
        explain(path, error);
        leave(fd, path);
        return -1;
    }
    return 0;
}

int pidfile_open(struct pidfile *pidfile, const char *path, struct error *error)
{
    bool is_gone = true;

    *pidfile = (struct pidfile){.fd = -1};
    if (*path == '\0')
        return 0;
    /* A process that ends may remove the file between our open and our lock: then try again. */
    for (int i = 0; i < 10 && is_gone; i++) {
        const int fd =
            open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);

        if (fd < 0) {
            explain(path, error);
            return -1;
        }
        if (take(fd, path, &is_gone, error) == 0) {
            pidfile->fd = fd;
            memcpy(pidfile->path, path, strlen(path) + 1);
            return 0;
        }
        (void)close(fd);
    }
    return -1;
}

void pidfile_close(struct pidfile *pidfile)
{
    if (pidfile->fd < 0)
        return;
    leave(pidfile->fd, pidfile->path);
    (void)close(pidfile->fd);
    pidfile->fd = -1;
}
