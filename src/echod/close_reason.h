/*
 * close_reason: why a connection ended.
 * Ends none.
 * Called by connection, connection_log and counters; worker names a reason when it closes one.
 */
#ifndef ECHOD_CLOSE_REASON_H
#define ECHOD_CLOSE_REASON_H

enum close_reason {
    CLOSE_CLIENT,             /* the client sent FIN and got everything back */
    CLOSE_RESET,              /* the client reset the connection, or vanished while we wrote */
    CLOSE_NETWORK_ERROR,      /* the system reported another error on the socket */
    CLOSE_IDLE,               /* no byte moved in either direction for --idle-timeout */
    CLOSE_WRITE_STALL,        /* the client took no byte of its echo for --write-timeout */
    CLOSE_LIFETIME,           /* --lifetime is over */
    CLOSE_UNTRUSTED,          /* no PROXY header is taken from its address */
    CLOSE_INVALID,            /* its PROXY header was wrong, or missing */
    CLOSE_REFUSED,            /* its source, which its header names, may not come in */
    CLOSE_HANDSHAKE,          /* not done with that when --handshake-timeout was over */
    CLOSE_IDENTIFIED,         /* it was told who we are, which is all that its listener does */
    CLOSE_TLS,                /* it broke the protocol, or no agreement was found */
    CLOSE_TRUNCATED,          /* its end came without close_notify; it got everything back */
    CLOSE_ON_PURPOSE,         /* close-after of its listener */
    CLOSE_RESET_ON_PURPOSE,   /* reset-after */
    CLOSE_REFUSED_ON_PURPOSE, /* refuse */
    CLOSE_OPERATOR,           /* an operator ended it */
    CLOSE_DRAIN,              /* still here when --drain-timeout was over */
    CLOSE_STOP,               /* echod stopped at once */
    CLOSE_NO_MEMORY,          /* no memory to hold its bytes */
};

enum { CLOSE_REASON_COUNT = CLOSE_NO_MEMORY + 1 };

/* Return a reason in words, as it stands in the log: "idle timeout". */
const char *close_reason_name(enum close_reason reason);

/* Return the reason that an errno of a socket stands for. */
enum close_reason close_reason_of_errno(int error);

#endif
