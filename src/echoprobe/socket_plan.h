/*
 * socket_plan: what is asked for of every socket: its source, its interface, the mark of its
 * packets (TOS), and how far they may go (TTL). Makes no socket, and connects none; target does.
 * Called by options to read it and to ask for the family, and by target to set it.
 */
#ifndef ECHOPROBE_SOCKET_PLAN_H
#define ECHOPROBE_SOCKET_PLAN_H

#include "base/error.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { SOCKET_SOURCE_SIZE = INET6_ADDRSTRLEN + IF_NAMESIZE + 1 };

/* Where it sends from: an address, or an interface. */
struct socket_source {
    char text[SOCKET_SOURCE_SIZE]; /* as it was given; empty: the system chooses */
    socklen_t length;              /* of the address; 0: it is an interface */
    struct sockaddr_storage address;
};

struct socket_tos {
    bool is_set;
    uint8_t value; /* the whole byte: six bits of DSCP, two of ECN (RFC 2474, RFC 3168) */
};

/* Plain data. All zeros: nothing is asked for. */
struct socket_plan {
    struct socket_source source;
    struct socket_tos tos;
    uint64_t ttl; /* 0: as the system has it */
};

/* Read them for a table of settings: see setting_parse. */
int socket_plan_parse_source(const char *text, void *member, struct error *error);
int socket_plan_parse_tos(const char *text, void *member, struct error *error);

/* Tell whether anything is asked for. */
bool socket_plan_is_set(const struct socket_plan *plan);

/* Return the family of the source, AF_UNSPEC if it is none or an interface. */
int socket_plan_family(const struct socket_plan *plan);

/*
 * Set it on a socket of this family that is not bound.
 * Return 0; or -1 with errno, and `failed` is the option that the system refused.
 */
int socket_plan_set(const struct socket_plan *plan, int fd, int family, int type,
                    const char **failed) __attribute__((warn_unused_result));

#endif
