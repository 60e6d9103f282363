/*
 * proxy_tlv: what stands behind the addresses in a header of the PROXY protocol, version 2: a list
 * of types, lengths and values. Pure. Interprets no value that is a text: it may hold anything, and
 * whoever shows it escapes it. Called by proxy_header.
 */
#ifndef BASE_PROXY_TLV_H
#define BASE_PROXY_TLV_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { PROXY_UNIQUE_ID_MAX_LENGTH = 128 }; /* proxy-protocol.txt, 2.2.5 */

/* A piece of the header, which no NUL ends; `bytes` is NULL where it is not there. */
struct proxy_text {
    const unsigned char *bytes;
    size_t length;
};

/* What the proxy says about TLS between its client and itself (proxy-protocol.txt, 2.2.6). */
struct proxy_ssl {
    bool is_told; /* the header has this TLV; if not, nothing here is known */
    bool is_tls;  /* the client came over TLS */
    bool
        has_certificate; /* the client showed one, over this connection or earlier in its session */
    bool is_verified;    /* and the proxy found it right */
    struct proxy_text version, cipher, common_name;
};

/* Where a type comes more than once, on which the protocol is silent, this is the first. */
struct proxy_tlvs {
    struct proxy_text alpn, authority, unique_id, netns;
    struct proxy_ssl ssl;
};

/*
 * Read the TLVs that stand in `header` from `offset` to its end, and verify its checksum if they
 * have one. Unknown types are skipped; `tlvs` begins with zeros, and gets pointers into `header`.
 * Return 0, or -1 with a sentence in `error` that quotes nothing of the values.
 */
int proxy_tlvs_parse(const unsigned char *header, size_t length, size_t offset,
                     struct proxy_tlvs *tlvs, struct error *error)
    __attribute__((warn_unused_result));

#endif
