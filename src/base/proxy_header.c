#include <config.h>

#include "base/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define V1_SIGNATURE "PROXY "
#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Where what is in the fixed part of version 2, and its values (2.2). */
enum {
    V2_SIGNATURE_SIZE = sizeof V2_SIGNATURE - 1,
    V2_COMMAND = V2_SIGNATURE_SIZE, /* and the version, in the upper half */
    V2_PROTOCOL,                    /* and the family, in the upper half */
    V2_LENGTH,
    V2_FIXED_SIZE = V2_LENGTH + 2,

    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    FAMILY_UNSPEC = 0,
    FAMILY_INET = 1,
    FAMILY_INET6 = 2,
    FAMILY_UNIX = 3,
    PROTOCOL_UNSPEC = 0,
    PROTOCOL_STREAM = 1,
    PROTOCOL_DGRAM = 2,

    INET_SIZE = 4,
    INET6_SIZE = 16,
    PORT_SIZE = 2,
    UNIX_SIZE = 108,
};

/* Tell whether the bytes are the beginning of a text, or begin with it. */
static bool is_begin(const unsigned char *bytes, size_t length, const char *text,
                     size_t text_length)
{
    return memcmp(bytes, text, length < text_length ? length : text_length) == 0;
}

static void set_inet(struct sockaddr_storage *to, int family, const unsigned char *address,
                     uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (family == AF_INET) {
        memcpy(&v4.sin_addr, address, INET_SIZE);
        memcpy(to, &v4, sizeof v4);
    } else {
        memcpy(&v6.sin6_addr, address, INET6_SIZE);
        memcpy(to, &v6, sizeof v6);
    }
}

/* Version 1: "PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT" and CR LF (2.1). */

enum { FIELD_SOURCE, FIELD_DESTINATION, FIELD_SOURCE_PORT, FIELD_DESTINATION_PORT, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"source address", "destination address",
                                                     "source port", "destination port"};

struct place {
    unsigned char address[INET6_SIZE];
    uint16_t port;
};

/* What has come of a line. */
struct line_so_far {
    const char *text;
    size_t length; /* up to the CR, or all */
    bool has_cr;
    bool is_whole; /* CR and LF are there */
};

/* Find the end of the line. Return 0, or -1 with a sentence in `error` if it is wrong or too far.
 */
static int find_line_end(const unsigned char *bytes, size_t length, struct line_so_far *line,
                         struct error *error)
{
    enum { TEXT_MAX_LENGTH = PROXY_V1_MAX_SIZE - 2 };
    size_t end = 0;

    while (end < length && end <= TEXT_MAX_LENGTH && bytes[end] != '\r' && bytes[end] != '\n')
        end++;
    if (end > TEXT_MAX_LENGTH) {
        error_set(error, "the PROXY header is a line of more than %d bytes", PROXY_V1_MAX_SIZE);
        return -1;
    }
    *line = (struct line_so_far){.text = (const char *)bytes, .length = end};
    line->has_cr = end < length && bytes[end] == '\r';
    line->is_whole = line->has_cr && end + 1 < length && bytes[end + 1] == '\n';
    if (end < length && (!line->has_cr || (end + 1 < length && !line->is_whole))) {
        error_set(error, "the PROXY header is a line that does not end with CR and LF");
        return -1;
    }
    return 0;
}

static bool is_made_of(const char *text, size_t length, const char *characters)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0' || strchr(characters, text[i]) == NULL)
            return false;
    }
    return true;
}

static const char *field_characters(int field, int family)
{
    if (field >= FIELD_SOURCE_PORT)
        return "0123456789";
    return family == AF_INET ? "0123456789." : "0123456789abcdefABCDEF:.";
}

/* Read a port without zeros in front. Return false if it is none. */
static bool read_port(const char *text, uint16_t *port)
{
    const unsigned long number = strtoul(text, NULL, 10);

    *port = (uint16_t)number;
    return text[0] != '\0' && (text[0] != '0' || text[1] == '\0') && number <= UINT16_MAX;
}

