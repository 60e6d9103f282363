#include <config.h>

#include "base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void log_output_init(struct log_output *output, int fd)
{
    *output = (struct log_output){.fd = fd};
}

/* Return a socket that is connected to the syslog daemon, or -1 with errno. */
static int connect_syslog(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        const int saved_errno = errno;

        (void)close(fd);
        errno = saved_errno;
        return -1;
    }
    return fd;
}

int log_output_init_syslog(struct log_output *output, const char *path)
{
    *output = (struct log_output){.is_syslog = true, .syslog = {.sun_family = AF_UNIX}};
    if (strlen(path) >= sizeof output->syslog.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(output->syslog.sun_path, path, strlen(path));
    output->fd = connect_syslog(&output->syslog);
    return output->fd < 0 ? -1 : 0;
}

void log_output_fini(struct log_output *output)
{
    if (output->is_syslog)
        (void)close(output->fd);
}

/* Here the thread can be held up, and only here and in log_output_send may it be cancelled. */
static ssize_t write_or_wait(int fd, const char *bytes, size_t length)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ssize_t written;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    written = write(fd, bytes, length);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
        (void)poll(&writable, 1, -1);
        written = 0;
    }
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return written;
}

ssize_t log_output_write(struct log_output *output, const char *bytes, size_t length)
{
    ssize_t written;

    if (output->is_line_cut) {
        written = write_or_wait(output->fd, "\n", 1);
        if (written <= 0)
            return written;
        output->is_line_cut = output->is_within_line = false;
    }
    written = write_or_wait(output->fd, bytes, length);
    if (written < 0)
        output->is_line_cut = output->is_within_line;
    else if (written > 0)
        output->is_within_line = bytes[written - 1] != '\n';
    return written;
}

int log_output_send(const struct log_output *output, const char *text, size_t length)
{
    const struct sockaddr *syslog = (const struct sockaddr *)&output->syslog;
    ssize_t sent;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    sent = send(output->fd, text, length, 0);
    if (sent < 0 && errno != EMSGSIZE && connect(output->fd, syslog, sizeof output->syslog) == 0)
        sent = send(output->fd, text, length, 0);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return sent < 0 ? -1 : 0;
}
