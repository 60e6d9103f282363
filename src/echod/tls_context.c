#include <config.h>

#include "echod/tls_context.h"

#include "base/certificate.h"
#include "base/certificate_facts.h"
#include "base/openssl_memory.h"
#include "base/openssl_methods.h"
#include "base/openssl_reason.h"
#include "echod/tls_ciphers.h"
#include "echod/tls_options.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* What a client may send as its certificate and chain: memory of whoever is not known yet. */
    CLIENT_CHAIN_BYTES = 32 * 1024,
};

/* A certificate, and what a connection that shows it is made from. */
struct identity {
    struct certificate certificate;
    SSL_CTX *ssl;
};

struct tls_context {
    atomic_uint holders;
    struct identity *identities; /* owned */
    size_t count;
    STACK_OF(X509) * client_ca;        /* owned; NULL: no client is asked for a certificate */
    unsigned client_auth;              /* enum tls_client_auth */
    unsigned char alpn[TLS_ALPN_SIZE]; /* each after its length (RFC 7301, 3.1) */
    unsigned alpn_length;              /* 0: none */
};

/* Say that OpenSSL refused something, and why. Return -1 with errno. */
static int refuse(struct error *error, const char *what, const char *advice)
{
    openssl_explain(error, what, NULL, advice);
    return -1;
}

/* --- In a handshake -------------------------------------------------------------------------- */

static const struct identity *find_identity(const struct tls_context *context, const char *name)
{
    for (size_t i = 0; i < context->count; i++) {
        if (certificate_is_for(context->identities[i].certificate.leaf, name))
            return &context->identities[i];
    }
    return NULL;
}

/* Let the client have the certificate for the name that it gives. */
static int on_server_name(SSL *ssl, int *alert, void *argument)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct identity *found = name == NULL ? NULL : find_identity(argument, name);

    ERR_clear_error();
    if (found == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_SSL_CTX(ssl, found->ssl) != NULL)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Choose the first of our protocols that the client offers; if there is none, tell it (RFC 7301).
 */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                   const unsigned char *offered, unsigned offered_length, void *argument)
{
    const struct tls_context *context = argument;
    unsigned char *found;

    (void)ssl;
    if (SSL_select_next_proto(&found, chosen_length, context->alpn, context->alpn_length, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

/* --- Client certificates --------------------------------------------------------------------- */

/* Check that a certificate is one of a CA. */
static int check_ca(const char *path, X509 *ca, struct error *error)
{
    char subject[CERTIFICATE_TEXT_SIZE];
    struct error what = {""};

    ERR_clear_error();
    if (X509_check_ca(ca) != 0)
        return 0;
    certificate_subject(ca, subject);
    error_set(&what, "client-ca %s: %s", path, subject);
    if (ERR_peek_error() != 0)
        return refuse(error, what.text, "name a file with certificates that OpenSSL can read");
    error_set(error, "%s: %s; name a file with certificates of CAs only", what.text,
              X509_verify_cert_error_string(X509_V_ERR_INVALID_CA));
    errno = EINVAL;
    return -1;
}

/* Load the client CAs, if clients are asked for a certificate. */
static int read_client_ca(struct tls_context *context, const struct tls_options *options,
                          struct error *error)
{
    if (options->client_ca[0] == '\0' || options->client_auth == TLS_CLIENT_AUTH_OFF)
        return 0;
    context->client_ca = certificate_read_all("client-ca", options->client_ca, error);
    if (context->client_ca == NULL)
        return -1;
    for (int i = 0; i < sk_X509_num(context->client_ca); i++) {
        if (check_ca(options->client_ca, sk_X509_value(context->client_ca, i), error) < 0)
            return -1;
    }
    return 0;
}

/* Trust who is in the file, be it a root or not, and ask for certificates that they issued. */
static int trust_client_ca(SSL_CTX *ssl, const STACK_OF(X509) * client_ca)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);

    for (int i = 0; i < sk_X509_num(client_ca); i++) {
        X509 *ca = sk_X509_value(client_ca, i);

        if (X509_STORE_add_cert(store, ca) != 1 || SSL_CTX_add_client_CA(ssl, ca) != 1)
            return -1;
    }
    return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 ? 0 : -1;
}

static int verify_mode(const struct tls_context *context)
{
    if (context->client_ca == NULL)
        return SSL_VERIFY_NONE;
    if (context->client_auth == TLS_CLIENT_AUTH_REQUEST)
        return SSL_VERIFY_PEER;
    return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

/* --- An SSL_CTX ------------------------------------------------------------------------------ */

static void set_modes(SSL_CTX *ssl, const struct tls_options *options)
{
    const int version = options->min_version == TLS_MIN_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    (void)SSL_CTX_set_min_proto_version(ssl, version);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
    /* Whether a close_notify came tells who was cut off. */
    SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS); /* and no partial writes */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ssl, CLIENT_CHAIN_BYTES);
}

/*
 * One ticket for a handshake: each costs a twentieth of it, and the next connection brings another.
 * None where clients show certificates: who resumes shows none, and it may have ended since.
 */
static void set_tickets(const struct tls_context *context, SSL_CTX *ssl)
{
    const bool has_tickets = context->client_ca == NULL;

    (void)SSL_CTX_set_num_tickets(ssl, has_tickets ? 1 : 0);
    if (!has_tickets)
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
}

/* What is the same for every certificate. */
static int configure(struct tls_context *context, SSL_CTX *ssl, const struct tls_options *options,
                     struct error *error)
{
    static const unsigned char session_context[] = "echod"; /* without it, none is resumed */

