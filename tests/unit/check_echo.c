/*
 * check_echo: bytes get from input to output, all of them, in order, and at what cost of memory.
 * Knows no connection; check_connection does.
 * Run by make check.
 */
#include <config.h>

#include "echod/echo.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Input and output as a bufferevent holds them, and how far the payload has come. */
static struct {
    struct evbuffer *input, *output;
    int fds[2]; /* what is written to the first is read into input from the second */
    uint64_t sent, received;
} scene;

static void setup(void)
{
    scene.input = evbuffer_new();
    scene.output = evbuffer_new();
    ck_assert_ptr_nonnull(scene.input);
    ck_assert_ptr_nonnull(scene.output);
    support_unix_pair(scene.fds);
    scene.sent = scene.received = 0;
}

static void teardown(void)
{
    evbuffer_free(scene.input);
    evbuffer_free(scene.output);
    support_close(&scene.fds[0]);
    support_close(&scene.fds[1]);
}

/* How input comes by its bytes. */
typedef void fill_function(size_t size);

static void fill_by_add(size_t size)
{
    support_assert(evbuffer_add(scene.input, support_payload(scene.sent), size) == 0);
    scene.sent += size;
}

/* As a bufferevent reads: at most 4096 bytes at once (libevent 2.1, EVBUFFER_MAX_READ). */
static void fill_by_read(size_t size)
{
    while (size > 0) {
        size_t part = size < 4096 ? size : 4096;

        support_assert(write(scene.fds[0], support_payload(scene.sent), part) == (ssize_t)part);
        support_assert(evbuffer_read(scene.input, scene.fds[1], -1) == (int)part);
        scene.sent += part;
        size -= part;
    }
}

static fill_function *const fills[] = {fill_by_add, fill_by_read};

static void echo(void)
{
    support_assert(echo_input(scene.input, scene.output) == 0);
    support_assert(evbuffer_get_length(scene.input) == 0);
    support_assert(evbuffer_get_length(scene.output) == scene.sent - scene.received);
}

/* Take bytes from the start of a buffer and compare them with what was sent. */
static void take(struct evbuffer *buffer, size_t size)
{
    static unsigned char bytes[SUPPORT_PAYLOAD_ROOM];

    while (size > 0) {
        size_t part = size < sizeof bytes ? size : sizeof bytes;

        support_assert(evbuffer_remove(buffer, bytes, part) == (int)part);
        support_assert(memcmp(bytes, support_payload(scene.received), part) == 0);
        scene.received += part;
        size -= part;
    }
}

static void take_all(void)
{
    take(scene.output, evbuffer_get_length(scene.output));
    ck_assert_uint_eq(scene.received, scene.sent);
}

START_TEST(nothing_becomes_nothing)
{
    echo();
    fill_by_add(10);
    echo();
    echo();
    take_all();
}
END_TEST

static size_t random_size(uint64_t *seed)
{
    const size_t number = (size_t)(support_random(seed) >> 32);

    switch (support_random(seed) % 6) {
    case 0:
        return 1;
    case 1:
        return 1 + number % 16;
    case 2:
        return 1 + number % 1500;
    case 3:
        return 4094 + number % 5;
    case 4:
        return 510 + number % 5;
    default:
        return 1 + number % 20000;
    }
}

START_TEST(every_byte_arrives_in_order)
{
    enum { STEPS = 3000 };
    uint64_t seed = (uint64_t)_i; /* which check prints where a test fails */
    fill_function *fill = fills[_i % 2];

    for (int step = 0; step < STEPS; step++) {
        for (uint64_t n = support_random(&seed) % 3; n > 0; n--)
            fill(random_size(&seed));
        echo();
        if (support_random(&seed) % 4 == 0) {
            take(scene.output, evbuffer_get_length(scene.output));
        } else if (support_random(&seed) % 2 == 0) {
            size_t queued = evbuffer_get_length(scene.output);

            take(scene.output, queued > 0 ? (size_t)(support_random(&seed) % queued) : 0);
        }
    }
    take_all();
}
END_TEST

