#include <config.h>

#include "support.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TEST_TIMEOUT_S = 120,     /* of one test, for check */
    LOOP_DEADLINE_MS = 30000, /* of one wait in a test */
    LOOP_TICK_MS = 5,         /* how often a condition is looked at if nothing happens */
    SETTLE_TURNS = 200,       /* more than any exchange in these tests takes in one go */
    DESCRIPTORS_LOOKED_AT = 2048,
};

/* What the fixture keeps for the running test. */
static struct {
    struct event_base *base;
    struct event *tick;
    struct log *log;
    int log_fd;
    char *log_text;
    unsigned descriptors;
    size_t memory_bytes;
} running;

/* libevent's memory: each block stands behind its size. */
struct block {
    size_t size;
    max_align_t bytes[];
};

static struct {
    atomic_size_t bytes;
    unsigned long count; /* of allocations since support_memory_fail */
    unsigned long first, last;
    bool has_failed;
    bool is_suspended; /* what support itself allocates never fails */
} memory;

static bool memory_is_short(void)
{
    if (memory.last == 0 || memory.is_suspended)
        return false;
    memory.count++;
    if (memory.count < memory.first || memory.count > memory.last)
        return false;
    memory.has_failed = true;
    return true;
}

static struct block *block_of(void *bytes)
{
    return (struct block *)(void *)((char *)bytes - offsetof(struct block, bytes));
}

