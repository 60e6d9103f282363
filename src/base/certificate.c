#include <config.h>

#include "base/certificate.h"

#include "base/certificate_facts.h"
#include "base/date.h"
#include "base/openssl_reason.h"
#include "base/pem_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* --- Certificates ---------------------------------------------------------------------------- */

/* There is nobody to ask: note that a passphrase is wanted, and have none. */
/* NOLINTNEXTLINE(readability-non-const-parameter): it is a pem_password_cb */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *is_wanted)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    *(bool *)is_wanted = true;
    return -1;
}

/* Tell whether OpenSSL has stopped since nothing more of that kind stands in a file. */
static bool is_at_end(void)
{
    const unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* Move certificates from a file to a stack until none is left. Return 0, or -1. */
static int collect(BIO *bio, STACK_OF(X509) * stack)
{
    bool is_encrypted = false;
    X509 *certificate;

    while ((certificate = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &is_encrypted)) != NULL) {
        if (sk_X509_push(stack, certificate) == 0) {
            X509_free(certificate);
            return -1;
        }
    }
    return is_at_end() && sk_X509_num(stack) > 0 ? 0 : -1;
}

/* Say why a file is not read as certificates, of which some may have been. */
static void refuse_certificates(const char *what, const char *path, int count, struct error *error)
{
    struct error file = {""}, explanation = {"it holds no certificate in PEM form"};

    error_set(&file, "%s %s", what, path);
    if (count > 0)
        error_set(&explanation, "number %d of its certificates cannot be read", count + 1);
    openssl_explain(error, file.text, explanation.text,
                    count > 0 ? "copy it again" : "it begins with \"-----BEGIN CERTIFICATE-----\"");
}

static STACK_OF(X509) * parse_certificates(const struct pem_file *file, const char *what,
                                           const char *path, struct error *error)
{
    STACK_OF(X509) *stack = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->length);

    ERR_clear_error();
    if (stack == NULL || bio == NULL || collect(bio, stack) < 0) {
        refuse_certificates(what, path, stack == NULL ? 0 : sk_X509_num(stack), error);
        sk_X509_pop_free(stack, X509_free);
        stack = NULL;
    }
    BIO_free(bio);
    ERR_clear_error(); /* that the file has ended is one */
    return stack;
}

STACK_OF(X509) * certificate_read_all(const char *what, const char *path, struct error *error)
{
    STACK_OF(X509) * stack;
    struct pem_file file;

    if (pem_file_read(&file, what, path, error) < 0)
        return NULL;
    stack = parse_certificates(&file, what, path, error);
    pem_file_free(&file);
    return stack;
}

/* --- A key ----------------------------------------------------------------------------------- */

/* Nobody can be asked for a passphrase. */
static void refuse_encrypted(const char *path, struct error *error)
{
    error_set(error,
              "key %s: it is encrypted, and nobody can be asked for a passphrase; write it without "
              "one, by openssl pkey -in %s",
              path, path);
    errno = EINVAL;
}

/* Say why a file is not read as a key. */
static void refuse_key(const struct certificate *certificate, struct error *error)
{
    const bool is_with_certificate = strcmp(certificate->key_file, certificate->file) == 0;
    struct error file = {""};

    error_set(&file, "%s %s", is_with_certificate ? "cert" : "key", certificate->key_file);
    openssl_explain(error, file.text, "it holds no private key in PEM form",
                    is_with_certificate ? "name the file that does as key=FILE"
                                        : "such a key begins with \"-----BEGIN PRIVATE KEY-----\"");
}

static EVP_PKEY *parse_key(const struct pem_file *file, const struct certificate *certificate,
                           struct error *error)
{
    BIO *bio = BIO_new_mem_buf(file->text, (int)file->length);
    bool is_encrypted = false;
    EVP_PKEY *key = NULL;

