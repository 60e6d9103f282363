/*
 * identify: what one listener tells a client of itself and of the client: collects the facts of a
 * connection or a datagram for its identity.
 * Sends nothing, and decides neither who is told nor when.
 * Called by client_group and datagrams, which plan it; by greet and datagram_identity.
 */
#ifndef ECHOD_IDENTIFY_H
#define ECHOD_IDENTIFY_H

#include "base/address.h"
#include "base/identity.h"
#include "echod/impair.h"
#include "echod/listener_options.h"
#include "echod/proxy_facts.h"
#include "echod/self.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* What all clients of a listener are told alike, by one worker. What it points to outlives it. */
struct identify_plan {
    unsigned mode; /* enum listener_identify */
    unsigned worker;
    const struct self *self;
    const char *listener;            /* its name, or else its address */
    char impaired[IMPAIR_TEXT_SIZE]; /* what is done wrong on purpose; empty: nothing */
};

/* One client. What is not known is NULL. */
struct identify_subject {
    uint64_t id; /* of the connection; 0: there is none */
    const char *client, *local;
    const struct proxy_facts *proxy;
    struct identity_tls tls;
};

/* Plan what a worker tells the clients of a listener with these options. */
struct identify_plan identify_plan(const struct listener_options *options, unsigned worker,
                                   const struct self *self, const char *listener);

/* Write the address that a socket has at our end; nothing if it is no socket. */
void identify_format_local(int fd, char text[ADDRESS_TEXT_SIZE]);

/* Write the identity for a client as the plan has it (identity_write). Return its length. */
size_t identify_write(const struct identify_plan *plan, const struct identify_subject *subject,
                      char *bytes, size_t size) __attribute__((warn_unused_result));

#endif