/* Read one field. Return false if it is wrong. */
static bool read_field(int field, int family, const char *text, size_t length,
                       struct place places[2])
{
    char field_text[INET6_ADDRSTRLEN];
    struct place *place = &places[field % 2];

    if (length >= sizeof field_text)
        return false;
    memcpy(field_text, text, length);
    field_text[length] = '\0';
    if (field >= FIELD_SOURCE_PORT)
        return read_port(field_text, &place->port);
    return inet_pton(family, field_text, place->address) == 1;
}

/* Find the field that begins at `text`. Return whether its end is there, too. */
static bool find_field_end(int field, const char *text, const struct line_so_far *line,
                           size_t *length)
{
    const char *space = NULL;

    *length = (size_t)(line->text + line->length - text);
    if (field == FIELD_COUNT - 1)
        return line->has_cr;
    space = memchr(text, ' ', *length);
    if (space != NULL)
        *length = (size_t)(space - text);
    return space != NULL;
}

/* Read the fields behind the name of the protocol, as far as they are there. */
static enum proxy_outcome parse_fields(const struct line_so_far *line, size_t offset, int family,
                                       struct proxy_header *header, struct error *error)
{
    struct place places[2] = {{.port = 0}, {.port = 0}};
    const char *text = line->text + offset;
    size_t length;

    for (int field = 0; field < FIELD_COUNT; field++, text += length + 1) {
        const bool is_ended = find_field_end(field, text, line, &length);

        if (!is_made_of(text, length, field_characters(field, family)) ||
            (is_ended ? !read_field(field, family, text, length, places) : line->has_cr)) {
            error_set(error, "the PROXY header has no %s as version 1 writes it",
                      field_names[field]);
            return PROXY_INVALID;
        }
        if (!is_ended)
            return PROXY_INCOMPLETE;
    }
    header->has_addresses = true;
    set_inet(&header->source, family, places[0].address, places[0].port);
    set_inet(&header->destination, family, places[1].address, places[1].port);
    return line->is_whole ? PROXY_COMPLETE : PROXY_INCOMPLETE;
}

/* Behind UNKNOWN anything may stand, which means nothing. */
static enum proxy_outcome parse_unknown(const struct line_so_far *line, size_t offset,
                                        struct error *error)
{
    if (line->length > offset && line->text[offset] != ' ') {
        error_set(error, "the PROXY header has no space behind UNKNOWN");
        return PROXY_INVALID;
    }
    return line->is_whole ? PROXY_COMPLETE : PROXY_INCOMPLETE;
}

static enum proxy_outcome parse_v1(const unsigned char *bytes, size_t length,
                                   struct proxy_header *header, size_t *header_length,
                                   struct error *error)
{
    static const struct {
        const char *text;
        int family;
    } begins[] = {{V1_SIGNATURE "TCP4 ", AF_INET},
                  {V1_SIGNATURE "TCP6 ", AF_INET6},
                  {V1_SIGNATURE "UNKNOWN", AF_UNSPEC}};
    struct line_so_far line;

    header->version = PROXY_V1;
    if (find_line_end(bytes, length, &line, error) < 0)
        return PROXY_INVALID;
    *header_length = line.length + 2;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        const size_t begin_length = strlen(begins[i].text);

        if (!is_begin(bytes, length, begins[i].text, begin_length))
            continue;
        if (length < begin_length)
            return PROXY_INCOMPLETE;
        if (begins[i].family == AF_UNSPEC)
            return parse_unknown(&line, begin_length, error);
        return parse_fields(&line, begin_length, begins[i].family, header, error);
    }
    error_set(error, "the PROXY header has neither TCP4 nor TCP6 nor UNKNOWN behind PROXY");
    return PROXY_INVALID;
}

/* Version 2: a signature, command, protocol and length, addresses and TLVs (2.2). */

static size_t v2_addresses_size(unsigned family)
{
    switch (family) {
    case FAMILY_INET:
        return 2 * (INET_SIZE + PORT_SIZE);
    case FAMILY_INET6:
        return 2 * (INET6_SIZE + PORT_SIZE);
    case FAMILY_UNIX:
        return 2 * UNIX_SIZE;
    }
    return 0;
}