    ERR_clear_error();
    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &is_encrypted);
    if (key == NULL && is_encrypted)
        refuse_encrypted(certificate->key_file, error);
    else if (key == NULL)
        refuse_key(certificate, error);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static int read_key(struct certificate *certificate, struct error *error)
{
    struct pem_file file;

    if (pem_file_read(&file, "key", certificate->key_file, error) < 0)
        return -1;
    certificate->is_key_exposed = file.is_exposed;
    certificate->key = parse_key(&file, certificate, error);
    pem_file_free(&file);
    return certificate->key == NULL ? -1 : 0;
}

/* --- Whether they fit ------------------------------------------------------------------------ */

/* Return which certificate of the chain a key fits, from 1 on, or 0. */
static int find_fitting(const struct certificate *certificate)
{
    for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
        if (X509_check_private_key(sk_X509_value(certificate->chain, i), certificate->key) == 1)
            return i + 1;
    }
    return 0;
}

static int check_fit(const struct certificate *certificate, struct error *error)
{
    struct error key = {""}, explanation = {""};
    int place;

    ERR_clear_error();
    if (X509_check_private_key(certificate->leaf, certificate->key) == 1)
        return 0;
    error_set(&key, "key %s", certificate->key_file);
    error_set(&explanation, "it does not fit the certificate in %s", certificate->file);
    openssl_explain(error, key.text, explanation.text, "name the key that does");
    place = find_fitting(certificate);
    if (place > 0)
        error_set(error,
                  "cert %s: the key fits number %d of its certificates; put that one first, and "
                  "behind it who issued it",
                  certificate->file, place + 1);
    ERR_clear_error();
    return -1;
}

/* Check that a certificate of a file is valid now. */
static int check_time(const char *path, const X509 *x509, struct error *error)
{
    const time_t now = date_now().tv_sec;
    const char *fault = certificate_fault(x509, now);
    const bool is_over = certificate_seconds_left(x509, now) < 0;
    char subject[CERTIFICATE_TEXT_SIZE], when[CERTIFICATE_TIME_SIZE];

    if (fault == NULL)
        return 0;
    certificate_subject(x509, subject);
    if (is_over)
        certificate_format_end(x509, when);
    else
        certificate_format_begin(x509, when);
    error_set(error, "cert %s: %s: %s, %s %s; %s", path, subject, fault,
              is_over ? "it ended" : "it begins", when,
              is_over ? "renew it" : "set the clock, or use one that is");
    errno = EINVAL;
    return -1;
}

static int check_times(const struct certificate *certificate, struct error *error)
{
    if (check_time(certificate->file, certificate->leaf, error) < 0)
        return -1;
    for (int i = 0; i < sk_X509_num(certificate->chain); i++) {
        if (check_time(certificate->file, sk_X509_value(certificate->chain, i), error) < 0)
            return -1;
    }
    return 0;
}

/* --- All of it ------------------------------------------------------------------------------- */

static int copy_paths(struct certificate *certificate, const char *file, const char *key_file,
                      struct error *error)
{
    certificate->file = strdup(file);
    certificate->key_file = strdup(key_file);
    if (certificate->file != NULL && certificate->key_file != NULL)
        return 0;
    error_set(error, "cert %s: %s", file, strerror(ENOMEM));
    errno = ENOMEM;
    return -1;
}

/* Read the certificates; the first is the one that the key belongs to. */
static int read_chain(struct certificate *certificate, struct error *error)
{
    certificate->chain = certificate_read_all("cert", certificate->file, error);
    if (certificate->chain == NULL)
        return -1;
    certificate->leaf = sk_X509_shift(certificate->chain);
    return 0;
}

int certificate_read(struct certificate *certificate, const char *file, const char *key_file,
                     struct error *error)
{
    *certificate = (struct certificate){.leaf = NULL};
    if (copy_paths(certificate, file, key_file, error) == 0 &&
        read_chain(certificate, error) == 0 && read_key(certificate, error) == 0 &&
        check_fit(certificate, error) == 0 && check_times(certificate, error) == 0)
        return 0;
    certificate_free(certificate);
    return -1;
}

void certificate_free(struct certificate *certificate)
{
    const int saved_errno = errno;

    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    free(certificate->file);
    free(certificate->key_file);
    *certificate = (struct certificate){.leaf = NULL};
    errno = saved_errno;
}