START_TEST(into_an_empty_output_memory_moves_and_is_not_copied)
{
    static const size_t sizes[] = {1, 100, 4096, 100000};

    for (int i = 0; i < COUNT_OF(sizes); i++) {
        struct evbuffer_iovec before, after;
        size_t bytes;

        fill_by_add(sizes[i]);
        ck_assert_int_ge(evbuffer_peek(scene.input, -1, NULL, &before, 1), 1);
        bytes = support_memory_bytes();
        echo();
        ck_assert_int_ge(evbuffer_peek(scene.output, -1, NULL, &after, 1), 1);
        ck_assert_ptr_eq(after.iov_base, before.iov_base);
        ck_assert_uint_le(support_memory_bytes(), bytes);
        take_all();
    }
}
END_TEST

START_TEST(the_ends_that_a_bufferevent_freezes_may_be_frozen)
{
    ck_assert_int_eq(evbuffer_freeze(scene.output, 1), 0);
    for (int i = 0; i < 100; i++) {
        fill_by_add((size_t)i * 50 + 1);
        ck_assert_int_eq(evbuffer_freeze(scene.input, 0), 0);
        echo();
        ck_assert_int_eq(evbuffer_unfreeze(scene.input, 0), 0);
    }
    ck_assert_int_eq(evbuffer_unfreeze(scene.output, 1), 0);
    take_all();
}
END_TEST

/* Memory. */

enum { WAITING_BYTES = 1 << 20, WAITING_MESSAGES = 100000, SLACK_BYTES = 64 << 10 };

static const size_t waiting_sizes[] = {1,   2,   10,   100,  500,  511, 512,
                                       513, 700, 1024, 1500, 4095, 4096};

START_TEST(what_waits_costs_its_bytes_and_little_more)
{
    const size_t size = waiting_sizes[_i / 2];
    fill_function *fill = fills[_i % 2];
    const size_t before = support_memory_bytes();

    for (int i = 0; i < WAITING_MESSAGES && scene.sent < WAITING_BYTES; i++) {
        fill(size);
        echo();
        support_assert(support_memory_bytes() - before <= scene.sent + SLACK_BYTES);
    }
    take_all();
    ck_assert_uint_le(support_memory_bytes(), before + 8192);
}
END_TEST

START_TEST(few_small_messages_that_wait_cost_little)
{
    const size_t before = support_memory_bytes();

    /* This is where whole pieces of memory that move would cost a thousand times their bytes. */
    for (int i = 0; i < 2000; i++) {
        fill_by_read(1);
        echo();
    }
    ck_assert_uint_le(support_memory_bytes() - before, 4 * 2000);
    take_all();
}
END_TEST

START_TEST(mixed_sizes_that_wait_cost_little_more_than_their_bytes)
{
    const size_t before = support_memory_bytes();
    uint64_t seed = (uint64_t)_i;
    fill_function *fill = fills[_i % 2];

    while (scene.sent < WAITING_BYTES) {
        fill(1 + support_random(&seed) % 4096);
        echo();
        support_assert(support_memory_bytes() - before <= scene.sent + SLACK_BYTES);
    }
    take_all();
}
END_TEST

START_TEST(a_short_queue_costs_little_however_much_passes)
{
    const size_t before = support_memory_bytes();
    uint64_t seed = (uint64_t)_i;
    fill_function *fill = fills[_i % 2];

    while (scene.sent < 8 * WAITING_BYTES) {
        size_t queued;

        fill(1 + support_random(&seed) % 4096);
        echo();
        queued = evbuffer_get_length(scene.output);
        if (queued > 8192)
            take(scene.output, queued - 1);
        support_assert(support_memory_bytes() - before <= SLACK_BYTES);
    }
    take_all();
}
END_TEST

