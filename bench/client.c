#include <config.h>

#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_BUFFER_BYTES = 2 << 20 };

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static struct sockaddr_in address_of(uint32_t host, uint16_t port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(host);
    return address;
}

static int bind_source(int fd, uint64_t key)
{
    const uint32_t first = INADDR_LOOPBACK + 256; /* 127.0.1.1 */
    const struct sockaddr_in source = address_of(first + (uint32_t)(key % 250), 0);

    /* The port is chosen by connect, which may take one that is in use with another server. */
    if (set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) < 0)
        return -1;
    return bind(fd, (const struct sockaddr *)&source, sizeof(source));
}

/* Connect a new socket, or close it. */
static int connect_from(int fd, uint64_t key, uint16_t port)
{
    const struct sockaddr_in server = address_of(INADDR_LOOPBACK, port);
    int saved;

    if (bind_source(fd, key) == 0 &&
        connect(fd, (const struct sockaddr *)&server, sizeof(server)) == 0)
        return fd;
    saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

int client_connect(uint16_t port, uint64_t key)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return connect_from(fd, key, port);
}

int client_connect_datagrams(uint16_t port, uint64_t key)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, DATAGRAM_BUFFER_BYTES) < 0)
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, DATAGRAM_BUFFER_BYTES);
    return connect_from(fd, key, port);
}

static const char *words_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_GOOD:
        return "good";
    case OUTCOME_WRONG_BYTES:
        return "other bytes came back than were sent";
    case OUTCOME_LOST:
        return "the server ended the connection";
    case OUTCOME_STALLED:
        return "nothing came back in time";
    case OUTCOME_SYSTEM:
        return strerror(errno);
    case OUTCOME_NOT_RESUMED:
        return "the server did not resume the session";
    }
    return "?";
}

enum outcome client_report(uint64_t key, enum outcome outcome)
{
    (void)fprintf(stderr, "load: connection %ju: %s\n", (uintmax_t)key, words_of(outcome));
    return outcome;
}