static void *memory_resize(void *bytes, size_t size)
{
    size_t old_size = bytes != NULL ? block_of(bytes)->size : 0;
    struct block *block;

    if (memory_is_short()) {
        errno = ENOMEM;
        return NULL;
    }
    block = realloc(bytes != NULL ? block_of(bytes) : NULL, offsetof(struct block, bytes) + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    atomic_fetch_add(&memory.bytes, size);
    atomic_fetch_sub(&memory.bytes, old_size);
    return block->bytes;
}

static void *memory_allocate(size_t size)
{
    return memory_resize(NULL, size);
}

static void memory_free(void *bytes)
{
    if (bytes == NULL)
        return;
    atomic_fetch_sub(&memory.bytes, block_of(bytes)->size);
    free(block_of(bytes));
}

size_t support_memory_bytes(void)
{
    return atomic_load(&memory.bytes);
}

void support_memory_fail(unsigned long first, unsigned long count)
{
    memory.count = 0;
    memory.first = first;
    memory.last = count != 0 ? first + count - 1 : 0;
    memory.has_failed = false;
}

bool support_memory_has_failed(void)
{
    return memory.has_failed;
}

static void fixture_setup(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as echod has it */
    support_memory_fail(0, 0);
    running.descriptors = support_descriptor_count();
    running.memory_bytes = support_memory_bytes();
    running.log_fd = -1;
}

void support_renew_base(void)
{
    if (running.tick != NULL)
        event_free(running.tick);
    if (running.base != NULL)
        event_base_free(running.base);
    running.tick = NULL;
    running.base = NULL;
}

static void fixture_teardown(void)
{
    support_memory_fail(0, 0);
    support_renew_base();
    log_free(running.log);
    support_close(&running.log_fd);
    free(running.log_text);
    running.log = NULL;
    running.log_text = NULL;
    ck_assert_uint_eq(support_descriptor_count(), running.descriptors);
    ck_assert_uint_eq(support_memory_bytes(), running.memory_bytes);
}

/* Run and free it. */
static int run(SRunner *runner)
{
    int failures;

    event_set_mem_functions(memory_allocate, memory_resize, memory_free);
    srunner_run_all(runner, CK_ENV);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    libevent_global_shutdown();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int support_run(Suite *suite)
{
    return run(srunner_create(suite));
}

int support_run_together(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_set_fork_status(runner, CK_NOFORK);
    return run(runner);
}

TCase *support_case(Suite *suite, const char *name)
{
    TCase *test_case = tcase_create(name);

    tcase_set_timeout(test_case, TEST_TIMEOUT_S);
    tcase_add_checked_fixture(test_case, fixture_setup, fixture_teardown);
    suite_add_tcase(suite, test_case);
    return test_case;
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
}

struct event_base *support_base(void)
{
    memory.is_suspended = true;
    if (running.base == NULL) {
        running.base = event_base_new();
        ck_assert_ptr_nonnull(running.base);
        running.tick = evtimer_new(running.base, on_tick, NULL);
        ck_assert_ptr_nonnull(running.tick);
    }
    memory.is_suspended = false;
    return running.base;
}

/* Turn the loop once, for at most so long. */
static void loop_turn(uint64_t milliseconds)
{
    struct event_base *base = support_base();
    struct timeval delay = clock_timeval(milliseconds);

    memory.is_suspended = true;
    ck_assert_int_eq(event_add(running.tick, &delay), 0);
    memory.is_suspended = false;
    ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
}

bool support_loop_reaches(support_condition *condition, void *argument)
{
    uint64_t deadline_ms = clock_now_ms() + LOOP_DEADLINE_MS;

    while (!condition(argument)) {
        if (clock_now_ms() >= deadline_ms)
            return false;
        loop_turn(LOOP_TICK_MS);
    }
    return true;
}

unsigned support_loop_for(uint64_t duration_ms)
{
    uint64_t end_ms = clock_now_ms() + duration_ms;
    unsigned turns = 0;

    for (uint64_t now_ms; (now_ms = clock_now_ms()) < end_ms; turns++)
        loop_turn(end_ms - now_ms);
    return turns;
}

void support_loop_once(void)
{
    /* Without EVLOOP_ONCE it would go on as long as anything happens (libevent 2.1, event.c). */
    ck_assert_int_ge(event_base_loop(support_base(), EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
}

void support_loop_settle(void)
{
    for (unsigned i = 0; i < SETTLE_TURNS; i++)
        support_loop_once();
}

bool support_is_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

bool support_system_tells_drops(void)
{
#if defined SO_RXQ_OVFL && defined HAVE_LINUX_SOCK_DIAG_H
    const int on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    const bool does = setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) == 0;

    support_close(&fd);
    return does;
#else
    return false;
#endif
}

bool support_system_tells_address(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;
    const int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
    _Alignas(struct cmsghdr) unsigned char control[64];
    char byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};

#ifdef IP_PKTINFO
    (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
#elif defined IP_RECVDSTADDR
    (void)setsockopt(fd, IPPROTO_IP, IP_RECVDSTADDR, &on, sizeof on);
#else
    (void)on;
#endif
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&own, &length), 0);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(sendto(fd, "", 1, 0, (struct sockaddr *)&own, sizeof own), 1);
    ck_assert_int_eq(recvmsg(fd, &message, 0), 1);
    (void)close(fd);
    return message.msg_controllen > 0;
}

bool support_system_sends_hops(void)
{
#ifdef __linux__
    struct sockaddr_in nobody = support_loopback(9);
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))] = {0};
    struct cmsghdr *header = (struct cmsghdr *)(void *)control;
    struct iovec piece = {control, 1};
    const struct msghdr message = {.msg_name = &nobody,
                                   .msg_namelen = sizeof nobody,
                                   .msg_iov = &piece,
                                   .msg_iovlen = 1,
                                   .msg_control = control,
                                   .msg_controllen = sizeof control};
    const int hops = 63;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bool does;

    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_TTL;
    header->cmsg_len = CMSG_LEN(sizeof hops);
    memcpy(CMSG_DATA(header), &hops, sizeof hops);
    does = sendmsg(fd, &message, 0) == 1 || errno != EINVAL;
    (void)close(fd);
    return does;
#else
    return true; /* it is not asked to */
#endif
}

int support_skip_all(const char *why)
{
    (void)fprintf(stderr, "all was skipped: %s\n", why);
    return 77;
}

