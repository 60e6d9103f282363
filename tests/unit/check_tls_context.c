/*
 * check_tls_context: what the files and options of a TLS listener make of a handshake, and what is
 * wrong with them. Both ends are in memory: no socket is opened.
 * Run by make check.
 */
#include <config.h>

#include "echod/tls_context.h"

#include "base/certificate.h"
#include "issuer.h"
#include "support.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* --- The server ------------------------------------------------------------------------------ */

static struct {
    struct listener_options options;
    struct error error;
    struct tls_context *context;
    struct issued ca;    /* has issued */
    struct issued plain; /* for plain.example, ... */
    const char *file;    /* ... which with its key is here */
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    (void)issuer_begin();
    scene.options.tls.client_auth = TLS_CLIENT_AUTH_REQUIRE;
    scene.ca = issuer_make((struct issuer_wish){.common_name = "CA", .is_ca = true});
    scene.plain = issuer_make((struct issuer_wish){
        .common_name = "plain", .names = "DNS:plain.example", .issuer = &scene.ca});
    scene.file = issuer_write("plain.pem", scene.plain.certificate, scene.plain.key, NULL);
}

static void teardown(void)
{
    tls_context_unref(scene.context);
    issuer_free(&scene.plain);
    issuer_free(&scene.ca);
    issuer_end();
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* Append a path to a list. */
static void add(char *list, const char *path)
{
    const size_t length = strlen(list);

    (void)snprintf(list + length, TLS_FILES_SIZE - length, "%s%s", length == 0 ? "" : ";", path);
}

static void begin(void)
{
    tls_context_unref(scene.context);
    scene.context = tls_context_new(&scene.options, &scene.error);
    ck_assert_msg(scene.context != NULL, "%s", scene.error.text);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

/* --- The client ------------------------------------------------------------------------------ */

/* What a client does, and what came of it. */
static struct {
    const char *name;            /* that it asks for; NULL: none */
    const char *alpn;            /* protocols, each after its length */
    const char *ciphers;         /* of TLS 1.2 */
    const char *suites;          /* of TLS 1.3 */
    const struct issued *issued; /* its certificate */
    int max_version;
    SSL_SESSION *session; /* to resume; the one that it has at the end */

    char subject[64]; /* of the server's certificate */
    int key_type;     /* and that of its key */
    char protocol[64], version[16], cipher[64];
    char server_error[128], client_error[128]; /* OpenSSL's reasons */
    bool is_resumed;
} client;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(client.session);
    client.session = session;
    return 1;
}

static SSL *new_client(SSL_CTX *context)
{
    SSL *ssl;

    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    if (client.issued != NULL) {
        ck_assert_int_eq(SSL_CTX_use_certificate(context, client.issued->certificate), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, client.issued->key), 1);
    }
    if (client.max_version != 0)
        ck_assert_int_eq(SSL_CTX_set_max_proto_version(context, client.max_version), 1);
    if (client.ciphers != NULL)
        ck_assert_int_eq(SSL_CTX_set_cipher_list(context, client.ciphers), 1);
    if (client.suites != NULL)
        ck_assert_int_eq(SSL_CTX_set_ciphersuites(context, client.suites), 1);
    if (client.alpn != NULL)
        ck_assert_int_eq(SSL_CTX_set_alpn_protos(context, (const unsigned char *)client.alpn,
                                                 (unsigned)strlen(client.alpn)),
                         0);
    ssl = SSL_new(context);
    if (client.name != NULL)
        ck_assert_int_eq(SSL_set_tlsext_host_name(ssl, client.name), 1);
    if (client.session != NULL)
        ck_assert_int_eq(SSL_set_session(ssl, client.session), 1);
    return ssl;
}

/* Let an end go on. Return true if it waits for nothing. */
static bool go_on(SSL *ssl, char error[128])
{
    const int status = SSL_do_handshake(ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    if (status != 1 && SSL_get_error(ssl, status) != SSL_ERROR_WANT_READ)
        (void)snprintf(error, 128, "%s", reason == NULL ? "?" : reason);
    ERR_clear_error();
    return status == 1;
}

static void note(SSL *ssl)
{
    X509 *certificate = SSL_get_peer_certificate(ssl);
    const unsigned char *protocol;
    unsigned length;

    client.is_resumed = SSL_session_reused(ssl) == 1;
    (void)snprintf(client.version, sizeof client.version, "%s", SSL_get_version(ssl));
    (void)snprintf(client.cipher, sizeof client.cipher, "%s", SSL_get_cipher_name(ssl));
    SSL_get0_alpn_selected(ssl, &protocol, &length);
    (void)snprintf(client.protocol, sizeof client.protocol, "%.*s", (int)length,
                   length == 0 ? "" : (const char *)protocol);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, client.subject,
                              sizeof client.subject);
    client.key_type = EVP_PKEY_base_id(X509_get0_pubkey(certificate));
    X509_free(certificate);
}

/* Let both ends talk until both are done, or nothing more happens. Return true if they agree. */
static bool talk(SSL *server, SSL *ssl)
{
    bool is_server_done = false, is_client_done = false;
    char byte;

    client.server_error[0] = client.client_error[0] = '\0';
    for (int i = 0; i < 10; i++) {
        is_client_done = go_on(ssl, client.client_error);
        is_server_done = go_on(server, client.server_error);
    }
    if (is_client_done && is_server_done)
        note(ssl);
    (void)SSL_read(ssl, &byte, 1); /* takes the tickets, or the alert */
    go_on(ssl, client.client_error);
    return is_client_done && is_server_done;
}

static bool handshake(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = new_client(context), *server = SSL_new(tls_context_ssl(scene.context));
    BIO *server_end, *client_end;
    bool is_agreed;

    ck_assert_int_eq(BIO_new_bio_pair(&server_end, 65536, &client_end, 65536), 1);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_bio(ssl, client_end, client_end);
    SSL_set_accept_state(server);
    SSL_set_connect_state(ssl);
    is_agreed = talk(server, ssl);
    SSL_free(server);
    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return is_agreed;
}

static void agree(void)
{
    ck_assert_msg(handshake(), "server: %s, client: %s", client.server_error, client.client_error);
}

/* --- Tests ----------------------------------------------------------------------------------- */

START_TEST(one_file_may_hold_both)
{
    add(scene.options.tls.cert, scene.file);
    begin();
    agree();
    ck_assert_str_eq(client.subject, "plain");
    ck_assert_str_eq(client.version, "TLSv1.3");
}
END_TEST

START_TEST(the_last_holder_frees_it)
{
    struct tls_context *context;

    add(scene.options.tls.cert, scene.file);
    begin();
    context = tls_context_ref(scene.context);
    ck_assert_ptr_eq(context, scene.context);
    tls_context_unref(context);
    agree();
    ck_assert_ptr_null(tls_context_ref(NULL));
    tls_context_unref(NULL);
}
END_TEST

static Suite *tls_context_suite(void)
{
    Suite *suite = suite_create("tls_context");
    TCase *one = support_case(suite, "one certificate");

    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_test(one, one_file_may_hold_both);
    tcase_add_test(one, the_last_holder_frees_it);
    return suite;
}

int main(void)
{
    return support_run(tls_context_suite());
}
