#include <config.h>

#include "echoprobe/tls_client.h"

#include "base/certificate_facts.h"
#include "base/clock.h"
#include "base/date.h"
#include "base/openssl_reason.h"
#include "echoprobe/tls_setup.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORD_BYTES = 16384 /* the most in one (RFC 8446, 5.1) */ };

enum step { STEP_HANDSHAKE, STEP_SEND, STEP_RECEIVE, STEP_FINISH };

struct tls_client {
    struct tls_setup *setup;
    SSL *ssl;
    uint64_t begin_ns, handshake_ns;
    bool is_open;        /* the handshake is done */
    bool is_crossed;     /* what waits, waits for the other direction */
    bool was_filled;     /* the last receiver had no more room */
    bool has_received;   /* bytes of the other end's */
    bool has_finished;   /* close_notify was sent */
    bool has_ended;      /* the other end's close_notify came, or a failure */
    bool was_asked;      /* for a certificate of ours */
    int failure;         /* errno of what ended it; 0: close_notify did */
    struct fault reason; /* of a failure that is not the system's; FAULT_NONE: it is */
    char refused[CERTIFICATE_TEXT_SIZE]; /* the subject of the certificate that was refused */
};

/* --- Certificates ---------------------------------------------------------------------------- */

static void tell_certificate(const X509 *certificate, struct tls_certificate *told)
{
    const time_t now = date_now().tv_sec;

    certificate_subject(certificate, told->subject);
    certificate_issuer(certificate, told->issuer);
    told->ends = (int64_t)now + certificate_seconds_left(certificate, now);
    certificate_format_end(certificate, told->ends_text);
}

/* --- What OpenSSL asks ----------------------------------------------------------------------- */

/* Keep who it is that is refused: OpenSSL forgets that. */
static int on_verified(int is_fine, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_client *client = SSL_get_app_data(ssl);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    if (is_fine != 1 && certificate != NULL && client->refused[0] == '\0')
        certificate_subject(certificate, client->refused);
    return is_fine;
}

static int on_certificate_wanted(SSL *ssl, void *argument)
{
    struct tls_client *client = argument;

    (void)ssl;
    client->was_asked = true;
    return 1;
}

/* --- Failures -------------------------------------------------------------------------------- */

/* Return the number of the alert that came (RFC 8446, 6), or -1 if it was none. */
static int alert_of(unsigned long code)
{
    const int reason = ERR_GET_REASON(code);

    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET
               ? reason - SSL_AD_REASON_OFFSET
               : -1;
}

/*
 * Tell whether an alert is the other end's judgement of the handshake: in TLS 1.3 it comes when our
 * end of that is over, before anything else.
 */
static bool is_judgement(const struct tls_client *client)
{
    return !client->is_open ||
           (!client->has_received && SSL_version(client->ssl) >= TLS1_3_VERSION);
}

static void explain_alert(struct tls_client *client, unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);
    const char *name = reason == NULL ? NULL : strstr(reason, "alert ");
    const bool is_refusal = is_judgement(client);
    const bool lacks_certificate =
        is_refusal && client->was_asked && tls_setup_plan(client->setup)->certificate == NULL;

    fault_set(&client->reason, is_refusal ? FAULT_HANDSHAKE : FAULT_RESET, 0, 0,
              "the other end %s: alert \"%s\"%s",
              is_refusal ? "refused the TLS handshake" : "ended the connection",
              name == NULL ? "unknown" : name + strlen("alert "),
              lacks_certificate ? " (it asked for a certificate: --cert FILE)" : "");
}

static void explain_refusal(struct tls_client *client)
{
    const char *expected = tls_setup_expected(client->setup);

    fault_set(
        &client->reason, FAULT_UNVERIFIED, 0, 0,
        "certificate %.63s is not accepted for %s: %s (--ca FILE says whom to trust, --sni NAME "
        "whom to expect; --insecure takes any)",
        client->refused[0] == '\0' ? "without a subject" : client->refused, expected,
        X509_verify_cert_error_string(SSL_get_verify_result(client->ssl)));
}