unsigned support_descriptor_count(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < DESCRIPTORS_LOOKED_AT; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

void support_set_nonblocking(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

bool support_is_nonblocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

bool support_is_close_on_exec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

void support_unix_pair(int fds[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    support_set_nonblocking(fds[0]);
    support_set_nonblocking(fds[1]);
}

void support_pipe(int fds[2])
{
    ck_assert_int_eq(pipe(fds), 0);
    support_set_nonblocking(fds[0]);
    support_set_nonblocking(fds[1]);
}

struct sockaddr_in support_loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/*
 * Make a TCP socket whose segments are as small as those of a real network. The loopback's have
 * 64 KiB; with small buffers it would then stop and wait for timers all the time.
 */
static int open_tcp(void)
{
    const int segment_size = 1400;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment_size, sizeof segment_size),
                     0);
    return fd;
}

int support_bind_tcp(struct sockaddr_in *address)
{
    int fd = open_tcp();
    socklen_t length = sizeof *address;

    *address = support_loopback(0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)address, sizeof *address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

void support_tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listening_fd = support_bind_tcp(&address);

    ck_assert_int_eq(listen(listening_fd, 1), 0);
    fds[0] = open_tcp();
    ck_assert_int_eq(connect(fds[0], (const struct sockaddr *)&address, sizeof address), 0);
    fds[1] = accept(listening_fd, NULL, NULL);
    ck_assert_int_ge(fds[1], 0);
    support_set_nonblocking(fds[0]);
    support_set_nonblocking(fds[1]);
    support_close(&listening_fd);
}

void support_close(int *fd)
{
    if (*fd >= 0)
        ck_assert_int_eq(close(*fd), 0);
    *fd = -1;
}

int support_open_file(void)
{
    char name[] = "/tmp/check-XXXXXX";
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    return fd;
}

char *support_read_file(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text;
    size_t length = 0;

    ck_assert_int_ge(size, 0);
    text = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    while (length < (size_t)size) {
        ssize_t got = pread(fd, text + length, (size_t)size - length, (off_t)length);

        ck_assert_int_gt(got, 0);
        length += (size_t)got;
    }
    text[length] = '\0';
    return text;
}

struct log *support_log(enum log_format format)
{
    if (running.log == NULL) {
        ck_assert_int_eq(running.log_fd, -1);
        running.log_fd = support_open_file();
        running.log = log_new(running.log_fd, LOG_LEVEL_DEBUG, format);
        ck_assert_ptr_nonnull(running.log);
    }
    return running.log;
}

const char *support_log_text(void)
{
    log_free(running.log);
    running.log = NULL;
    if (running.log_text == NULL)
        running.log_text = support_read_file(running.log_fd);
    return running.log_text;
}

const char *support_format(const char *format, ...)
{
    static char text[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert(length >= 0 && (size_t)length < sizeof text);
    return text;
}

bool support_matches(const char *text, const char *pattern)
{
    regex_t regex;
    bool matches;

    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    matches = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

unsigned support_count(const char *text, const char *part)
{
    unsigned count = 0;

    for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
        count++;
    return count;
}

/* splitmix64, by Sebastiano Vigna; public domain. */
uint64_t support_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void support_random_fill(uint64_t *seed, void *memory_to_fill, size_t size)
{
    unsigned char *bytes = memory_to_fill;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)support_random(seed);
}

const unsigned char *support_payload(uint64_t offset)
{
    enum { PERIOD = 1000003 }; /* a prime: no size of a buffer divides it */
    static unsigned char payload[PERIOD + SUPPORT_PAYLOAD_ROOM];
    static bool is_filled;

    if (!is_filled) {
        uint64_t seed = 0;

        support_random_fill(&seed, payload, PERIOD);
        memcpy(payload + PERIOD, payload, SUPPORT_PAYLOAD_ROOM);
        is_filled = true;
    }
    return payload + offset % PERIOD;
}
