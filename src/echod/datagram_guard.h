/*
 * datagram_guard: which datagrams get no answer, since it would start a loop or reach a third
 * party. Pure: knows addresses and ports, but no socket and no rate. Called by datagram_filter
 * for each datagram.
 */
#ifndef ECHOD_DATAGRAM_GUARD_H
#define ECHOD_DATAGRAM_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A set of ports. All zero: empty. */
struct datagram_ports {
    uint8_t bits[65536 / 8];
};

void datagram_ports_add(struct datagram_ports *ports, uint16_t port);

bool datagram_ports_has(const struct datagram_ports *ports, uint16_t port);

enum datagram_verdict {
    DATAGRAM_IS_FINE,
    DATAGRAM_FROM_LOW_PORT, /* the source port is below 1024: a service, which would answer */
    DATAGRAM_FROM_OWN_PORT, /* the source port is one that we answer on: a loop */
    DATAGRAM_FROM_NO_HOST,  /* the source is multicast, broadcast, unspecified, or port 0 */
    DATAGRAM_TO_MANY,       /* it was sent to a multicast or broadcast address */
    DATAGRAM_WITHOUT_HOPS,  /* it has no hop left that its answer could have */
};

/*
 * Judge a datagram by its source, by whether its destination is a multicast or broadcast address,
 * and by the hops that it has left (TTL, hop limit; 0: not known). An answer has one hop less than
 * its question, so that even what circles between echoes of ours on other ports and machines comes
 * to an end, as in a loop of routers (RFC 1812, 5.3.1). `own_ports` are all on which this process
 * answers datagrams: whoever sends from one of these is likely to be an echo as well, here or on
 * another machine (CERT CA-1996-01, CVE-2024-2169). No rule is about a source that is no IP
 * address.
 */
enum datagram_verdict datagram_guard_judge(const struct sockaddr *source, bool is_to_many,
                                           uint8_t hops, const struct datagram_ports *own_ports,
                                           bool are_low_ports_allowed);

#endif
