#include <config.h>

#include "peer.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

/* --- Targets. -------------------------------------------------------------------------------- */

static void add_place(struct target *target, int fd)
{
    struct sockaddr_storage *address = &target->places[target->count].address;
    socklen_t *length = &target->places[target->count].length;

    ck_assert_uint_lt(target->count, TARGET_ADDRESSES);
    *length = sizeof *address;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, length), 0);
    (void)snprintf(target->places[target->count].text, ADDRESS_TEXT_SIZE, "place %zu",
                   target->count);
    target->count++;
}

int peer_listen(struct target *target)
{
    struct sockaddr_in address;
    const int fd = support_bind_tcp(&address);

    support_set_nonblocking(fd);
    ck_assert_int_eq(listen(fd, 16), 0);
    add_place(target, fd);
    return fd;
}

void peer_add_nobody(struct target *target)
{
    struct sockaddr_in address;
    int fd = support_bind_tcp(&address);

    add_place(target, fd);
    support_close(&fd);
}

int peer_bind_udp(struct target *target)
{
    const struct sockaddr_in address = support_loopback(0);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_ge(fd, 0);
    support_set_nonblocking(fd);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    target->is_datagram = true;
    add_place(target, fd);
    return fd;
}

/* --- Connections. ---------------------------------------------------------------------------- */

/* What is waited for in the loop, and what came of it. */
struct wait {
    int fd;
    unsigned char *bytes;
    const unsigned char *sent;
    size_t length, done;
    int accepted_fd;
    ssize_t count; /* of the last recv */
};

static bool has_accepted(void *argument)
{
    struct wait *wait = argument;

    wait->accepted_fd = accept(wait->fd, NULL, NULL);
    return wait->accepted_fd >= 0;
}

int peer_accept(int listening_fd)
{
    struct wait wait = {.fd = listening_fd};

    support_loop_until(has_accepted, &wait);
    support_set_nonblocking(wait.accepted_fd);
    return wait.accepted_fd;
}

static bool has_received(void *argument)
{
    struct wait *wait = argument;
    ssize_t count = 0;

    while (wait->done < wait->length &&
           (count = recv(wait->fd, wait->bytes + wait->done, wait->length - wait->done, 0)) > 0)
        wait->done += (size_t)count;
    ck_assert_msg(wait->done == wait->length || (count < 0 && errno == EAGAIN),
                  "only %zu of %zu bytes came", wait->done, wait->length);
    return wait->done == wait->length;
}

void peer_receive(int fd, unsigned char *bytes, size_t length)
{
    struct wait wait = {.fd = fd, .length = length};

    wait.bytes = bytes;
    support_loop_until(has_received, &wait);
}

static bool has_sent(void *argument)
{
    struct wait *wait = argument;
    ssize_t count = 0;

    while (wait->done < wait->length &&
           (count = send(wait->fd, wait->sent + wait->done, wait->length - wait->done, 0)) > 0)
        wait->done += (size_t)count;
    ck_assert(wait->done == wait->length || (count < 0 && errno == EAGAIN));
    return wait->done == wait->length;
}

void peer_send(int fd, const unsigned char *bytes, size_t length)
{
    struct wait wait = {.fd = fd, .sent = bytes, .length = length};

    support_loop_until(has_sent, &wait);
}

static bool has_fin(void *argument)
{
    struct wait *wait = argument;
    unsigned char byte;

    wait->count = recv(wait->fd, &byte, 1, 0);
    return wait->count >= 0 || errno != EAGAIN;
}

void peer_receive_fin(int fd)
{
    struct wait wait = {.fd = fd};

    support_loop_until(has_fin, &wait);
    ck_assert_int_eq(wait.count, 0);
}

void peer_reset(int *fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    ck_assert_int_eq(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    support_close(fd);
}
