/*
 * udp_loop: the baseline for datagrams: the loop that one writes by hand. Level-triggered, one
 * buffer, recvfrom and sendto until nothing is there.
 * Leaves out the address that was asked, guards against loops, and a way to stop.
 * Run as: udp_loop PORT
 */
#include <config.h>

#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BUFFER_BYTES = 65536 };

/* Echo what is there. A datagram that cannot be sent is lost, as on any path. */
static void on_readable(int fd)
{
    static char buffer[BUFFER_BYTES];
    struct sockaddr_in client;
    socklen_t client_size = sizeof(client);
    ssize_t received;

    while ((received = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT,
                                (struct sockaddr *)&client, &client_size)) >= 0)
        (void)sendto(fd, buffer, (size_t)received, MSG_DONTWAIT, (struct sockaddr *)&client,
                     client_size);
}

int main(int argument_count, char *arguments[])
{
    const int fd = bind_on_argument(argument_count, arguments);
    const int epoll_fd = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event event = {.events = EPOLLIN};

    must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    for (;;) {
        const int count = epoll_wait(epoll_fd, &event, 1, -1);

        must(count < 0 && errno != EINTR ? -1 : 0, "epoll_wait");
        if (count > 0)
            on_readable(fd);
    }
}
