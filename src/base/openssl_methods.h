/*
 * openssl_methods: has OpenSSL read what its providers can do, while there is memory.
 * Chooses no algorithm.
 * Called by tls_context.
 *
 * OpenSSL 3.0 reads the methods of a kind, such as ciphers, when the first of them is asked for,
 * and only once: if memory lacks then, those that it could not take are "unsupported" until the
 * process ends (providers' operation bits, crypto/core_algorithm.c). Without this the kinds of a
 * handshake are first asked for when the first client comes.
 */
#ifndef BASE_OPENSSL_METHODS_H
#define BASE_OPENSSL_METHODS_H

/* Have the methods of each kind that TLS needs read. Return 0, or -1 if memory lacked. */
int openssl_methods_read(void) __attribute__((warn_unused_result));

#endif