START_TEST(without_memory_nothing_is_lost)
{
    bool has_failed = true;

    for (unsigned long nth = 1; has_failed; nth++) {
        int status;

        fill_by_add(3);
        echo();
        fill_by_add(100);
        fill_by_add(9000);
        fill_by_read(4096);
        fill_by_add(20000);
        support_memory_fail(nth, 1);
        errno = 0;
        status = echo_input(scene.input, scene.output);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (has_failed) {
            ck_assert_int_eq(status, -1);
            ck_assert_int_eq(errno, ENOMEM);
        } else {
            ck_assert_uint_gt(nth, 1); /* something did need memory */
            ck_assert_int_eq(status, 0);
        }
        ck_assert_uint_eq(evbuffer_get_length(scene.output) + evbuffer_get_length(scene.input),
                          scene.sent - scene.received);
        if (nth % 2 == 0) { /* either what is there is whole, or a second try makes it so */
            take(scene.output, evbuffer_get_length(scene.output));
            take(scene.input, evbuffer_get_length(scene.input));
        } else {
            echo();
            take_all();
        }
    }
}
END_TEST

/* --- The shortcut: a client at pair[0], echo_socket at pair[1]. ------------------------------- */

static struct {
    struct echo_scratch scratch;
    int pair[2];
    bool is_streaming;
    struct echo_progress progress; /* of the last call */
    uint64_t sent, received;       /* by the client */
    uint64_t returned;             /* to the client's socket, or on the way there */
} shortcut;

/* The number of a loop test chooses the kind of socket, and whether there is a pipe. */
enum { SHORTCUT_KINDS = 4 };

static void shortcut_begin(int kind)
{
    memset(&shortcut, 0, sizeof shortcut);
    ck_assert_int_eq(echo_scratch_init(&shortcut.scratch), 0);
    if (kind & 1)
        support_tcp_pair(shortcut.pair);
    else
        support_unix_pair(shortcut.pair);
    if (kind & 2) { /* as on a system without splice */
        support_close(&shortcut.scratch.pipe[0]);
        support_close(&shortcut.scratch.pipe[1]);
    }
}

static void shortcut_end(void)
{
    echo_scratch_fini(&shortcut.scratch);
    support_close(&shortcut.pair[0]);
    support_close(&shortcut.pair[1]);
}

static enum echo_outcome shortcut_echo(uint64_t room)
{
    const enum echo_outcome outcome = echo_socket(&shortcut.scratch, shortcut.pair[1], scene.output,
                                                  room, &shortcut.is_streaming, &shortcut.progress);
    const int error = errno;

    shortcut.returned += shortcut.progress.sent;
    errno = error;
    return outcome;
}

/* Send until the size is reached or the socket takes no more. */
static void client_send(size_t size)
{
    while (size > 0) {
        const size_t piece = size < SUPPORT_PAYLOAD_ROOM ? size : SUPPORT_PAYLOAD_ROOM;
        const ssize_t sent =
            send(shortcut.pair[0], support_payload(shortcut.sent), piece, MSG_NOSIGNAL);

        if (sent < 0)
            return;
        shortcut.sent += (uint64_t)sent;
        size -= (size_t)sent;
    }
}

/* Check bytes that came back. */
static void client_check(const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const size_t piece = size < SUPPORT_PAYLOAD_ROOM ? size : SUPPORT_PAYLOAD_ROOM;

        support_assert(memcmp(bytes, support_payload(shortcut.received), piece) == 0);
        shortcut.received += piece;
        bytes += piece;
        size -= piece;
    }
}

/* Receive and check all that was returned. */
static void client_receive(void)
{
    struct pollfd readable = {.fd = shortcut.pair[0], .events = POLLIN};
    unsigned char bytes[SUPPORT_PAYLOAD_ROOM];

    while (shortcut.received < shortcut.returned) {
        ssize_t size;

        support_assert(poll(&readable, 1, 10000) == 1);
        size = recv(shortcut.pair[0], bytes, sizeof bytes, 0);
        support_assert(size > 0);
        client_check(bytes, (size_t)size);
    }
}

