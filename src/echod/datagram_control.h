/*
 * datagram_control: what the system tells of a datagram beside its bytes, and what it is told with
 * the answer: control messages (RFC 3542, ip(7), ipv6(7), udp(7)).
 * Receives and sends nothing; datagram_batch does.
 * Called by datagram_batch, and by inet when it opens a socket.
 */
#ifndef ECHOD_DATAGRAM_CONTROL_H
#define ECHOD_DATAGRAM_CONTROL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { DATAGRAM_CONTROL_SIZE = 256 }; /* room for all that is asked for, or told */

/* What is known of a datagram that has come. What the system did not tell is 0. */
struct datagram_arrival {
    sa_family_t asked_family; /* of the address it was sent to; AF_UNSPEC: that of the socket */
    struct in_addr asked_v4;
    struct in6_addr asked_v6;
    unsigned interface;
    bool is_to_many;        /* the address is a multicast or broadcast address */
    uint8_t hops;           /* that it had left (TTL, hop limit); 0: not known */
    uint16_t segment_bytes; /* it is a train of datagrams of this length, the last may be shorter */
    uint32_t overflow_total; /* datagrams that its socket's full buffer has cost, modulo 2^32 */
};

/*
 * Let the system tell all this of the datagrams of a socket. A socket that is bound to the address
 * of a host answers from there, so it needs not be told. What the system does not have is left out.
 * Return 0, or -1 with errno where answers would leave from the wrong address.
 */
int datagram_control_enable(int fd) __attribute__((warn_unused_result));

/* Read what came with a datagram. */
void datagram_control_read(struct msghdr *message, struct datagram_arrival *arrival);

/*
 * Let what leaves a socket have this many hops, if nothing else is told with it. Return 0, or -1
 * with errno.
 */
int datagram_control_set_hops(int fd, uint8_t hops) __attribute__((warn_unused_result));

/*
 * Say that the answer shall leave from the address that was asked, with one hop less than the
 * question had unless that is `usual_hops`, and, if `is_train`, as a train. Written to msg_control,
 * which has DATAGRAM_CONTROL_SIZE bytes and is aligned as a cmsghdr.
 */
void datagram_control_write(struct msghdr *message, const struct datagram_arrival *arrival,
                            uint8_t usual_hops, bool is_train);

/* Return how many datagrams the full buffer of a socket has cost, or 0 where nobody knows. */
uint32_t datagram_control_overflow(int fd);

#endif
