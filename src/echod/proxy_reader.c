#include <config.h>

#include "echod/proxy_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Make room for more. Return 0, or -1 with errno ENOMEM. */
static int make_room(struct proxy_reader *reader)
{
    size_t size = reader->size == 0 ? PROXY_READER_LEAST_SIZE : 2 * reader->size;
    unsigned char *bytes;

    if (reader->length < reader->size)
        return 0;
    if (size > PROXY_HEADER_MAX_SIZE)
        size = PROXY_HEADER_MAX_SIZE;
    bytes = realloc(reader->bytes, size);
    if (bytes == NULL)
        return -1;
    reader->bytes = bytes;
    reader->size = size;
    return 0;
}

/* What it means that a read brought nothing. */
static enum proxy_reading reading_of_nothing(ssize_t received)
{
    if (received == 0)
        return PROXY_READING_ENDED;
    return errno == EAGAIN || errno == EINTR ? PROXY_READING_INCOMPLETE : PROXY_READING_FAILED;
}

/*
 * Look at what comes next. On a Unix socket, a byte of MSG_OOB cannot be looked at, but the loop
 * reports it until somebody reads, be it nothing.
 */
static ssize_t look(const struct proxy_reader *reader, int fd)
{
    const ssize_t seen = recv(fd, reader->bytes + reader->length, reader->size - reader->length,
                              MSG_PEEK | MSG_DONTWAIT);

    if (seen < 0 && errno == EAGAIN) {
        (void)recv(fd, reader->bytes, 0, MSG_DONTWAIT);
        errno = EAGAIN;
    }
    return seen;
}

/* Take bytes that were looked at. Should it be fewer, the rest is looked at again. */
static enum proxy_reading take(struct proxy_reader *reader, int fd, size_t count,
                               enum proxy_reading reading)
{
    const ssize_t taken = recv(fd, reader->bytes + reader->length, count, MSG_DONTWAIT);

    if (taken <= 0)
        return reading_of_nothing(taken);
    reader->length += (size_t)taken;
    return (size_t)taken == count ? reading : PROXY_READING_INCOMPLETE;
}

static enum proxy_reading read_once(struct proxy_reader *reader, int fd,
                                    enum proxy_version versions, struct proxy_header *header,
                                    struct error *error)
{
    size_t header_length;
    ssize_t seen;

    if (make_room(reader) < 0)
        return PROXY_READING_FAILED;
    seen = look(reader, fd);
    if (seen <= 0)
        return reading_of_nothing(seen);
    switch (proxy_header_parse(reader->bytes, reader->length + (size_t)seen, versions, header,
                               &header_length, error)) {
    case PROXY_COMPLETE:
        return take(reader, fd, header_length - reader->length, PROXY_READING_DONE);
    case PROXY_INCOMPLETE:
        return take(reader, fd, (size_t)seen, PROXY_READING_INCOMPLETE);
    case PROXY_INVALID:
        return PROXY_READING_INVALID;
    }
    abort(); /* no such outcome */
}

enum proxy_reading proxy_reader_read(struct proxy_reader *reader, int fd,
                                     enum proxy_version versions, struct proxy_header *header,
                                     struct error *error)
{
    enum proxy_reading reading;

    do
        reading = read_once(reader, fd, versions, header, error);
    while (reading == PROXY_READING_INCOMPLETE && reader->length == reader->size);
    return reading;
}

void proxy_reader_fini(struct proxy_reader *reader)
{
    free(reader->bytes);
    *reader = (struct proxy_reader){0};
}
