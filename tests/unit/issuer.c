#include <config.h>

#include "issuer.h"

#include <check.h>
#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATHS = 256 };

static struct {
    char directory[32];
    char *paths[MAX_PATHS];
    int count;
    long serial;
} issuer;

/* --- Certificates ---------------------------------------------------------------------------- */

static EVP_PKEY *make_key(bool is_rsa)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(is_rsa ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;

    ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
    if (is_rsa)
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    else
        ck_assert_int_eq(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1), 1);
    ck_assert_int_eq(EVP_PKEY_keygen(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void set_subject(X509 *certificate, const char *common_name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);

    if (common_name == NULL)
        return;
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)common_name, -1, -1, 0),
                     1);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_times(X509 *certificate, struct issuer_wish wish)
{
    const bool is_default = wish.begin_s == 0 && wish.end_s == 0;

    (void)X509_gmtime_adj(X509_getm_notBefore(certificate),
                          is_default ? -ISSUER_DAY : wish.begin_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate),
                          is_default ? 100 * ISSUER_DAY : wish.end_s);
}

struct issued issuer_make(struct issuer_wish wish)
{
    struct issued issued = {X509_new(), make_key(wish.is_rsa)};
    const struct issued *by = wish.issuer == NULL ? &issued : wish.issuer;
    X509 *certificate = issued.certificate;

    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++issuer.serial);
    set_subject(certificate, wish.common_name);
    set_times(certificate, wish);
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate));
    (void)X509_set_pubkey(certificate, issued.key);
    add_extension(certificate, NID_basic_constraints,
                  wish.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (wish.names != NULL)
        add_extension(certificate, NID_subject_alt_name, wish.names);
    ck_assert_int_gt(X509_sign(certificate, by->key, EVP_sha256()), 0);
    return issued;
}

void issuer_free(struct issued *issued)
{
    X509_free(issued->certificate);
    EVP_PKEY_free(issued->key);
    *issued = (struct issued){NULL, NULL};
}

/* --- Files ----------------------------------------------------------------------------------- */

const char *issuer_begin(void)
{
    (void)strcpy(issuer.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(issuer.directory));
    issuer.count = 0;
    return issuer.directory;
}

void issuer_end(void)
{
    DIR *directory = opendir(issuer.directory);
    const struct dirent *entry;

    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.')
            (void)remove(issuer_path(entry->d_name));
    }
    (void)closedir(directory);
    while (issuer.count > 0)
        free(issuer.paths[--issuer.count]);
    ck_assert_int_eq(rmdir(issuer.directory), 0);
}

const char *issuer_path(const char *name)
{
    char *path = NULL;

    ck_assert_int_lt(issuer.count, MAX_PATHS);
    ck_assert_int_gt(asprintf(&path, "%s/%s", issuer.directory, name), 0);
    issuer.paths[issuer.count++] = path;
    return path;
}

/* Write what a BIO holds, and free it. */
static const char *write_bio(const char *name, BIO *bio)
{
    char *text;
    const long length = BIO_get_mem_data(bio, &text);
    const char *path = issuer_write_text(name, text, (size_t)length);

    BIO_free(bio);
    return path;
}

const char *issuer_write_text(const char *name, const char *text, size_t length)
{
    const char *path = issuer_path(name);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

const char *issuer_write(const char *name, X509 *first, EVP_PKEY *key, X509 *second)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (first != NULL)
        ck_assert_int_eq(PEM_write_bio_X509(bio, first), 1);
    if (key != NULL)
        ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    if (second != NULL)
        ck_assert_int_eq(PEM_write_bio_X509(bio, second), 1);
    return write_bio(name, bio);
}

const char *issuer_write_encrypted(const char *name, EVP_PKEY *key)
{
    char passphrase[] = "secret";
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(),
                                              (unsigned char *)passphrase,
                                              (int)sizeof passphrase - 1, NULL, NULL),
                     1);
    return write_bio(name, bio);
}