/* Check what is queued behind that. */
static void client_check_output(void)
{
    const size_t size = evbuffer_get_length(scene.output);

    client_check(evbuffer_pullup(scene.output, -1), size);
    shortcut.returned += size;
    ck_assert_int_eq(evbuffer_drain(scene.output, size), 0);
}

START_TEST(the_shortcut_sends_a_small_message_at_once)
{
    shortcut_begin(_i);
    client_send(100);
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_SENT);
    ck_assert_uint_eq(shortcut.progress.received, 100);
    ck_assert_uint_eq(shortcut.progress.sent, 100);
    ck_assert(!shortcut.is_streaming);
    ck_assert_uint_eq(evbuffer_get_length(scene.output), 0);
    client_receive();
    ck_assert_uint_eq(shortcut.received, 100);

    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_SENT); /* nothing has come since */
    ck_assert_uint_eq(shortcut.progress.received, 0);
    shortcut_end();
}
END_TEST

START_TEST(the_shortcut_sees_the_end_behind_the_last_byte)
{
    shortcut_begin(_i);
    client_send(70000);
    ck_assert_int_eq(shutdown(shortcut.pair[0], SHUT_WR), 0);
    while (shortcut_echo(UINT64_MAX) == ECHO_SENT)
        client_receive();
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_ENDED);
    client_receive();
    ck_assert_uint_eq(shortcut.received, shortcut.sent);
    ck_assert_uint_eq(evbuffer_get_length(scene.output), 0);
    shortcut_end();
}
END_TEST

/* How much may be queued; the pipe is in use from its own size on. */
static const uint64_t rooms[] = {1, 5000, 65536, 256 << 10, UINT64_MAX};

START_TEST(what_the_socket_does_not_take_is_queued_in_order)
{
    const uint64_t room = rooms[_i / SHORTCUT_KINDS];
    enum echo_outcome outcome = ECHO_SENT;

    shortcut_begin(_i % SHORTCUT_KINDS);
    while (outcome == ECHO_SENT) { /* the client sends and does not receive */
        client_send(1 << 20);
        outcome = shortcut_echo(room);
    }
    ck_assert_int_eq(outcome, ECHO_QUEUED);
    ck_assert_uint_gt(evbuffer_get_length(scene.output), 0);
    ck_assert_uint_eq(evbuffer_get_length(scene.output),
                      shortcut.progress.received - shortcut.progress.sent);
    ck_assert_uint_le(evbuffer_get_length(scene.output), room < 4096 ? 4096 : room);
    ck_assert_uint_le(evbuffer_get_length(scene.output), 256 << 10);
    client_receive();
    client_check_output();
    shortcut_end();
}
END_TEST

/* What a system that tells less than a program asks for leaves behind is not what it told. */
static bool tells_nonsense;

/* Stands before that of the C library. */
int getsockopt(int fd, int level, int optname, void *restrict optval, socklen_t *restrict optlen)
{
    if (!tells_nonsense)
        return (int)syscall(SYS_getsockopt, fd, level, optname, optval, optlen);
    memset(optval, 0x01, *optlen);
    memset((unsigned char *)optval + 12, 0x7f, 4); /* there is as much room as one likes */
    *optlen = 4;
    return 0;
}

/* Write until the socket takes nothing, and has not come to rest only for a moment. */
static void fill_socket(int fd)
{
    struct pollfd nothing = {.fd = -1};
    bool is_full = false;

    while (!is_full) {
        (void)poll(&nothing, 1, 50);
        is_full = true;
        while (write(fd, support_payload(0), SUPPORT_PAYLOAD_ROOM) > 0)
            is_full = false;
    }
}

/* Let a socket hold much of what comes for it, as far as the system allows. */
static void make_wide(int fd)
{
    const int size = 2 << 20;

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

/* Connect TCP sockets with the large segments of the loopback, so that one read brings much. */
static void open_wide_pair(int fds[2])
{
    const struct sockaddr_in any = support_loopback(0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    make_wide(fd);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fds[0], (const struct sockaddr *)&address, sizeof address), 0);
    fds[1] = accept(fd, NULL, NULL);
    ck_assert_int_ge(fds[1], 0);
    support_set_nonblocking(fds[0]);
    support_set_nonblocking(fds[1]);
    support_close(&fd);
}

