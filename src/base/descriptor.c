#include <config.h>

#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void descriptor_close(int fd)
{
    const int saved_errno = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved_errno;
}

int descriptor_prepare(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return 0;
}

bool descriptor_is_same_socket(int fd, int other_fd)
{
    struct stat status, other;

    return fstat(fd, &status) == 0 && fstat(other_fd, &other) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_dev == other.st_dev && status.st_ino == other.st_ino;
}
