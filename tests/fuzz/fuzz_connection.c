/*
 * fuzz_connection: what must be true of one whole connection, whatever its client, an operator and
 * time do, in whatever order: what comes back is a prefix of what was sent, and all of it at an end
 * in order; as soon as its client goes on it comes to an end; then nothing is left of it.
 * The first byte of an input says how it is served, each further one is a step: see `steps`.
 * Chooses no bytes: libFuzzer does, or fuzz_driver. Stands in for clock, so that no time passes.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/clock.h"
#include "base/proxy_header.h"
#include "echod/connection.h"
#include "echod/self.h"

#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

enum {
    HEADER_LENGTH = sizeof header - 1,
    READ_BYTES = 4096,    /* one read moves no more (libevent 2.1, EVBUFFER_MAX_READ) */
    MUCH = 65536,         /* more than the mark, and than the kernel holds */
    SENT_MAX = 1 << 20,   /* all that a client sends */
    PAYLOAD_STEP = 251,   /* bytes until the payload, which is counted through, begins again */
    KERNEL_BYTES = 16384, /* what a socket is asked to hold of the echo */
    TURNS = 2000,         /* more than any end takes */
    SILENT_TURNS = 16,    /* more than all deadlines take */
    DESCRIPTORS = 32,     /* that are looked at */
    SHORT_MS = 400,       /* the other times are some of these */
    IDLE_MS = 1000,       /* ends it in order */
    HANDSHAKE_MS = 2000,  /* ends it at once */
    LIFETIME_MS = 4000,   /* ends it in order */
    LONG_MS = 60000,      /* ends it at once, whatever it does */
    HIGH_WATER_BYTES = 8192,
};

/* Bits of the first byte; a letter has the next one, too. */
enum {
    WITH_SHORTCUT = 1,
    OVER_PIPES = 2,
    WITH_HEADER = 4,
    WITH_IDENTITY = 8,
    WITH_IDENTITY_ONLY = 16, /* and no echo */
    WITHOUT_LINGER = 32,
};

/* --- clock. ---------------------------------------------------------------------------------- */

static uint64_t now_ms = 1000000;

uint64_t clock_now_ns(void)
{
    return now_ms * 1000000;
}

uint64_t clock_now_ms(void)
{
    return now_ms;
}

