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
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* --- The server ------------------------------------------------------------------------------ */

static struct {
    struct listener_options options;
    struct error error;
    struct tls_context *context;
    const char *file; /* of `plain` and its key */
} scene;

static struct issued authority, plain; /* for plain.example, which it has issued */

/* What a client does, and what came of it. */
static struct {
    const char *name;            /* that it asks for; NULL: none */
    const char *alpn;            /* protocols, each after its length */
    const char *ciphers;         /* of TLS 1.2 */
    const char *suites;          /* of TLS 1.3 */
    const struct issued *issued; /* its certificate */
    int max_version;
    bool keeps_session;
    SSL_SESSION *session; /* which it resumes next */

    char subject[64]; /* of the server's certificate */
    int key_type;     /* and that of its key */
    int chain_length;
    char protocol[64], version[16], cipher[64];
    char server_error[128], client_error[128]; /* OpenSSL's reasons */
    bool is_resumed;
} client;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    memset(&client, 0, sizeof client);
    (void)issuer_begin();
    scene.file = issuer_write("plain.pem", plain.certificate, plain.key, NULL);
}

static void teardown(void)
{
    SSL_SESSION_free(client.session);
    tls_context_unref(scene.context);
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

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    if (!client.keeps_session)
        return 0;
    SSL_SESSION_free(client.session);
    client.session = session;
    return 1;
}

static SSL *new_client(SSL_CTX *context)
{
    char name[64];
    SSL *ssl;

    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
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
    if (client.name != NULL) {
        (void)snprintf(name, sizeof name, "%s", client.name);
        ck_assert_int_eq(SSL_set_tlsext_host_name(ssl, name), 1); /* casts const away */
    }
    if (client.session != NULL)
        ck_assert_int_eq(SSL_set_session(ssl, client.session), 1);
    return ssl;
}

