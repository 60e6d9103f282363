#include <config.h>

#include "base/address.h"

#include "base/line.h"
#include "base/units.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KNOWN_FORMS                                                                                \
    "tcp://HOST:PORT, HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:///PATH, fd://N, "         \
    "systemd://[NAME], the last three also behind tls+, or stdio:"
#define TARGET_FORMS                                                                               \
    "HOST, tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:///PATH or tls+unix:///PATH"

/* What an address is for: a server's may have any host and port, a client's needs its own. */
enum use { USE_LISTEN, USE_CONNECT };

/* How each kind of address begins. */
static const struct prefix {
    const char *text;
    enum address_scheme scheme;
    bool is_tls;
} prefixes[] = {
    {"tcp://", ADDRESS_TCP, false},
    {"tls://", ADDRESS_TCP, true},
    {"udp://", ADDRESS_UDP, false},
    {"unix://", ADDRESS_UNIX, false},
    {"tls+unix://", ADDRESS_UNIX, true},
    {"fd://", ADDRESS_FD, false},
    {"tls+fd://", ADDRESS_FD, true},
    {"systemd://", ADDRESS_SYSTEMD, false},
    {"tls+systemd://", ADDRESS_SYSTEMD, true},
    {"stdio:", ADDRESS_STDIO, false},
};

enum { PREFIX_COUNT = sizeof prefixes / sizeof prefixes[0] };

/* "stdio:7" is a host and a port. */
static bool has_prefix(const char *text, const struct prefix *prefix)
{
    if (prefix->scheme == ADDRESS_STDIO)
        return strcmp(text, prefix->text) == 0;
    return strncmp(text, prefix->text, strlen(prefix->text)) == 0;
}

/* Return what the text begins with, or NULL. */
static const struct prefix *find_prefix(const char *text)
{
    for (size_t i = 0; i < PREFIX_COUNT; i++) {
        if (has_prefix(text, &prefixes[i]))
            return &prefixes[i];
    }
    return NULL;
}

const char *address_prefix(const struct address *address)
{
    size_t i = 0;

    while (prefixes[i].scheme != address->scheme || prefixes[i].is_tls != address->is_tls) {
        i++;
        assert(i < PREFIX_COUNT); /* there is no such address */
    }
    return prefixes[i].text;
}

static int parse_port(const char *text, const char *whole, enum use use, struct address *address,
                      struct error *error)
{
    const unsigned lowest = use == USE_CONNECT ? 1 : 0;
    uint64_t port;

    if (units_parse_count(text, &port) < 0 || port < lowest || port > UINT16_MAX) {
        error_set(error,
                  "\"%s\" has no port from %u to 65535 at its end; write for example "
                  "tcp://127.0.0.1:13265 or tcp://[::1]:13265",
                  whole, lowest);
        return -1;
    }
    address->port = (uint16_t)port;
    return 0;
}

/*
 * Tell whether the text is an IPv6 address, perhaps with a zone (RFC 4007, 11), and nothing else. A
 * zone has nothing in it that ends a host.
 */
static bool is_ipv6(const char *text)
{
    const size_t length = strcspn(text, "%");
    char host[INET6_ADDRSTRLEN];
    struct in6_addr ignored;

    if (length >= sizeof host || (text[length] == '%' && text[length + 1] == '\0') ||
        strpbrk(text + length, "[]/") != NULL)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return inet_pton(AF_INET6, host, &ignored) == 1;
}

/* Check a host that was copied out of an address. Return 0, or -1 with a sentence in `error`. */
static int check_host(const char *host, bool is_bracketed, const char *whole, enum use use,
                      struct error *error)
{
    if (is_bracketed && !is_ipv6(host)) {
        error_set(error,
                  "\"%s\" has \"%s\" in brackets, which are for IPv6 addresses only; write for "
                  "example tcp://[::1]:13265 or tcp://localhost:13265",
                  whole, host);
        return -1;
    }
    if (strcmp(host, "*") == 0) {
        error_set(error, "\"%s\" has no host; write %s", whole,
                  use == USE_CONNECT ? "whom to connect to, for example localhost"
                                     : "0.0.0.0 or [::] for all addresses of this machine");
        return -1;
    }
    return 0;
}

