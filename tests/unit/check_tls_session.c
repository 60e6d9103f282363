/*
 * check_tls_session: sessions of TLS and their sockets, also where OpenSSL lacks memory. What they
 * do is seen from outside, in tests/system/test_tls.py.
 * Run by make check.
 */
#include <config.h>

#include "echod/tls_session.h"

#include "issuer.h"
#include "support.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL's allocations. */
static struct {
    unsigned long count, first_failure; /* from it on all fail; 0: none does */
    bool has_failed;
} memory;

static bool is_short(void)
{
    memory.count++;
    if (memory.first_failure == 0 || memory.count < memory.first_failure)
        return false;
    memory.has_failed = true;
    return true;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return is_short() ? NULL : malloc(size);
}

static void *resize(void *bytes, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return is_short() ? NULL : realloc(bytes, size);
}

static void release(void *bytes, const char *file, int line)
{
    (void)file, (void)line;
    free(bytes);
}

static struct {
    struct tls_context *context;
    struct tls_reserve reserve;
} scene;

static void setup(void)
{
    static struct listener_options options;
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    struct error error = {""};

    (void)issuer_begin();
    (void)strcpy(options.tls.cert, issuer_write("a.pem", issued.certificate, issued.key, NULL));
    scene.context = tls_context_new(&options, &error);
    ck_assert_msg(scene.context != NULL, "%s", error.text);
    issuer_free(&issued);
}

static void teardown(void)
{
    tls_context_unref(scene.context);
    tls_reserve_fini(&scene.reserve);
    issuer_end();
}

/* Make a session over a socket, or return NULL. */
static struct bufferevent *make_session(int fd)
{
    struct tls_session *session;

    return tls_session_new(&session, &scene.reserve, scene.context, support_base(), fd, true);
}

/* Make a session, and end it if there is one. Return whether there was. */
static bool has_session(void)
{
    struct bufferevent *bufferevent;
    int fds[2];

    support_unix_pair(fds);
    bufferevent = make_session(fds[1]);
    support_close(&fds[0]);
    if (bufferevent == NULL) {
        ck_assert_int_eq(errno, ENOMEM);
        support_close(&fds[1]);
        return false;
    }
    bufferevent_free(bufferevent);
    support_loop_settle(); /* its socket is closed when the loop turns */
    return true;
}

START_TEST(openssl_and_libevent_know_the_socket)
{
    struct bufferevent *bufferevent;
    int fds[2], fd = -1;

    support_unix_pair(fds);
    bufferevent = make_session(fds[1]);
    ck_assert_int_eq(bufferevent_getfd(bufferevent), fds[1]);
    ck_assert_int_eq((int)BIO_get_fd(SSL_get_rbio(bufferevent_openssl_get_ssl(bufferevent)), &fd),
                     fds[1]);
    ck_assert_int_eq(fd, fds[1]);
    bufferevent_free(bufferevent);
    support_loop_settle(); /* its socket is closed when the loop turns */
    support_close(&fds[0]);
}
END_TEST

START_TEST(each_shortage_of_memory_passes)
{
    bool has_failed = true;

    for (unsigned long nth = 1; has_failed; nth++) {
        memory.has_failed = false;
        memory.count = 0;
        memory.first_failure = nth;
        ck_assert(has_session() || memory.has_failed);
        has_failed = memory.has_failed;
        memory.first_failure = 0;
    }
    ck_assert(has_session());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls_session");
    TCase *test_case = support_case(suite, "session");

    if (CRYPTO_set_mem_functions(allocate, resize, release) != 1)
        return EXIT_FAILURE;
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, openssl_and_libevent_know_the_socket);
    tcase_add_test(test_case, each_shortage_of_memory_passes);
    return support_run(suite);
}
