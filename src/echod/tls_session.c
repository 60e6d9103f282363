#include <config.h>

#include "echod/tls_session.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#define SSL_get1_peer_certificate SSL_get_peer_certificate
#endif

enum {
    TURN_SIZE = 256 << 10, /* received for one client before the others have their turn */
    READ_SIZE = 66 << 10,  /* received at once: four full records, as many as are echoed at once */
    RESERVE_SIZE = 64 << 10, /* a session and its bufferevent are less than half of that */
};

struct tls_session {
    SSL *ssl;
    int fd;
    size_t turn_bytes;     /* received since the loop had its turn */
    bool is_dry;           /* the last receive had all that there was */
    bool has_received;     /* something at all */
    bool has_ended;        /* the socket said FIN, before a close_notify */
    bool is_agreed;        /* the handshake is over */
    bool more_follows;     /* behind what is being sent */
    int error;             /* errno of the socket, or 0 */
    unsigned long failure; /* OpenSSL's, or 0 */
};

/* Empty this thread's queue of errors: to ask first is ten times as cheap, and it is empty. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

/* --- The socket, as OpenSSL sees it ---------------------------------------------------------- */

/* From here on it is the loop that knows whether there is more. */
static void end_turn(struct tls_session *session)
{
    session->turn_bytes = 0;
    session->is_dry = false;
}

/* Let OpenSSL wait for the loop. The socket is still readable if there is more. */
static int ask_for_turn(BIO *bio, struct tls_session *session)
{
    end_turn(session);
    BIO_set_retry_read(bio);
    return -1;
}

static int fail(BIO *bio, struct tls_session *session, int retry_flags)
{
    if (errno == EAGAIN || errno == EINTR)
        BIO_set_flags(bio, retry_flags | BIO_FLAGS_SHOULD_RETRY);
    else
        session->error = errno;
    return -1;
}

/*
 * OpenSSL reads on as long as a client sends what is no data, and asks again after it had all that
 * there was: so this says that there is nothing, before the system is asked.
 */
static int receive(BIO *bio, char *bytes, int size)
{
    struct tls_session *session = BIO_get_data(bio);
    ssize_t received;

    BIO_clear_retry_flags(bio);
    if (session->is_dry || session->turn_bytes >= TURN_SIZE)
        return ask_for_turn(bio, session);
    received = recv(session->fd, bytes, (size_t)size, MSG_DONTWAIT);
    if (received < 0)
        return fail(bio, session, BIO_FLAGS_READ);
    session->has_ended = received == 0;
    session->has_received |= received > 0;
    session->is_dry = received > 0 && received < size;
    session->turn_bytes += (size_t)received;
    return (int)received;
}

/* An echo follows a ticket at once if what it answers came with the end of the handshake. */
static bool expects_more(const struct tls_session *session)
{
    return session->more_follows || (SSL_get_state(session->ssl) == TLS_ST_SW_SESSION_TICKET &&
                                     SSL_has_pending(session->ssl) == 1);
}

/* Where nothing follows after all, the kernel waits for it no longer than a fifth of a second. */
static int transmit(BIO *bio, const char *bytes, int length)
{
    struct tls_session *session = BIO_get_data(bio);
    const int more = expects_more(session) ? MSG_MORE : 0;
    ssize_t sent;

    BIO_clear_retry_flags(bio);
    sent = send(session->fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL | more);
    return sent < 0 ? fail(bio, session, BIO_FLAGS_WRITE) : (int)sent;
}

/* What OpenSSL and libevent ask of it (BIO_ctrl(3)). */
static long control(BIO *bio, int command, long number, void *result)
{
    const struct tls_session *session = BIO_get_data(bio);

    (void)number;
    switch (command) {
    case BIO_C_GET_FD:
        if (result != NULL)
            *(int *)result = session->fd;
        return session->fd;
    case BIO_CTRL_EOF:
        return session->has_ended;
    case BIO_CTRL_FLUSH:
        return 1;
    default:
        return 0;
    }
}

static int destroy(BIO *bio)
{
    free(BIO_get_data(bio));
    return 1;
}

static _Atomic(BIO_METHOD *) socket_method; /* never freed: a BIO may outlive its worker */

