/*
 * proxy_facts: what a header of the PROXY protocol says, kept as texts when its bytes are gone.
 * Parses nothing: proxy_header has done that.
 * Called by handshake, to keep it, and by identify, which shows it.
 */
#ifndef ECHOD_PROXY_FACTS_H
#define ECHOD_PROXY_FACTS_H

#include "base/address.h"
#include "base/identity.h"
#include "base/proxy_header.h"

enum { PROXY_FACT_SIZE = IDENTITY_VALUE_SIZE + 4 }; /* what is too long still is when it was kept */

/* What the header does not say is empty. U+FFFD stands for a NUL. */
struct proxy_facts {
    char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
    char authority[PROXY_FACT_SIZE], unique_id[PROXY_FACT_SIZE];
    char alpn[PROXY_FACT_SIZE];
    char tls_version[PROXY_FACT_SIZE], cipher[PROXY_FACT_SIZE], common_name[PROXY_FACT_SIZE];
    const char *verified; /* "yes" or "no"; NULL: there is no certificate to verify */
};

/* Keep what a header says. The caller frees it, with free. Return NULL with errno ENOMEM. */
struct proxy_facts *proxy_facts_new(const struct proxy_header *header);

#endif
