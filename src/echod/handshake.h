/*
 * handshake: what comes before the echo of a connection: the header of the PROXY protocol, and the
 * handshake of TLS, both by one deadline.
 * Echoes nothing and closes nothing: how it went is reported through a callback.
 * Called by connection, for listeners that ask for it.
 */
#ifndef ECHOD_HANDSHAKE_H
#define ECHOD_HANDSHAKE_H

#include "echod/channel.h"
#include "echod/connection_group.h"
#include "echod/peer.h"
#include "echod/proxy_facts.h"
#include "echod/timeouts.h"

struct handshake;

enum handshake_outcome {
    HANDSHAKE_DONE,      /* the echo may begin */
    HANDSHAKE_ENDED,     /* the client said FIN before its first byte */
    HANDSHAKE_INVALID,   /* handshake_error says what is wrong with its header */
    HANDSHAKE_UNTRUSTED, /* no header is taken from its address, by --listen's proxy-from */
    HANDSHAKE_REFUSED,   /* the gate does not let in whom its header names */
    HANDSHAKE_TLS,       /* that of TLS failed, and handshake_error says why */
    HANDSHAKE_OVERDUE,   /* it took longer than --handshake-timeout */
    HANDSHAKE_FAILED,    /* errno says why: an error of the socket, or ENOMEM */
};

/* Called once, from the loop, as the last thing: the handshake may be freed there. */
typedef void handshake_callback(enum handshake_outcome outcome, void *argument);

/*
 * Begin on a channel that stays the caller's; `peer` is who is connected to it. No byte behind the
 * handshake is taken from its socket. Where a header says for whom that is, the group's gate is
 * asked, and `known` gets what the caller hands back to it. The caller frees the handshake first.
 * Return NULL with errno ENOMEM.
 */
struct handshake *handshake_new(struct connection_group *group, struct channel *channel,
                                const union peer *peer, struct admission_source **known,
                                handshake_callback *on_over, void *argument);

/* Tell it that the channel's socket can be read or written, as long as it lasts. */
void handshake_on_socket(struct handshake *handshake);

/* NULL is fine. */
void handshake_free(struct handshake *handshake);

/* For whom the peer speaks, once it is done: itself, if its header has no addresses. */
const union peer *handshake_source(const struct handshake *handshake);

/*
 * Return what the header says, if the group's connections are told who they are; the caller frees
 * it. Otherwise, and the second time, return NULL.
 */
struct proxy_facts *handshake_take_facts(struct handshake *handshake);

/* Return who is connected, if it speaks for somebody else, or NULL. It is the handshake's. */
const union peer *handshake_via(const struct handshake *handshake);

/*
 * Return what is wrong. Ask when HANDSHAKE_INVALID is reported, and at no other time, or after
 * HANDSHAKE_TLS.
 */
const char *handshake_error(const struct handshake *handshake);

/* Set what was agreed with TLS and return it, or NULL if there is no TLS, or not yet. */
const struct tls_facts *handshake_tls(const struct handshake *handshake, struct tls_facts *facts);

/* What connections do when a deadline of their group's handshakes passes. */
timeout_callback handshake_on_overdue;

#endif