/* No BIO is ever looked for by its type, so that this needs no number of its own. */
static BIO_METHOD *new_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a client's socket");

    if (method == NULL)
        return NULL;
    (void)BIO_meth_set_read(method, receive);
    (void)BIO_meth_set_write(method, transmit);
    (void)BIO_meth_set_ctrl(method, control);
    (void)BIO_meth_set_destroy(method, destroy);
    return method;
}

/* Return what all workers share. Where memory lacks for it, the next one makes it. */
static BIO_METHOD *shared_method(void)
{
    BIO_METHOD *shared = atomic_load(&socket_method), *made;

    if (shared != NULL)
        return shared;
    made = new_method();
    if (made == NULL || atomic_compare_exchange_strong(&socket_method, &shared, made))
        return made;
    BIO_meth_free(made); /* another worker was faster */
    return shared;
}

/* Make the BIO that owns a session. On failure it is the caller's. */
static BIO *new_bio(struct tls_session *session)
{
    BIO_METHOD *method = shared_method();
    BIO *bio = method == NULL ? NULL : BIO_new(method);

    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- Construction ---------------------------------------------------------------------------- */

static int fill(struct tls_reserve *reserve)
{
    if (reserve->memory == NULL)
        reserve->memory = malloc(RESERVE_SIZE);
    return reserve->memory == NULL ? -1 : 0;
}

void tls_reserve_fini(struct tls_reserve *reserve)
{
    free(reserve->memory);
    reserve->memory = NULL;
}

/* Make an SSL that owns a session, which begins as zeros. */
static SSL *new_ssl(struct tls_context *context, int fd)
{
    struct tls_session *session = calloc(1, sizeof *session);
    SSL *ssl = session == NULL ? NULL : SSL_new(tls_context_ssl(context));
    BIO *bio = ssl == NULL ? NULL : new_bio(session);

    if (bio == NULL) {
        SSL_free(ssl);
        free(session);
        return NULL;
    }
    session->ssl = ssl;
    session->fd = fd;
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/*
 * The socket is nobody's until all of it is made: freeing the SSL does not close it. libevent takes
 * the handshake to be over, since its own asks epoll for something before and after each step.
 */
static struct bufferevent *new_bufferevent(struct tls_session **session,
                                           struct tls_context *context, struct event_base *base,
                                           int fd)
{
    SSL *ssl = new_ssl(context, fd);

    if (ssl == NULL)
        return NULL;
    *session = BIO_get_data(SSL_get_rbio(ssl));
    return bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_OPEN,
                                          BEV_OPT_CLOSE_ON_FREE);
}

struct bufferevent *tls_session_new(struct tls_session **session, struct tls_reserve *reserve,
                                    struct tls_context *context, struct event_base *base, int fd,
                                    bool reads_ahead)
{
    struct bufferevent *bufferevent = NULL;

    if (fill(reserve) == 0) {
        tls_reserve_fini(reserve); /* for the moment */
        bufferevent = new_bufferevent(session, context, base, fd);
        (void)fill(reserve);
    }
    forget_errors();
    if (bufferevent == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    SSL_set_read_ahead((*session)->ssl, reads_ahead);
    return bufferevent;
}

/* --- Handshake, reading and writing ---------------------------------------------------------- */

/* Tell whether the client's end came, in order or not. A failed write leaves it as it is. */
static bool has_end(const struct tls_session *session)
{
    return session->has_ended || (SSL_get_shutdown(session->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

/* Return the errno of what OpenSSL has reported, which was not that it has to wait; 0: the end. */
static int errno_of_failure(const struct tls_session *session)
{
    if (session->error != 0)
        return session->error;
    return session->failure == 0 && has_end(session) ? 0 : EPROTO;
}

/* Set errno to what OpenSSL says. Return -1, or 0 for the client's end. */
static ssize_t explain(struct tls_session *session, int result)
{
    const int error = SSL_get_error(session->ssl, result);

    session->failure = ERR_peek_error();
    forget_errors();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else
        errno = errno_of_failure(session);
    return errno == 0 ? 0 : -1;
}

/* The same of a write, for which the client's end is no excuse. */
static int explain_write(struct tls_session *session, int result)
{
    if (explain(session, result) == 0)
        errno = EPROTO;
    return -1;
}

/* From now on much may come at once. Who is shaking hands, or idle, has no such buffer. */
static void finish_shaking(struct tls_session *session)
{
    session->is_agreed = true;
    if (SSL_get_read_ahead(session->ssl))
        SSL_set_default_read_buffer_len(session->ssl, READ_SIZE);
}

enum tls_shaking tls_session_shake(struct tls_session *session)
{
    int result;

    forget_errors();
    result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        finish_shaking(session);
        return TLS_SHAKING_DONE;
    }
    (void)explain(session, result);
    if (errno != EAGAIN)
        return TLS_SHAKING_FAILED;
    return SSL_want_write(session->ssl) ? TLS_SHAKING_WRITES : TLS_SHAKING_READS;
}

ssize_t tls_session_read(struct tls_session *session, void *bytes, size_t size)
{
    size_t count;

    forget_errors();
    if (SSL_read_ex(session->ssl, bytes, size, &count) == 1)
        return (ssize_t)count;
    return explain(session, 0);
}

ssize_t tls_session_write(struct tls_session *session, const void *bytes, size_t length,
                          bool more_follows)
{
    size_t count;
    int result;

    forget_errors();
    session->more_follows = more_follows;
    result = SSL_write_ex(session->ssl, bytes, length, &count);
    session->more_follows = false;
    return result == 1 ? (ssize_t)count : explain_write(session, result);
}

bool tls_session_may_have_more(struct tls_session *session)
{
    if (!session->is_dry || tls_session_has_pending(session))
        return true;
    end_turn(session);
    return false;
}

bool tls_session_has_pending(const struct tls_session *session)
{
    return SSL_has_pending(session->ssl) == 1;
}

int tls_session_close(struct tls_session *session)
{
    int result;

    forget_errors();
    result = SSL_shutdown(session->ssl);
    return result >= 0 ? 0 : explain_write(session, result);
}

/* --- What went wrong ------------------------------------------------------------------------- */

/*
 * libevent keeps the errors, the last one on top; the first one is the cause. What kind of event it
 * makes of them says nothing: after the client's end, a failed write is called an end as well, and
 * OpenSSL 1.1.1 takes an end without close_notify for an error.
 */
int tls_session_errno(struct tls_session *session, struct bufferevent *bufferevent)
{
    unsigned long error;

    while ((error = bufferevent_get_openssl_error(bufferevent)) != 0) {
        if (ERR_GET_LIB(error) != 0)
            session->failure = error;
    }
    return errno_of_failure(session);
}

const char *tls_session_failure(const struct tls_session *session)
{
    const char *reason = ERR_reason_error_string(session->failure);

    return reason == NULL ? "protocol error" : reason;
}

bool tls_session_is_truncated(const struct tls_session *session)
{
    return session->has_ended;
}

bool tls_session_has_received(const struct tls_session *session)
{
    return session->has_received;
}

/* --- What was agreed ------------------------------------------------------------------------- */

static void copy_text(char text[TLS_TEXT_SIZE], const char *from, size_t length)
{
    if (length >= TLS_TEXT_SIZE)
        length = TLS_TEXT_SIZE - 1;
    if (length > 0) /* what was not agreed is NULL */
        memcpy(text, from, length);
    text[length] = '\0';
}

/* Tell whose the client's certificate is, if it has shown one. */
static void describe_subject(const SSL *ssl, char text[CERTIFICATE_TEXT_SIZE])
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);

    text[0] = '\0';
    if (certificate != NULL)
        certificate_subject(certificate, text);
    X509_free(certificate);
}

bool tls_session_is_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

bool tls_session_describe(const struct tls_session *session, struct tls_facts *facts)
{
    const SSL *ssl = session->ssl;
    const char *server_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *protocol;
    unsigned length;

    if (!session->is_agreed)
        return false;
    facts->version = SSL_get_version(ssl);
    facts->cipher = SSL_get_cipher_name(ssl);
    facts->is_resumed = tls_session_is_resumed(session);
    SSL_get0_alpn_selected(ssl, &protocol, &length);
    copy_text(facts->protocol, (const char *)protocol, length);
    copy_text(facts->server_name, server_name == NULL ? "" : server_name,
              server_name == NULL ? 0 : strlen(server_name));
    describe_subject(ssl, facts->subject);
    return true;
}
