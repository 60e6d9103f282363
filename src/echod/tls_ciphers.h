/*
 * tls_ciphers: which ciphers a TLS listener has, from a list in words.
 * Knows no certificate and no version.
 * Called by tls_context.
 *
 * TLS 1.2 has by default the ciphers with AEAD and forward secrecy, and the client's preference
 * counts (RFC 9325, 4.2). With a list, its order counts; names in it that begin with TLS_ are the
 * suites of TLS 1.3, of which OpenSSL's count where none is given.
 */
#ifndef ECHOD_TLS_CIPHERS_H
#define ECHOD_TLS_CIPHERS_H

#include "base/error.h"

struct ssl_ctx_st; /* SSL_CTX of OpenSSL */

/*
 * Let connections have these ciphers; an empty list stands for the default. Return 0, or -1 with
 * errno and a sentence that names what OpenSSL does not know.
 */
int tls_ciphers_set(struct ssl_ctx_st *ssl, const char *list, struct error *error)
    __attribute__((warn_unused_result));

#endif
