#include <config.h>

#include "echod/kept.h"

#include "base/descriptor.h"
#include "echod/socket_options.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* --- Names ----------------------------------------------------------------------------------- */

/* What makes the name of a socket, as plain data. */
struct facts {
    const struct address *address;
    const struct listener_options *options;
    size_t occurrence;
    dev_t device; /* with the next one: the path of a Unix socket; 0 without */
    ino_t inode;
};

/* Tell whether a name may have this character: LISTEN_FDNAMES has colons in between. */
static bool is_plain(char character)
{
    return character > ' ' && character <= '~' && character != ':' && character != '%';
}

/* Append a text, with "%3A" for a colon (RFC 3986, 2.1). Return false if there is no room. */
static bool append_escaped(char name[KEPT_NAME_SIZE], const char *text)
{
    size_t length = strlen(name);

    for (; *text != '\0' && length + sizeof "%3A" <= KEPT_NAME_SIZE; text++) {
        char *end = name + length;

        if (is_plain(*text))
            (void)snprintf(end, KEPT_NAME_SIZE - length, "%c", *text);
        else
            (void)snprintf(end, KEPT_NAME_SIZE - length, "%%%02X", (unsigned char)*text);
        length += strlen(end);
    }
    return *text == '\0';
}

static bool format_name(const struct facts *facts, char name[KEPT_NAME_SIZE])
{
    char address[ADDRESS_TEXT_SIZE], rest[96];

    address_format(facts->address, address);
    (void)snprintf(rest, sizeof rest, ",%zu,%08" PRIX32 ",%jX.%jX", facts->occurrence,
                   socket_options_bound_checksum(facts->options), (uintmax_t)facts->device,
                   (uintmax_t)facts->inode);
    (void)snprintf(name, KEPT_NAME_SIZE, "%s", PASSED_KEPT_PREFIX);
    if (append_escaped(name, address) && append_escaped(name, rest))
        return true;
    name[0] = '\0';
    return false;
}

struct kept kept_for(const struct passed *passed, const struct listen_list *addresses, size_t index)
{
    const struct listen *listen = &addresses->items[index];
    struct facts facts = {
        .address = &listen->address,
        .options = &listen->options,
        .occurrence = listen_list_occurrence(addresses, index),
    };
    struct kept kept = {.passed = passed};
    struct stat there;

    if (listen->address.scheme == ADDRESS_UNIX && !address_is_abstract(&listen->address) &&
        lstat(listen->address.path, &there) == 0) {
        facts.device = there.st_dev;
        facts.inode = there.st_ino;
    }
    (void)format_name(&facts, kept.name);
    return kept;
}

bool kept_name_endpoint(const struct endpoint *endpoint, char name[KEPT_NAME_SIZE])
{
    const struct facts facts = {
        .address = &endpoint->address,
        .options = &endpoint->options,
        .occurrence = endpoint->occurrence,
        .device = endpoint->bound_device,
        .inode = endpoint->bound_inode,
    };

    return format_name(&facts, name);
}

/* --- Taking ---------------------------------------------------------------------------------- */

/* Let a port of 0 be that of another address of the same family. */
static void take_port(struct sockaddr_storage *address, const struct sockaddr_storage *other)
{
    struct sockaddr_in v4, other_v4; /* sockaddr_in6 has its port in the same place */

    memcpy(&v4, address, sizeof v4);
    memcpy(&other_v4, other, sizeof other_v4);
    if (v4.sin_port == 0)
        v4.sin_port = other_v4.sin_port;
    memcpy(address, &v4, sizeof v4);
}

/* Tell whether a socket is bound to an address. */
static bool is_bound_to(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_storage wanted = {0}, bound = {0};
    socklen_t bound_length = sizeof bound;
    char wanted_text[ADDRESS_TEXT_SIZE], text[ADDRESS_TEXT_SIZE];

    memcpy(&wanted, address, length);
    if (getsockname(fd, (struct sockaddr *)&bound, &bound_length) < 0 ||
        bound.ss_family != wanted.ss_family)
        return false;
    take_port(&wanted, &bound);
    address_format_socket((struct sockaddr *)&wanted, length, wanted_text);
    address_format_socket((struct sockaddr *)&bound, bound_length, text);
    return strcmp(wanted_text, text) == 0;
}

static struct passed_socket *find(const struct kept *kept, const struct sockaddr *address,
                                  socklen_t length)
{
    for (size_t i = 0; kept->passed != NULL && i < kept->passed->count; i++) {
        struct passed_socket *socket = &kept->passed->sockets[i];

        if (socket->is_kept && !socket->is_taken && strcmp(socket->name, kept->name) == 0 &&
            (address == NULL || is_bound_to(socket->fd, address, length)))
            return socket;
    }
    return NULL;
}

bool kept_has(const struct kept *kept, const struct sockaddr *address, socklen_t length)
{
    return find(kept, address, length) != NULL;
}

int kept_take(const struct kept *kept, const struct sockaddr *address, socklen_t length)
{
    struct passed_socket *socket = find(kept, address, length);

    if (socket == NULL || descriptor_prepare(socket->fd) < 0)
        return -1;
    socket->is_taken = true;
    return socket->fd;
}