struct timeval clock_timeval(uint64_t milliseconds)
{
    return (struct timeval){.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
}

/* --- The scene ------------------------------------------------------------------------------- */

/* What all inputs share. */
static struct stage {
    struct event_base *base;
    struct log *log;
    struct connection_pool pool;
    unsigned char payload[MUCH + PAYLOAD_STEP];
} stage;

/* One connection and its client. */
static struct scene {
    struct connection_group group;
    struct counters counters;
    struct connection *connection; /* NULL once it has ended */
    enum close_reason reason;
    int to_fd, from_fd; /* the client's ends, equal for a socket; -1 when closed */
    uint64_t sent, received;
    size_t header_left;    /* bytes of the header that are to be sent before others */
    bool is_identity_left; /* it is to be read before the echo */
    bool is_eof;           /* read by the client */
    bool has_finished;     /* the client said FIN */
    bool is_gone;          /* the client has closed */
    bool is_told;          /* it was told to leave */
    bool is_cut;           /* something happened after which bytes may be lost */
    int error;             /* of a read or write of the client */
    uint64_t began_ms;
} scene;

static void prepare(void)
{
    stage.base = event_base_new();
    stage.log = log_new(-1, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    fuzz_require(stage.base != NULL && stage.log != NULL);
    fuzz_require(connection_pool_init(&stage.pool) == 0);
    fuzz_require(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (size_t i = 0; i < sizeof stage.payload; i++)
        stage.payload[i] = (unsigned char)(i % PAYLOAD_STEP);
}

/* Return what the client sends from a position on: MUCH bytes, which are found nowhere near. */
static const unsigned char *payload_at(uint64_t position)
{
    return &stage.payload[position % PAYLOAD_STEP];
}

static uint64_t count_of(enum counter which)
{
    return counters_get(&scene.counters, which);
}

static void check_bounds(void)
{
    const uint64_t queued = gauge_get(&stage.pool.queued_bytes);

    fuzz_require(queued <= HIGH_WATER_BYTES + READ_BYTES);
    fuzz_require(count_of(COUNTER_BYTES_OUT) <= count_of(COUNTER_BYTES_IN));
    fuzz_require(scene.received <= count_of(COUNTER_BYTES_IN));
}

static void turn_loop(void)
{
    fuzz_require(event_base_loop(stage.base, EVLOOP_NONBLOCK) >= 0);
}

static void on_end(struct connection *connection, void *owner)
{
    fuzz_require(owner == &scene && connection == scene.connection);
    scene.reason = connection_reason(connection);
    scene.connection = NULL;
    if (scene.reason == CLOSE_CLIENT || scene.reason == CLOSE_IDENTIFIED)
        fuzz_require(connection_is_complete(connection));
    fuzz_require(count_of(counters_of_end(scene.reason)) == 1);
    connection_free(connection);
}

static bool has_ended(void)
{
    return scene.connection == NULL;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static bool may_send(void)
{
    return !scene.is_gone && !scene.has_finished && scene.error == 0;
}

/* Write, and return how many bytes went. */
static size_t send_some(const void *bytes, size_t size)
{
    const ssize_t written = write(scene.to_fd, bytes, size);

    if (written < 0 && errno != EAGAIN)
        scene.error = errno;
    return written < 0 ? 0 : (size_t)written;
}

static void send_header(size_t size)
{
    size = size < scene.header_left ? size : scene.header_left;
    if (may_send() && size > 0)
        scene.header_left -= send_some(&header[HEADER_LENGTH - scene.header_left], size);
}

static void send_bytes(size_t size)
{
    if (may_send() && scene.header_left == 0 && scene.sent + size <= SENT_MAX)
        scene.sent += send_some(payload_at(scene.sent), size);
}

static void send_wrong_header(void)
{
    if (!may_send() || scene.header_left == 0)
        return;
    scene.header_left -= send_some("\n", 1);
    scene.is_cut = true;
}

/* Note what a read of the client came to. Return whether it brought something. */
static bool note_read(ssize_t got)
{
    scene.is_eof = got == 0;
    if (got < 0 && errno != EAGAIN)
        scene.error = errno;
    return got > 0;
}

/* Read the identity, as far as it is there. */
static void receive_identity(void)
{
    char byte = '\0';

    while (scene.is_identity_left && note_read(read(scene.from_fd, &byte, 1)))
        scene.is_identity_left = byte != '\n';
}

static bool may_receive(void)
{
    return !scene.is_gone && !scene.is_eof && scene.error == 0;
}

static void receive_bytes(size_t size)
{
    static unsigned char bytes[MUCH];
    ssize_t got;

    if (may_receive())
        receive_identity();
    while (size > 0 && may_receive() && !scene.is_identity_left) {
        got = read(scene.from_fd, bytes, size < sizeof bytes ? size : sizeof bytes);
        if (!note_read(got))
            return;
        fuzz_require(memcmp(bytes, payload_at(scene.received), (size_t)got) == 0);
        scene.received += (uint64_t)got;
        size -= (size_t)got;
        fuzz_require(scene.received <= scene.sent);
    }
}

static void close_end(int *fd)
{
    fuzz_require(*fd < 0 || close(*fd) == 0);
    *fd = -1;
}

static bool is_over_pipes(void)
{
    return scene.to_fd != scene.from_fd;
}

static void finish(void)
{
    if (!may_send())
        return;
    scene.has_finished = true;
    if (is_over_pipes())
        close_end(&scene.to_fd);
    else
        (void)shutdown(scene.to_fd, SHUT_WR);
}

/* Read no more, ever. */
static void deafen(void)
{
    if (!may_receive())
        return;
    scene.is_eof = scene.is_cut = true;
    if (is_over_pipes())
        close_end(&scene.from_fd);
    else
        (void)shutdown(scene.from_fd, SHUT_RD);
}

static void hang_up(void)
{
    if (is_over_pipes())
        close_end(&scene.to_fd);
    close_end(&scene.from_fd);
    scene.to_fd = -1;
}

static void vanish(void)
{
    if (scene.is_gone)
        return;
    scene.is_gone = scene.is_cut = true;
    hang_up();
}

/* Let time pass, and the loop hear of the deadlines that it brought when it turns next. */
static void wait_for(size_t duration_ms)
{
    struct connection_group *group = &scene.group;
    struct timeout_queue *const queues[] = {&group->handshake, &group->idle, &group->lifetime,
                                            &group->write_stall, &group->closing};

    now_ms += duration_ms;
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        const struct timeout *first = TAILQ_FIRST(&queues[i]->armed);

        fuzz_require(first == NULL || queues[i]->is_timer_set);
        if (first != NULL && first->due_ms <= now_ms)
            event_active(queues[i]->timer, EV_TIMEOUT, 1);
    }
}

/* Let a client do nothing for ever. Whatever it did before, nobody waits as long. */
static void be_silent(void)
{
    for (int turns = 0; turns < SILENT_TURNS && !has_ended(); turns++) {
        wait_for(LONG_MS);
        turn_loop();
    }
    fuzz_require(has_ended());
}

static void abort_it(void)
{
    scene.is_cut = true;
    connection_abort(scene.connection, CLOSE_STOP);
}

static void reset_it(void)
{
    scene.is_cut = true;
    connection_reset(scene.connection, CLOSE_OPERATOR);
}

static void tell_to_leave(void)
{
    scene.is_told = true;
    connection_close(scene.connection, CLOSE_DRAIN);
}

/* What a byte stands for; any other one stands for one of these as well. */
static const struct step {
    char letter;
    void (*take)(void);
    void (*take_so_much)(size_t amount); /* in the place of that */
    size_t amount;
} steps[] = {
    {'h', NULL, send_header, 20},
    {'H', NULL, send_header, HEADER_LENGTH},
    {'j', send_wrong_header, NULL, 0},
    {'b', NULL, send_bytes, 1},
    {'s', NULL, send_bytes, 100},
    {'m', NULL, send_bytes, READ_BYTES + 1},
    {'M', NULL, send_bytes, MUCH},
    {'q', NULL, receive_bytes, 1},
    {'r', NULL, receive_bytes, READ_BYTES},
    {'R', NULL, receive_bytes, SENT_MAX},
    {'f', finish, NULL, 0},
    {'d', deafen, NULL, 0},
    {'v', vanish, NULL, 0},
    {'l', tell_to_leave, NULL, 0},
    {'a', abort_it, NULL, 0},
    {'x', reset_it, NULL, 0},
    {'t', NULL, wait_for, SHORT_MS},
    {'T', NULL, wait_for, IDLE_MS},
    {'W', NULL, wait_for, LONG_MS},
    {'.', turn_loop, NULL, 0},
    {'E', be_silent, NULL, 0},
};

enum { STEP_COUNT = sizeof steps / sizeof steps[0] };

static void take_step(unsigned char byte)
{
    const struct step *step = &steps[byte % STEP_COUNT];

    for (size_t i = 0; i < STEP_COUNT; i++) {
        if ((unsigned char)steps[i].letter == byte)
            step = &steps[i];
    }
    if (step->take != NULL)
        step->take();
    else
        step->take_so_much(step->amount);
}

/* --- An input -------------------------------------------------------------------------------- */

static unsigned identity_of(unsigned way)
{
    if ((way & WITH_IDENTITY_ONLY) != 0)
        return LISTENER_IDENTIFY_ONLY;
    return (way & WITH_IDENTITY) != 0 ? LISTENER_IDENTIFY_LINE : LISTENER_IDENTIFY_OFF;
}

static void begin_group(unsigned way)
{
    static const struct self self = {.host = "a host", .pod = "a-pod", .pid = 7};

    scene.group = (struct connection_group){
        .base = stage.base,
        .log = stage.log,
        .counters = &scene.counters,
        .pool = &stage.pool,
        .limits =
            {
                .high_water_bytes = HIGH_WATER_BYTES,
                .low_water_bytes = HIGH_WATER_BYTES / 2,
                .max_queued_bytes = SENT_MAX,
                .idle_timeout_ms = IDLE_MS,
                .lifetime_ms = LIFETIME_MS,
                .write_timeout_ms = LONG_MS,
                .linger_timeout_ms = (way & WITHOUT_LINGER) != 0 ? 0 : LONG_MS,
                .handshake_timeout_ms = HANDSHAKE_MS,
                .has_shortcuts = (way & WITH_SHORTCUT) != 0,
            },
        .logs = LISTENER_LOG_ALL,
        .proxy_versions = scene.header_left > 0 ? PROXY_V1 : 0,
        .identify = {.mode = identity_of(way), .worker = 3, .self = &self, .listener = "public"},
        .gate.label = "public",
        .on_end = on_end,
        .owner = &scene,
    };
    fuzz_require(connection_init_group(&scene.group) == 0);
}

static void set_nonblocking(int fd)
{
    fuzz_require(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* Make what lies between: the client's ends, and those of the connection. */
static void make_pair(bool has_pipes, int *input_fd, int *output_fd)
{
    const int size = KERNEL_BYTES;
    int there[2], back[2];

    if (has_pipes) {
        fuzz_require(pipe(there) == 0 && pipe(back) == 0);
        *input_fd = there[0];
        scene.to_fd = there[1];
        *output_fd = back[1];
        scene.from_fd = back[0];
    } else {
        fuzz_require(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0);
        *input_fd = *output_fd = there[0];
        scene.to_fd = scene.from_fd = there[1];
        (void)setsockopt(there[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    set_nonblocking(*input_fd);
    set_nonblocking(*output_fd);
    set_nonblocking(scene.to_fd);
    set_nonblocking(scene.from_fd);
}

static void begin(unsigned way)
{
    const bool has_pipes = (way & OVER_PIPES) != 0;
    const union peer peer = {.family = has_pipes ? AF_UNSPEC : AF_UNIX};
    int input_fd, output_fd;

    scene = (struct scene){
        .header_left = (way & WITH_HEADER) != 0 && !has_pipes ? HEADER_LENGTH : 0,
        .is_identity_left = identity_of(way) != LISTENER_IDENTIFY_OFF,
        .began_ms = now_ms,
    };
    begin_group(way);
    make_pair(has_pipes, &input_fd, &output_fd);
    scene.connection = connection_new(&scene.group, input_fd, output_fd, &peer);
    fuzz_require(scene.connection != NULL);
    fuzz_require(connection_start(scene.connection, 1) == 0);
}

/* Tell whether the client has read all that there is for it, and an end. */
static bool has_seen_end(void)
{
    receive_bytes(SENT_MAX);
    return !may_receive();
}

/* The same, and nobody serves it any more. */
static bool is_over(void)
{
    return has_seen_end() && has_ended();
}

static void turn_until(bool (*is_reached)(void))
{
    for (int turns = 0; !is_reached(); turns++) {
        fuzz_require(turns < TURNS);
        turn_loop();
        check_bounds();
    }
}

/*
 * Whatever has happened, it comes to an end as soon as the client goes on; and where it was told to
 * leave, while the client only reads.
 */
static void reach_end(void)
{
    if (!has_ended())
        send_header(HEADER_LENGTH);
    if (scene.is_told)
        turn_until(has_seen_end);
    if (!has_ended())
        finish();
    turn_until(is_over);
}

/* Tell whether it was not for the client to end it. */
static bool is_ours(void)
{
    return scene.reason != CLOSE_CLIENT && scene.reason != CLOSE_IDENTIFIED;
}

/* Tell whether bytes may be lost: nobody waited for them, for a reason. */
static bool may_be_cut(void)
{
    return scene.is_cut || scene.reason == CLOSE_HANDSHAKE || now_ms - scene.began_ms >= LONG_MS ||
           (scene.reason != CLOSE_CLIENT && scene.group.limits.linger_timeout_ms == 0);
}

static void check_bytes(void)
{
    fuzz_require(count_of(COUNTER_CONNECTIONS_ACCEPTED) == 1);
    fuzz_require(gauge_get(&stage.pool.queued_bytes) == 0);
    if (scene.reason == CLOSE_IDENTIFIED)
        fuzz_require(scene.received == 0);
    if (may_be_cut())
        return;
    fuzz_require(scene.error == 0);
    fuzz_require(is_ours() || scene.header_left > 0 || !scene.is_identity_left);
    fuzz_require(scene.received == count_of(COUNTER_BYTES_IN));
    if (scene.reason == CLOSE_CLIENT)
        fuzz_require(scene.received == scene.sent);
}

/* Return which descriptors are open, a bit for each: the lowest are handed out first. */
static uint64_t open_descriptors(void)
{
    struct pollfd descriptors[DESCRIPTORS];
    uint64_t found = 0;

    for (int fd = 0; fd < DESCRIPTORS; fd++)
        descriptors[fd] = (struct pollfd){.fd = fd};
    fuzz_require(poll(descriptors, DESCRIPTORS, 0) >= 0);
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if ((descriptors[fd].revents & POLLNVAL) == 0)
            found |= UINT64_C(1) << fd;
    }
    return found;
}

static int count_events(void)
{
    return event_base_get_num_events(stage.base, EVENT_BASE_COUNT_ADDED);
}

static void end(void)
{
    if (!scene.is_gone)
        hang_up();
    turn_loop(); /* which closes the descriptors */
    fuzz_require(scene.group.count == 0);
    connection_group_fini(&scene.group);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    uint64_t descriptors;
    int events;

    if (length == 0)
        return 0;
    if (stage.base == NULL)
        prepare();
    descriptors = open_descriptors();
    events = count_events();
    begin(input[0]);
    for (size_t i = 1; i < length && !has_ended(); i++) {
        take_step(input[i]);
        check_bounds();
    }
    reach_end();
    check_bytes();
    end();
    fuzz_require(count_events() == events && open_descriptors() == descriptors);
    return 0;
}
