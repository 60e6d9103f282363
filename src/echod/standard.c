#include <config.h>

#include "echod/standard.h"

#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Tell whether epoll takes a descriptor: it does not take files, nor devices such as /dev/null. */
static bool can_be_polled(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(fd));
}

/* Keep how standard input and output were opened, which must be for reading and for writing. */
static int note_flags(struct standard *standard)
{
    const int input = fcntl(STDIN_FILENO, F_GETFL), output = fcntl(STDOUT_FILENO, F_GETFL);

    if (input < 0 || output < 0)
        return -1;
    if ((input & O_ACCMODE) == O_WRONLY || (output & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    standard->is_served = true;
    standard->flags[STDIN_FILENO] = input;
    standard->flags[STDOUT_FILENO] = output;
    return 0;
}

static bool is_datagram_socket(int fd)
{
    int type;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

int standard_take(struct standard *standard, struct endpoint_list *list, const char *name,
                  struct error *error)
{
    struct endpoint *endpoint;

    if (is_datagram_socket(STDIN_FILENO)) { /* it has many clients, not one */
        error_set(error, "%s: standard input is a datagram socket; write fd://%d", name,
                  STDIN_FILENO);
        return -1;
    }
    endpoint = endpoint_add(list, ENDPOINT_CLIENT);
    if (endpoint == NULL || note_flags(standard) < 0)
        goto fail;
    endpoint_decline_reports(STDIN_FILENO);
    endpoint_decline_reports(STDOUT_FILENO);
    endpoint->input_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    endpoint->output_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (endpoint->input_fd < 0 || endpoint->output_fd < 0 ||
        descriptor_prepare(endpoint->input_fd) < 0 || descriptor_prepare(endpoint->output_fd) < 0)
        goto fail;
    if (descriptor_is_same_socket(STDIN_FILENO, STDOUT_FILENO)) { /* a client like any other */
        (void)close(endpoint->output_fd);
        endpoint->output_fd = endpoint->input_fd;
    }
    endpoint->is_file = !can_be_polled(STDIN_FILENO) || !can_be_polled(STDOUT_FILENO);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
    return 0;

fail:
    endpoint_explain(
        error, name,
        endpoint_advice(errno,
                        "leave standard input open for reading and standard output for writing"));
    return -1;
}

void standard_give_back(const struct standard *standard)
{
    for (int fd = STDIN_FILENO; standard->is_served && fd <= STDOUT_FILENO; fd++)
        (void)fcntl(fd, F_SETFL, standard->flags[fd]);
}
