#include <config.h>

#include "echoprobe/tls_setup.h"

#include "base/openssl_memory.h"
#include "base/openssl_reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SESSIONS = 1024 /* for as many connections that begin at once */ };

struct tls_setup {
    const struct tls_plan *plan;
    char expected[ADDRESS_HOST_SIZE]; /* empty: anybody */
    bool is_numeric;                  /* an address, which is no name to send (RFC 6066, 3) */
    SSL_CTX *context;
    pthread_mutex_t mutex; /* guards what follows */
    size_t session_count;
    SSL_SESSION *sessions[SESSIONS]; /* the last ones that came, the newest at the end */
};

/* --- Whom it expects ------------------------------------------------------------------------- */

static bool is_numeric(const char *host)
{
    unsigned char ignored[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, ignored) == 1 || inet_pton(AF_INET6, host, ignored) == 1;
}

/* A certificate has no zone of an address, and names in it end without a dot (RFC 6066, 3). */
static void copy_name(const char *name, char expected[ADDRESS_HOST_SIZE])
{
    size_t length = strcspn(name, "%");

    if (length > 1 && name[length - 1] == '.')
        length--;
    (void)snprintf(expected, ADDRESS_HOST_SIZE, "%.*s", (int)length, name);
}

static int set_expected(struct tls_setup *setup, const struct address *address, struct error *error)
{
    const char *given = setup->plan->server_name;
    const char *name = given != NULL ? given : address->host;

    if (given != NULL && strlen(given) >= sizeof setup->expected) {
        error_set(error, "--sni: \"%s\" is no name of at most %zu characters", given,
                  sizeof setup->expected - 1);
        return -1;
    }
    if (name[0] == '\0' && !setup->plan->insecure) {
        error_set(error, "a path is no name that a certificate could have; say whom to expect "
                         "with --sni NAME, or take any certificate with --insecure");
        return -1;
    }
    copy_name(name, setup->expected);
    setup->is_numeric = is_numeric(setup->expected);
    return 0;
}

/* Let OpenSSL compare it with the certificate. Return false without memory. */
static bool expect(const struct tls_setup *setup)
{
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(setup->context);

    if (setup->expected[0] == '\0')
        return true;
    if (setup->is_numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, setup->expected) == 1;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(parameters, setup->expected, 0) == 1;
}

/* --- Files ----------------------------------------------------------------------------------- */

/* Say what is wrong with a file, with OpenSSL's first reason, and return -1. */
static int refuse_file(const char *option, const char *file, const char *fault, struct error *error)
{
    const bool is_system = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS;
    const char *reason = openssl_take_reason();
    const int failure = errno;

    error_set(error, "--%s: %s %s: %s", option, file, is_system ? "cannot be used" : fault, reason);
    errno = failure;
    return -1;
}

static int load_trust(const struct tls_setup *setup, struct error *error)
{
    const char *ca = setup->plan->ca;
    struct stat status;
    bool is_directory;

    if (ca == NULL)
        return SSL_CTX_set_default_verify_paths(setup->context) == 1
                   ? 0
                   : refuse_file("ca", "the system's list", "cannot be used", error);
    is_directory = stat(ca, &status) == 0 && S_ISDIR(status.st_mode);
    if (SSL_CTX_load_verify_locations(setup->context, is_directory ? NULL : ca,
                                      is_directory ? ca : NULL) == 1)
        return 0;
    return refuse_file("ca", ca, "has no certificates", error);
}

/* Nobody is there to type a password while a probe runs: a key that needs one is refused. */
static int on_password_wanted(char *password, int size, int is_writing, void *argument)
{
    (void)is_writing;
    (void)argument;
    if (size > 0)
        password[0] = '\0';
    return 0;
}

static int load_certificate(const struct tls_setup *setup, struct error *error)
{
    const char *certificate = setup->plan->certificate;
    const char *key = setup->plan->key != NULL ? setup->plan->key : certificate;

    if (certificate == NULL)
        return 0;
    SSL_CTX_set_default_passwd_cb(setup->context, on_password_wanted);
    if (SSL_CTX_use_certificate_chain_file(setup->context, certificate) != 1)
        return refuse_file("cert", certificate, "has no certificate", error);
    if (SSL_CTX_use_PrivateKey_file(setup->context, key, SSL_FILETYPE_PEM) != 1)
        return refuse_file(setup->plan->key != NULL ? "key" : "cert", key,
                           "has no key that fits and needs no password", error);
    return 0;
}

