/*
 * proxy_header: the header of the PROXY protocol, with which a proxy says for whom it connects:
 * versions 1 and 2 <-> addresses, and what version 2 may add to them.
 * Pure: reads no socket, trusts nobody and waits for nothing.
 * Called by echod's connections to parse one, and by echoprobe to format one.
 *
 * Source: The PROXY protocol, versions 1 & 2, of 2026/04/27 (haproxy, doc/proxy-protocol.txt).
 */
#ifndef BASE_PROXY_HEADER_H
#define BASE_PROXY_HEADER_H

#include "base/error.h"
#include "base/proxy_tlv.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    PROXY_V1_MAX_SIZE = 107,            /* 2.1: with CR and LF */
    PROXY_HEADER_MAX_SIZE = 16 + 65535, /* 2.2 */
    PROXY_FORMAT_SIZE = 16 + 2 * 108,   /* the longest without TLVs: Unix, 2.2 */
};

/* A set of versions is the sum of its members. */
enum proxy_version { PROXY_V1 = 1, PROXY_V2 = 2, PROXY_ANY = PROXY_V1 | PROXY_V2 };

/* Plain data, but the texts in `tlvs` are pieces of what was parsed. */
struct proxy_header {
    enum proxy_version version;
    bool has_addresses; /* if not (UNKNOWN, LOCAL, UNSPEC), those of the connection itself count */
    bool is_datagram;   /* what the proxy's client speaks; version 1 knows streams only */
    struct sockaddr_storage source, destination; /* both AF_INET, AF_INET6 or AF_UNIX */
    struct proxy_tlvs tlvs;                      /* of version 2 with addresses */
};

enum proxy_outcome {
    PROXY_COMPLETE,   /* the header is there; other bytes may follow it */
    PROXY_INCOMPLETE, /* all bytes belong to a header, of which more has to come */
    PROXY_INVALID,    /* this is no header of the protocol */
};

/*
 * Parse a header of which the first `length` bytes have come, in one of the versions of a set.
 *
 * PROXY_COMPLETE: `header` is set, and the first `*header_length` bytes are the header.
 * PROXY_INCOMPLETE: call again with these bytes and those that follow.
 * PROXY_INVALID: a sentence in `error` says why; it quotes nothing of what came. A wrong byte is
 * seen at once in the fixed part of version 2, a wrong field of a line when it ends; addresses and
 * TLVs of version 2 are looked at when they are there as a whole, so that bytes that drip cost
 * little.
 *
 * Unix addresses are as long as the whole struct sockaddr_un, with zeros behind the path.
 */
enum proxy_outcome proxy_header_parse(const unsigned char *bytes, size_t length,
                                      enum proxy_version versions, struct proxy_header *header,
                                      size_t *header_length, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Write a header of `header->version` without TLVs, and return its length. If one address is IPv4
 * and the other IPv6, both are written as IPv6. Without addresses, or with such as the version has
 * no form for (1: Unix, datagrams), it says UNKNOWN or LOCAL. A path has zeros behind it.
 */
size_t proxy_header_format(const struct proxy_header *header,
                           unsigned char bytes[PROXY_FORMAT_SIZE])
    __attribute__((warn_unused_result));

#endif