/* Let an end go on. Return true if it waits for nothing. */
static bool go_on(SSL *ssl, char error[128])
{
    const int status = SSL_do_handshake(ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    if (status != 1 && SSL_get_error(ssl, status) != SSL_ERROR_WANT_READ && error[0] == '\0')
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
    client.chain_length = sk_X509_num(SSL_get_peer_cert_chain(ssl));
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
    (void)SSL_shutdown(ssl); /* or else its session cannot be resumed */
    SSL_free(ssl);
    SSL_free(server);
    SSL_CTX_free(context);
    ERR_clear_error();
    return is_agreed;
}

static void agree(void)
{
    ck_assert_msg(handshake(), "server: %s, client: %s", client.server_error, client.client_error);
}

/* --- One certificate ------------------------------------------------------------------------- */

START_TEST(one_file_may_hold_both)
{
    add(scene.options.tls.cert, scene.file);
    begin();
    agree();
    ck_assert_str_eq(client.subject, "plain");
    ck_assert_str_eq(client.version, "TLSv1.3");
    ck_assert_int_eq(client.chain_length, 1);
}
END_TEST

START_TEST(the_chain_goes_with_it)
{
    add(scene.options.tls.cert,
        issuer_write("a.pem", plain.certificate, plain.key, authority.certificate));
    begin();
    agree();
    ck_assert_int_eq(client.chain_length, 2);
}
END_TEST

START_TEST(the_key_may_have_a_file_of_its_own)
{
    add(scene.options.tls.cert, issuer_write("a.pem", plain.certificate, NULL, NULL));
    add(scene.options.tls.key, issuer_write("a.key", NULL, plain.key, NULL));
    begin();
    agree();
}
END_TEST

START_TEST(an_editor_may_have_been_there)
{
    char text[8192] = "\xef\xbb\xbf";
    size_t length = strlen(text);
    FILE *file = fopen(scene.file, "r");
    int character;

    while ((character = getc(file)) != EOF) { /* as editors of another system end lines */
        if (character == '\n')
            text[length++] = '\r';
        text[length++] = (char)character;
    }
    (void)fclose(file);
    add(scene.options.tls.cert, issuer_write_text("a.pem", text, length));
    begin();
    agree();
}
END_TEST

START_TEST(a_link_is_followed)
{
    const char *link = issuer_path("link.pem");

    ck_assert_int_eq(symlink(scene.file, link), 0);
    add(scene.options.tls.cert, link);
    begin();
    agree();
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

/* --- Several ---------------------------------------------------------------------------------- */

/* Make a certificate and add it to those of the listener. */
static void add_certificate(const char *file, struct issuer_wish wish)
{
    struct issued issued = issuer_make(wish);

    add(scene.options.tls.cert, issuer_write(file, issued.certificate, issued.key, NULL));
    issuer_free(&issued);
}

static void check_name(const char *name, const char *subject)
{
    client.name = name;
    agree();
    ck_assert_msg(strcmp(client.subject, subject) == 0, "%s gets %s", name, client.subject);
}

START_TEST(the_name_chooses)
{
    add(scene.options.tls.cert, scene.file);
    add_certificate("a.pem", (struct issuer_wish){.common_name = "stars",
                                                  .names = "DNS:*.b.example,IP:127.0.0.1"});
    add_certificate("b.pem",
                    (struct issuer_wish){.common_name = "late", .names = "DNS:a.b.example"});
    add_certificate("c.pem", (struct issuer_wish){.common_name = "old.example"});
    begin();
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client.max_version = version;
        check_name("plain.example", "plain");
        check_name("PLAIN.example", "plain");
        check_name("a.b.example", "stars"); /* it comes first */
        check_name("x.a.b.example", "plain");
        check_name("b.example", "plain");
        check_name("old.example", "old.example"); /* without names, the subject is one */
        check_name("nobody", "plain");
        check_name(NULL, "plain");
    }
}
END_TEST

START_TEST(each_name_keeps_what_all_share)
{
    add(scene.options.tls.cert, scene.file);
    add_certificate("a.pem", (struct issuer_wish){.common_name = "a", .names = "DNS:a.example"});
    (void)strcpy(scene.options.tls.alpn, "h2");
    add(scene.options.tls.client_ca, issuer_write("ca.pem", authority.certificate, NULL, NULL));
    begin();
    client.alpn = "\2h2";
    client.name = "a.example";
    ck_assert(!handshake());
    client.issued = &plain;
    check_name("a.example", "a");
    ck_assert_str_eq(client.protocol, "h2");
}
END_TEST

START_TEST(a_client_has_the_type_of_key_that_it_knows)
{
    static const char names[] = "DNS:a.example,DNS:*.b.example";

    add(scene.options.tls.cert, scene.file);
    add_certificate("a.pem", (struct issuer_wish){.common_name = "ec", .names = names});
    add_certificate("b.pem", (struct issuer_wish){.common_name = "rsa",
                                                  .names = "DNS:c.example,DNS:*.b.example,"
                                                           "DNS:a.example",
                                                  .is_rsa = true});
    begin();
    client.max_version = TLS1_2_VERSION;
    client.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    check_name("a.example", "rsa");
    ck_assert_int_eq(client.key_type, EVP_PKEY_RSA);
    client.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    check_name("x.b.example", "ec");
    client.ciphers = NULL;
    check_name("c.example", "rsa"); /* the other one is not for this host */
    client.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    client.name = "plain.example";
    ck_assert(!handshake());
}
END_TEST

START_TEST(there_may_be_many)
{
    enum { MANY = 20 };
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});

    for (int i = 0; i < MANY; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "%d", i);
        add(scene.options.tls.cert, issuer_write(name, issued.certificate, issued.key, NULL));
    }
    issuer_free(&issued);
    begin();
    agree();
    ck_assert_ptr_nonnull(tls_context_certificate(scene.context, MANY - 1));
    ck_assert_ptr_null(tls_context_certificate(scene.context, MANY));
}
END_TEST

/* --- Client certificates --------------------------------------------------------------------- */

static void ask_for_certificates(enum tls_client_auth client_auth, X509 *ca)
{
    scene.options.tls.client_ca[0] = scene.options.tls.cert[0] = '\0';
    scene.options.tls.client_auth = client_auth;
    add(scene.options.tls.cert, scene.file);
    add(scene.options.tls.client_ca, issuer_write("ca.pem", ca, NULL, NULL));
    begin();
}

