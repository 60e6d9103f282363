#include <config.h>

#include "echod/datagram_control.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#if defined HAVE_LINUX_SOCK_DIAG_H && defined SO_MEMINFO /* Linux 4.12 */
#include <linux/sock_diag.h>
#define HAS_MEMINFO 1
#endif
#if defined UDP_GRO && defined UDP_SEGMENT /* Linux 5.0 */
#define HAS_TRAINS 1
#endif
#if defined IP_RECVTTL && defined __linux__ /* elsewhere it is not told with an answer */
#define HAS_TTL 1
#endif

/* --- Socket options -------------------------------------------------------------------------- */

/* Ask for what is good to have. */
static void ask(int fd, int level, int name)
{
    const int on = 1;

    (void)setsockopt(fd, level, name, &on, sizeof on);
}

/* Ask for the address of IPv4 datagrams, wherever a socket gets these. Return 0, or -1 with errno.
 */
static int ask_for_v4_address(int fd)
{
    const int on = 1;

#if defined IP_PKTINFO
    return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
#elif defined IP_RECVDSTADDR
    return setsockopt(fd, IPPROTO_IP, IP_RECVDSTADDR, &on, sizeof on);
#else
    (void)fd, (void)on;
    errno = ENOPROTOOPT;
    return -1;
#endif
}

static int ask_for_v6_address(int fd)
{
    const int on = 1;

    return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

/*
 * Tell whether an IPv4 address is that of a host: the system connects to others only on request
 * (SO_BROADCAST), and to connect sends nothing.
 */
static bool is_connectable(const struct sockaddr_in *address)
{
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bool can_connect = false;

    if (fd < 0)
        return false;
    can_connect = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    (void)close(fd);
    return can_connect;
}

static bool is_v4_host(const struct sockaddr_in *address)
{
    const uint32_t number = ntohl(address->sin_addr.s_addr);

    return number != INADDR_ANY && !IN_MULTICAST(number) && is_connectable(address);
}

static bool is_v6_host(const struct in6_addr *address)
{
    return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_MULTICAST(address) &&
           !IN6_IS_ADDR_V4MAPPED(address);
}

static int enable_v4(int fd, const struct sockaddr_in *own)
{
#ifdef HAS_TTL
    ask(fd, IPPROTO_IP, IP_RECVTTL);
#endif
    return is_v4_host(own) ? 0 : ask_for_v4_address(fd);
}

static int enable_v6(int fd, const struct sockaddr_in6 *own)
{
    ask(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
    if (is_v6_host(&own->sin6_addr))
        return 0;
        /* It may serve IPv4 as well. Without this, IPV6_PKTINFO tells the mapped address. */
#ifdef HAS_TTL
    ask(fd, IPPROTO_IP, IP_RECVTTL);
#endif
    (void)ask_for_v4_address(fd);
    return ask_for_v6_address(fd);
}

int datagram_control_enable(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } own = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t length = sizeof own;

    if (getsockname(fd, &own.any, &length) < 0)
        return -1;
#ifdef SO_RXQ_OVFL
    ask(fd, SOL_SOCKET, SO_RXQ_OVFL);
#endif
#ifdef HAS_TRAINS
    ask(fd, IPPROTO_UDP, UDP_GRO);
#endif
    if (own.any.sa_family == AF_INET)
        return enable_v4(fd, &own.v4);
    if (own.any.sa_family == AF_INET6)
        return enable_v6(fd, &own.v6);
    return 0;
}

int datagram_control_set_hops(int fd, uint8_t hops)
{
    const int number = hops;
    const bool is_v6 = setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &number, sizeof number) == 0;
    const bool is_v4 = setsockopt(fd, IPPROTO_IP, IP_TTL, &number, sizeof number) == 0;

    return is_v6 || is_v4 ? 0 : -1;
}

uint32_t datagram_control_overflow(int fd)
{
#ifdef HAS_MEMINFO
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof memory;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0)
        return 0;
    return memory[SK_MEMINFO_DROPS];
#else
    (void)fd;
    return 0;
#endif
}

/* --- Control messages received --------------------------------------------------------------- */

/* Read a number from a control message. */
static int read_int(const struct cmsghdr *control)
{
    int number;

    memcpy(&number, CMSG_DATA(control), sizeof number);
    return number;
}

#ifdef IP_PKTINFO
static void read_v4_address(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    struct in_pktinfo info;

    memcpy(&info, CMSG_DATA(control), sizeof info);
    arrival->asked_family = AF_INET;
    arrival->asked_v4 = info.ipi_spec_dst;
    arrival->interface = (unsigned)info.ipi_ifindex;
    /* ip(7): the destination in the header, and the local address, which is a host's. */
    arrival->is_to_many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
}
#elif defined IP_RECVDSTADDR
static void read_v4_address(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    uint32_t number;

    memcpy(&arrival->asked_v4, CMSG_DATA(control), sizeof arrival->asked_v4);
    number = ntohl(arrival->asked_v4.s_addr);
    arrival->asked_family = AF_INET;
    arrival->is_to_many = IN_MULTICAST(number) || number == INADDR_BROADCAST;
}
#endif

static void read_v6_address(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    struct in6_pktinfo info;

    memcpy(&info, CMSG_DATA(control), sizeof info);
    arrival->asked_family = AF_INET6;
    arrival->asked_v6 = info.ipi6_addr;
    arrival->interface = info.ipi6_ifindex;
    arrival->is_to_many = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
}

