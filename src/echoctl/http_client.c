#include <config.h>

#include "echoctl/http_client.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/units.h"
#include "echoctl/http_message.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_SIZE = 4096 };

/* One question on its way. */
struct exchange {
    const struct place *place;
    const struct http_question *question;
    struct error *error;
    uint64_t end_ns;
    int fd;
    char *bytes; /* what has come, and room for a NUL */
    size_t count, size;
    struct http_head head;
    bool has_head;
};

/* --- Failures -------------------------------------------------------------------------------- */

static enum http_outcome fail_in_time(const struct exchange *exchange)
{
    char duration[UNITS_TEXT_SIZE];

    units_format_duration(exchange->question->timeout_ms, duration);
    error_set(exchange->error, "%s: no whole answer within %s", exchange->place->text, duration);
    return HTTP_FAILED;
}

/* Say why there is no connection, by errno. */
static enum http_outcome fail_to_connect(const struct exchange *exchange)
{
    const char *where = exchange->place->text;

    switch (errno) {
    case ENOENT:
        error_set(exchange->error, "%s: there is no such socket; echod makes it with --admin",
                  where);
        return HTTP_ENDED;
    case ECONNREFUSED:
        error_set(exchange->error, "%s: nobody listens there", where);
        return HTTP_ENDED;
    case EACCES:
    case EPERM:
        error_set(exchange->error, "%s: permission denied; its owner may use it, and root", where);
        return HTTP_FAILED;
    case EAGAIN: /* a Unix socket whose backlog stays full, and what a time-out of sending gives */
    case EINPROGRESS:
        return fail_in_time(exchange);
    default:
        error_set(exchange->error, "%s: %s", where, strerror(errno));
        return HTTP_FAILED;
    }
}

/* Say why the exchange broke off, by errno. */
static enum http_outcome fail_midway(const struct exchange *exchange)
{
    if (errno == EAGAIN || errno == ETIMEDOUT)
        return fail_in_time(exchange);
    error_set(exchange->error, "%s: the connection broke: %s", exchange->place->text,
              strerror(errno));
    return errno == ECONNRESET || errno == EPIPE ? HTTP_ENDED : HTTP_FAILED;
}

static enum http_outcome fail_for_end(const struct exchange *exchange)
{
    const char *where = exchange->place->text;

    if (exchange->count == 0)
        error_set(exchange->error, "%s: the connection was closed without an answer", where);
    else if (!exchange->has_head)
        error_set(exchange->error, "%s: the answer is cut off in its head", where);
    else
        error_set(exchange->error, "%s: the answer is cut off: %zu of %" PRIu64 " bytes came",
                  where, exchange->count - exchange->head.size, exchange->head.body_length);
    return HTTP_ENDED;
}

static enum http_outcome fail_for_form(const struct exchange *exchange)
{
    error_set(exchange->error, "%s: what answers there does not speak HTTP/1.0",
              exchange->place->text);
    return HTTP_FAILED;
}

static enum http_outcome fail_for_size(const struct exchange *exchange)
{
    char size[UNITS_TEXT_SIZE];

    units_format_size(HTTP_BODY_MAX, size);
    error_set(exchange->error, "%s: the answer is longer than %s", exchange->place->text, size);
    return HTTP_FAILED;
}

/* --- Connecting ------------------------------------------------------------------------------ */

/* Let the next call of send, recv or connect wait no longer than is left. Return -1 with EAGAIN. */
static int limit_wait(const struct exchange *exchange, int fd, int option)
{
    const uint64_t now_ns = clock_now_ns();
    struct timeval left;

    if (now_ns >= exchange->end_ns) {
        errno = EAGAIN;
        return -1;
    }
    left = clock_timeval((exchange->end_ns - now_ns) / 1000000 + 1);
    return setsockopt(fd, SOL_SOCKET, option, &left, sizeof left);
}

/* Return a socket that is connected, or -1 with errno: EINTR if a signal came meanwhile. */
static int try_socket(const struct exchange *exchange, const struct sockaddr *address,
                      socklen_t length)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (limit_wait(exchange, fd, SO_SNDTIMEO) == 0 && connect(fd, address, length) == 0)
        return fd;
    descriptor_close(fd);
    return -1;
}