static uint16_t read_number(const unsigned char bytes[2])
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void write_number(unsigned char bytes[2], size_t number)
{
    bytes[0] = (unsigned char)(number >> 8);
    bytes[1] = (unsigned char)number;
}

static void set_unix(struct sockaddr_storage *to, const unsigned char path[UNIX_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t room = sizeof address.sun_path; /* 104 on some systems */

    memcpy(address.sun_path, path, room < UNIX_SIZE ? room : UNIX_SIZE);
    memcpy(to, &address, sizeof address);
}

static void set_v2_addresses(unsigned family, const unsigned char *bytes,
                             struct proxy_header *header)
{
    const size_t size = family == FAMILY_INET ? INET_SIZE : INET6_SIZE;
    const int socket_family = family == FAMILY_INET ? AF_INET : AF_INET6;
    const unsigned char *ports = bytes + 2 * size;

    header->has_addresses = true;
    if (family == FAMILY_UNIX) {
        set_unix(&header->source, bytes);
        set_unix(&header->destination, bytes + UNIX_SIZE);
        return;
    }
    set_inet(&header->source, socket_family, bytes, read_number(ports));
    set_inet(&header->destination, socket_family, bytes + size, read_number(ports + PORT_SIZE));
}

/* Check what has come of command and protocol. LOCAL means that the protocol is not looked at. */
static int check_v2(const unsigned char *bytes, size_t length, struct error *error)
{
    if (length > V2_COMMAND && bytes[V2_COMMAND] >> 4 != PROXY_V2) {
        error_set(error, "the PROXY header has the signature of version 2, but version %d",
                  bytes[V2_COMMAND] >> 4);
        return -1;
    }
    if (length > V2_COMMAND && (bytes[V2_COMMAND] & 0xf) > COMMAND_PROXY) {
        error_set(error, "the PROXY header has the command %d, and there are only 0 and 1",
                  bytes[V2_COMMAND] & 0xf);
        return -1;
    }
    if (length > V2_PROTOCOL && (bytes[V2_COMMAND] & 0xf) == COMMAND_PROXY &&
        (bytes[V2_PROTOCOL] >> 4 > FAMILY_UNIX || (bytes[V2_PROTOCOL] & 0xf) > PROTOCOL_DGRAM)) {
        error_set(error, "the PROXY header has the unknown family and protocol 0x%02x",
                  bytes[V2_PROTOCOL]);
        return -1;
    }
    return 0;
}

/* LOCAL and UNSPEC mean those of the connection, whatever else the header holds. */
static bool tells_v2_addresses(const unsigned char fixed[V2_FIXED_SIZE])
{
    return (fixed[V2_COMMAND] & 0xf) == COMMAND_PROXY && fixed[V2_PROTOCOL] >> 4 != FAMILY_UNSPEC &&
           (fixed[V2_PROTOCOL] & 0xf) != PROTOCOL_UNSPEC;
}

/* Read a header with addresses from its whole fixed part on. */
static enum proxy_outcome parse_v2_addresses(const unsigned char *bytes, size_t length,
                                             struct proxy_header *header, size_t header_length,
                                             struct error *error)
{
    const unsigned family = bytes[V2_PROTOCOL] >> 4;
    const size_t offset = V2_FIXED_SIZE + v2_addresses_size(family);

    if (header_length < offset) {
        error_set(error, "the PROXY header has %zu bytes, and %zu with its addresses",
                  header_length, offset);
        return PROXY_INVALID;
    }
    if (length < header_length)
        return PROXY_INCOMPLETE;
    set_v2_addresses(family, bytes + V2_FIXED_SIZE, header);
    header->is_datagram = (bytes[V2_PROTOCOL] & 0xf) == PROTOCOL_DGRAM;
    if (proxy_tlvs_parse(bytes, header_length, offset, &header->tlvs, error) < 0)
        return PROXY_INVALID;
    return PROXY_COMPLETE;
}

static enum proxy_outcome parse_v2(const unsigned char *bytes, size_t length,
                                   struct proxy_header *header, size_t *header_length,
                                   struct error *error)
{
    header->version = PROXY_V2;
    if (check_v2(bytes, length, error) < 0)
        return PROXY_INVALID;
    if (length < V2_FIXED_SIZE)
        return PROXY_INCOMPLETE;
    *header_length = V2_FIXED_SIZE + (size_t)read_number(bytes + V2_LENGTH);
    if (tells_v2_addresses(bytes))
        return parse_v2_addresses(bytes, length, header, *header_length, error);
    return length < *header_length ? PROXY_INCOMPLETE : PROXY_COMPLETE;
}

static bool begins_as(enum proxy_version version, const unsigned char *bytes, size_t length)
{
    if (version == PROXY_V1)
        return is_begin(bytes, length, V1_SIGNATURE, strlen(V1_SIGNATURE));
    return is_begin(bytes, length, V2_SIGNATURE, V2_SIGNATURE_SIZE);
}

/* Say that no header of the wanted versions begins here; perhaps one of the other does. */
static void refuse(const unsigned char *bytes, size_t length, enum proxy_version versions,
                   struct error *error)
{
    if (versions == PROXY_ANY)
        error_set(error, "the first bytes are no PROXY header of version 1 or 2");
    else if (length >= V2_SIGNATURE_SIZE && begins_as(PROXY_ANY - versions, bytes, length))
        error_set(error, "the PROXY header is of version %d, and only version %d is accepted",
                  PROXY_ANY - (int)versions, (int)versions);
    else
        error_set(error, "the first bytes are no PROXY header of version %d", (int)versions);
}

enum proxy_outcome proxy_header_parse(const unsigned char *bytes, size_t length,
                                      enum proxy_version versions, struct proxy_header *header,
                                      size_t *header_length, struct error *error)
{
    *header = (struct proxy_header){.version = 0};
    if (length == 0)
        return PROXY_INCOMPLETE;
    if ((versions & PROXY_V1) != 0 && begins_as(PROXY_V1, bytes, length))
        return parse_v1(bytes, length, header, header_length, error);
    if ((versions & PROXY_V2) != 0 && begins_as(PROXY_V2, bytes, length))
        return parse_v2(bytes, length, header, header_length, error);
    refuse(bytes, length, versions, error);
    return PROXY_INVALID;
}

/* The way back: addresses of any socket to a family that both can be written in. */

static int common_family(const struct proxy_header *header)
{
    const int source = header->source.ss_family, destination = header->destination.ss_family;
    const bool are_inet = (source == AF_INET || source == AF_INET6) &&
                          (destination == AF_INET || destination == AF_INET6);

    if (!header->has_addresses)
        return AF_UNSPEC;
    if (source == destination && (are_inet || source == AF_UNIX))
        return source;
    return are_inet ? AF_INET6 : AF_UNSPEC;
}

/* Take an address and a port apart; for IPv6, an IPv4 address is mapped (RFC 4291, 2.5.5.2). */
static struct place place_of(const struct sockaddr_storage *storage, int family)
{
    static const unsigned char mapped[INET6_SIZE] = {[10] = 0xff, [11] = 0xff};
    struct place place = {.port = 0};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (storage->ss_family == AF_INET) {
        memcpy(&v4, storage, sizeof v4);
        memcpy(place.address, mapped, sizeof mapped);
        memcpy(place.address + (family == AF_INET ? 0 : 12), &v4.sin_addr, INET_SIZE);
        place.port = ntohs(v4.sin_port);
    } else {
        memcpy(&v6, storage, sizeof v6);
        memcpy(place.address, &v6.sin6_addr, INET6_SIZE);
        place.port = ntohs(v6.sin6_port);
    }
    return place;
}

/* Write an address as 2.1 has it: IPv6 has groups alone, where inet_ntop also writes dots. */
static void write_text(int family, const unsigned char *address, char text[INET6_ADDRSTRLEN])
{
    char *end;

    (void)inet_ntop(family, address, text, INET6_ADDRSTRLEN);
    if (family != AF_INET6 || strchr(text, '.') == NULL)
        return;
    end = strrchr(text, ':') + 1;
    (void)snprintf(end, INET6_ADDRSTRLEN - (size_t)(end - text), "%x:%x",
                   (unsigned)address[12] << 8 | address[13],
                   (unsigned)address[14] << 8 | address[15]);
}

static size_t format_v1(const struct proxy_header *header, unsigned char bytes[PROXY_FORMAT_SIZE])
{
    const int family = common_family(header);
    char source_text[INET6_ADDRSTRLEN], destination_text[INET6_ADDRSTRLEN];
    struct place source, destination;
    char *line = (char *)bytes;

    if ((family != AF_INET && family != AF_INET6) || header->is_datagram)
        return (size_t)snprintf(line, PROXY_FORMAT_SIZE, V1_SIGNATURE "UNKNOWN\r\n");
    source = place_of(&header->source, family);
    destination = place_of(&header->destination, family);
    write_text(family, source.address, source_text);
    write_text(family, destination.address, destination_text);
    return (size_t)snprintf(line, PROXY_FORMAT_SIZE, V1_SIGNATURE "%s %s %s %u %u\r\n",
                            family == AF_INET ? "TCP4" : "TCP6", source_text, destination_text,
                            (unsigned)source.port, (unsigned)destination.port);
}

static void write_inet(const struct proxy_header *header, int family, unsigned char *bytes)
{
    const size_t size = family == AF_INET ? INET_SIZE : INET6_SIZE;
    const struct place source = place_of(&header->source, family);
    const struct place destination = place_of(&header->destination, family);

    memcpy(bytes, source.address, size);
    memcpy(bytes + size, destination.address, size);
    write_number(bytes + 2 * size, source.port);
    write_number(bytes + 2 * size + PORT_SIZE, destination.port);
}

static void write_unix(const struct sockaddr_storage *storage, unsigned char path[UNIX_SIZE])
{
    struct sockaddr_un address;
    const size_t room = sizeof address.sun_path;

    memcpy(&address, storage, sizeof address);
    memset(path, 0, UNIX_SIZE);
    memcpy(path, address.sun_path, room < UNIX_SIZE ? room : UNIX_SIZE);
}

/* Return the byte that says family and protocol. */
static unsigned v2_protocol(int family, bool is_datagram)
{
    const unsigned protocol = is_datagram ? PROTOCOL_DGRAM : PROTOCOL_STREAM;

    switch (family) {
    case AF_INET:
        return FAMILY_INET << 4 | protocol;
    case AF_INET6:
        return FAMILY_INET6 << 4 | protocol;
    case AF_UNIX:
        return FAMILY_UNIX << 4 | protocol;
    }
    return FAMILY_UNSPEC << 4 | PROTOCOL_UNSPEC;
}

static size_t format_v2(const struct proxy_header *header, unsigned char bytes[PROXY_FORMAT_SIZE])
{
    const int family = common_family(header);
    const unsigned command = family == AF_UNSPEC ? COMMAND_LOCAL : COMMAND_PROXY;
    const unsigned protocol = v2_protocol(family, header->is_datagram);
    const size_t size = v2_addresses_size(protocol >> 4);

    memcpy(bytes, V2_SIGNATURE, V2_SIGNATURE_SIZE);
    bytes[V2_COMMAND] = (unsigned char)(PROXY_V2 << 4 | command);
    bytes[V2_PROTOCOL] = (unsigned char)protocol;
    write_number(bytes + V2_LENGTH, size);
    if (family == AF_UNIX) {
        write_unix(&header->source, bytes + V2_FIXED_SIZE);
        write_unix(&header->destination, bytes + V2_FIXED_SIZE + UNIX_SIZE);
    } else if (family != AF_UNSPEC) {
        write_inet(header, family, bytes + V2_FIXED_SIZE);
    }
    return V2_FIXED_SIZE + size;
}

size_t proxy_header_format(const struct proxy_header *header,
                           unsigned char bytes[PROXY_FORMAT_SIZE])
{
    return header->version == PROXY_V1 ? format_v1(header, bytes) : format_v2(header, bytes);
}
