/*
 * tls_plan: what is asked for of TLS, as plain data.
 * Makes nothing of it, and needs no OpenSSL; tls_setup does.
 * Called by options to read it and by tls_setup.
 */
#ifndef ECHOPROBE_TLS_PLAN_H
#define ECHOPROBE_TLS_PLAN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_ALPN_SIZE = 512 };

/* Names of protocols as they are sent: each behind a byte with its length (RFC 7301, 3.1). */
struct tls_alpn {
    size_t length; /* 0: none are offered */
    unsigned char names[TLS_ALPN_SIZE];
};

/* The texts are owned by the options; NULL where none was given. */
struct tls_plan {
    char *ca; /* a file or directory with whom to trust; NULL: whom the system trusts */
    char *certificate, *key;
    char *server_name; /* NULL: the host of the address */
    struct tls_alpn alpn;
    bool insecure;             /* take any certificate */
    bool resume;               /* offer the session of an earlier connection */
    uint64_t certificate_days; /* a certificate that ends within them is a fault; 0: none is */
};

/* Read "NAME[,NAME]..." into a struct tls_alpn (setting_parse). */
int tls_plan_parse_alpn(const char *text, void *member, struct error *error);

#endif