/*
 * Read HOST:PORT, where an IPv6 host stands in brackets. To connect the port may be left out: then
 * the address keeps its own.
 */
static int parse_host_port(const char *text, const char *whole, enum use use,
                           struct address *address, struct error *error)
{
    const bool is_bracketed = text[0] == '[';
    const char *host = is_bracketed ? text + 1 : text;
    const size_t host_length = strcspn(host, is_bracketed ? "]" : ":");
    const char *behind = host + host_length; /* the bracket, the colon or the end */

    if (is_bracketed && *behind == ']')
        behind++;
    else if (is_bracketed) {
        error_set(error,
                  "\"%s\" has no ] behind its IPv6 address; write for example "
                  "tcp://[::1]:13265",
                  whole);
        return -1;
    }
    if (!is_bracketed && strchr(host, ':') != strrchr(host, ':')) {
        error_set(error,
                  "\"%s\" has more than one colon; an IPv6 address stands in brackets, for "
                  "example tcp://[::1]:13265",
                  whole);
        return -1;
    }
    if (host_length == 0 || host_length >= sizeof address->host ||
        memchr(host, '/', host_length) != NULL) {
        error_set(error, "\"%s\" has no host of 1 to %zu characters without a slash; write %s",
                  whole, sizeof address->host - 1,
                  use == USE_CONNECT ? "for example tcp://127.0.0.1:13265"
                                     : "0.0.0.0 or [::] for all addresses of this machine");
        return -1;
    }
    memcpy(address->host, host, host_length);
    address->host[host_length] = '\0';
    if (check_host(address->host, is_bracketed, whole, use, error) < 0)
        return -1;
    if (*behind == '\0' && use == USE_CONNECT)
        return 0;
    return parse_port(*behind == ':' ? behind + 1 : "", whole, use, address, error);
}

/*
 * What stands for a character of a path that has a meaning in an address (RFC 3986, 2.1): a comma
 * begins the options of a listener. Other per cent signs stand for themselves.
 */
static const struct {
    char character;
    const char *text;
} encoded[] = {{',', "%2C"}, {'%', "%25"}};

enum { ENCODED_COUNT = sizeof encoded / sizeof encoded[0] };

/* Return the character that the text begins with, and how long it is there. */
static char decode(const char *text, size_t *length)
{
    for (size_t i = 0; i < ENCODED_COUNT; i++) {
        *length = strlen(encoded[i].text);
        if (strncasecmp(text, encoded[i].text, *length) == 0)
            return encoded[i].character;
    }
    *length = 1;
    return *text;
}

/* Decode a path. Return false if it has no room. */
static bool decode_path(const char *text, char path[ADDRESS_PATH_SIZE])
{
    size_t count = 0, length;

    for (; *text != '\0'; text += length) {
        if (count + 1 == ADDRESS_PATH_SIZE)
            return false;
        path[count++] = decode(text, &length);
    }
    path[count] = '\0';
    return true;
}

static void encode_path(const char *prefix, const char *path, char text[ADDRESS_TEXT_SIZE])
{
    struct line line = {.length = 0};
    size_t length;

    line_append_text(&line, prefix);
    for (; *path != '\0'; path++) {
        if (*path == ',')
            line_append_text(&line, "%2C");
        else if (decode(path, &length) != *path || length > 1)
            line_append_text(&line, "%25");
        else
            line_append(&line, path, 1);
    }
    (void)snprintf(text, ADDRESS_TEXT_SIZE, "%s", line_text(&line));
}

static int parse_unix(const char *path, const char *whole, struct address *address,
                      struct error *error)
{
    if ((path[0] != '/' && path[0] != '@') || path[1] == '\0') {
        error_set(error,
                  "\"%s\" has no absolute path; write for example unix:///run/echod.sock, or "
                  "unix://@echod for an abstract name",
                  whole);
        return -1;
    }
    if (!decode_path(path, address->path)) {
        error_set(error,
                  "\"%s\" has a path longer than %zu characters, the most that a Unix socket "
                  "can have",
                  whole, sizeof address->path - 1);
        return -1;
    }
    return 0;
}

