#include <config.h>

#include "echoprobe/preface.h"

#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* --- What is asked for ----------------------------------------------------------------------- */

int preface_parse_version(const char *text, void *member, struct error *error)
{
    enum proxy_version *version = member;

    if (strcmp(text, "v1") == 0) {
        *version = PROXY_V1;
        return 0;
    }
    if (strcmp(text, "v2") == 0) {
        *version = PROXY_V2;
        return 0;
    }
    error_set(error, "v1 or v2");
    return -1;
}

static void set_ipv4(struct sockaddr_storage *address, struct in_addr host, in_port_t port)
{
    const struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port, .sin_addr = host};

    *address = (struct sockaddr_storage){0};
    memcpy(address, &ipv4, sizeof ipv4);
}

static void set_ipv6(struct sockaddr_storage *address, struct in6_addr host, in_port_t port)
{
    const struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = host};

    *address = (struct sockaddr_storage){0};
    memcpy(address, &ipv6, sizeof ipv6);
}

/* Read HOST:PORT or HOST, of which the host is numeric. Return false if it is something else. */
static bool read_address(const char *text, struct sockaddr_storage *socket_address)
{
    struct address address;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    struct error ignored = {""};

    if (strstr(text, "://") != NULL || address_parse_target(text, 0, &address, &ignored) < 0)
        return false;
    if (inet_pton(AF_INET, address.host, &ipv4) == 1)
        set_ipv4(socket_address, ipv4, htons(address.port));
    else if (inet_pton(AF_INET6, address.host, &ipv6) == 1)
        set_ipv6(socket_address, ipv6, htons(address.port));
    else
        return false;
    return true;
}

int preface_parse_source(const char *text, void *member, struct error *error)
{
    struct preface_source *source = member;
    const size_t length = strlen(text);

    *source = (struct preface_source){.kind = PREFACE_GIVEN};
    if (strcmp(text, "local") == 0)
        source->kind = PREFACE_LOCAL;
    else if (length >= sizeof source->text || !read_address(text, &source->address)) {
        error_set(error, "a numeric address; write for example 192.0.2.1:5678, [2001:db8::1]:5678, "
                         "either without the port, or local");
        return -1;
    }
    memcpy(source->text, text, length + 1);
    return 0;
}

/* --- Its bytes ------------------------------------------------------------------------------- */

static int read_ends(int fd, struct proxy_header *header)
{
    socklen_t source_length = sizeof header->source;
    socklen_t destination_length = sizeof header->destination;

    if (getsockname(fd, (struct sockaddr *)&header->source, &source_length) < 0 ||
        getpeername(fd, (struct sockaddr *)&header->destination, &destination_length) < 0)
        return -1;
    return 0;
}

/* Return where the port of an address stands, or NULL if it has none. */
static in_port_t *port_of(struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return &((struct sockaddr_in *)address)->sin_port;
    if (address->ss_family == AF_INET6)
        return &((struct sockaddr_in6 *)address)->sin6_port;
    return NULL;
}

/*
 * Name another client. Where one that comes to a Unix socket has connected to, nobody knows: the
 * unspecified address says so.
 */
static void replace_source(struct proxy_header *header, struct sockaddr_storage given)
{
    in_port_t *port = port_of(&given);
    const in_port_t *own_port = port_of(&header->source);

    if (port != NULL && own_port != NULL && *port == 0)
        *port = *own_port;
    header->source = given;
    if (header->destination.ss_family == AF_UNIX)
        header->destination = (struct sockaddr_storage){.ss_family = given.ss_family};
}

int preface_write(const struct preface_plan *plan, int fd, struct preface *preface)
{
    struct proxy_header header = {
        .version = plan->version,
        .has_addresses = plan->source.kind != PREFACE_LOCAL,
    };

    if (header.has_addresses && read_ends(fd, &header) < 0)
        return -1;
    if (plan->source.kind == PREFACE_GIVEN)
        replace_source(&header, plan->source.address);
    preface->length = proxy_header_format(&header, preface->bytes);
    return 0;
}

bool preface_matches(const struct preface *preface, size_t position, const unsigned char *bytes,
                     size_t length)
{
    const size_t left = position < preface->length ? preface->length - position : 0;

    return left > 0 && memcmp(preface->bytes + position, bytes, left < length ? left : length) == 0;
}
