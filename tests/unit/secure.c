#include <config.h>

#include "secure.h"

#include "echod/tls_context.h"
#include "issuer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD_BYTES = 4096 /* that are sent at once */ };

/* What all clients share. */
static struct tls_context *served;
static SSL_CTX *context;

/* The client. */
static struct {
    SSL *ssl; /* what it sends and receives is in memory, ... */
    unsigned char unsent[64 * 1024];
    size_t unsent_length; /* ... and what the socket has not taken yet, here */
    bool has_fin;         /* to be said behind that */
    bool has_said_fin;
    bool is_ready;
    bool has_given_up;
    int fd;
} secure;

bool secure_is_there(void)
{
    return true;
}

struct tls_context *secure_begin(void)
{
    static struct listener_options options;
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    struct error error = {""};

    (void)issuer_begin();
    (void)strcpy(options.tls.cert, issuer_write("a.pem", issued.certificate, issued.key, NULL));
    served = tls_context_new(&options, &error);
    ck_assert_msg(served != NULL, "%s", error.text);
    issuer_free(&issued);
    context = SSL_CTX_new(TLS_client_method());
    ck_assert_ptr_nonnull(context);
    return served;
}

void secure_end(void)
{
    SSL_free(secure.ssl);
    secure.ssl = NULL;
    SSL_CTX_free(context);
    tls_context_unref(served);
    issuer_end();
}

/* --- Socket ---------------------------------------------------------------------------------- */

/* Send so much of what waits. Return 0, or -1 with errno, EAGAIN if some of it has to wait on. */
static int send_unsent(size_t length)
{
    ssize_t sent = 0;

    if (length > 0)
        sent = send(secure.fd, secure.unsent, length, MSG_NOSIGNAL);
    if (sent < 0)
        return -1;
    secure.unsent_length -= (size_t)sent;
    memmove(secure.unsent, secure.unsent + sent, secure.unsent_length);
    secure.is_ready |=
        secure.unsent_length == 0 && !secure.has_given_up && SSL_is_init_finished(secure.ssl) == 1;
    errno = EAGAIN;
    return (size_t)sent == length ? 0 : -1;
}

static void take_out(void)
{
    const int length = BIO_read(SSL_get_wbio(secure.ssl), secure.unsent + secure.unsent_length,
                                (int)(sizeof secure.unsent - secure.unsent_length));

    if (length > 0)
        secure.unsent_length += (size_t)length;
    ck_assert_uint_lt(secure.unsent_length, sizeof secure.unsent);
}

/* Send all that waits, and FIN behind it. Return 0, or -1 with errno. */
static int flush(void)
{
    take_out();
    if (send_unsent(secure.unsent_length) < 0)
        return -1;
    if (secure.has_fin)
        (void)shutdown(secure.fd, SHUT_WR); /* unless it was reset */
    secure.has_said_fin |= secure.has_fin;
    secure.has_fin = false;
    return 0;
}

/* Take in what came, as read(2) has it. */
static ssize_t take_in(size_t size)
{
    unsigned char bytes[RECORD_BYTES];
    const ssize_t got = read(secure.fd, bytes, size < sizeof bytes ? size : sizeof bytes);

    if (got > 0)
        ck_assert_int_eq(BIO_write(SSL_get_rbio(secure.ssl), bytes, (int)got), (int)got);
    return got;
}

/* --- Layer ----------------------------------------------------------------------------------- */

static ssize_t write_some(struct client *client, const void *bytes, size_t size)
{
    (void)client;
    if (flush() < 0)
        return -1;
    size = size < RECORD_BYTES ? size : RECORD_BYTES;
    ERR_clear_error();
    ck_assert_int_eq(SSL_write(secure.ssl, bytes, (int)size), (int)size);
    return flush() < 0 && errno != EAGAIN ? -1 : (ssize_t)size;
}

/* Read what is inside, as SSL_read does, once the handshake is over: it would go on with that. */
static int read_inside(void *bytes, size_t size)
{
    int count;

    if (!secure.is_ready)
        return -1;
    ERR_clear_error();
    count = SSL_read(secure.ssl, bytes, (int)size);
    ck_assert_int_ne(SSL_get_error(secure.ssl, count), SSL_ERROR_SSL);
    return count;
}

/* What goes wrong with a write is the business of who writes. */
static ssize_t read_some(struct client *client, void *bytes, size_t size)
{
    ssize_t got = 1;

    (void)client;
    (void)flush();
    while (got > 0) {
        const int count = read_inside(bytes, size);

        if (count > 0)
            return count;
        got = take_in(size);
    }
    return got;
}

static void finish(struct client *client)
{
    (void)client;
    secure_close();
    secure_truncate();
}

/* --- Client ---------------------------------------------------------------------------------- */

static BIO *make_memory(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_ptr_nonnull(bio);
    (void)BIO_set_mem_eof_return(bio, -1);
    return bio;
}

void secure_join(struct client *client, bool is_old)
{
    static const struct client_layer layer = {write_some, read_some, finish};

    SSL_free(secure.ssl);
    secure.ssl = SSL_new(context);
    ck_assert_ptr_nonnull(secure.ssl);
    SSL_set_bio(secure.ssl, make_memory(), make_memory());
    SSL_set_connect_state(secure.ssl);
    if (is_old)
        ck_assert_int_eq(SSL_set_max_proto_version(secure.ssl, TLS1_2_VERSION), 1);
    secure.unsent_length = 0;
    secure.has_fin = secure.has_said_fin = secure.is_ready = secure.has_given_up = false;
    secure.fd = client->to_fd;
    (void)setsockopt(secure.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                     sizeof(int)); /* if it is TCP */
    client->layer = &layer;
}

void secure_shake(bool is_half)
{
    while (take_in(RECORD_BYTES) > 0)
        ;
    ERR_clear_error();
    (void)SSL_do_handshake(secure.ssl);
    take_out();
    (void)send_unsent(is_half ? secure.unsent_length / 2 : secure.unsent_length);
}

bool secure_may_finish(void)
{
    while (take_in(RECORD_BYTES) > 0)
        ;
    ERR_clear_error();
    return !secure.is_ready && SSL_do_handshake(secure.ssl) == 1;
}

bool secure_is_ready(void)
{
    return secure.is_ready;
}

bool secure_is_closed(void)
{
    return (SSL_get_shutdown(secure.ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool secure_send_part(struct client *client, size_t size)
{
    if (flush() < 0)
        return false;
    ERR_clear_error();
    ck_assert_int_eq(SSL_write(secure.ssl, support_payload(client->sent), (int)size), (int)size);
    client->sent += size;
    take_out();
    (void)send_unsent(secure.unsent_length / 2);
    return true;
}

void secure_close(void)
{
    ERR_clear_error();
    (void)SSL_shutdown(secure.ssl);
    (void)flush();
}

void secure_give_up(void)
{
    secure.has_given_up = true;
    secure.unsent_length = 0;
}

/* Within the handshake, what was not sent of a flight never is. */
void secure_truncate(void)
{
    if (!secure.is_ready)
        secure_give_up();
    secure.has_fin = true;
    (void)flush();
}

void secure_leave(void)
{
    secure.has_fin = !secure.has_said_fin;
    (void)flush();
}

bool secure_update_keys(void)
{
    if (SSL_version(secure.ssl) < TLS1_3_VERSION)
        return false;
    ERR_clear_error();
    ck_assert_int_eq(SSL_key_update(secure.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    ck_assert_int_eq(SSL_do_handshake(secure.ssl), 1);
    (void)flush();
    return true;
}
