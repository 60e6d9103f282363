#include <config.h>

#include "echod/datagram_identity.h"

#include <arpa/inet.h>
#include <string.h>

/* Write the address that was asked; a socket that is not told it has only one. */
static void format_asked(const struct datagram_home *home, const struct datagram_arrival *arrival,
                         char text[ADDRESS_TEXT_SIZE])
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(home->port), .sin_addr = arrival->asked_v4};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(home->port), .sin6_addr = arrival->asked_v6};

    if (arrival->asked_family == AF_INET)
        address_format_socket((const struct sockaddr *)&v4, sizeof v4, text);
    else if (arrival->asked_family == AF_INET6)
        address_format_socket((const struct sockaddr *)&v6, sizeof v6, text);
    else
        memcpy(text, home->name, sizeof home->name);
}

/* The answers to the datagrams of a train stand one behind the other, and only the last differs. */
static size_t put_train(const struct identify_plan *plan, const struct identify_subject *subject,
                        char *bytes, size_t length, size_t *segment_bytes)
{
    const size_t asked = *segment_bytes;
    const size_t answered = identify_write(plan, subject, bytes, asked);
    size_t end = answered;

    for (length -= asked; length > asked; length -= asked, end += answered)
        memcpy(bytes + end, bytes, answered);
    *segment_bytes = answered;
    return end + identify_write(plan, subject, bytes + end, length);
}

size_t datagram_identity_put(const struct identify_plan *plan, const struct datagram_home *home,
                             struct datagram_batch *batch, unsigned index, size_t length)
{
    const struct datagram *datagram = datagram_batch_at(batch, index);
    const struct datagram_arrival *arrival = &datagram->arrival;
    char *bytes = datagram_batch_bytes(batch, index);
    char client[ADDRESS_TEXT_SIZE], local[ADDRESS_TEXT_SIZE];
    const struct identify_subject subject = {.client = client, .local = local};
    size_t segment_bytes = arrival->segment_bytes;

    address_format_socket(&datagram->source.any, sizeof datagram->source, client);
    format_asked(home, arrival, local);
    if (segment_bytes == 0 || length <= segment_bytes)
        return identify_write(plan, &subject, bytes, length);
    length = put_train(plan, &subject, bytes, length, &segment_bytes);
    datagram_batch_set_segment(batch, index, (uint16_t)segment_bytes);
    return length;
}