START_TEST(a_stream_that_meets_a_full_socket_queues_little)
{
    const uint64_t room = 256 << 10; /* the high mark, unless somebody asks for another */
    const size_t little = 64 << 10;  /* what the socket has no room for is not read, but for this */
    const size_t before = support_memory_bytes();

    shortcut_begin(_i << 1 & 2); /* with the pipe and without */
    support_close(&shortcut.pair[0]);
    support_close(&shortcut.pair[1]);
    open_wide_pair(shortcut.pair);
    fill_socket(shortcut.pair[1]);
    client_send(1 << 20);
    shortcut.is_streaming = true;
    tells_nonsense = _i >= 2;
    ck_assert_int_eq(shortcut_echo(room), ECHO_QUEUED);
    tells_nonsense = false;
    ck_assert_uint_le(support_memory_bytes() - before, little + SLACK_BYTES);
    shortcut.received = shortcut.progress.sent; /* if it had room for some after all */
    client_check_output();
    shortcut_end();
}
END_TEST

START_TEST(a_stream_comes_back_whole_and_each_call_is_bounded)
{
    const uint64_t goal = 20 << 20;

    shortcut_begin(_i);
    while (shortcut.received < goal) {
        client_send(goal - shortcut.sent < 1 << 20 ? (size_t)(goal - shortcut.sent) : 1 << 20);
        if (shortcut_echo(UINT64_MAX) == ECHO_QUEUED) {
            client_receive();
            client_check_output();
        }
        ck_assert_uint_le(shortcut.progress.received, (256 << 10) + (512 << 10));
        client_receive();
    }
    ck_assert_uint_eq(shortcut.received, goal);
    shortcut_end();
}
END_TEST

START_TEST(an_urgent_byte_before_the_end_ends_nothing)
{
    const char urgent = '!';

    shortcut_begin(1); /* TCP, with the pipe */
    client_send(70000);
    ck_assert_int_eq((int)send(shortcut.pair[0], &urgent, 1, MSG_OOB), 1);
    client_send(10000);
    ck_assert_int_eq(shutdown(shortcut.pair[0], SHUT_WR), 0);
    shortcut.is_streaming = true;
    while (shortcut_echo(UINT64_MAX) != ECHO_ENDED) {
        ck_assert_uint_eq(evbuffer_get_length(scene.output), 0);
        client_receive();
        shortcut.is_streaming = true;
    }
    ck_assert_uint_eq(shortcut.received, 80000);
    shortcut_end();
}
END_TEST

