/*
 * tls_context: what the connections of one TLS listener share: an SSL_CTX for each certificate,
 * made from the listener's options and files.
 * Knows no connection; tls_session does.
 * Made at the start and anew at each reload, and held by endpoints and groups of connections.
 *
 * A connection's certificate is the first one of the list that is for the name which its client
 * gives (SNI), or else the first one; and if there is one with a key of another type that is for
 * the same hosts, the client may have that.
 *
 * Sessions are resumed by tickets alone, whose keys are the context's own, and not at all where
 * clients show certificates.
 */
#ifndef ECHOD_TLS_CONTEXT_H
#define ECHOD_TLS_CONTEXT_H

#include "base/error.h"
#include "echod/listener_options.h"

#include <stddef.h>

struct ssl_ctx_st;    /* SSL_CTX of OpenSSL */
struct stack_st_X509; /* STACK_OF(X509) */
struct certificate;   /* base/certificate.h */

/* Counts who holds it; nothing else in it changes. Any thread may hold it. */
struct tls_context;

/*
 * Read the files of a listener's options, and make its context; who calls this holds it.
 * Return NULL with errno and a sentence in `error` that names the file or option, has OpenSSL's
 * reason, and says what would be right.
 */
struct tls_context *tls_context_new(const struct listener_options *options, struct error *error);

/* Hold it once more, and return it. NULL is fine. */
struct tls_context *tls_context_ref(struct tls_context *context);

/* Hold it once less; the last one frees it. NULL is fine. */
void tls_context_unref(struct tls_context *context);

/* Return what an SSL of a connection is made from; it lives as long as the context. */
struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context);

/* Return a certificate of the list, or NULL behind the last. */
const struct certificate *tls_context_certificate(const struct tls_context *context, size_t index);

/* Return the client CAs, or NULL if no client is asked for a certificate. */
const struct stack_st_X509 *tls_context_client_ca(const struct tls_context *context);

/* Return which OpenSSL this is: "3.0.17"; empty: there is none. */
const char *tls_context_library_version(void);

#endif