/* --- Sessions -------------------------------------------------------------------------------- */

static void drop_oldest_session(struct tls_setup *setup)
{
    SSL_SESSION_free(setup->sessions[0]);
    setup->session_count--;
    for (size_t i = 0; i < setup->session_count; i++)
        setup->sessions[i] = setup->sessions[i + 1];
}

/* A session may come with any byte of a connection; the last one is offered by the next. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_setup *setup = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    pthread_mutex_lock(&setup->mutex);
    if (setup->session_count == SESSIONS)
        drop_oldest_session(setup);
    setup->sessions[setup->session_count++] = session;
    pthread_mutex_unlock(&setup->mutex);
    return 1; /* it is ours now */
}

static void keep_sessions(struct tls_setup *setup)
{
    if (!setup->plan->resume) {
        (void)SSL_CTX_set_session_cache_mode(setup->context, SSL_SESS_CACHE_OFF);
        return;
    }
    (void)SSL_CTX_set_session_cache_mode(setup->context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(setup->context, on_session);
}

/*
 * Return the newest session, the caller's, or NULL. In TLS 1.3 it is good for one connection
 * (RFC 8446, C.4), before that for any number.
 */
static SSL_SESSION *take_session(struct tls_setup *setup)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&setup->mutex);
    if (setup->session_count > 0) {
        session = setup->sessions[setup->session_count - 1];
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            setup->session_count--;
        else
            (void)SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&setup->mutex);
    return session;
}

static bool offer_session(struct tls_setup *setup, SSL *ssl)
{
    SSL_SESSION *session = take_session(setup);
    const bool is_fine = session == NULL || SSL_set_session(ssl, session) == 1;

    SSL_SESSION_free(session);
    return is_fine;
}

/* --- Construction and destruction ------------------------------------------------------------ */

static int refuse_memory(struct error *error)
{
    error_set(error, "no memory for TLS");
    errno = ENOMEM;
    return -1;
}

/* Set what needs no file. What was sent in part is sent again from where the bytes lie then. */
static int prepare_context(struct tls_setup *setup, struct error *error)
{
    const struct tls_alpn *alpn = &setup->plan->alpn;

    setup->context = SSL_CTX_new(TLS_client_method());
    if (setup->context == NULL || !expect(setup) ||
        SSL_CTX_set_min_proto_version(setup->context, TLS1_2_VERSION) != 1 ||
        (alpn->length > 0 &&
         SSL_CTX_set_alpn_protos(setup->context, alpn->names, (unsigned)alpn->length) != 0))
        return refuse_memory(error);
    SSL_CTX_set_app_data(setup->context, setup);
    (void)SSL_CTX_set_mode(setup->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                               SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(setup->context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(setup->context, 1);
    keep_sessions(setup);
    return 0;
}

struct tls_setup *tls_setup_new(const struct tls_plan *plan, const struct address *address,
                                struct error *error)
{
    struct tls_setup *setup = calloc(1, sizeof *setup);
    int failure;

    if (setup == NULL) {
        (void)refuse_memory(error);
        return NULL;
    }
    setup->plan = plan;
    (void)pthread_mutex_init(&setup->mutex, NULL);
    openssl_memory_watch();
    ERR_clear_error();
    errno = EINVAL;
    if (set_expected(setup, address, error) == 0 && prepare_context(setup, error) == 0 &&
        load_trust(setup, error) == 0 && load_certificate(setup, error) == 0)
        return setup;
    failure = errno;
    tls_setup_free(setup);
    errno = failure;
    return NULL;
}

void tls_setup_free(struct tls_setup *setup)
{
    if (setup == NULL)
        return;
    while (setup->session_count > 0)
        drop_oldest_session(setup);
    SSL_CTX_free(setup->context);
    (void)pthread_mutex_destroy(&setup->mutex);
    free(setup);
}

struct ssl_st *tls_setup_open(struct tls_setup *setup, int fd)
{
    SSL *ssl = SSL_new(setup->context);
    const bool has_name = setup->expected[0] != '\0' && !setup->is_numeric;

    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) == 1 && offer_session(setup, ssl) &&
        (!has_name || SSL_set_tlsext_host_name(ssl, setup->expected) == 1)) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    SSL_free(ssl);
    return NULL;
}

const char *tls_setup_expected(const struct tls_setup *setup)
{
    return setup->expected;
}

const struct tls_plan *tls_setup_plan(const struct tls_setup *setup)
{
    return setup->plan;
}