START_TEST(client_auth_says_who_is_let_in)
{
    struct issued stranger = issuer_make((struct issuer_wish){.common_name = "CA"});

    ask_for_certificates(TLS_CLIENT_AUTH_REQUIRE, authority.certificate);
    ck_assert(!handshake());
    ck_assert_str_eq(client.server_error, "peer did not return a certificate");
    client.issued = &stranger;
    ck_assert(!handshake());
    ck_assert_str_eq(client.server_error, "certificate verify failed");
    client.issued = &plain;
    agree();

    ask_for_certificates(TLS_CLIENT_AUTH_AUTO, authority.certificate);
    agree();
    client.issued = NULL;
    ck_assert(!handshake());

    ask_for_certificates(TLS_CLIENT_AUTH_REQUEST, authority.certificate);
    agree();
    client.issued = &stranger;
    ck_assert(!handshake());
    client.issued = NULL;
    agree();

    client.issued = &stranger;
    ask_for_certificates(TLS_CLIENT_AUTH_OFF, authority.certificate);
    agree();
    ck_assert_ptr_null(tls_context_client_ca(scene.context));
    issuer_free(&stranger);
}
END_TEST

START_TEST(an_issuer_need_not_be_a_root)
{
    struct issued middle = issuer_make(
        (struct issuer_wish){.common_name = "middle", .is_ca = true, .issuer = &authority});
    struct issued leaf =
        issuer_make((struct issuer_wish){.common_name = "leaf", .issuer = &middle});

    ask_for_certificates(TLS_CLIENT_AUTH_REQUIRE, middle.certificate);
    client.issued = &leaf;
    agree();
    client.issued = &plain; /* by the root, which is not trusted */
    ck_assert(!handshake());
    issuer_free(&leaf);
    issuer_free(&middle);
}
END_TEST

/* Memory is spent on whoever is not known yet. */
START_TEST(a_huge_certificate_is_refused)
{
    char names[60000] = "DNS:a.example";
    struct issued huge;

    for (size_t length = strlen(names); length < 50000; length += strlen(names + length))
        (void)snprintf(names + length, 100, ",DNS:a%060zu.example", length);
    huge = issuer_make(
        (struct issuer_wish){.common_name = "huge", .names = names, .issuer = &authority});
    ask_for_certificates(TLS_CLIENT_AUTH_REQUIRE, authority.certificate);
    client.issued = &huge;
    ck_assert(!handshake());
    ck_assert_str_eq(client.server_error, "excessive message size");
    issuer_free(&huge);
}
END_TEST

/* --- What is agreed -------------------------------------------------------------------------- */

START_TEST(our_first_protocol_that_a_client_offers_is_chosen)
{
    add(scene.options.tls.cert, scene.file);
    (void)strcpy(scene.options.tls.alpn, "h2;echo;http/1.1");
    begin();
    client.alpn = "\10http/1.1\4echo";
    agree();
    ck_assert_str_eq(client.protocol, "echo");
    client.alpn = "\3foo";
    ck_assert(!handshake());
    support_assert_matches(client.client_error, "no application protocol");
    client.alpn = NULL;
    agree();
    ck_assert_str_eq(client.protocol, "");
}
END_TEST

START_TEST(without_alpn_what_is_offered_is_passed_over)
{
    add(scene.options.tls.cert, scene.file);
    begin();
    client.alpn = "\2h2";
    agree();
    ck_assert_str_eq(client.protocol, "");
}
END_TEST

START_TEST(old_versions_are_not_spoken)
{
    add(scene.options.tls.cert, scene.file);
    begin();
    client.max_version = TLS1_1_VERSION;
    client.ciphers = "ALL:@SECLEVEL=0";
    ck_assert(!handshake());
    client.max_version = TLS1_2_VERSION;
    agree();
    scene.options.tls.min_version = TLS_MIN_1_3;
    begin();
    ck_assert(!handshake());
    client.max_version = 0;
    agree();
}
END_TEST

static void check_cipher(const char *ciphers, int version, const char *expected)
{
    (void)strcpy(scene.options.tls.ciphers, ciphers);
    begin();
    client.max_version = version;
    agree();
    ck_assert_msg(strcmp(client.cipher, expected) == 0, "%s: %s", ciphers, client.cipher);
}