    set_modes(ssl, options);
    set_tickets(context, ssl);
    if (context->count > 1) {
        SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
        SSL_CTX_set_tlsext_servername_arg(ssl, context);
    }
    if (context->alpn_length > 0)
        SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
    SSL_CTX_set_verify(ssl, verify_mode(context), NULL);
    if (SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context) != 1)
        return refuse(error, "TLS", "see to OpenSSL");
    if (context->client_ca != NULL && trust_client_ca(ssl, context->client_ca) < 0)
        return refuse(error, "client-ca", "name a file with certificates of CAs");
    return tls_ciphers_set(ssl, options->ciphers, error);
}

static int use(SSL_CTX *ssl, const struct certificate *certificate, struct error *error)
{
    char what[TLS_FILES_SIZE + 8];

    if (SSL_CTX_use_cert_and_key(ssl, certificate->leaf, certificate->key, certificate->chain, 1) ==
        1)
        return 0;
    (void)snprintf(what, sizeof what, "cert %s", certificate->file);
    return refuse(error, what, "use one that OpenSSL accepts");
}

/* Tell whether one of the first identities, besides this one, has a key of the same type. */
static bool has_type(const struct tls_context *context, const bool *is_used, int type)
{
    for (size_t i = 0; i < context->count; i++) {
        if (is_used[i] && EVP_PKEY_base_id(context->identities[i].certificate.key) == type)
            return true;
    }
    return false;
}

/* Use a certificate, and those with keys of other types that are for the same hosts. */
static int use_all(struct tls_context *context, size_t index, struct error *error)
{
    const struct identity *first = &context->identities[index];
    bool is_used[TLS_FILES] = {false};

    if (use(first->ssl, &first->certificate, error) < 0)
        return -1;
    is_used[index] = true;
    for (size_t i = 0; i < context->count; i++) {
        const struct certificate *other = &context->identities[i].certificate;

        if (has_type(context, is_used, EVP_PKEY_base_id(other->key)) ||
            !certificate_covers(other->leaf, first->certificate.leaf))
            continue;
        if (use(first->ssl, other, error) < 0)
            return -1;
        is_used[i] = true;
    }
    return 0;
}

/* --- Construction and destruction ------------------------------------------------------------ */

static int make_ssl(struct tls_context *context, const struct tls_options *options,
                    struct error *error)
{
    for (size_t i = 0; i < context->count; i++) {
        SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

        if (ssl == NULL)
            return refuse(error, "TLS", "see to OpenSSL");
        context->identities[i].ssl = ssl;
        if (configure(context, ssl, options, error) < 0 || use_all(context, i, error) < 0)
            return -1;
    }
    return 0;
}

/* Read the certificates; options_check has seen that there are as many keys, or none. */
static int read_certificates(struct tls_context *context, const struct tls_options *options,
                             struct error *error)
{
    const char *files = options->cert, *key_files = options->key;
    char file[TLS_FILES_SIZE], key_file[TLS_FILES_SIZE];

    while (tls_list_next(&files, file)) {
        const bool has_key_file = tls_list_next(&key_files, key_file);

        if (certificate_read(&context->identities[context->count].certificate, file,
                             has_key_file ? key_file : file, error) < 0)
            return -1;
        context->count++;
    }
    return 0;
}

/* Put each protocol behind its length. */
static void set_alpn(struct tls_context *context, const char *list)
{
    char name[TLS_ALPN_SIZE];

    while (tls_list_next(&list, name)) {
        const size_t length = strlen(name);

        context->alpn[context->alpn_length++] = (unsigned char)length;
        memcpy(&context->alpn[context->alpn_length], name, length);
        context->alpn_length += (unsigned)length;
    }
}

static struct tls_context *allocate(const struct tls_options *options)
{
    struct tls_context *context = calloc(1, sizeof *context);

    if (context == NULL)
        return NULL;
    atomic_init(&context->holders, 1);
    context->client_auth = options->client_auth;
    context->identities = calloc(tls_list_count(options->cert), sizeof *context->identities);
    if (context->identities != NULL)
        return context;
    free(context);
    return NULL;
}

struct tls_context *tls_context_new(const struct listener_options *options, struct error *error)
{
    const struct tls_options *tls = &options->tls;
    struct tls_context *context = allocate(tls);

    openssl_memory_watch();
    if (context == NULL || openssl_methods_read() < 0) {
        tls_context_unref(context);
        error_set(error, "TLS: %s; let the system have more free memory", strerror(ENOMEM));
        return NULL;
    }
    set_alpn(context, tls->alpn);
    if (read_certificates(context, tls, error) < 0 || read_client_ca(context, tls, error) < 0 ||
        make_ssl(context, tls, error) < 0) {
        tls_context_unref(context);
        context = NULL;
    }
    ERR_clear_error(); /* OpenSSL may have more to say of what was passed over */
    return context;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    if (context != NULL)
        atomic_fetch_add_explicit(&context->holders, 1, memory_order_relaxed);
    return context;
}

static void free_context(struct tls_context *context)
{
    for (size_t i = 0; i < context->count; i++) {
        SSL_CTX_free(context->identities[i].ssl);
        certificate_free(&context->identities[i].certificate);
    }
    sk_X509_pop_free(context->client_ca, X509_free);
    free(context->identities);
    free(context);
}

void tls_context_unref(struct tls_context *context)
{
    const int saved_errno = errno;

    if (context != NULL &&
        atomic_fetch_sub_explicit(&context->holders, 1, memory_order_acq_rel) == 1)
        free_context(context);
    errno = saved_errno;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
    return context->identities[0].ssl;
}

const struct certificate *tls_context_certificate(const struct tls_context *context, size_t index)
{
    return index < context->count ? &context->identities[index].certificate : NULL;
}

const STACK_OF(X509) * tls_context_client_ca(const struct tls_context *context)
{
    return context->client_ca;
}

const char *tls_context_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