START_TEST(a_socket_that_took_less_than_it_said_is_believed_once)
{
    const uint64_t room = 64 << 10;
    const int lowat = 16 << 10;
    int breaches = 0;

    shortcut_begin(1);
    ck_assert_int_eq(
        setsockopt(shortcut.pair[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat), 0);
    for (int queued = 0; queued < 5;) {
        client_send(4 << 20);
        shortcut.is_streaming = true;
        if (shortcut_echo(room) == ECHO_QUEUED) {
            queued++;
            breaches += evbuffer_get_length(scene.output) > room;
            client_receive();
            client_check_output();
        }
    }
    ck_assert_int_le(breaches, 1);
    shortcut_end();
}
END_TEST

START_TEST(a_reset_is_told_with_its_errno)
{
    const struct linger at_once = {.l_onoff = 1};

    shortcut_begin(1 | (_i & 1) << 1);
    shortcut.is_streaming = _i == 2; /* then splice meets it, and nobody after that */
    ck_assert_int_eq(setsockopt(shortcut.pair[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
                     0);
    support_close(&shortcut.pair[0]);
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_FAILED);
    ck_assert_int_eq(errno, ECONNRESET);
    shortcut_end();
}
END_TEST

START_TEST(a_send_that_fails_leaves_the_error_to_the_output)
{
    shortcut_begin(_i << 1); /* a Unix socket: what was sent before the close can be received */
    client_send(10);
    support_close(&shortcut.pair[0]);
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_QUEUED);
    ck_assert_uint_eq(shortcut.progress.sent, 0);
    client_check_output();
    shortcut_end();
}
END_TEST

START_TEST(without_memory_the_shortcut_fails_and_leaves_nothing_in_the_pipe)
{
    enum echo_outcome outcome = ECHO_SENT;
    char byte;

    shortcut_begin(_i);
    support_memory_fail(1, 1);
    while (outcome == ECHO_SENT) {
        client_send(1 << 20);
        outcome = shortcut_echo(UINT64_MAX);
    }
    support_memory_fail(0, 0);
    ck_assert_int_eq(outcome, ECHO_FAILED);
    ck_assert_int_eq(errno, ENOMEM);
    if (shortcut.scratch.pipe[0] >= 0)
        ck_assert_int_eq(read(shortcut.scratch.pipe[0], &byte, 1), -1);
    shortcut_end();

    shortcut_begin(_i); /* another client is served as ever */
    client_send(100);
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_SENT);
    shortcut_end();
}
END_TEST

