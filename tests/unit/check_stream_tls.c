/*
 * check_stream_tls: a stream inside TLS: what makes no socket readable, writes that are repeated,
 * keys that change, and ends. Refusals and what is told of a connection are test_echoprobe_tls's.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/tls_setup.h"

#include "issuer.h"
#include "peer.h"
#include "streaming.h"
#include "support.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOT = 1024 * 1024 /* more than the sockets take while nobody reads */ };

static struct issued issued;
static struct tls_plan plan;
static SSL_CTX *context;
static SSL *ssl; /* the peer's end */

/* What is done with the peer's end in the loop, and how far it is. */
struct task {
    unsigned char *to;
    const unsigned char *from;
    size_t length, done, piece;
};

/* --- Fixture. -------------------------------------------------------------------------------- */

static void make_context(void)
{
    context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(context, issued.certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, issued.key), 1);
}

static void set_up(void)
{
    const struct address address = {.is_tls = true, .host = "127.0.0.1"};
    struct error error = {""};

    streaming_set_up();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)issuer_begin();
    issued = issuer_make(
        (struct issuer_wish){.common_name = "peer", .names = "IP:127.0.0.1", .is_ca = true});
    plan = (struct tls_plan){0};
    plan.ca = strdup(issuer_write("ca.pem", issued.certificate, NULL, NULL));
    target.tls = tls_setup_new(&plan, &address, &error);
    ck_assert_msg(target.tls != NULL, "%s", error.text);
    make_context();
    ssl = NULL;
}

static void tear_down(void)
{
    SSL_free(ssl);
    SSL_CTX_free(context);
    streaming_tear_down();
    tls_setup_free(target.tls);
    free(plan.ca);
    issuer_free(&issued);
    issuer_end();
}

static bool has_shaken_hands(void *argument)
{
    (void)argument;
    return SSL_do_handshake(ssl) == 1;
}

static void accept_tls(void)
{
    const int least = 1;

    listening_fd = peer_listen(&target);
    ck_assert_int_eq(setsockopt(listening_fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    streaming_begin();
    peer_fd = peer_accept(listening_fd);
    ssl = SSL_new(context);
    ck_assert_int_eq(SSL_set_fd(ssl, peer_fd), 1);
    SSL_set_accept_state(ssl);
}

static void begin(void)
{
    accept_tls();
    support_loop_until(has_shaken_hands, NULL);
    support_loop_until(streaming_is_open, NULL);
}

static bool has_received(void *argument)
{
    struct task *task = argument;
    int count = 1;

    while (task->done < task->length && count > 0) {
        count = SSL_read(ssl, task->to + task->done, (int)(task->length - task->done));
        if (count > 0)
            task->done += (size_t)count;
    }
    return task->done == task->length;
}

/* Let the peer receive so much, all of it the stream's. */
static void receive(size_t length)
{
    struct task task = {.to = came, .length = length};

    support_loop_until(has_received, &task);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, 0, came, length), length);
}

static bool has_sent(void *argument)
{
    struct task *task = argument;
    int count = 1;

    while (task->done < task->length && count > 0) {
        const size_t left = task->length - task->done;

        count =
            SSL_write(ssl, task->from + task->done, (int)(left < task->piece ? left : task->piece));
        if (count > 0)
            task->done += (size_t)count;
    }
    return task->done == task->length;
}

/* Let the peer send it, in records of this size. */
static void send_back(size_t from, size_t length, size_t piece)
{
    struct task task = {.from = came + from, .length = length, .piece = piece};

    support_loop_until(has_sent, &task);
}

/* --- Bytes. ---------------------------------------------------------------------------------- */

