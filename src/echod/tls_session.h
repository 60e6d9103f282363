/*
 * tls_session: the TLS of one connection: OpenSSL on its socket, and the bufferevent in between.
 * Knows no state and no deadline of a connection; handshake and connection do.
 * Called by channel, which has it, by echo_tls for the shortcut, and by serve_tls and
 * connection_log for what was agreed and what went wrong.
 *
 * It receives a bounded amount in a turn of the loop, whatever a client sends, and reports by
 * itself whether its end was orderly: with a close_notify (RFC 8446, 6.1) or without.
 */
#ifndef ECHOD_TLS_SESSION_H
#define ECHOD_TLS_SESSION_H

#include "base/certificate_facts.h"
#include "echod/tls_context.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct bufferevent;
struct event_base;
struct tls_session;

/* Memory that is kept so that libevent finds some: it crashes where it has none (2.1.12). */
struct tls_reserve {
    void *memory; /* NULL: it has to be had again before a session is made */
};

void tls_reserve_fini(struct tls_reserve *reserve);

/*
 * Make a session on the server's side of a non-blocking socket, and the bufferevent that has both
 * from here on: freeing it closes the socket and frees the session, when the loop turns next. The
 * bufferevent does nothing before the handshake is over and it is told to. `reads_ahead` says that
 * tls_session_read will read, and never the bufferevent, which cannot see what is inside already.
 * Return NULL with errno ENOMEM; the socket is still the caller's then.
 */
struct bufferevent *tls_session_new(struct tls_session **session, struct tls_reserve *reserve,
                                    struct tls_context *context, struct event_base *base, int fd,
                                    bool reads_ahead);

enum tls_shaking {
    TLS_SHAKING_DONE,
    TLS_SHAKING_READS,  /* call it again when the socket can be read */
    TLS_SHAKING_WRITES, /* or written */
    TLS_SHAKING_FAILED, /* errno says why, as that of a read; 0 is the client's end */
};

/* Go on with the handshake. */
enum tls_shaking tls_session_shake(struct tls_session *session);

/*
 * As recv and send on a socket that does not block. Return how many bytes; of a read, 0 at the
 * client's end; or -1 with errno: EAGAIN, EPROTO for what tls_session_failure tells, or an error of
 * the socket. Read until EAGAIN or the end, or until there is nothing to be read: what is inside is
 * no reason for the loop to come again. What could not be sent must be sent next, and nothing read
 * before it was: our own key update may be among it. Where more follows at once, the system may
 * wait for that.
 */
ssize_t tls_session_read(struct tls_session *session, void *bytes, size_t size);
ssize_t tls_session_write(struct tls_session *session, const void *bytes, size_t length,
                          bool more_follows);

/* After a read: tell whether another one may find something before the loop has had its turn. */
bool tls_session_may_have_more(struct tls_session *session);

/* Tell whether something that came is still inside, be it part of a record. */
bool tls_session_has_pending(const struct tls_session *session);

/*
 * Send close_notify. Return 0 once the system has it; or -1 with errno, EAGAIN if it has no room:
 * call it again when the socket can be written.
 */
int tls_session_close(struct tls_session *session) __attribute__((warn_unused_result));

/* --- What went wrong ------------------------------------------------------------------------- */

/*
 * Return the errno of what the bufferevent reports as an error: EPROTO for what tls_session_failure
 * tells, 0 if it is the client's end.
 */
int tls_session_errno(struct tls_session *session, struct bufferevent *bufferevent);

/* Return OpenSSL's words for what broke the protocol: "wrong version number". They last. */
const char *tls_session_failure(const struct tls_session *session);

/* Tell whether the client's end came without close_notify. */
bool tls_session_is_truncated(const struct tls_session *session);

/* Tell whether the client has sent anything. */
bool tls_session_has_received(const struct tls_session *session);

/* --- What was agreed ------------------------------------------------------------------------- */

enum { TLS_TEXT_SIZE = 260 }; /* more than an identity shows: so it tells that it cut */

struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    bool is_resumed;
    char server_name[TLS_TEXT_SIZE];     /* that the client asked for (RFC 6066, 3); empty: none */
    char protocol[TLS_TEXT_SIZE];        /* of ALPN (RFC 7301); empty: none */
    char subject[CERTIFICATE_TEXT_SIZE]; /* of the client's certificate; empty: it showed none */
};

bool tls_session_is_resumed(const struct tls_session *session);

/* Tell what was agreed. Texts are the client's: escape them. Return false if nothing was yet. */
bool tls_session_describe(const struct tls_session *session, struct tls_facts *facts);

#endif