static int open_socket(const struct exchange *exchange, const struct sockaddr *address,
                       socklen_t length)
{
    int fd;

    do {
        fd = try_socket(exchange, address, length);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static enum http_outcome connect_to_path(struct exchange *exchange)
{
    struct sockaddr_un address;
    const socklen_t length = address_unix_socket(&exchange->place->address, &address);

    exchange->fd = open_socket(exchange, (const struct sockaddr *)&address, length);
    return exchange->fd < 0 ? fail_to_connect(exchange) : HTTP_ANSWERED;
}

static enum http_outcome connect_to_host(struct exchange *exchange)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found, *each;
    char port[UNITS_TEXT_SIZE];
    int status;

    (void)snprintf(port, sizeof port, "%u", (unsigned)exchange->place->address.port);
    status = getaddrinfo(exchange->place->address.host, port, &hints, &found);
    if (status != 0) {
        error_set(exchange->error, "%s: %s", exchange->place->text, gai_strerror(status));
        return HTTP_FAILED;
    }
    exchange->end_ns = clock_now_ns() + exchange->question->timeout_ms * 1000000;
    for (each = found; each != NULL && exchange->fd < 0; each = each->ai_next)
        exchange->fd = open_socket(exchange, each->ai_addr, each->ai_addrlen);
    status = errno;
    freeaddrinfo(found);
    errno = status;
    return exchange->fd < 0 ? fail_to_connect(exchange) : HTTP_ANSWERED;
}

/* --- The question ---------------------------------------------------------------------------- */

static void name_host(const struct place *place, char host[ADDRESS_TEXT_SIZE])
{
    const char *colon = strchr(place->address.host, ':');

    if (place->address.scheme == ADDRESS_UNIX)
        (void)snprintf(host, ADDRESS_TEXT_SIZE, "localhost");
    else
        (void)snprintf(host, ADDRESS_TEXT_SIZE, colon == NULL ? "%s:%u" : "[%s]:%u",
                       place->address.host, (unsigned)place->address.port);
}

static enum http_outcome send_question(struct exchange *exchange)
{
    char text[HTTP_REQUEST_SIZE], host[ADDRESS_TEXT_SIZE];
    const struct http_question *question = exchange->question;
    size_t sent = 0, length;

    name_host(exchange->place, host);
    length = http_message_write(question->method, question->target, host, question->body, text);
    if (length == 0) {
        error_set(exchange->error, "%s: the question is too long", exchange->place->text);
        return HTTP_FAILED;
    }
    while (sent < length) {
        ssize_t count = -1;

        if (limit_wait(exchange, exchange->fd, SO_SNDTIMEO) == 0)
            count = send(exchange->fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return fail_midway(exchange);
        sent += count < 0 ? 0 : (size_t)count;
    }
    return HTTP_ANSWERED;
}

/* --- The answer ------------------------------------------------------------------------------ */

/* Make room for another byte and the NUL. Return 0, or -1 with ENOMEM. */
static int make_room(struct exchange *exchange)
{
    const size_t size = exchange->size == 0 ? FIRST_SIZE : 2 * exchange->size;
    char *bytes;

    if (exchange->count + 1 < exchange->size)
        return 0;
    bytes = realloc(exchange->bytes, size);
    if (bytes == NULL)
        return -1;
    exchange->bytes = bytes;
    exchange->size = size;
    return 0;
}

/* Receive something. Return 0 at the end of the connection, and -1 with errno. */
static ssize_t receive(struct exchange *exchange)
{
    ssize_t count;

    if (make_room(exchange) < 0)
        return -1;
    do {
        if (limit_wait(exchange, exchange->fd, SO_RCVTIMEO) < 0)
            return -1;
        count = recv(exchange->fd, exchange->bytes + exchange->count,
                     exchange->size - exchange->count - 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        exchange->count += (size_t)count;
    return count;
}

/* Tell whether all has come that the head promises; without a promise, the connection's end does.
 */
static bool is_whole(const struct exchange *exchange, bool is_over)
{
    const size_t body = exchange->count - exchange->head.size;

    if (!exchange->has_head)
        return false;
    return exchange->head.has_body_length ? body >= exchange->head.body_length : is_over;
}

static bool is_too_long(const struct exchange *exchange)
{
    return exchange->has_head && (exchange->count - exchange->head.size > HTTP_BODY_MAX ||
                                  exchange->head.body_length > HTTP_BODY_MAX);
}

static enum http_outcome receive_answer(struct exchange *exchange)
{
    bool is_over = false;

    while (!is_whole(exchange, is_over)) {
        ssize_t count;

        if (is_over)
            return fail_for_end(exchange);
        count = receive(exchange);
        if (count < 0)
            return fail_midway(exchange);
        is_over = count == 0;
        if (!exchange->has_head) {
            const enum http_head_state state =
                http_message_read_head(exchange->bytes, exchange->count, &exchange->head);

            if (state == HTTP_HEAD_WRONG)
                return fail_for_form(exchange);
            exchange->has_head = state == HTTP_HEAD_WHOLE;
        }
        if (is_too_long(exchange))
            return fail_for_size(exchange);
    }
    return HTTP_ANSWERED;
}

static enum http_outcome run(struct exchange *exchange)
{
    enum http_outcome outcome = exchange->place->address.scheme == ADDRESS_UNIX
                                    ? connect_to_path(exchange)
                                    : connect_to_host(exchange);

    if (outcome == HTTP_ANSWERED)
        outcome = send_question(exchange);
    return outcome == HTTP_ANSWERED ? receive_answer(exchange) : outcome;
}

static struct http_reply take_answer(struct exchange *exchange)
{
    const struct http_head *head = &exchange->head;
    const size_t size =
        head->has_body_length ? (size_t)head->body_length : exchange->count - head->size;

    exchange->bytes[head->size + size] = '\0';
    return (struct http_reply){
        .status = head->status,
        .body = exchange->bytes + head->size,
        .size = size,
        .bytes = exchange->bytes,
    };
}

enum http_outcome http_client_ask(const struct place *place, const struct http_question *question,
                                  struct http_reply *answer, struct error *error)
{
    struct exchange exchange = {
        .place = place,
        .question = question,
        .error = error,
        .end_ns = clock_now_ns() + question->timeout_ms * 1000000,
        .fd = -1,
    };
    const enum http_outcome outcome = run(&exchange);

    descriptor_close(exchange.fd);
    *answer = (struct http_reply){0};
    if (outcome == HTTP_ANSWERED)
        *answer = take_answer(&exchange);
    else
        free(exchange.bytes);
    return outcome;
}

void http_reply_free(struct http_reply *answer)
{
    free(answer->bytes);
    *answer = (struct http_reply){0};
}
