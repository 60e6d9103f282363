#include <config.h>

#include "issuer.h"

#include <check.h>
#include <dirent.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
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

/* It takes long to make one (under valgrind, minutes), so there is one for all tests. */
static const char rsa_key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDVbZzeTItsqodD\n"
                              "3hwwER5jzT/cjwjlBXVSh43aLWPR9wNE/eFoEihEkmcv5TN2DPMBgspotElYqG7G\n"
                              "Cp/hoT/uIK9L5ORBs+jgLYXZCurWiM9yJD1AHzU7yIre95ShPmjOzDUcghOPf/Hc\n"
                              "lqzRixN+MDHikj+PBst7pzGk5UREk7dAprv2tasvaL00mdCYvbBg4CIYGdXNsd+J\n"
                              "lMA5WztNvps4LrwGhCXME99pcNH98LrwdhbhIq5tG+38Cwno2yRlGp+IH7b0jyoi\n"
                              "dw/5Lx1OpJCWFme59phljNF2aJic0eaOOLa81I5rijQv3q00SOKuN9uvOg23zRh3\n"
                              "mjxqc4tJAgMBAAECggEABwSFWzsQFvQdrrBMcMYqhiSQqRg1tilLFZO23Dz21cep\n"
                              "K1xGGTQG1lTFoNA8AQsyKFNCtyIKcVuK1oDKutJtaQKMUQYHMIpEw3sSHID2SzSR\n"
                              "AaAW0kqhNCrtageg/8ZIdiUS/Mt7VV7jHU1oN4GhRyc4uxbzXdwSCV0fgQ9qz1Uu\n"
                              "sFePCqFQG9a5BoLn0zYsuNfRi2MRP7a3A11nzHTRLMsw5ArpsII+X0eOwWC/3lsr\n"
                              "5tdwaXad0BfyzEM/n1BIBziftYOGnpkUi35UWQTssyT+RUPyuJlcR7yZ1HIpbHoF\n"
                              "YzLNmfr6OVz5KtJ7zhuUyV+4uFfG+NJUMjuoEaMU2wKBgQD0vB5WBk2ijMaxPwXm\n"
                              "ZR3a0tRn9OPp1n75vpeqLvXW5kRoKmF0QktX5iwXHosuqz2aFysvsZSr4+qpc7Q5\n"
                              "xCvRzqpM4K6RH278wybkDar1pvxSzdpEgzLj48st1wBEGvyQF6Xvn3gcYhx58Ybn\n"
                              "25GPznQii18UHRtSXuH8TgkFrwKBgQDfQJYDt6ZNtfU11Pa6QJjkcDLcaRAjr0Io\n"
                              "/PD/Jw92DnQSPNV/Vo35O7LRUStFvpCA31u+DqfpMeRDYP/Ocu/0yJz/5OqUhtA7\n"
                              "dwpWK8cktl2G30qk/wm9VX5/d3HNTy8bRnLwjcJl8zy+OUy7MLTLQiowJS+tTMAT\n"
                              "ObQ2BpY0hwKBgBcYveAufhsuH/5QTVU+C8BAD220LeI+rQMS2qtj/S2H08Lk5Qec\n"
                              "zhGAln6kEkyYOpsVPq0knDxQqS/OzJ57Bgup7maM+cyWY9oU7NGu/Ihsdvm1lbjL\n"
                              "jPz23ZD47nx+84EBylY//YzoMXnMsoelMCqbOFieQJ3cVVzDuZ4fGzjfAoGAC9PQ\n"
                              "HsJL/TH2m7N8nsFtWCzZhPPL9xgB2UoNOndHSmnZnF28sdJUEzAmeRBjyn4eCbXL\n"
                              "lnYQTzplbWxmIPnV3JIEP0pRYy0BOyVDVu1az4cZzVtnCPa5/V3aJcaeMNJRHJDO\n"
                              "5g+cjOol/a3rcr9R1LLcqVBPBk9anaog8fvHWWECgYAqfs0f51BiSn61P67hira0\n"
                              "XJeZXAIf8DhtfelUKtyOSAqPCOBcrfrSGH0MMS/4lFiyzi/aNYFj9hSDKKjH86St\n"
                              "CITQovOYKfWtyxwS8xK1S0D1MJLqTVoWeVx6iJevfUpDU5eiEdpDE7XmxA4LKNSE\n"
                              "hDmFOGKOBSJUTnrk4XXgpg==\n"
                              "-----END PRIVATE KEY-----\n";

static EVP_PKEY *read_rsa_key(void)
{
    BIO *bio = BIO_new_mem_buf(rsa_key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return key;
}

static EVP_PKEY *make_ec_key(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;

    ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
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
    struct issued issued = {X509_new(), wish.is_rsa ? read_rsa_key() : make_ec_key()};
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

    ck_assert_ptr_nonnull(directory);
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
