#include <config.h>

#include "echod/socket_options.h"

#include "base/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Linux's own times between probes, and how many of them go unanswered (tcp(7)). */
enum { PROBE_INTERVAL_S = 75, PROBES = 9 };

/* What a system does not have cannot be set. */
#ifndef SO_BINDTODEVICE
#define SO_BINDTODEVICE (-1)
#endif
#ifndef SO_MARK
#define SO_MARK (-1)
#endif
#ifndef IP_FREEBIND
#define IP_FREEBIND (-1)
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND (-1)
#endif
#ifndef TCP_USER_TIMEOUT
#define TCP_USER_TIMEOUT (-1)
#endif
#ifndef TCP_FASTOPEN
#define TCP_FASTOPEN (-1)
#endif

enum { AUTO_RECEIVE_BYTES = 4 << 20 };

static int set(int fd, int level, int option, const void *value, socklen_t length)
{
    if (option < 0) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return setsockopt(fd, level, option, value, length);
}

static int set_number(int fd, int level, int option, uint64_t number)
{
    const int value = (int)number;

    return set(fd, level, option, &value, sizeof value);
}

static int set_freebind(int fd, int family)
{
    if (family == AF_INET6)
        return set_number(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
    return set_number(fd, IPPROTO_IP, IP_FREEBIND, 1);
}

int socket_options_set_before_bind(int fd, int family, const struct listener_options *options,
                                   const char **failed)
{
    *failed = "v6only";
    if (family == AF_INET6 && set_number(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6only) < 0)
        return -1;
    *failed = "device";
    if (options->device[0] != '\0' && set(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device,
                                          (socklen_t)strlen(options->device)) < 0)
        return -1;
    *failed = "mark";
    if (options->mark > 0 && set_number(fd, SOL_SOCKET, SO_MARK, options->mark) < 0)
        return -1;
    *failed = "freebind";
    if (options->freebind && set_freebind(fd, family) < 0)
        return -1;
    *failed = NULL;
    return 0;
}

/* Probe after so much silence, and then each tenth of it, within what Linux allows. */
static int set_keepalive(int fd, uint64_t idle_ms)
{
    const uint64_t idle_s = (idle_ms + 999) / 1000, tenth_s = idle_s / 10;
    uint64_t interval_s = PROBE_INTERVAL_S;

    if (tenth_s < interval_s)
        interval_s = tenth_s > 0 ? tenth_s : 1;
    if (set_number(fd, SOL_SOCKET, SO_KEEPALIVE, idle_ms > 0) < 0)
        return -1;
    if (idle_ms == 0)
        return 0;
#ifdef TCP_KEEPIDLE
    if (set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s) < 0 ||
        set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s) < 0 ||
        set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES) < 0)
        return -1;
#endif
    return 0;
}

/* Where a system has no user time-out, that is right for who asks for none; fast open likewise. */
static int set_unless_zero(int fd, int option, uint64_t number)
{
    if (set_number(fd, IPPROTO_TCP, option, number) == 0 || number == 0)
        return 0;
    return -1;
}

int socket_options_set_for_clients(int fd, const struct listener_options *options,
                                   const char **failed)
{
    *failed = "nodelay";
    if (set_number(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0)
        return -1;
    *failed = "keepalive";
    if (set_keepalive(fd, options->keepalive_ms) < 0)
        return -1;
    *failed = "user-timeout";
    if (set_unless_zero(fd, TCP_USER_TIMEOUT, options->user_timeout_ms) < 0)
        return -1;
    *failed = "fastopen";
    if (set_unless_zero(fd, TCP_FASTOPEN, options->fastopen) < 0)
        return -1;
    *failed = NULL;
    return 0;
}

void socket_options_set_receive_buffer(int fd, uint64_t bytes)
{
    const int size = (int)(bytes == SETTING_AUTO ? AUTO_RECEIVE_BYTES : bytes);

#ifdef SO_RCVBUFFORCE
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0)
        return; /* root's privilege: above net.core.rmem_max, too */
#endif
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

bool socket_options_need_bind(const struct listener_options *options,
                              const struct listener_options *other)
{
    return options->v6only != other->v6only || options->mark != other->mark ||
           options->freebind != other->freebind || strcmp(options->device, other->device) != 0 ||
           options->mode != other->mode || options->owner.uid != other->owner.uid ||
           options->owner.is_given != other->owner.is_given ||
           options->group.gid != other->group.gid ||
           options->group.is_given != other->group.is_given;
}

uint32_t socket_options_bound_checksum(const struct listener_options *options)
{
    char text[512];
    const int length =
        snprintf(text, sizeof text, "%d %" PRIu64 " %d %s %d %jd %jd", options->v6only,
                 options->mark, options->freebind, options->device, options->mode,
                 options->owner.is_given ? (intmax_t)options->owner.uid : -1,
                 options->group.is_given ? (intmax_t)options->group.gid : -1);

    return crc32c_extend(0, (const unsigned char *)text, (size_t)length);
}

void socket_options_keep_bound(struct listener_options *options,
                               const struct listener_options *bound)
{
    options->v6only = bound->v6only;
    options->mark = bound->mark;
    options->freebind = bound->freebind;
    memcpy(options->device, bound->device, sizeof options->device);
    options->mode = bound->mode;
    options->owner = bound->owner;
    options->group = bound->group;
}