/* Have other sockets with large segments, of which ours takes less than it says. */
static void shortcut_connect_wide(void)
{
    const int lowat = 16 << 10;

    support_close(&shortcut.pair[0]);
    support_close(&shortcut.pair[1]);
    open_wide_pair(shortcut.pair);
    ck_assert_int_eq(
        setsockopt(shortcut.pair[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat), 0);
    shortcut.sent = shortcut.received = shortcut.returned = 0;
    shortcut.is_streaming = true;
}

/* Tell whether the system says how much room a socket has: then as much is spliced at once. */
static bool system_tells_room(void)
{
#if defined HAVE_LINUX_SOCK_DIAG_H && defined SO_MEMINFO && defined HAVE_SPLICE
    uint32_t memory[16];
    socklen_t length = sizeof memory;

    return getsockopt(shortcut.pair[1], SOL_SOCKET, SO_MEMINFO, memory, &length) == 0 &&
           length > 5 * sizeof memory[0];
#else
    return false;
#endif
}

/* What the pipe holds is more than one read takes when memory runs out. */
START_TEST(what_a_failed_stream_leaves_in_the_pipe_reaches_nobody)
{
    enum echo_outcome outcome = ECHO_SENT;

    shortcut_begin(1);
    if (!system_tells_room()) {
        shortcut_end();
        support_skip("the system does not tell how much room a socket has");
    }
    shortcut_connect_wide();
    support_memory_fail(1, 1);
    while (outcome == ECHO_SENT) {
        client_send(1 << 20);
        shortcut.is_streaming = true;
        outcome = shortcut_echo(UINT64_MAX);
    }
    support_memory_fail(0, 0);
    ck_assert_int_eq(outcome, ECHO_FAILED);
    ck_assert_uint_gt(shortcut.progress.received - shortcut.progress.sent, 64 << 10);
    ck_assert_int_eq(evbuffer_drain(scene.output, evbuffer_get_length(scene.output)),
                     0); /* as its end does */

    shortcut_connect_wide(); /* another client of the same worker */
    client_send(128 << 10);
    while (shortcut.received < shortcut.sent) {
        ck_assert_int_ne(shortcut_echo(UINT64_MAX), ECHO_FAILED);
        client_receive(); /* judges every byte */
        client_check_output();
    }
    shortcut_end();
}
END_TEST

/* What takes the place of an end of the pipe, so that splice fails and moves nothing. */
static const struct {
    int end, flags;
} refusals[] = {
    {1, O_WRONLY}, /* EINVAL: no pipe */
    {1, O_RDONLY}, /* EBADF */
};

START_TEST(a_stream_that_splice_refuses_is_copied)
{
    const uint64_t goal = 4 << 20;
    int *const end = &shortcut.scratch.pipe[refusals[_i].end];

    shortcut_begin(1);
    support_close(end);
    *end = open("/dev/null", refusals[_i].flags | O_CLOEXEC);
    ck_assert_int_ge(*end, 0);
    while (shortcut.received < goal) {
        client_send(goal - shortcut.sent < 1 << 20 ? (size_t)(goal - shortcut.sent) : 1 << 20);
        if (shortcut.sent == goal)
            (void)shutdown(shortcut.pair[0], SHUT_WR);
        shortcut.is_streaming = true;
        ck_assert_int_ne(shortcut_echo(UINT64_MAX), ECHO_FAILED);
        client_receive();
        client_check_output();
    }
    ck_assert_uint_eq(shortcut.received, goal);
    ck_assert_int_lt(shortcut.scratch.pipe[0], 0); /* for good */
    shortcut.is_streaming = true;
    ck_assert_int_eq(shortcut_echo(UINT64_MAX), ECHO_ENDED);
    shortcut_end();
}
END_TEST

static Suite *echo_suite(void)
{
    Suite *suite = suite_create("echo");
    TCase *bytes = support_case(suite, "bytes");
    TCase *memory = support_case(suite, "memory");
    TCase *socket = support_case(suite, "socket");

    tcase_add_checked_fixture(bytes, setup, teardown);
    tcase_add_test(bytes, nothing_becomes_nothing);
    tcase_add_loop_test(bytes, every_byte_arrives_in_order, 0, 8);
    tcase_add_test(bytes, into_an_empty_output_memory_moves_and_is_not_copied);
    tcase_add_test(bytes, the_ends_that_a_bufferevent_freezes_may_be_frozen);

    tcase_add_checked_fixture(memory, setup, teardown);
    tcase_add_loop_test(memory, what_waits_costs_its_bytes_and_little_more, 0,
                        2 * COUNT_OF(waiting_sizes));
    tcase_add_test(memory, few_small_messages_that_wait_cost_little);
    tcase_add_loop_test(memory, mixed_sizes_that_wait_cost_little_more_than_their_bytes, 0, 4);
    tcase_add_loop_test(memory, a_short_queue_costs_little_however_much_passes, 0, 4);
    tcase_add_test(memory, without_memory_nothing_is_lost);

    tcase_add_checked_fixture(socket, setup, teardown);
    tcase_add_loop_test(socket, the_shortcut_sends_a_small_message_at_once, 0, SHORTCUT_KINDS);
    tcase_add_loop_test(socket, the_shortcut_sees_the_end_behind_the_last_byte, 0, SHORTCUT_KINDS);
    tcase_add_loop_test(socket, what_the_socket_does_not_take_is_queued_in_order, 0,
                        SHORTCUT_KINDS * COUNT_OF(rooms));
    tcase_add_loop_test(socket, a_stream_that_meets_a_full_socket_queues_little, 0, 4);
    tcase_add_loop_test(socket, a_stream_comes_back_whole_and_each_call_is_bounded, 0,
                        SHORTCUT_KINDS);
    tcase_add_test(socket, an_urgent_byte_before_the_end_ends_nothing);
    tcase_add_test(socket, a_socket_that_took_less_than_it_said_is_believed_once);
    tcase_add_loop_test(socket, a_reset_is_told_with_its_errno, 0, 3);
    tcase_add_loop_test(socket, a_send_that_fails_leaves_the_error_to_the_output, 0, 2);
    tcase_add_loop_test(socket, without_memory_the_shortcut_fails_and_leaves_nothing_in_the_pipe, 0,
                        SHORTCUT_KINDS);
    tcase_add_test(socket, what_a_failed_stream_leaves_in_the_pipe_reaches_nobody);
    tcase_add_loop_test(socket, a_stream_that_splice_refuses_is_copied, 0, COUNT_OF(refusals));
    return suite;
}

int main(void)
{
    return support_run(echo_suite());
}