/* Tell whether nothing that came was TLS: no message of the other end's was understood. */
static bool is_unanswered(const struct tls_client *client)
{
    return SSL_get_state(client->ssl) == TLS_ST_CW_CLNT_HELLO;
}

static void explain_end(struct tls_client *client)
{
    if (client->is_open)
        fault_set(&client->reason, FAULT_TRUNCATED, 0, 0, "FIN without close_notify");
    else
        fault_set(&client->reason, FAULT_HANDSHAKE, 0, 0,
                  "the other end closed the connection in the TLS handshake%s",
                  is_unanswered(client) ? "; perhaps it does not speak TLS" : "");
}

static void explain_error(struct tls_client *client, unsigned long code, const char *reason)
{
    if (alert_of(code) >= 0)
        explain_alert(client, code);
    else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        explain_refusal(client);
    else if (!client->is_open && is_unanswered(client))
        fault_set(&client->reason, FAULT_HANDSHAKE, 0, 0, "the other end does not speak TLS");
    else
        fault_set(&client->reason, client->is_open ? FAULT_RESET : FAULT_HANDSHAKE, 0, 0,
                  "TLS failed: %s", reason);
}

static bool is_unexpected_end(unsigned long code)
{
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return true;
#endif
    return code == 0; /* OpenSSL 1.1.1 says nothing */
}

static int fail(struct tls_client *client, int failure)
{
    client->has_ended = true;
    client->failure = failure;
    errno = failure;
    return -1;
}

/* OpenSSL's own reasons. Return the errno that stands for them. */
static int note_reason(struct tls_client *client)
{
    const unsigned long code = ERR_peek_error();
    const char *reason = openssl_take_reason();

    if (errno == ENOMEM || SSL_get_verify_result(client->ssl) == X509_V_ERR_OUT_OF_MEM)
        return ENOMEM; /* the first reason may be what came of it */
    if (is_unexpected_end(code))
        explain_end(client);
    else
        explain_error(client, code, reason);
    return EPROTO;
}

/*
 * Say what a call that did not succeed means, which set errno to `failure`.
 * Return 0 for the other end's close_notify, or -1 with errno.
 */
static int settle(struct tls_client *client, enum step step, int result, int failure)
{
    const bool sends = step == STEP_SEND || step == STEP_FINISH;

    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        client->is_crossed = sends;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        client->is_crossed = !sends;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        client->has_ended = true;
        return 0;
    case SSL_ERROR_SYSCALL:
        if (step == STEP_SEND && failure != 0) {
            errno = failure; /* what has come before that may be received */
            return -1;
        }
        return fail(client, failure != 0 ? failure : note_reason(client));
    default: /* there are many more */
        return fail(client, note_reason(client));
    }
}

/* OpenSSL looks at errors of earlier calls as well, also of other connections. */
static void begin_call(struct tls_client *client)
{
    ERR_clear_error();
    errno = 0;
    client->is_crossed = false;
}

/* --- The connection -------------------------------------------------------------------------- */

struct tls_client *tls_client_new(struct tls_setup *setup, int fd)
{
    struct tls_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->setup = setup;
    client->begin_ns = clock_now_ns();
    client->ssl = tls_setup_open(setup, fd);
    if (client->ssl == NULL) {
        free(client);
        errno = ENOMEM;
        return NULL;
    }
    SSL_set_app_data(client->ssl, client);
    SSL_set_verify(client->ssl, tls_setup_plan(setup)->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                   on_verified);
    SSL_set_cert_cb(client->ssl, on_certificate_wanted, client);
    return client;
}

void tls_client_free(struct tls_client *client)
{
    if (client->is_open && client->failure == 0 && !client->has_finished) {
        begin_call(client);
        (void)SSL_shutdown(client->ssl);
    }
    SSL_free(client->ssl);
    free(client);
}

int tls_client_shake_hands(struct tls_client *client)
{
    int result;

    begin_call(client);
    result = SSL_do_handshake(client->ssl);
    if (result != 1 && settle(client, STEP_HANDSHAKE, result, errno) == 0) {
        explain_end(client);
        return fail(client, EPROTO);
    }
    if (result != 1)
        return -1;
    client->is_open = true;
    client->was_filled = true; /* perhaps more came than the handshake */
    client->handshake_ns = clock_now_ns() - client->begin_ns;
    return 0;
}

