#include <config.h>

#include "echoprobe/socket_plan.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOS_MAX = 255, DSCP_SHIFT = 2 };

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* --- From text ------------------------------------------------------------------------------- */

/* Read a numeric address; that of a link may name its interface. Return false if it is none. */
static bool read_address(struct socket_source *source)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;

    if (getaddrinfo(source->text, NULL, &hints, &found) != 0)
        return false;
    memcpy(&source->address, found->ai_addr, found->ai_addrlen);
    source->length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* Tell whether an interface may be named so. Whether there is one, its use tells. */
static bool is_interface_name(const char *text)
{
    return text[0] != '\0' && strlen(text) < IF_NAMESIZE && strpbrk(text, "/:[] ") == NULL;
}

int socket_plan_parse_source(const char *text, void *member, struct error *error)
{
    struct socket_source *source = member;

    *source = (struct socket_source){.length = 0};
    if (strlen(text) < sizeof source->text) {
        memcpy(source->text, text, strlen(text) + 1);
        if (read_address(source) || is_interface_name(text))
            return 0;
    }
    error_set(error, "a numeric address or an interface; write for example 192.0.2.1, 2001:db8::1 "
                     "or eth0");
    return -1;
}

/* The names of DSCP that IANA has, of RFC 2474, 2597, 3246, 5865 and 8622. */
static const struct {
    char name[12];
    uint8_t dscp;
} dscp_names[] = {
    {"cs0", 0},   {"cs1", 8},   {"cs2", 16},  {"cs3", 24},  {"cs4", 32},         {"cs5", 40},
    {"cs6", 48},  {"cs7", 56},  {"af11", 10}, {"af12", 12}, {"af13", 14},        {"af21", 18},
    {"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30},        {"af41", 34},
    {"af42", 36}, {"af43", 38}, {"ef", 46},   {"le", 1},    {"voice-admit", 44},
};

/* Read a whole number, decimal, 0x and hexadecimal, or 0 and octal, up to TOS_MAX. */
static bool read_number(const char *text, uint8_t *value)
{
    char *end;
    unsigned long number;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoul(text, &end, 0);
    *value = (uint8_t)number;
    return errno == 0 && *end == '\0' && number <= TOS_MAX;
}

int socket_plan_parse_tos(const char *text, void *member, struct error *error)
{
    struct socket_tos *tos = member;

    *tos = (struct socket_tos){.is_set = true};
    if (read_number(text, &tos->value))
        return 0;
    for (size_t i = 0; i < LENGTH(dscp_names); i++) {
        if (strcmp(text, dscp_names[i].name) != 0)
            continue;
        tos->value = (uint8_t)(dscp_names[i].dscp << DSCP_SHIFT);
        return 0;
    }
    error_set(error, "a number from 0 to 255, such as 184 or 0xb8, or a name of DSCP: cs0 to cs7, "
                     "af11 to af43, ef, le, voice-admit");
    return -1;
}

bool socket_plan_is_set(const struct socket_plan *plan)
{
    return plan->source.text[0] != '\0' || plan->tos.is_set || plan->ttl > 0;
}

int socket_plan_family(const struct socket_plan *plan)
{
    return plan->source.length == 0 ? AF_UNSPEC : plan->source.address.ss_family;
}

/* --- To a socket ----------------------------------------------------------------------------- */

/* Leave the port to connect: so each destination has all ports (ip(7), Linux 4.2). */
static void keep_port_open(int fd, int type)
{
#ifdef IP_BIND_ADDRESS_NO_PORT
    const int on = 1;

    if (type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#else
    (void)fd;
    (void)type;
#endif
}

static int bind_to_interface(int fd, const char *name)
{
#ifdef SO_BINDTODEVICE
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name));
#else
    (void)fd;
    (void)name;
    errno = ENOPROTOOPT;
    return -1;
#endif
}

static int set_source(const struct socket_source *source, int fd, int type)
{
    if (source->text[0] == '\0')
        return 0;
    if (source->length == 0)
        return bind_to_interface(fd, source->text);
    keep_port_open(fd, type);
    return bind(fd, (const struct sockaddr *)&source->address, source->length);
}

/* A socket of IPv6 may have a mapped address, ::ffff:192.0.2.1, and sends IPv4 then. */
static int set_on_packets(int fd, int family, int option_ipv4, int option_ipv6, int value)
{
    const int status = setsockopt(fd, IPPROTO_IP, option_ipv4, &value, sizeof value);

    if (family != AF_INET6)
        return status;
    return setsockopt(fd, IPPROTO_IPV6, option_ipv6, &value, sizeof value);
}

int socket_plan_set(const struct socket_plan *plan, int fd, int family, int type,
                    const char **failed)
{
    *failed = "--bind";
    if (set_source(&plan->source, fd, type) < 0)
        return -1;
    *failed = "--tos";
    if (plan->tos.is_set && set_on_packets(fd, family, IP_TOS, IPV6_TCLASS, plan->tos.value) < 0)
        return -1;
    *failed = "--ttl";
    if (plan->ttl > 0 && set_on_packets(fd, family, IP_TTL, IPV6_UNICAST_HOPS, (int)plan->ttl) < 0)
        return -1;
    return 0;
}