static int parse_fd(const char *text, const char *whole, struct address *address,
                    struct error *error)
{
    uint64_t fd;

    if (units_parse_count(text, &fd) < 0 || fd > INT_MAX) {
        error_set(error, "\"%s\" has no number of a descriptor; write for example fd://0", whole);
        return -1;
    }
    address->fd = (int)fd;
    return 0;
}

/* A name is what systemd takes for one: see FileDescriptorName= in systemd.socket(5). */
static int parse_systemd(const char *name, const char *whole, struct address *address,
                         struct error *error)
{
    const size_t length = strlen(name);

    for (const char *character = name; *character != '\0'; character++) {
        if (*character < ' ' || *character > '~' || *character == ':' ||
            length >= sizeof address->name) {
            error_set(error,
                      "\"%s\" has no name of at most %zu ASCII characters without a colon; write "
                      "for example systemd://echod.socket, or systemd:// for all sockets",
                      whole, sizeof address->name - 1);
            return -1;
        }
    }
    memcpy(address->name, name, length + 1);
    return 0;
}

/* Read what stands behind the prefix. */
static int parse_rest(const char *rest, const char *whole, enum use use, struct address *address,
                      struct error *error)
{
    switch (address->scheme) {
    case ADDRESS_TCP:
    case ADDRESS_UDP:
        return parse_host_port(rest, whole, use, address, error);
    case ADDRESS_UNIX:
        return parse_unix(rest, whole, address, error);
    case ADDRESS_FD:
        return parse_fd(rest, whole, address, error);
    case ADDRESS_SYSTEMD:
        return parse_systemd(rest, whole, address, error);
    case ADDRESS_STDIO:
        return 0;
    }
    abort(); /* no such scheme */
}

int address_parse(const char *text, struct address *address, struct error *error)
{
    const struct prefix *prefix = find_prefix(text);

    *address = (struct address){.scheme = ADDRESS_TCP};
    if (prefix != NULL) {
        address->scheme = prefix->scheme;
        address->is_tls = prefix->is_tls;
        return parse_rest(text + strlen(prefix->text), text, USE_LISTEN, address, error);
    }
    if (strstr(text, "://") == NULL && strchr(text, ':') != NULL)
        return parse_host_port(text, text, USE_LISTEN, address, error);
    error_set(error, "\"%s\" is no address; write " KNOWN_FORMS, text);
    return -1;
}

/* Tell whether a client can connect to what begins like this. */
static bool is_target(const char *text, const struct prefix *prefix)
{
    if (prefix == NULL)
        return strstr(text, "://") == NULL;
    return prefix->scheme == ADDRESS_TCP || prefix->scheme == ADDRESS_UDP ||
           prefix->scheme == ADDRESS_UNIX;
}

int address_parse_target(const char *text, uint16_t default_port, struct address *address,
                         struct error *error)
{
    const struct prefix *prefix = find_prefix(text);
    const char *rest = prefix == NULL ? text : text + strlen(prefix->text);

    *address = (struct address){.scheme = ADDRESS_TCP, .port = default_port};
    if (!is_target(text, prefix)) {
        error_set(error, "\"%s\" is no address to connect to; write " TARGET_FORMS, text);
        return -1;
    }
    if (prefix != NULL) {
        address->scheme = prefix->scheme;
        address->is_tls = prefix->is_tls;
    }
    if (address->scheme != ADDRESS_UNIX && is_ipv6(rest) && strlen(rest) < sizeof address->host) {
        memcpy(address->host, rest, strlen(rest) + 1);
        return 0;
    }
    return parse_rest(rest, text, USE_CONNECT, address, error);
}

bool address_is_equal(const struct address *address, const struct address *other)
{
    if (address->scheme != other->scheme || address->is_tls != other->is_tls)
        return false;
    switch (address->scheme) {
    case ADDRESS_TCP:
    case ADDRESS_UDP:
        return address->port == other->port && strcmp(address->host, other->host) == 0;
    case ADDRESS_UNIX:
        return strcmp(address->path, other->path) == 0;
    case ADDRESS_FD:
        return address->fd == other->fd;
    case ADDRESS_SYSTEMD:
        return strcmp(address->name, other->name) == 0;
    case ADDRESS_STDIO:
        return true;
    }
    abort(); /* no such scheme */
}