ssize_t tls_client_send(struct tls_client *client, const void *bytes, size_t length)
{
    const unsigned char *rest = bytes;
    size_t done = 0;
    int count = 1;

    while (done < length && count > 0) {
        const size_t left = length - done;

        begin_call(client);
        count = SSL_write(client->ssl, rest + done, left < INT_MAX ? (int)left : INT_MAX);
        if (count > 0)
            done += (size_t)count;
    }
    if (done > 0 && count > 0)
        return (ssize_t)done;
    if (settle(client, STEP_SEND, count, errno) == 0)
        errno = EPIPE;
    return done > 0 ? (ssize_t)done : -1;
}

/* Say again how it ended. */
static ssize_t repeat_end(const struct tls_client *client)
{
    errno = client->failure;
    return client->failure == 0 ? 0 : -1;
}

ssize_t tls_client_receive(struct tls_client *client, void *bytes, size_t size)
{
    unsigned char *room = bytes;
    size_t done = 0;
    int count = 1, end = 0;

    if (client->has_ended)
        return repeat_end(client);
    while (done < size && count > 0) {
        const size_t left = size - done;

        begin_call(client);
        count = SSL_read(client->ssl, room + done, left < INT_MAX ? (int)left : INT_MAX);
        if (count > 0)
            done += (size_t)count;
    }
    client->was_filled = count > 0;
    client->has_received |= done > 0;
    if (count <= 0)
        end = settle(client, STEP_RECEIVE, count, errno);
    return done > 0 ? (ssize_t)done : end;
}

bool tls_client_has_more(const struct tls_client *client)
{
    return client->was_filled || client->has_ended;
}

bool tls_client_is_crossed(const struct tls_client *client)
{
    return client->is_crossed;
}

int tls_client_finish(struct tls_client *client)
{
    int result;

    begin_call(client);
    result = SSL_shutdown(client->ssl);
    if (result < 0)
        return settle(client, STEP_FINISH, result, errno);
    client->has_finished = true;
    return 0;
}

/* --- What it knows --------------------------------------------------------------------------- */

void tls_client_explain(const struct tls_client *client, int failure, struct fault *fault)
{
    if (client->has_ended && client->failure == failure && client->reason.kind != FAULT_NONE)
        *fault = client->reason;
    else if (client->is_open)
        fault_set(fault, FAULT_RESET, 0, 0, "%s", strerror(failure));
    else
        fault_set(fault, FAULT_HANDSHAKE, 0, 0, "TLS handshake: %s", strerror(failure));
}

static void tell_alpn(const SSL *ssl, char text[TLS_ALPN_NAME_SIZE])
{
    const unsigned char *name;
    unsigned length;

    SSL_get0_alpn_selected(ssl, &name, &length);
    (void)snprintf(text, TLS_ALPN_NAME_SIZE, "%.*s", (int)length, (const char *)name);
}

static void tell_certificates(const SSL *ssl, struct tls_facts *facts)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

    for (int i = 0; i < sk_X509_num(chain); i++) {
        struct tls_certificate certificate;

        tell_certificate(sk_X509_value(chain, i), &certificate);
        if (i == 0)
            facts->server = certificate;
        if (i == 0 || certificate.ends < facts->first.ends)
            facts->first = certificate;
    }
}

void tls_client_tell(const struct tls_client *client, struct tls_facts *facts)
{
    const SSL *ssl = client->ssl;
    const long result = SSL_get_verify_result(ssl);

    *facts = (struct tls_facts){.handshake_ns = client->handshake_ns};
    (void)snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(ssl));
    (void)snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(ssl));
    tell_alpn(ssl, facts->alpn);
    tell_certificates(ssl, facts);
    if (result != X509_V_OK)
        facts->objection = X509_verify_cert_error_string(result);
    facts->is_verified = result == X509_V_OK && !tls_setup_plan(client->setup)->insecure;
    facts->is_resumed = SSL_session_reused(ssl) == 1;
}
