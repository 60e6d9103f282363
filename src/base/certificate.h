/*
 * certificate: certificates with their chains and keys, read from PEM files, that fit together.
 * Takes part in no handshake, and says nothing of what stands in them; certificate_facts does.
 * Called by whoever makes an SSL_CTX: echod's tls_context.
 */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include "base/error.h"

#include <stdbool.h>

struct x509_st;       /* X509, */
struct stack_st_X509; /* STACK_OF(X509) */
struct evp_pkey_st;   /* and EVP_PKEY of OpenSSL */

/* A certificate and what belongs to it. All of it is owned. */
struct certificate {
    struct x509_st *leaf;
    struct stack_st_X509 *chain; /* those behind it in its file; may be empty */
    struct evp_pkey_st *key;
    char *file, *key_file; /* equal texts if one file holds both */
    bool is_key_exposed;   /* others than the key file's owner and group may read or write it */
};

/*
 * Read a certificate, its chain and its key, which fits; all of the chain is valid now.
 * Return 0; or -1 with errno, nothing to free, and a sentence in `error` that names the file, has
 * OpenSSL's reason, and says what would be right.
 */
int certificate_read(struct certificate *certificate, const char *file, const char *key_file,
                     struct error *error) __attribute__((warn_unused_result));

/* Free what it owns. All zeros is fine. */
void certificate_free(struct certificate *certificate);

/*
 * Read all certificates of the file at `path`, at least one; sk_X509_pop_free frees them. `what` is
 * what the sentence calls the file: "client-ca". Return NULL with errno and such a sentence
 * otherwise.
 */
struct stack_st_X509 *certificate_read_all(const char *what, const char *path, struct error *error);

#endif