START_TEST(ciphers_are_ours_in_our_order_or_the_client_chooses)
{
    add(scene.options.tls.cert, scene.file);
    client.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    client.suites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
    check_cipher("", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384");
    check_cipher("", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    check_cipher("AESGCM:-AES256", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256");
    check_cipher("AESGCM:-AES256", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384");
    check_cipher("!AES256", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256");
    check_cipher("TLS_AES_128_GCM_SHA256:AES128+AESGCM:AESGCM:TLS_AES_256_GCM_SHA384",
                 TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256");
    check_cipher("TLS_AES_128_GCM_SHA256:AES128+AESGCM:AESGCM:TLS_AES_256_GCM_SHA384",
                 TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256");
}
END_TEST

START_TEST(without_forward_secrecy_nothing_is_agreed)
{
    add_certificate("rsa.pem", (struct issuer_wish){.common_name = "rsa", .is_rsa = true});
    begin();
    client.max_version = TLS1_2_VERSION;
    client.ciphers = "AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256";
    ck_assert(!handshake());
    client.ciphers = "ECDHE-RSA-CHACHA20-POLY1305";
    agree();
}
END_TEST

START_TEST(a_session_is_resumed_by_its_ticket_until_the_files_are_read_again)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client.max_version = version;
        client.keeps_session = true;
        scene.options.tls.cert[0] = '\0';
        add(scene.options.tls.cert, scene.file);
        begin();
        agree();
        ck_assert(!client.is_resumed);
        ck_assert_ptr_nonnull(client.session);
        agree();
        ck_assert(client.is_resumed);
        ck_assert_int_eq(SSL_CTX_sess_number(tls_context_ssl(scene.context)), 0);
        begin();
        agree();
        ck_assert(!client.is_resumed);
    }
}
END_TEST

/* Or it could end meanwhile, or its issuer's. */
START_TEST(who_shows_a_certificate_shows_it_each_time)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        client.max_version = version;
        client.keeps_session = true;
        client.issued = &plain;
        ask_for_certificates(TLS_CLIENT_AUTH_REQUEST, authority.certificate);
        for (int i = 0; i < 2; i++) {
            agree();
            ck_assert(!client.is_resumed);
        }
    }
}
END_TEST

START_TEST(what_costs_memory_or_safety_is_off)
{
    uint64_t options;
    unsigned long mode;
    SSL_CTX *ssl;

    add(scene.options.tls.cert, scene.file);
    begin();
    ssl = tls_context_ssl(scene.context);
    options = SSL_CTX_get_options(ssl);
    ck_assert_uint_ne(options & SSL_OP_NO_RENEGOTIATION, 0);
    ck_assert_uint_ne(options & SSL_OP_NO_COMPRESSION, 0);
    ck_assert_uint_eq(options & SSL_OP_CIPHER_SERVER_PREFERENCE, 0);
    ck_assert_uint_eq(options & SSL_OP_NO_TICKET, 0);
    ck_assert_uint_eq(SSL_CTX_get_num_tickets(ssl), 1);
    mode = (unsigned long)SSL_CTX_get_mode(ssl);
    ck_assert_uint_ne(mode & SSL_MODE_RELEASE_BUFFERS, 0);
    ck_assert_uint_eq(mode & SSL_MODE_ENABLE_PARTIAL_WRITE, 0);
    ck_assert_int_eq(SSL_CTX_get_session_cache_mode(ssl), SSL_SESS_CACHE_OFF);
    ck_assert_uint_eq(SSL_CTX_get_max_early_data(ssl), 0);
}
END_TEST

/* --- What is wrong --------------------------------------------------------------------------- */

static void check_refused(const char *pattern)
{
    errno = 0;
    ck_assert_ptr_null(tls_context_new(&scene.options, &scene.error));
    support_assert_matches(scene.error.text, pattern);
    ck_assert_int_ne(errno, 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    scene.options.tls.cert[0] = scene.options.tls.key[0] = scene.options.tls.client_ca[0] = '\0';
}

/* Offer a certificate in a file, whose key is in another or in the same. */
static void check_refused_files(const char *cert, const char *key, const char *pattern)
{
    add(scene.options.tls.cert, scene.file); /* which is right */
    add(scene.options.tls.key, scene.file);
    add(scene.options.tls.cert, cert);
    add(scene.options.tls.key, key);
    check_refused(pattern);
}

START_TEST(a_file_that_is_none_is_refused)
{
    static char big[(1 << 20) + 1];
    const char *const fifo = issuer_path("fifo"), *const directory = issuer_path("directory");

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    check_refused_files(issuer_path("nowhere"), scene.file,
                        "^cert /tmp/.*/nowhere: No such file or directory; name a file");
    check_refused_files(scene.file, issuer_path("nowhere"), "^key /tmp/.*/nowhere: No such file");
    check_refused_files(fifo, fifo, "^cert .*/fifo: it is no regular file; name one$");
    check_refused_files(scene.file, fifo, "^key .*/fifo: it is no regular file");
    check_refused_files(directory, directory, "^cert .*/directory: it is no regular file");
    check_refused_files(issuer_write_text("big", big, sizeof big), scene.file,
                        "^cert .*/big: it is larger than 1MiB; ");
    check_refused_files(issuer_write_text("empty", "", 0), scene.file,
                        "^cert .*/empty: it holds no certificate in PEM form: no start line; ");
    check_refused_files(issuer_write_text("der", "\x30\x82\x01\x00", 4), scene.file,
                        "^cert .*/der: it holds no certificate in PEM form: ");
    check_refused_files(
        scene.file, issuer_write_text("nokey", "key", 3),
        "^key .*/nokey: it holds no private key in PEM form: .*; such a key begins");
}
END_TEST

START_TEST(a_file_that_we_may_not_read_names_who_we_are)
{
    if (geteuid() != 0)
        support_skip("only root can become somebody else");
    add(scene.options.tls.cert, scene.file);
    ck_assert_int_eq(seteuid(65534), 0);
    check_refused("^cert .*: Permission denied; let user 65534( \\(.*\\))?, who this process runs "
                  "as, read it$");
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
    static const char broken[] = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    const char *second;
    FILE *file;

    check_refused_files(issuer_write_text("a", broken, strlen(broken)), scene.file,
                        "^cert .*/a: it holds no certificate in PEM form: bad base64 decode; ");
    second = issuer_write("b", plain.certificate, plain.key, NULL);
    file = fopen(second, "a");
    (void)fputs(broken, file);
    (void)fclose(file);
    check_refused_files(second, second,
                        "^cert .*/b: number 2 of its certificates cannot be read: bad base64 ");
}
END_TEST

START_TEST(a_key_has_to_be_there_open_and_fit)
{
    struct issued other = issuer_make((struct issuer_wish){.common_name = "other"});
    struct issued rsa = issuer_make((struct issuer_wish){.common_name = "rsa", .is_rsa = true});
    const char *alone = issuer_write("alone.pem", plain.certificate, NULL, NULL);

    check_refused_files(alone, alone,
                        "^cert .*/alone.pem: it holds no private key in PEM form: .*; name the "
                        "file that does as key=FILE$");
    check_refused_files(alone, issuer_write_encrypted("locked.key", plain.key),
                        "^key .*/locked.key: it is encrypted, and nobody can be asked for a "
                        "passphrase; .* by openssl pkey -in /tmp/.*/locked.key$");
    check_refused_files(alone, issuer_write("a.key", NULL, other.key, NULL),
                        "^key .*/a.key: it does not fit the certificate in .*/alone.pem: key "
                        "values mismatch; name the key that does$");
    check_refused_files(alone, issuer_write("b.key", NULL, rsa.key, NULL),
                        "^key .*/b.key: it does not fit .*: (different key types|key type "
                        "mismatch); ");
    check_refused_files(issuer_write("wrong.pem", authority.certificate, NULL, plain.certificate),
                        scene.file,
                        "^cert .*/wrong.pem: the key fits number 2 of its certificates; put that "
                        "one first, ");
    issuer_free(&other);
    issuer_free(&rsa);
}
END_TEST

/* Make a certificate for these times, and behind it one that issued it for others. */
static const char *write_chain(long begin_s, long end_s, long issuer_begin_s, long issuer_end_s)
{
    struct issued by = issuer_make((struct issuer_wish){
        .common_name = "middle", .begin_s = issuer_begin_s, .end_s = issuer_end_s, .is_ca = true});
    struct issued leaf = issuer_make((struct issuer_wish){
        .common_name = "leaf", .begin_s = begin_s, .end_s = end_s, .issuer = &by});
    const char *path = issuer_write("chain.pem", leaf.certificate, leaf.key, by.certificate);

    issuer_free(&leaf);
    issuer_free(&by);
    return path;
}

START_TEST(a_chain_has_to_be_valid_now)
{
    const char *path = write_chain(-10L * ISSUER_DAY, -5, -1, 1000);

    check_refused_files(path, path,
                        "^cert .*/chain.pem: CN=leaf: certificate has expired, it ended "
                        "[0-9-]{10}T[0-9:]{8}Z; renew it$");
    path = write_chain(1000, 2000, -1, 1000);
    check_refused_files(path, path,
                        "^cert .*/chain.pem: CN=leaf: certificate is not yet valid, it begins "
                        "[0-9-]{10}T[0-9:]{8}Z; set the clock, or use one that is$");
    path = write_chain(-1, 1000, -1000, -1);
    check_refused_files(path, path, "^cert .*/chain.pem: CN=middle: certificate has expired, ");
    path = write_chain(-1, 1000, 1000, 2000);
    check_refused_files(path, path, "^cert .*/chain.pem: CN=middle: certificate is not yet valid");
}
END_TEST

START_TEST(a_client_ca_has_to_be_one)
{
    add(scene.options.tls.cert, scene.file);
    add(scene.options.tls.client_ca, issuer_write("a", NULL, plain.key, NULL));
    check_refused("^client-ca .*/a: it holds no certificate in PEM form: no start line; ");
    add(scene.options.tls.cert, scene.file);
    add(scene.options.tls.client_ca,
        issuer_write("b", authority.certificate, NULL, plain.certificate));
    check_refused("^client-ca .*/b: CN=plain: invalid CA certificate; name a file with ");
}
END_TEST

/* Its basic constraints (RFC 5280, 4.2.1.9) are no DER. */
START_TEST(a_client_ca_has_to_be_readable)
{
    struct issued odd = issuer_make((struct issuer_wish){.common_name = "odd"});
    ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    ck_assert_int_eq(ASN1_OCTET_STRING_set(junk, (const unsigned char *)"junk", 4), 1);
    extension = X509_EXTENSION_create_by_NID(NULL, NID_basic_constraints, 1, junk);
    ck_assert_int_eq(X509_add_ext(odd.certificate, extension, -1), 1);
    ck_assert_int_gt(X509_sign(odd.certificate, odd.key, EVP_sha256()), 0);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(junk);
    add(scene.options.tls.cert, scene.file);
    add(scene.options.tls.client_ca, issuer_write("a", odd.certificate, NULL, NULL));
    check_refused("^client-ca .*/a: CN=odd: .*; name a file with certificates that OpenSSL can ");
    issuer_free(&odd);
}
END_TEST

START_TEST(a_cipher_has_to_be_one)
{
    static const char *const wrong[][2] = {
        {"AESGCM:FOO", "^ciphers: \"FOO\" is no cipher: no cipher match; openssl ciphers"},
        {"TLS_AES_128_GCM_SHA256:TLS_FOO", "^ciphers: \"TLS_FOO\" is no cipher: "},
        {"TLS_", "^ciphers: \"TLS_\" is no cipher: "},
        {"TLS_RSA_WITH_AES_128_CBC_SHA", "is no cipher"}, /* of TLS 1.2, which has other names */
        {"AESGCM:", "^ciphers: \"\" is no cipher: "},
        {"AESGCM:!ALL", "^ciphers: no cipher match; "},
    };

    for (int i = 0; i < COUNT_OF(wrong); i++) {
        add(scene.options.tls.cert, scene.file);
        (void)strcpy(scene.options.tls.ciphers, wrong[i][0]);
        check_refused(wrong[i][1]);
    }
}
END_TEST

/* What all tests can have, once before the process of each is forked: valgrind takes its time. */
static void make_certificates(void)
{
    authority = issuer_make((struct issuer_wish){.common_name = "CA", .is_ca = true});
    plain = issuer_make((struct issuer_wish){
        .common_name = "plain", .names = "DNS:plain.example", .issuer = &authority});
    SSL_CTX_free(SSL_CTX_new(TLS_server_method())); /* loads what both ends need */
}

static void free_certificates(void)
{
    issuer_free(&plain);
    issuer_free(&authority);
}

/* --- Memory that runs out -------------------------------------------------------------------- */

/* Which of OpenSSL's allocations fail, counted from 1 on; none while `first` is 0. */
static struct {
    unsigned long count, first, last;
} shortage;

static bool is_short(void)
{
    shortage.count++;
    return shortage.first != 0 && shortage.count >= shortage.first &&
           shortage.count <= shortage.last;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_short() ? NULL : malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_short() ? NULL : realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* Let allocations fail while a context is made. Return whether any did. */
static bool make_without_memory(unsigned long first, unsigned long last)
{
    struct error error = {""};
    struct tls_context *context;

    shortage.count = 0;
    shortage.first = first;
    shortage.last = last;
    context = tls_context_new(&scene.options, &error);
    shortage.first = 0;
    ck_assert(context != NULL || error.text[0] != '\0');
    ck_assert_uint_eq(ERR_peek_error(), 0);
    tls_context_unref(context);
    return shortage.count >= first;
}

START_TEST(a_context_is_whole_or_there_is_none)
{
    enum { STRIDE = 211 }; /* a prime, and another start for each length of a shortage */
    static const unsigned long lengths[] = {1, 3, ULONG_MAX / 2};

    ask_for_certificates(TLS_CLIENT_AUTH_AUTO, authority.certificate);
    (void)strcpy(scene.options.tls.ciphers, "AESGCM:TLS_AES_128_GCM_SHA256");
    for (int i = 0; i < COUNT_OF(lengths); i++) {
        for (unsigned long first = 1 + (unsigned long)i;
             make_without_memory(first, first + lengths[i]); first += STRIDE)
            ;
    }
    begin();
    client.issued = &plain;
    agree();
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = support_case(suite, name);

    tcase_add_unchecked_fixture(tests, make_certificates, free_certificates);
    tcase_add_checked_fixture(tests, setup, teardown);
    return tests;
}

static Suite *tls_context_suite(void)
{
    Suite *suite = suite_create("tls_context");
    TCase *one = add_case(suite, "one certificate");
    TCase *several = add_case(suite, "several");
    TCase *clients = add_case(suite, "client certificates");
    TCase *agreed = add_case(suite, "agreed");
    TCase *wrong = add_case(suite, "wrong");
    TCase *memory = add_case(suite, "memory");

    tcase_add_test(one, one_file_may_hold_both);
    tcase_add_test(one, the_chain_goes_with_it);
    tcase_add_test(one, the_key_may_have_a_file_of_its_own);
    tcase_add_test(one, an_editor_may_have_been_there);
    tcase_add_test(one, a_link_is_followed);
    tcase_add_test(one, the_last_holder_frees_it);
    tcase_add_test(several, the_name_chooses);
    tcase_add_test(several, each_name_keeps_what_all_share);
    tcase_add_test(several, a_client_has_the_type_of_key_that_it_knows);
    tcase_add_test(several, there_may_be_many);
    tcase_add_test(clients, client_auth_says_who_is_let_in);
    tcase_add_test(clients, an_issuer_need_not_be_a_root);
    tcase_add_test(clients, a_huge_certificate_is_refused);
    tcase_add_test(agreed, our_first_protocol_that_a_client_offers_is_chosen);
    tcase_add_test(agreed, without_alpn_what_is_offered_is_passed_over);
    tcase_add_test(agreed, old_versions_are_not_spoken);
    tcase_add_test(agreed, ciphers_are_ours_in_our_order_or_the_client_chooses);
    tcase_add_test(agreed, without_forward_secrecy_nothing_is_agreed);
    tcase_add_test(agreed, a_session_is_resumed_by_its_ticket_until_the_files_are_read_again);
    tcase_add_test(agreed, who_shows_a_certificate_shows_it_each_time);
    tcase_add_test(agreed, what_costs_memory_or_safety_is_off);
    tcase_add_test(wrong, a_file_that_is_none_is_refused);
    tcase_add_test(wrong, a_file_that_we_may_not_read_names_who_we_are);
    tcase_add_test(wrong, a_damaged_file_is_refused);
    tcase_add_test(wrong, a_key_has_to_be_there_open_and_fit);
    tcase_add_test(wrong, a_chain_has_to_be_valid_now);
    tcase_add_test(wrong, a_client_ca_has_to_be_one);
    tcase_add_test(wrong, a_client_ca_has_to_be_readable);
    tcase_add_test(wrong, a_cipher_has_to_be_one);
    tcase_add_test(memory, a_context_is_whole_or_there_is_none);
    return suite;
}

int main(void)
{
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return EXIT_FAILURE;
    return support_run(tls_context_suite());
}
