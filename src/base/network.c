#include <config.h>

#include "base/network.h"

#include "base/units.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    BITS = 8 * NETWORK_ADDRESS_SIZE,
    MAPPED_SIZE = 12, /* what stands before an IPv4 address */
    MAPPED_BITS = 8 * MAPPED_SIZE,
};

static const unsigned char mapped[MAPPED_SIZE] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const unsigned char address[NETWORK_ADDRESS_SIZE])
{
    return memcmp(address, mapped, MAPPED_SIZE) == 0;
}

static bool is_v4(const struct network *network)
{
    return network->prefix_length >= MAPPED_BITS && is_mapped(network->address);
}

/* The bits of the byte with that index that belong to the prefix. */
static unsigned char mask(unsigned prefix_length, size_t index)
{
    const size_t begin = 8 * index;

    if (prefix_length >= begin + 8)
        return 0xff;
    return prefix_length <= begin ? 0 : (unsigned char)(0xff00U >> (prefix_length - begin));
}

static void clear_behind_prefix(struct network *network)
{
    for (size_t i = 0; i < NETWORK_ADDRESS_SIZE; i++)
        network->address[i] &= mask(network->prefix_length, i);
}

/* Read an address. Return how many bits it has as it was written, or 0 if it is none. */
static unsigned parse_address(const char *text, size_t length,
                              unsigned char address[NETWORK_ADDRESS_SIZE])
{
    char host[INET6_ADDRSTRLEN];

    if (length >= sizeof host)
        return 0;
    memcpy(host, text, length);
    host[length] = '\0';
    memcpy(address, mapped, MAPPED_SIZE);
    if (inet_pton(AF_INET, host, address + MAPPED_SIZE) == 1)
        return BITS - MAPPED_BITS;
    return inet_pton(AF_INET6, host, address) == 1 ? BITS : 0;
}

/* Read the number of bits behind the slash, if there is one. */
static int parse_prefix_length(const char *slash, const char *whole, unsigned bits,
                               struct network *network, struct error *error)
{
    uint64_t length = bits;

    if (*slash == '/' && (units_parse_count(slash + 1, &length) < 0 || length > bits)) {
        error_set(
            error,
            "\"%s\" has no number of bits from 0 to %u behind its slash; write for example %s",
            whole, bits, bits == BITS ? "2001:db8::/32" : "10.0.0.0/8");
        return -1;
    }
    network->prefix_length = (uint8_t)(BITS - bits + length);
    return 0;
}

/* Refuse 10.1.2.3/8, which is meant to be either the network or the address. */
static int check_host_bits(const struct network *network, const char *whole, struct error *error)
{
    struct network cleared = *network, host = *network;
    char cleared_text[NETWORK_TEXT_SIZE], host_text[NETWORK_TEXT_SIZE];

    clear_behind_prefix(&cleared);
    if (memcmp(cleared.address, network->address, NETWORK_ADDRESS_SIZE) == 0)
        return 0;
    host.prefix_length = BITS;
    network_format(&cleared, cleared_text);
    network_format(&host, host_text);
    error_set(
        error,
        "\"%s\" has bits behind those that its number counts; write %s for the network, or %s "
        "for the address",
        whole, cleared_text, host_text);
    return -1;
}

int network_parse(const char *text, struct network *network, struct error *error)
{
    const size_t length = strcspn(text, "/");
    const unsigned bits = parse_address(text, length, network->address);

    if (bits == 0) {
        error_set(error,
                  "\"%s\" is no network; write for example 10.0.0.0/8, 2001:db8::/32, 127.0.0.1 or "
                  "::1",
                  text);
        return -1;
    }
    if (parse_prefix_length(text + length, text, bits, network, error) < 0)
        return -1;
    return check_host_bits(network, text, error);
}

void network_format(const struct network *network, char text[NETWORK_TEXT_SIZE])
{
    const unsigned skipped = is_v4(network) ? MAPPED_BITS : 0;
    const int family = skipped == 0 ? AF_INET6 : AF_INET;
    char host[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(family, network->address + skipped / 8, host, sizeof host);
    if (network->prefix_length == BITS)
        (void)snprintf(text, NETWORK_TEXT_SIZE, "%s", host);
    else
        (void)snprintf(text, NETWORK_TEXT_SIZE, "%s/%u", host, network->prefix_length - skipped);
}

/* Return false if the family has no such addresses. */
static bool read_socket(const struct sockaddr *socket_address,
                        unsigned char address[NETWORK_ADDRESS_SIZE])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (socket_address->sa_family == AF_INET) {
        memcpy(&v4, socket_address, sizeof v4);
        memcpy(address, mapped, MAPPED_SIZE);
        memcpy(address + MAPPED_SIZE, &v4.sin_addr, sizeof v4.sin_addr);
        return true;
    }
    if (socket_address->sa_family == AF_INET6) {
        memcpy(&v6, socket_address, sizeof v6);
        memcpy(address, &v6.sin6_addr, sizeof v6.sin6_addr);
        return true;
    }
    return false;
}

bool network_contains(const struct network *network, const struct sockaddr *address)
{
    struct network place = {.prefix_length = network->prefix_length};

    if (!read_socket(address, place.address) || is_mapped(place.address) != is_v4(network))
        return false;
    clear_behind_prefix(&place);
    return memcmp(place.address, network->address, NETWORK_ADDRESS_SIZE) == 0;
}

bool network_list_contains(const struct network_list *list, const struct sockaddr *address)
{
    for (size_t i = 0; i < list->count; i++) {
        if (network_contains(&list->items[i], address))
            return true;
    }
    return false;
}
