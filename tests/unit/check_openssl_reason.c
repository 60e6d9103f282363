/*
 * check_openssl_reason: what is said of OpenSSL's refusals, also where what it gives as the reason
 * came of a lack of memory. Run by make check.
 */
#include <config.h>

#include "base/openssl_reason.h"

#include "base/openssl_memory.h"
#include "support.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Sanitizers end a program that asks for too much, unless they are told not to. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

/* Ask OpenSSL for more memory than there is anywhere. */
static void lack_memory(void)
{
    static const volatile size_t too_much = PTRDIFF_MAX - 4096;

    ck_assert_ptr_null(OPENSSL_malloc(too_much));
}

/* Have OpenSSL refuse something: it gives "no start line" as its reason. */
static void refuse(void)
{
    BIO *bio = BIO_new_mem_buf("no PEM", -1);

    ck_assert_ptr_null(PEM_read_bio_X509(bio, NULL, NULL, NULL));
    (void)BIO_free(bio);
}

static void setup(void)
{
    ERR_clear_error();
    (void)openssl_memory_has_lacked();
}

START_TEST(a_refusal_has_openssls_reason)
{
    refuse();
    ck_assert_str_eq(openssl_take_reason(), "no start line");
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_str_eq(openssl_take_reason(), "for no reason that it gives");
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(the_first_of_several_is_told)
{
    ck_assert_ptr_null(BIO_new_file("/nowhere/at/all", "r")); /* the second is "no such file" */
    refuse();
    ck_assert_str_eq(openssl_take_reason(), strerror(ENOENT));
}
END_TEST

START_TEST(a_lack_of_memory_is_the_reason_of_all_others)
{
    lack_memory();
    refuse();
    ck_assert_str_eq(openssl_take_reason(), "there is no memory");
    ck_assert_int_eq(errno, ENOMEM);
    refuse();
    ck_assert_str_eq(openssl_take_reason(), "no start line");
}
END_TEST

START_TEST(a_lack_is_told_once_and_forgotten_when_it_is_watched_anew)
{
    lack_memory();
    ck_assert(openssl_memory_has_lacked());
    ck_assert(!openssl_memory_has_lacked());
    lack_memory();
    openssl_memory_watch();
    ck_assert(!openssl_memory_has_lacked());
}
END_TEST

START_TEST(a_sentence_says_what_was_refused_and_what_would_be_right)
{
    struct error error = {""};
    char expected[ERROR_TEXT_SIZE];

    refuse();
    openssl_explain(&error, "cert=a.pem", "no certificate", "name a PEM file");
    ck_assert_str_eq(error.text, "cert=a.pem: no certificate: no start line; name a PEM file");
    lack_memory();
    openssl_explain(&error, "cert=a.pem", NULL, "name a PEM file");
    (void)snprintf(expected, sizeof expected,
                   "cert=a.pem: %s; let the system have more free memory", strerror(ENOMEM));
    ck_assert_str_eq(error.text, expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openssl_reason");
    TCase *test_case = support_case(suite, "reason");

    openssl_memory_watch(); /* before OpenSSL is used */
    tcase_add_checked_fixture(test_case, setup, NULL);
    tcase_add_test(test_case, a_refusal_has_openssls_reason);
    tcase_add_test(test_case, the_first_of_several_is_told);
    tcase_add_test(test_case, a_lack_of_memory_is_the_reason_of_all_others);
    tcase_add_test(test_case, a_lack_is_told_once_and_forgotten_when_it_is_watched_anew);
    tcase_add_test(test_case, a_sentence_says_what_was_refused_and_what_would_be_right);
    return support_run(suite);
}
