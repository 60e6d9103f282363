#include <config.h>

#include "echod/pidfile.h"

#include "base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

/* Say what the system answered. */
static void explain(const char *path, struct error *error)
{
    error_set(error, "--pid-file %s: %s; choose a path in a directory that echod may write to",
              path, strerror(errno));
}

/* Tell whether the path leads to the open file still. */
static bool is_in_place(int fd, const char *path)
{
    struct stat ours, there;

    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* Lock a file, or say who has locked it. */
static int lock(int fd, const char *path, struct error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if ((errno == EACCES || errno == EAGAIN) && fcntl(fd, F_GETLK, &lock) == 0)
        error_set(error, "--pid-file %s: process %ld has it; stop that one, or choose another path",
                  path, (long)lock.l_pid);
    else
        explain(path, error);
    return -1;
}

/* Tell whether a file holds nothing but a number, or nothing. */
static bool is_pid_or_empty(int fd)
{
    char content[CONTENT_SIZE];
    const ssize_t length = pread(fd, content, sizeof content - 1, 0);
    uint64_t pid;

    if (length <= 0)
        return length == 0;
    content[length] = '\0';
    content[strcspn(content, "\n")] = '\0';
    return (size_t)length <= strlen(content) + 1 && units_parse_count(content, &pid) == 0;
}

static int write_pid(int fd)
{
    char content[CONTENT_SIZE];
    const int length = snprintf(content, sizeof content, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) < 0)
        return -1;
    return pwrite(fd, content, (size_t)length, 0) == length ? 0 : -1;
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
        error_set(error, "--pid-file %s: not a plain file; choose a path where nothing is", path);
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
    *is_gone = false;
    if (!is_ours(fd, path, error) || lock(fd, path, error) < 0)
        return -1;
    *is_gone = !is_in_place(fd, path);
    if (*is_gone) {
        error_set(error, "--pid-file %s: somebody removes it again and again; choose another path",
                  path);
        return -1;
    }
    if (!is_pid_or_empty(fd)) {
        error_set(error,
                  "--pid-file %s: holds something else than a number; choose a path where nothing "
                  "is",
                  path);
        return -1;
    }
    if (write_pid(fd) < 0) {
        explain(path, error);
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
    int status = 0;

    if (pidfile->fd < 0)
        return;
    if (is_in_place(pidfile->fd, pidfile->path))
        status = unlink(pidfile->path);
    if (status < 0)
        status = ftruncate(pidfile->fd, 0);
    (void)status; /* what is left is taken over as after a crash */
    (void)close(pidfile->fd);
    pidfile->fd = -1;
}