static void read_ip(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    (void)control, (void)arrival; /* where the system tells nothing */
#ifdef IP_PKTINFO
    if (control->cmsg_type == IP_PKTINFO)
        read_v4_address(control, arrival);
#elif defined IP_RECVDSTADDR
    if (control->cmsg_type == IP_RECVDSTADDR)
        read_v4_address(control, arrival);
#endif
#ifdef HAS_TTL
    if (control->cmsg_type == IP_TTL)
        arrival->hops = (uint8_t)read_int(control);
#endif
}

/* What comes for IPv4 says more than the same for IPv6, whichever comes first. */
static void read_ipv6(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    if (control->cmsg_type == IPV6_PKTINFO && arrival->asked_family != AF_INET)
        read_v6_address(control, arrival);
    else if (control->cmsg_type == IPV6_HOPLIMIT)
        arrival->hops = (uint8_t)read_int(control);
}

static void read_one(const struct cmsghdr *control, struct datagram_arrival *arrival)
{
    if (control->cmsg_level == IPPROTO_IP)
        read_ip(control, arrival);
    else if (control->cmsg_level == IPPROTO_IPV6)
        read_ipv6(control, arrival);
#ifdef HAS_TRAINS
    else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO)
        arrival->segment_bytes = (uint16_t)read_int(control);
#endif
#ifdef SO_RXQ_OVFL
    else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL)
        memcpy(&arrival->overflow_total, CMSG_DATA(control), sizeof arrival->overflow_total);
#endif
}

void datagram_control_read(struct msghdr *message, struct datagram_arrival *arrival)
{
    arrival->asked_family = AF_UNSPEC;
    arrival->interface = 0;
    arrival->is_to_many = false;
    arrival->hops = 0;
    arrival->segment_bytes = 0;
    arrival->overflow_total = 0;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = CMSG_NXTHDR(message, control))
        read_one(control, arrival);
#if defined MSG_BCAST && defined MSG_MCAST
    if ((message->msg_flags & (MSG_BCAST | MSG_MCAST)) != 0)
        arrival->is_to_many = true;
#endif
}

/* --- Control messages sent ------------------------------------------------------------------- */

/* Append a control message. */
static void append(struct msghdr *message, int level, int type, const void *data, size_t length)
{
    struct cmsghdr *control =
        (struct cmsghdr *)(void *)((char *)message->msg_control + message->msg_controllen);

    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(control), data, length);
    message->msg_controllen += CMSG_SPACE(length);
}

#ifdef IP_PKTINFO
/*
 * The table of routes says which way the answer takes, as it does for TCP: to force it out where
 * the question came in would lose answers where these ways differ. An address of a link is known on
 * that link only (RFC 3927).
 */
static int interface_of_v4(const struct datagram_arrival *arrival)
{
    const uint32_t number = ntohl(arrival->asked_v4.s_addr);

    return number >> 16 == 0xa9fe ? (int)arrival->interface : 0;
}

static void write_v4_address(struct msghdr *message, const struct datagram_arrival *arrival)
{
    const struct in_pktinfo info = {
        .ipi_ifindex = interface_of_v4(arrival),
        .ipi_spec_dst = arrival->asked_v4,
    };

    append(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}
#elif defined IP_SENDSRCADDR
static void write_v4_address(struct msghdr *message, const struct datagram_arrival *arrival)
{
    append(message, IPPROTO_IP, IP_SENDSRCADDR, &arrival->asked_v4, sizeof arrival->asked_v4);
}
#else
static void write_v4_address(struct msghdr *message, const struct datagram_arrival *arrival)
{
    (void)message, (void)arrival; /* nor was one told */
}
#endif

/* Here the interface is what the system prefers, unless the address is known there only. */
static void write_v6_address(struct msghdr *message, const struct datagram_arrival *arrival)
{
    const struct in6_pktinfo info = {
        .ipi6_addr = arrival->asked_v6,
        .ipi6_ifindex = arrival->interface,
    };

    append(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static bool is_v4_answer(const struct msghdr *message)
{
    const struct sockaddr_in6 *address = message->msg_name;

    return address->sin6_family == AF_INET ||
           (address->sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->sin6_addr));
}

static void write_hops(struct msghdr *message, const struct datagram_arrival *arrival)
{
    const int hops = arrival->hops - 1;

#ifdef HAS_TTL
    if (is_v4_answer(message)) {
        append(message, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
        return;
    }
#endif
    if (!is_v4_answer(message))
        append(message, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
}

static void write_train(struct msghdr *message, const struct datagram_arrival *arrival)
{
#ifdef HAS_TRAINS
    append(message, IPPROTO_UDP, UDP_SEGMENT, &arrival->segment_bytes,
           sizeof arrival->segment_bytes);
#else
    (void)message, (void)arrival;
#endif
}

void datagram_control_write(struct msghdr *message, const struct datagram_arrival *arrival,
                            uint8_t usual_hops, bool is_train)
{
    message->msg_controllen = 0;
    if (arrival->asked_family == AF_INET)
        write_v4_address(message, arrival);
    else if (arrival->asked_family == AF_INET6)
        write_v6_address(message, arrival);
    if (arrival->hops > 1 && arrival->hops - 1 != usual_hops)
        write_hops(message, arrival);
    if (is_train)
        write_train(message, arrival);
}
