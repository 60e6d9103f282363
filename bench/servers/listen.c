#include <config.h>

#include "listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

void *must_have(void *pointer, const char *what)
{
    must(pointer != NULL ? 0 : -1, what);
    return pointer;
}

/* Return the address on 127.0.0.1 that is the program's only argument. */
static struct sockaddr_in address_of_argument(int argument_count, char *arguments[])
{
    const long port = argument_count == 2 ? strtol(arguments[1], NULL, 10) : 0;
    struct sockaddr_in address = {.sin_family = AF_INET};

    if (port < 1 || port > 65535) {
        (void)fprintf(stderr, "Usage: %s PORT\n", arguments[0]);
        exit(64);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((unsigned short)port);
    return address;
}

int bind_on_argument(int argument_count, char *arguments[])
{
    const struct sockaddr_in address = address_of_argument(argument_count, arguments);
    const int size = 4 << 20;
    const int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), "SO_RCVBUF");
    must(bind(fd, (const struct sockaddr *)&address, sizeof(address)), "bind");
    return fd;
}

int listen_on_argument(int argument_count, char *arguments[])
{
    const struct sockaddr_in address = address_of_argument(argument_count, arguments);
    const int on = 1;
    int fd;

    (void)signal(SIGPIPE, SIG_IGN);
    fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
    must(bind(fd, (const struct sockaddr *)&address, sizeof(address)), "bind");
    must(listen(fd, SOMAXCONN), "listen");
    return fd;
}
