/*
 * wire: one connection's bytes, as they are or over TLS, and how it begins and ends.
 * Knows nothing of messages, or of what is waited for.
 * Called by echoes and churn.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wire {
    const struct wire_kind *kind; /* what the functions below call */
    uint64_t key;                 /* of the pattern that it sends */
    int fd;
    bool is_truncated; /* a FIN came without close_notify */
    void *tls;         /* what a kind keeps for a connection */
    void *session;     /* and from one connection to the next, which resumes it */
};

struct wire_kind {
    int (*begin)(struct wire *wire);
    int (*shake)(struct wire *wire);
    bool (*is_resumed)(const struct wire *wire);
    ssize_t (*send)(struct wire *wire, uint64_t offset, uint64_t length);
    ssize_t (*receive)(struct wire *wire, void *bytes, size_t size);
    bool (*has_more)(const struct wire *wire);
    int (*end)(struct wire *wire);
    void (*free)(struct wire *wire);
};

/* Return the kind whose bytes are what is sent. */
const struct wire_kind *wire_plain(void);

/*
 * Return the kind that speaks TLS 1.3, with a suite that every server has and these groups, and
 * believes any certificate. The process ignores SIGPIPE from then on. With `resumes`, a wire that
 * is opened again offers the session of its last connection. Return NULL if OpenSSL fails, or knows
 * no such group. Only where there is OpenSSL.
 */
const struct wire_kind *wire_tls(bool resumes, const char *groups);

/*
 * Connect a wire of which `kind` and `session` are set, at first to NULL. The caller closes it,
 * also after a failure other than this one's. Return 0, or -1 with errno.
 */
int wire_open(struct wire *wire, uint16_t port, uint64_t key) __attribute__((warn_unused_result));

/* Shake hands as far as it goes. Return 0 when it is done, or -1 with errno: EAGAIN for input. */
int wire_shake(struct wire *wire) __attribute__((warn_unused_result));

/* Shake hands to the end. Return 0, or -1 with errno: ETIMEDOUT after WORKS_PATIENCE_MS. */
int wire_shake_hands(struct wire *wire) __attribute__((warn_unused_result));

/* Tell whether the handshake resumed a session. */
bool wire_is_resumed(const struct wire *wire);

/*
 * Send at most `length` bytes of the wire's pattern, from `offset` on. Return how many were taken,
 * or -1 with errno. After EAGAIN the next call has the same offset and no smaller length.
 */
ssize_t wire_send(struct wire *wire, uint64_t offset, uint64_t length);

/*
 * Receive at most `size` bytes. Return how many came, 0 when the server has ended, with
 * `is_truncated` set if that is not as TLS wants it, or -1 with errno.
 */
ssize_t wire_receive(struct wire *wire, void *bytes, size_t size);

/* Tell whether there may be more to receive of which the socket does not know. */
bool wire_has_more(const struct wire *wire);

/* Say that nothing more is sent. Return 0, or -1 with errno. */
int wire_end(struct wire *wire) __attribute__((warn_unused_result));

/* Close the connection; the wire may be opened again. */
void wire_close(struct wire *wire);

#endif
