/*
 * identity: what a service tells of itself and of a connection, as a line of words or as JSON.
 * Pure: finds out none of it, and sends nothing.
 * Called by echod's identify.
 *
 *     echod=1.0.0 host=web-1 local=192.0.2.7:7 client=198.51.100.3:40112 id=42 ...
 *     {"echod":"1.0.0","host":"web-1","local":"192.0.2.7:7", ...}
 */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

enum {
    IDENTITY_VALUE_SIZE = 256, /* the longest value, as it is written; it ends in "..." if cut */
    IDENTITY_SIZE = 8192,      /* the longest identity: all values have room */
};

enum identity_form { IDENTITY_LINE, IDENTITY_JSON };

/* What TLS agreed on. */
struct identity_tls {
    const char *version, *cipher, *alpn;
    const char *name;    /* that the client asked for */
    const char *subject; /* of the client's certificate */
};

/* What there is to tell. A text that is NULL or empty is left out; so is an id of 0. */
struct identity {
    const char *version; /* of echod */
    const char *host;
    const char *pod, *pod_namespace, *pod_ip, *node, *container;
    const char *supervisor_process, *supervisor_group;
    uint64_t pid;
    uint64_t worker; /* counted from 0 */

    uint64_t id;
    const char *listener; /* its name, or else its address */
    const char *impaired; /* how it misbehaves on purpose */
    const char *local;    /* the address that was asked */
    const char *client;   /* who is connected */
    struct identity_tls tls;

    /* What the header of the PROXY protocol says. */
    const char *source, *destination;
    const char *authority, *unique_id;
    const char *verified; /* "yes" or "no": the proxy's client showed a certificate */
    struct identity_tls proxy_tls;
};

/*
 * Write it, with a line feed behind it, in at most `size` bytes; a NUL has no part in that. What
 * does not fit is left out: facts from the last on, and "cut" says so, if that has room. Where not
 * even an empty identity fits, it is an empty line, and nothing for 0 bytes.
 * Return the length. With IDENTITY_SIZE bytes it is never cut.
 */
size_t identity_write(const struct identity *identity, enum identity_form form, char *bytes,
                      size_t size) __attribute__((warn_unused_result));

#endif
