/*
 * transport: the bytes of one connected socket: sends, receives and finishes, plain or inside TLS.
 * Knows neither what the bytes are nor who connected it; what TLS is, tls_client knows.
 * Called by connector and stream.
 */
#ifndef ECHOPROBE_TRANSPORT_H
#define ECHOPROBE_TRANSPORT_H

#include "echoprobe/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_client;
struct tls_setup;

/* Plain data that is moved, not copied: one owner closes it. */
struct transport {
    int fd;                 /* non-blocking; -1: there is none */
    struct tls_client *tls; /* NULL: plain */
};

/*
 * Begin TLS on it, after what stands before it was sent. The setup must outlive it.
 * Return 0, or -1 with errno.
 */
int transport_begin_tls(struct transport *transport, struct tls_setup *setup)
    __attribute__((warn_unused_result));

/*
 * Go on with the handshake of TLS.
 * Return 0 once it is done, or -1 with errno: EAGAIN if it waits for the socket, else
 * transport_explain knows why it failed.
 */
int transport_shake_hands(struct transport *transport) __attribute__((warn_unused_result));

/* Close it, with close_notify where that is owed and has room. One that is not there is fine. */
void transport_close(struct transport *transport);

/*
 * Send. What was begun has to be repeated with the same bytes, and perhaps more behind them.
 * Return how many were sent, or -1 with errno, EAGAIN if it waits for the socket.
 */
ssize_t transport_send(struct transport *transport, const void *bytes, size_t length)
    __attribute__((warn_unused_result));

/*
 * Receive.
 * Return how many bytes came; 0 at the end that the other end announced, or -1 with errno, EAGAIN
 * if it waits for the socket.
 */
ssize_t transport_receive(struct transport *transport, void *bytes, size_t size)
    __attribute__((warn_unused_result));

/* Tell whether there is something to receive for which the socket does not become readable. */
bool transport_has_more(const struct transport *transport);

/*
 * Tell whether what returned EAGAIN last waits for the other direction: sending until the socket is
 * readable, receiving until it is writable; a handshake until it is writable.
 */
bool transport_is_crossed(const struct transport *transport);

/*
 * Send no more, and say so: FIN, or close_notify. What comes back may go on.
 * Return 0, or -1 with errno: EAGAIN if it has to be repeated; else the receiving side meets it.
 */
int transport_finish(struct transport *transport) __attribute__((warn_unused_result));

/* Write the kind of a failure that was returned with this errno, and its reason as a text. */
void transport_explain(const struct transport *transport, int failure, struct fault *fault);

#endif
