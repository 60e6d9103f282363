/*
 * issuer: certificates and keys that a test makes, and the files that it writes them to.
 * Tests nothing itself. There is one where there is OpenSSL.
 * Called by the tests of TLS.
 */
#ifndef TESTS_UNIT_ISSUER_H
#define TESTS_UNIT_ISSUER_H

#include <openssl/x509.h>
#include <stdbool.h>

enum { ISSUER_DAY = 24 * 3600 };

/* A certificate with its key. */
struct issued {
    X509 *certificate;
    EVP_PKEY *key;
};

/* What is wanted; zeros are fine. */
struct issuer_wish {
    const char *common_name;     /* NULL: an empty subject */
    const char *names;           /* as in openssl.cnf: "DNS:a.example,IP:127.0.0.1"; NULL: none */
    long begin_s, end_s;         /* from now on; both 0: from yesterday for 100 days */
    const struct issued *issuer; /* NULL: itself */
    bool is_ca;
    bool is_rsa; /* with the one key of RSA that there is; or else with a new one of P-256 */
};

struct issued issuer_make(struct issuer_wish wish);
void issuer_free(struct issued *issued);

/* Make a directory for the files of a test, and name it; remove it with all that is in it. */
const char *issuer_begin(void);
void issuer_end(void);

/* Return the path of a file of this name in that directory; it is valid until issuer_end. */
const char *issuer_path(const char *name);

/* Write a file of this name that only we may read, and return its path. */
const char *issuer_write_text(const char *name, const char *text, size_t length);

/* The same with certificates, a key and certificates again, each of which may be NULL. */
const char *issuer_write(const char *name, X509 *first, EVP_PKEY *key, X509 *second);

/* The same with a key that a passphrase is wanted for. */
const char *issuer_write_encrypted(const char *name, EVP_PKEY *key);

#endif
