#include <config.h>

#include "echoprobe/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STRIDE_BITS = 16,   /* a datagram's bytes begin at a position of their own */
    SEQUENCE_BITS = 27, /* of a sequence that its bytes tell: 43 bits of position less the stride */
    READS_PER_TURN = 64, /* then the others have their turn */
    WORDS = 16,          /* bytes that tell where they come from */
};

struct datagram {
    const struct target *target;
    const struct pattern *pattern;
    const struct datagram_events *events;
    void *argument;
    uint64_t number;
    size_t size;
    int fd;
    struct event *reader;
    uint64_t settled, next;
    unsigned char bytes[DATAGRAM_BYTES + 1];
};

static uint64_t position_of(uint64_t sequence)
{
    return sequence << STRIDE_BITS;
}

/* Of all sequences with these lower bits, the last that was sent. */
static uint64_t whole_sequence(const struct datagram *datagram, uint64_t lower)
{
    const uint64_t mask = (UINT64_C(1) << SEQUENCE_BITS) - 1;
    const uint64_t last = datagram->next - 1;

    return last - ((last - lower) & mask);
}

/* Tell which datagram came back, as far as its bytes tell; otherwise the oldest that has not. */
static uint64_t find_sequence(const struct datagram *datagram, size_t length)
{
    const uint64_t own = datagram->number & ((UINT64_C(1) << PATTERN_NUMBER_BITS) - 1);
    uint64_t number, position;

    for (size_t i = 0; i + WORDS <= length; i += WORDS / 2) {
        if (pattern_locate(datagram->pattern, datagram->bytes + i, length - i, &number,
                           &position) &&
            number == own)
            return whole_sequence(datagram, position >> STRIDE_BITS);
    }
    for (uint64_t sequence = datagram->settled; sequence < datagram->next; sequence++) {
        if (pattern_match(datagram->pattern, datagram->number, position_of(sequence),
                          datagram->bytes, length) == length)
            return sequence;
    }
    return datagram->settled < datagram->next ? datagram->settled : datagram->next - 1;
}

static bool is_same_address(const struct sockaddr_storage *one,
                            const struct sockaddr_storage *other)
{
    if (one->ss_family != other->ss_family)
        return false;
    if (one->ss_family == AF_INET) {
        const struct sockaddr_in *left = (const struct sockaddr_in *)one;
        const struct sockaddr_in *right = (const struct sockaddr_in *)other;

        return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
    }
    if (one->ss_family == AF_INET6) {
        const struct sockaddr_in6 *left = (const struct sockaddr_in6 *)one;
        const struct sockaddr_in6 *right = (const struct sockaddr_in6 *)other;

        return left->sin6_port == right->sin6_port &&
               memcmp(&left->sin6_addr, &right->sin6_addr, sizeof left->sin6_addr) == 0;
    }
    return false;
}

static void take_datagram(struct datagram *datagram, size_t length,
                          const struct sockaddr_storage *from, socklen_t from_length)
{
    const bool is_from_target = is_same_address(from, &datagram->target->places[0].address);
    struct fault fault;
    uint64_t sequence;

    if (datagram->next == 0)
        return; /* nothing was asked for yet */
    sequence = find_sequence(datagram, length);
    fault_judge_datagram(datagram->pattern, datagram->number, position_of(sequence), datagram->size,
                         datagram->bytes, length, &fault);
    if (fault.kind != FAULT_NONE && !is_from_target)
        return; /* neither the bytes nor the address are what was asked for: a stranger's */
    if (!is_from_target) {
        char text[ADDRESS_TEXT_SIZE];

        address_format_socket((const struct sockaddr *)from, from_length, text);
        fault_set(&fault, FAULT_MISADDRESSED, 0, 0, "the answer comes from %.200s", text);
    }
    datagram->events->on_returned(datagram->argument, sequence, &fault);
}

/* Throw away what the system keeps about an error, so that it does not wake us again. */
static void discard_error(int fd)
{
#ifdef MSG_ERRQUEUE
    char bytes[1];

    while (recv(fd, bytes, sizeof bytes, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
        continue;
#else
    (void)fd;
#endif
}

static void on_datagram_readable(evutil_socket_t fd, short what, void *argument)
{
    struct datagram *datagram = argument;

    (void)what;
    for (int i = 0; i < READS_PER_TURN; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t length = sizeof from;
        const ssize_t count = recvfrom(fd, datagram->bytes, sizeof datagram->bytes, MSG_DONTWAIT,
                                       (struct sockaddr *)&from, &length);

        if (count < 0) {
            const int failure = errno;

            discard_error(fd);
            if (failure == EAGAIN || failure == EINTR)
                return;
            datagram->events->on_error(datagram->argument, failure);
            continue;
        }
        take_datagram(datagram, (size_t)count, &from, length);
    }
}

struct datagram *datagram_new(struct event_base *base, const struct target *target,
                              const struct pattern *pattern, uint64_t number, size_t size,
                              const struct datagram_events *events, void *argument)
{
    struct datagram *datagram = malloc(sizeof *datagram);
    int failure;

    if (datagram == NULL)
        return NULL;
    datagram->target = target;
    datagram->pattern = pattern;
    datagram->events = events;
    datagram->argument = argument;
    datagram->number = number;
    datagram->size = size;
    datagram->settled = datagram->next = 0;
    datagram->reader = NULL;
    datagram->fd = target_socket(target, 0);
    if (datagram->fd >= 0) {
        datagram->reader =
            event_new(base, datagram->fd, EV_READ | EV_PERSIST, on_datagram_readable, datagram);
        if (datagram->reader != NULL && event_add(datagram->reader, NULL) == 0)
            return datagram;
        errno = ENOMEM;
    }
    failure = errno;
    datagram_free(datagram);
    errno = failure;
    return NULL;
}

void datagram_free(struct datagram *datagram)
{
    if (datagram == NULL)
        return;
    if (datagram->reader != NULL)
        event_free(datagram->reader);
    if (datagram->fd >= 0)
        (void)close(datagram->fd);
    free(datagram);
}

int datagram_forbid_fragments(struct datagram *datagram)
{
#if defined(IP_PMTUDISC_PROBE) && defined(IPV6_PMTUDISC_PROBE) /* ip(7), Linux 2.6.22 */
    const int probe_ipv4 = IP_PMTUDISC_PROBE, probe_ipv6 = IPV6_PMTUDISC_PROBE;

    if (datagram->target->places[0].address.ss_family == AF_INET)
        return setsockopt(datagram->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe_ipv4,
                          sizeof probe_ipv4);
    return setsockopt(datagram->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe_ipv6,
                      sizeof probe_ipv6);
#else
    (void)datagram;
    errno = ENOSYS;
    return -1;
#endif
}

int datagram_send(struct datagram *datagram, uint64_t sequence)
{
    ssize_t count;

    datagram->next = sequence + 1;
    pattern_fill(datagram->pattern, datagram->number, position_of(sequence), datagram->bytes,
                 datagram->size);
    do {
        count = sendto(datagram->fd, datagram->bytes, datagram->size, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&datagram->target->places[0].address,
                       datagram->target->places[0].length);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -1 : 0;
}

void datagram_settle(struct datagram *datagram, uint64_t sequence)
{
    datagram->settled = sequence;
}