static void format_host_port(const char *host, uint16_t port, const char *scheme,
                             char text[ADDRESS_TEXT_SIZE])
{
    const bool needs_brackets = strchr(host, ':') != NULL;

    (void)snprintf(text, ADDRESS_TEXT_SIZE, "%s%s%s%s:%u", scheme, needs_brackets ? "[" : "", host,
                   needs_brackets ? "]" : "", (unsigned)port);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    const char *prefix = address_prefix(address);

    switch (address->scheme) {
    case ADDRESS_TCP:
    case ADDRESS_UDP:
        format_host_port(address->host, address->port, prefix, text);
        return;
    case ADDRESS_UNIX:
        encode_path(prefix, address->path, text);
        return;
    case ADDRESS_FD:
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "%s%d", prefix, address->fd);
        return;
    case ADDRESS_SYSTEMD:
    case ADDRESS_STDIO:
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "%s%s", prefix, address->name);
        return;
    }
    abort(); /* no such scheme */
}

/* It stands in a line of the log for each connection, so it does without printf. */
static void format_ipv4(const struct sockaddr_in *socket_address, char text[ADDRESS_TEXT_SIZE])
{
    const uint32_t host = ntohl(socket_address->sin_addr.s_addr);
    struct line line;

    line.length = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        line_append_number(&line, host >> shift & 0xff);
        line_append_text(&line, shift > 0 ? "." : ":");
    }
    line_append_number(&line, ntohs(socket_address->sin_port));
    memcpy(text, line_text(&line), line.length + 1);
}

/* An IPv4 peer of a socket for both families (RFC 4291, 2.5.5.2) is shown as what it is. */
static bool format_mapped(const struct sockaddr *socket_address, socklen_t length,
                          char text[ADDRESS_TEXT_SIZE])
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6;

    if (length < sizeof v6)
        return false;
    memcpy(&v6, socket_address, sizeof v6);
    if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return false;
    memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof v4.sin_addr);
    v4.sin_port = v6.sin6_port;
    format_ipv4(&v4, text);
    return true;
}

static void format_ipv6(const struct sockaddr *socket_address, socklen_t length,
                        char text[ADDRESS_TEXT_SIZE])
{
    char host[ADDRESS_HOST_SIZE], port[NI_MAXSERV];

    if (format_mapped(socket_address, length, text))
        return;

    if (getnameinfo(socket_address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "unknown");
    else
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%s", host, port);
}

bool address_is_abstract(const struct address *address)
{
    return address->path[0] == '@';
}

socklen_t address_unix_socket(const struct address *address, struct sockaddr_un *socket_address)
{
    const size_t length = strlen(address->path);

    *socket_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(socket_address->sun_path, address->path, length);
    if (!address_is_abstract(address))
        return sizeof *socket_address;
    socket_address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Only sun_path up to `length` counts; it may lack the NUL, and is empty for an unnamed socket. */
static void format_unix(const struct sockaddr *socket_address, socklen_t length,
                        char text[ADDRESS_TEXT_SIZE])
{
    const char *path = (const char *)socket_address + offsetof(struct sockaddr_un, sun_path);
    const size_t space = length > offsetof(struct sockaddr_un, sun_path)
                             ? (size_t)length - offsetof(struct sockaddr_un, sun_path)
                             : 0;
    const size_t path_length = strnlen(path, space);

    if (path_length == 0 && space > 1 && path[1] != '\0')
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "@%.*s", (int)(space - 1), path + 1);
    else if (path_length == 0)
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "unix");
    else
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "%.*s", (int)path_length, path);
}

void address_format_socket(const struct sockaddr *socket_address, socklen_t length,
                           char text[ADDRESS_TEXT_SIZE])
{
    if (socket_address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in))
        format_ipv4((const struct sockaddr_in *)(const void *)socket_address, text);
    else if (socket_address->sa_family == AF_INET6)
        format_ipv6(socket_address, length, text);
    else if (socket_address->sa_family == AF_UNIX)
        format_unix(socket_address, length, text);
    else
        (void)snprintf(text, ADDRESS_TEXT_SIZE, "unknown");
}
