/*
 * preface: what stands before the first byte of a connection: a header of the PROXY protocol, as a
 * balancer sends it. Which header is asked for, and its bytes for one connection.
 * Neither knows the header's format, which is proxy_header's, nor sends it.
 * Called by options to read what is asked for, by target to hold it, and by connector, stream
 * and verifier for each connection.
 */
#ifndef ECHOPROBE_PREFACE_H
#define ECHOPROBE_PREFACE_H

#include "base/error.h"
#include "base/proxy_header.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { PREFACE_TEXT_SIZE = 64 }; /* more than any numeric address and port */

enum preface_kind {
    PREFACE_CONNECTION, /* the client is this end of the connection */
    PREFACE_GIVEN,      /* it is another address */
    PREFACE_LOCAL,      /* there is none, as in a balancer's own check: LOCAL, UNKNOWN */
};

/* The client that is named. */
struct preface_source {
    enum preface_kind kind;
    char text[PREFACE_TEXT_SIZE];    /* as it was given; empty: it was not */
    struct sockaddr_storage address; /* PREFACE_GIVEN: port 0 stands for the connection's */
};

/* What is asked for. */
struct preface_plan {
    enum proxy_version version; /* PROXY_V1 or PROXY_V2; 0: nothing is sent */
    struct preface_source source;
};

/* The bytes for one connection. */
struct preface {
    size_t length;
    unsigned char bytes[PROXY_FORMAT_SIZE];
};

/* Read "v1" or "v2" into a version, and an address or "local" into a source (setting_parse). */
int preface_parse_version(const char *text, void *member, struct error *error);
int preface_parse_source(const char *text, void *member, struct error *error);

/* Write the preface of a socket that is connected. Return 0, or -1 with errno if it is no more. */
int preface_write(const struct preface_plan *plan, int fd, struct preface *preface)
    __attribute__((warn_unused_result));

/* Tell whether these bytes, at least one, are those from `position` on, as far as it goes. */
bool preface_matches(const struct preface *preface, size_t position, const unsigned char *bytes,
                     size_t length);

#endif