START_TEST(records_of_a_byte_return)
{
    begin();
    stream_send(stream, 500);
    receive(500);
    send_back(0, 500, 1);
    streaming_wait_for(500);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(a_peer_that_reads_late_gets_all)
{
    begin();
    stream_send(stream, LOT / 2);
    support_loop_settle();
    ck_assert_uint_lt(stream_delivered(stream), LOT / 2);
    stream_send(stream, LOT);
    support_loop_settle();
    receive(LOT);
    send_back(0, LOT, 16384);
    streaming_wait_for(LOT);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

/* The last flight of a handshake of TLS 1.2 is the peer's; bytes leave with it, in one segment. */
static bool has_greeted(void *argument)
{
    const bool is_done = has_shaken_hands(argument);
    int length;

    if (is_done)
        ck_assert_int_eq(SSL_write(ssl, "hello", 5), 5);
    length = BIO_read(SSL_get_wbio(ssl), came, sizeof came);
    if (length > 0)
        peer_send(peer_fd, came, (size_t)length);
    return is_done;
}

START_TEST(what_comes_with_the_handshake_is_received)
{
    ck_assert_int_eq(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
    accept_tls();
    SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
    support_loop_until(has_greeted, NULL);
    streaming_check_end(FAULT_INSERTED, 0, 5);
}
END_TEST

START_TEST(keys_may_change)
{
    begin();
    for (uint64_t i = 0; i < 20; i++) {
        stream_send(stream, (i + 1) * 100);
        ck_assert_int_eq(SSL_key_update(ssl, i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED
                                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
                         1);
        ck_assert_int_eq(SSL_do_handshake(ssl), 1);
        support_loop_settle();
    }
    receive(2000);
    send_back(0, 2000, 300);
    streaming_wait_for(2000);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(keys_may_change_while_a_write_waits)
{
    begin();
    stream_send(stream, LOT);
    support_loop_settle();
    ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    ck_assert_int_eq(SSL_do_handshake(ssl), 1);
    support_loop_settle();
    receive(LOT);
    send_back(0, LOT, 16384);
    streaming_wait_for(LOT);
}
END_TEST

/* --- Ends. ----------------------------------------------------------------------------------- */

static bool has_close_notify(void *argument)
{
    unsigned char byte;
    const int count = SSL_read(ssl, &byte, 1);

    (void)argument;
    ck_assert_int_le(count, 0);
    return SSL_get_error(ssl, count) == SSL_ERROR_ZERO_RETURN;
}

START_TEST(close_notify_follows_the_last_byte_and_all_returns)
{
    begin();
    stream_send(stream, LOT);
    stream_finish(stream);
    receive(LOT);
    support_loop_until(has_close_notify, NULL);
    send_back(0, LOT, 16384);
    streaming_wait_for(LOT);
    ck_assert_int_ge(SSL_shutdown(ssl), 0);
    streaming_check_end(FAULT_NONE, 0, 0);
}
END_TEST

START_TEST(fin_without_close_notify_is_truncation)
{
    begin();
    stream_send(stream, MESSAGE);
    receive(MESSAGE);
    send_back(0, _i == 0 ? 10 : MESSAGE, MESSAGE);
    support_close(&peer_fd);
    streaming_check_end(FAULT_TRUNCATED, _i == 0 ? 10 : MESSAGE, _i == 0 ? MESSAGE - 10 : 0);
    support_assert_matches(seen.end.text, "^FIN without close_notify after .* of 4096 bytes$");
}
END_TEST

START_TEST(a_stalled_handshake_may_be_given_up)
{
    listening_fd = peer_listen(&target);
    peer_add_nobody(&target); /* is not asked: somebody answered at the first place */
    streaming_begin();
    peer_fd = peer_accept(listening_fd);
    support_loop_settle();
    ck_assert(stream_judge(stream, ETIMEDOUT));
    streaming_check_end(FAULT_HANDSHAKE, 0, 0);
    ck_assert_str_eq(seen.end.text, "place 0: TLS handshake: Connection timed out");
    ck_assert_uint_eq(seen.opened, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_tls");
    TCase *bytes = support_case(suite, "bytes");
    TCase *ends = support_case(suite, "ends");

    tcase_add_checked_fixture(bytes, set_up, tear_down);
    tcase_add_test(bytes, records_of_a_byte_return);
    tcase_add_test(bytes, a_peer_that_reads_late_gets_all);
    tcase_add_test(bytes, what_comes_with_the_handshake_is_received);
    tcase_add_test(bytes, keys_may_change);
    tcase_add_test(bytes, keys_may_change_while_a_write_waits);
    tcase_add_checked_fixture(ends, set_up, tear_down);
    tcase_add_test(ends, close_notify_follows_the_last_byte_and_all_returns);
    tcase_add_loop_test(ends, fin_without_close_notify_is_truncation, 0, 2);
    tcase_add_test(ends, a_stalled_handshake_may_be_given_up);
    /* What OpenSSL does the first time takes long under valgrind; each test has a copy of it. */
    SSL_CTX_free(SSL_CTX_new(TLS_method()));
    return support_run(suite);
}
