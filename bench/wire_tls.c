#include <config.h>

#include "wire.h"

#include "pattern.h"
#include "works.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

static SSL_CTX *context; /* made once, for the whole process */

/* Keep the latest session, which counts after the handshake only. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct wire *wire = SSL_get_app_data(ssl);

    SSL_SESSION_free(wire->session);
    wire->session = session;
    return 1; /* it is ours */
}

static SSL_CTX *new_context(bool resumes, const char *groups)
{
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());

    if (made == NULL || SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(made, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_set1_groups_list(made, groups) != 1) {
        SSL_CTX_free(made);
        return NULL;
    }
    SSL_CTX_set_read_ahead(made, 1);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    if (resumes) {
        SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(made, keep_session);
    }
    return made;
}

static int begin(struct wire *wire)
{
    SSL *ssl = fcntl(wire->fd, F_SETFL, O_NONBLOCK) < 0 ? NULL : SSL_new(context);

    if (ssl == NULL || SSL_set_fd(ssl, wire->fd) != 1 ||
        (wire->session != NULL && SSL_set_session(ssl, wire->session) != 1)) {
        SSL_free(ssl);
        errno = ENOMEM;
        return -1;
    }
    SSL_set_app_data(ssl, wire);
    wire->is_truncated = false;
    SSL_set_connect_state(ssl);
    wire->tls = ssl;
    return 0;
}

/* Set errno to what OpenSSL says after it did not succeed, and return -1. */
static int explain(const struct wire *wire, int result)
{
    const int saved = errno;
    const int error = SSL_get_error(wire->tls, result);

    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else
        errno = error == SSL_ERROR_SYSCALL && saved != 0 ? saved : EPROTO;
    return -1;
}

static int shake(struct wire *wire)
{
    const int result = SSL_do_handshake(wire->tls);

    return result == 1 ? 0 : explain(wire, result);
}

static bool is_resumed(const struct wire *wire)
{
    return SSL_session_reused(wire->tls) == 1;
}

/* One record. Once it is begun OpenSSL wants to be asked for it until all of it is sent. */
static ssize_t send_record(struct wire *wire, uint64_t offset, uint64_t length)
{
    const int piece = length < WORKS_RECORD_BYTES ? (int)length : WORKS_RECORD_BYTES;
    const int result = SSL_write(wire->tls, pattern_at(wire->key, offset), piece);

    return result > 0 ? result : explain(wire, result);
}

/* Tell whether a FIN came, of which OpenSSL 1.1.1 and 3.0 think differently. */
static bool is_cut_off(int result, int error)
{
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (error == SSL_ERROR_SSL)
        return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
#endif
    return error == SSL_ERROR_SYSCALL && result == 0;
}

static ssize_t receive_record(struct wire *wire, void *bytes, size_t size)
{
    const int result = SSL_read(wire->tls, bytes, (int)size);
    const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(wire->tls, result);

    if (result > 0)
        return result;
    wire->is_truncated = is_cut_off(result, error);
    if (!wire->is_truncated && error != SSL_ERROR_ZERO_RETURN)
        return explain(wire, result);
    ERR_clear_error();
    return 0;
}

static bool has_more(const struct wire *wire)
{
    return SSL_has_pending(wire->tls) == 1;
}

/* Send close_notify. */
static int end(struct wire *wire)
{
    const int result = SSL_shutdown(wire->tls);

    return result >= 0 ? 0 : explain(wire, result);
}

static void free_tls(struct wire *wire)
{
    SSL_free(wire->tls);
    wire->tls = NULL;
}

const struct wire_kind *wire_tls(bool resumes, const char *groups)
{
    static const struct wire_kind kind = {
        .begin = begin,
        .shake = shake,
        .is_resumed = is_resumed,
        .send = send_record,
        .receive = receive_record,
        .has_more = has_more,
        .end = end,
        .free = free_tls,
    };

    (void)signal(SIGPIPE, SIG_IGN);
    context = new_context(resumes, groups);
    return context == NULL ? NULL : &kind;
}
