/*
 * tls_facts: what was agreed on in a handshake of TLS, as plain data.
 * Finds out nothing; tls_client does.
 * Called by tls_client to fill it in, and by report, report_json and plugin to tell it.
 */
#ifndef ECHOPROBE_TLS_FACTS_H
#define ECHOPROBE_TLS_FACTS_H

#include "base/certificate_facts.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TLS_FACT_SIZE = 64, /* names of versions and ciphers are shorter */
    TLS_ALPN_NAME_SIZE = 256,
};

struct tls_certificate {
    char subject[CERTIFICATE_TEXT_SIZE]; /* empty: there was no certificate */
    char issuer[CERTIFICATE_TEXT_SIZE];
    int64_t ends; /* seconds since 1970 */
    char ends_text[CERTIFICATE_TIME_SIZE];
};

struct tls_facts {
    char version[TLS_FACT_SIZE], cipher[TLS_FACT_SIZE];
    char alpn[TLS_ALPN_NAME_SIZE]; /* empty: none was agreed on */
    struct tls_certificate server;
    struct tls_certificate first; /* of those that the server sent, the one that ends first */
    const char *objection;        /* OpenSSL's, static, to the server's certificate; NULL: none */
    bool is_verified;             /* there was none, and it was asked for */
    bool is_resumed;
    uint64_t handshake_ns; /* from the open connection to the end of the handshake */
};

/* Return for how many days from now on a certificate is valid; below 0: it has ended. */
double tls_facts_days_left(const struct tls_certificate *certificate);

/* Tell whether it ends within so many days; 0 asks for nothing. */
bool tls_facts_is_ending(const struct tls_certificate *certificate, uint64_t days);

#endif
