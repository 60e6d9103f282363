#include <config.h>

#include "echod/datagram_guard.h"

#include <netinet/in.h>
#include <string.h>

void datagram_ports_add(struct datagram_ports *ports, uint16_t port)
{
    ports->bits[port / 8] |= (uint8_t)(1U << port % 8);
}

bool datagram_ports_has(const struct datagram_ports *ports, uint16_t port)
{
    return (ports->bits[port / 8] >> port % 8 & 1) != 0;
}

static bool is_v4_host(struct in_addr address)
{
    const uint32_t number = ntohl(address.s_addr);

    return number != INADDR_ANY && number != INADDR_BROADCAST && !IN_MULTICAST(number);
}

static bool is_v6_host(const struct in6_addr *address)
{
    struct in_addr v4;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&v4, address->s6_addr + 12, sizeof v4);
        return is_v4_host(v4);
    }
    return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_MULTICAST(address);
}

/* Judge a port of a source that is a host, or not. */
static enum datagram_verdict judge_source(bool is_host, uint16_t port,
                                          const struct datagram_ports *own_ports,
                                          bool are_low_ports_allowed)
{
    if (!is_host || port == 0)
        return DATAGRAM_FROM_NO_HOST;
    if (datagram_ports_has(own_ports, port))
        return DATAGRAM_FROM_OWN_PORT;
    if (port < IPPORT_RESERVED && !are_low_ports_allowed) /* system ports (RFC 6335, 6) */
        return DATAGRAM_FROM_LOW_PORT;
    return DATAGRAM_IS_FINE;
}

enum datagram_verdict datagram_guard_judge(const struct sockaddr *source, bool is_to_many,
                                           uint8_t hops, const struct datagram_ports *own_ports,
                                           bool are_low_ports_allowed)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (is_to_many)
        return DATAGRAM_TO_MANY;
    if (hops == 1)
        return DATAGRAM_WITHOUT_HOPS;
    if (source->sa_family == AF_INET) {
        memcpy(&v4, source, sizeof v4);
        return judge_source(is_v4_host(v4.sin_addr), ntohs(v4.sin_port), own_ports,
                            are_low_ports_allowed);
    }
    if (source->sa_family == AF_INET6) {
        memcpy(&v6, source, sizeof v6);
        return judge_source(is_v6_host(&v6.sin6_addr), ntohs(v6.sin6_port), own_ports,
                            are_low_ports_allowed);
    }
    return DATAGRAM_IS_FINE;
}
