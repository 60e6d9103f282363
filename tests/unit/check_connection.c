/*
 * check_connection: clients of every temper over socket pairs, TCP and pipes, with tiny limits.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum {
    CLIENTS = 8,
    READ_BYTES = 4096,    /* one read moves no more (libevent 2.1, EVBUFFER_MAX_READ) */
    KERNEL_BYTES = 16384, /* what a socket is asked to hold of the echo */
    HALF_BYTES = 200000,  /* more than the kernel holds, less than the high mark */
    SHORT_MS = 60,        /* a time-out that a test waits for */
    LONG_MS = 60000,      /* one that never comes in a test that passes */
};

/*
 * What lies between a client and its connection, and how the connection reads. Each test says for
 * which of them it holds: sockets are all but the first, and the last ones take the shortcut.
 */
enum transport {
    PIPES,
    UNIX_PAIR,
    TCP_PAIR,
    UNIX_SHORTCUT,
    TCP_SHORTCUT,
    TRANSPORT_COUNT,
    FIRST_SOCKET = UNIX_PAIR,
    FIRST_SHORTCUT = UNIX_SHORTCUT,
    SOCKET_COUNT = TRANSPORT_COUNT - FIRST_SOCKET,
};

/* One client: its ends of the descriptors, what it moved, and what became of its connection. */
struct client {
    int to_fd, from_fd; /* equal for a socket; -1 when closed */
    struct connection *connection;
    enum transport transport;
    uint64_t sent, received;
    uint64_t send_goal, receive_goal;
    bool has_finished; /* said FIN */
    bool is_eof;
    int error; /* of a read or write */
    unsigned ends;
    enum close_reason reason;
    uint64_t ended_ms;
};

static struct {
    struct connection_pool pool;
    struct connection_group group;
    struct counters counters;
    struct client clients[CLIENTS];
    int count;
    unsigned ends;
    uint64_t bytes_in, bytes_out;
    uint64_t looked_ms;                 /* when look was called last */
    uint64_t in_after_ms, out_after_ms; /* bytes last moved after these times */
} scene;

static const struct connection_limits usual_limits = {
    .high_water_bytes = 262144,
    .low_water_bytes = 65536,
    .max_queued_bytes = 1 << 28,
    .linger_timeout_ms = LONG_MS,
};

static uint64_t count_of(enum counter which)
{
    return counters_get(&scene.counters, which);
}

/* Keep account of when bytes moved, and check that no bound is passed. */
static void look(void)
{
    const struct connection_limits *limits = &scene.group.limits;
    const uint64_t in = count_of(COUNTER_BYTES_IN), out = count_of(COUNTER_BYTES_OUT);

    if (in != scene.bytes_in)
        scene.in_after_ms = scene.looked_ms;
    if (out != scene.bytes_out)
        scene.out_after_ms = scene.looked_ms;
    scene.bytes_in = in;
    scene.bytes_out = out;
    scene.looked_ms = clock_now_ms();
    support_assert(scene.pool.queued_bytes <=
                   (uint64_t)scene.count * (limits->high_water_bytes + READ_BYTES));
    support_assert(scene.pool.queued_bytes <=
                   limits->max_queued_bytes + (uint64_t)scene.count * READ_BYTES);
}

static void on_end(struct connection *connection, void *owner)
{
    struct client *client = &scene.clients[connection_id(connection) - 1];

    look();
    ck_assert_ptr_eq(owner, &scene);
    ck_assert_ptr_eq(client->connection, connection);
    ck_assert_uint_eq(client->ends, 0);
    client->ends++;
    scene.ends++;
    client->reason = connection_reason(connection);
    ck_assert_int_eq(connection_is_complete(connection), client->reason == CLOSE_CLIENT);
    client->ended_ms = clock_now_ms();
    client->connection = NULL;
    ck_assert_uint_eq(count_of(COUNTER_CONNECTIONS_ENDED), scene.ends);
    connection_free(connection);
}

static void start_group(const struct connection_limits *limits)
{
    memset(&scene, 0, sizeof scene);
    scene.looked_ms = clock_now_ms();
    scene.group.base = support_base();
    scene.group.log = support_log(LOG_FORMAT_TEXT);
    scene.group.counters = &scene.counters;
    ck_assert_int_eq(connection_pool_init(&scene.pool), 0);
    scene.group.pool = &scene.pool;
    scene.group.limits = *limits;
    scene.group.logs = LISTENER_LOG_ALL;
    scene.group.on_end = on_end;
    scene.group.owner = &scene;
    ck_assert_int_eq(connection_init_group(&scene.group), 0);
}

/* Take other limits; before the first client. */
static void use_limits(const struct connection_limits *limits)
{
    ck_assert_int_eq(scene.count, 0);
    connection_group_fini(&scene.group);
    connection_pool_fini(&scene.pool);
    start_group(limits);
}

static void setup(void)
{
    start_group(&usual_limits);
}

static void hang_up(struct client *client)
{
    if (client->to_fd != client->from_fd)
        support_close(&client->to_fd);
    client->to_fd = -1;
    support_close(&client->from_fd);
}

static void teardown(void)
{
    for (int i = 0; i < scene.count; i++) {
        connection_free(scene.clients[i].connection);
        hang_up(&scene.clients[i]);
    }
    ck_assert_uint_eq(scene.pool.queued_bytes, 0);
    ck_assert_uint_eq(scene.group.count, 0);
    connection_group_fini(&scene.group);
    connection_pool_fini(&scene.pool);
}

/* The ends of what lies between a client and its connection. */
struct pair {
    int client_to, client_from, input, output;
    union peer peer;
};

/* Let the kernel hold little of what comes back. */
static void make_small(const struct pair *pair)
{
    const int size = KERNEL_BYTES;

    ck_assert_int_eq(setsockopt(pair->output, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    ck_assert_int_eq(setsockopt(pair->client_from, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

static struct pair make_pair(enum transport transport)
{
    struct pair pair = {.peer.family = AF_UNSPEC};
    int there[2], back[2];

    switch (transport) {
    case UNIX_PAIR:
    case UNIX_SHORTCUT:
        support_unix_pair(there);
        pair.peer.family = AF_UNIX;
        break;
    case TCP_PAIR:
    case TCP_SHORTCUT: {
        socklen_t length = sizeof pair.peer;

        support_tcp_pair(there);
        ck_assert_int_eq(getpeername(there[1], &pair.peer.any, &length), 0);
        break;
    }
    case PIPES:
        support_pipe(there);
        support_pipe(back);
        pair.input = there[0];
        pair.output = back[1];
        pair.client_to = there[1];
        pair.client_from = back[0];
        return pair;
    case TRANSPORT_COUNT:
        ck_abort();
    }
    pair.client_to = pair.client_from = there[0];
    pair.input = pair.output = there[1];
    make_small(&pair);
    return pair;
}

/* Make a client and, where there is memory for it, its connection. */
static struct client *meet_over(const struct pair *pair, enum transport transport)
{
    struct client *client = &scene.clients[scene.count++];

    *client = (struct client){
        .to_fd = pair->client_to, .from_fd = pair->client_from, .transport = transport};
    scene.group.limits.has_shortcuts = transport >= FIRST_SHORTCUT;
    client->connection = connection_new(&scene.group, pair->input, pair->output, &pair->peer);
    return client;
}

/* Make a client whose connection has not started. */
static struct client *meet(enum transport transport)
{
    const struct pair pair = make_pair(transport);
    struct client *client = meet_over(&pair, transport);

    ck_assert_ptr_nonnull(client->connection);
    return client;
}

static void start(struct client *client)
{
    uint64_t id = (uint64_t)(client - scene.clients) + 1;

    ck_assert_int_eq(connection_start(client->connection, id), 0);
    ck_assert_uint_eq(connection_id(client->connection), id);
}

static struct client *join(enum transport transport)
{
    struct client *client = meet(transport);

    start(client);
    return client;
}

/* Write at most so much. */
static void send_some(struct client *client, uint64_t size)
{
    while (size > 0 && client->error == 0) {
        uint64_t part = size < SUPPORT_PAYLOAD_ROOM ? size : SUPPORT_PAYLOAD_ROOM;
        ssize_t written = write(client->to_fd, support_payload(client->sent), part);

        if (written < 0) {
            if (errno != EAGAIN)
                client->error = errno;
            return;
        }
        client->sent += (uint64_t)written;
        size -= (uint64_t)written;
    }
}

/* Read at most so much, and compare it with what was sent. */
static void receive_some(struct client *client, uint64_t size)
{
    static unsigned char bytes[SUPPORT_PAYLOAD_ROOM];

    while (size > 0 && !client->is_eof && client->error == 0) {
        ssize_t got = read(client->from_fd, bytes, size < sizeof bytes ? size : sizeof bytes);

        if (got < 0) {
            if (errno != EAGAIN)
                client->error = errno;
            return;
        }
        client->is_eof = got == 0;
        support_assert(memcmp(bytes, support_payload(client->received), (size_t)got) == 0);
        client->received += (uint64_t)got;
        size -= (uint64_t)got;
        support_assert(client->received <= client->sent);
    }
}

/* Say FIN: nothing more will be sent. */
static void finish(struct client *client)
{
    client->has_finished = true;
    if (client->to_fd == client->from_fd)
        ck_assert_int_eq(shutdown(client->to_fd, SHUT_WR), 0);
    else
        support_close(&client->to_fd);
}

/* Close so that the other side sees a reset (RFC 9293, 3.10.4; socket(7), SO_LINGER). */
static void reset(struct client *client)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    ck_assert_int_eq(setsockopt(client->to_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    hang_up(client);
}

/* What the loop is turned for; each takes a client. */

static bool has_ended(void *argument)
{
    look();
    return ((struct client *)argument)->ends > 0;
}

static bool has_sent(void *argument)
{
    struct client *client = argument;

    look();
    if (client->sent < client->send_goal)
        send_some(client, client->send_goal - client->sent);
    return client->sent >= client->send_goal || client->error != 0;
}

static bool has_received(void *argument)
{
    struct client *client = argument;

    look();
    receive_some(client, client->receive_goal - client->received);
    return client->received >= client->receive_goal || client->is_eof || client->error != 0;
}

static bool has_exchanged(void *argument)
{
    bool is_sent = has_sent(argument), is_received = has_received(argument);

    return is_sent && is_received;
}

static bool sees_end(void *argument)
{
    struct client *client = argument;

    look();
    receive_some(client, UINT64_MAX);
    return client->is_eof || client->error != 0;
}

/* Return how much output makes reading pause; the shortcut does not read behind any. */
static uint64_t pause_mark(const struct client *client)
{
    return client->transport >= FIRST_SHORTCUT ? 1 : scene.group.limits.high_water_bytes;
}

/* Send whatever goes; tell whether reading has paused. */
static bool is_paused(void *argument)
{
    struct client *client = argument;

    look();
    send_some(client, READ_BYTES);
    return scene.pool.queued_bytes >= pause_mark(client);
}

/* As is_paused; or the connection has ended. */
static bool is_paused_or_ended(void *argument)
{
    return is_paused(argument) || has_ended(argument);
}

/* Tell whether connections have read all that clients sent, or the kernel has taken it again. */
static bool is_counted(enum counter which)
{
    uint64_t sent = 0;

    look();
    for (int i = 0; i < scene.count; i++)
        sent += scene.clients[i].sent;
    return count_of(which) == sent;
}

static bool is_read(void *argument)
{
    (void)argument;
    return is_counted(COUNTER_BYTES_IN);
}

static bool is_echoed(void *argument)
{
    (void)argument;
    return is_counted(COUNTER_BYTES_OUT);
}

/* Send so much and get it back. */
static void exchange(struct client *client, uint64_t size)
{
    client->send_goal = client->sent + size;
    client->receive_goal = client->received + size;
    support_loop_until(has_exchanged, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, client->receive_goal);
}

static void send_all(struct client *client, uint64_t size)
{
    client->send_goal = client->sent + size;
    support_loop_until(has_sent, client);
    ck_assert_int_eq(client->error, 0);
}

/* Read until FIN, and see that all came. */
static void receive_all(struct client *client)
{
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, client->sent);
}

static void await_end(struct client *client, enum close_reason reason)
{
    support_loop_until(has_ended, client);
    ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(reason));
}

/* Let some time pass in which the condition's side effects go on. */
static void keep_on(support_condition *condition, struct client *client, uint64_t duration_ms)
{
    const uint64_t end_ms = clock_now_ms() + duration_ms;

    while (clock_now_ms() < end_ms) {
        (void)condition(client);
        (void)support_loop_for(10);
    }
}

/* What a connection goes through; over pipes it does not linger. */

static void become_open(struct client *client)
{
    exchange(client, 10);
}

static void become_paused(struct client *client)
{
    support_loop_until(is_paused, client);
}

static void become_half_closed(struct client *client)
{
    if (client->transport >= FIRST_SHORTCUT) { /* which reads no FIN while output waits */
        become_paused(client);
        return;
    }
    send_all(client, HALF_BYTES);
    finish(client);
    support_loop_until(is_read, client);
    support_loop_settle(); /* the FIN is read as well */
}

static void become_closing(struct client *client)
{
    become_paused(client);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_settle();
}

static void become_lingering(struct client *client)
{
    exchange(client, 10);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(sees_end, client);
}

static void (*const states[])(struct client *client) = {
    become_open, become_paused, become_half_closed, become_closing, become_lingering,
};

enum { FIRST_CLOSING = 3 }; /* from this state on we have closed it */

/* The number of a loop test that goes through all states over all sockets says which transport. */
static enum transport socket_of(int number)
{
    return (enum transport)(FIRST_SOCKET + number % SOCKET_COUNT);
}

/* Send until the echo waits, though there is room below the high mark. */
static void let_echo_wait(struct client *client)
{
    if (client->transport >= FIRST_SHORTCUT)
        support_loop_until(is_paused_or_ended, client);
    else
        send_all(client, HALF_BYTES);
}

/* Every byte comes back. */

static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, 1000000};

START_TEST(every_byte_comes_back_and_then_fin)
{
    const uint64_t size = sizes[_i / TRANSPORT_COUNT];
    struct client *client = join((enum transport)(_i % TRANSPORT_COUNT));

    exchange(client, size);
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(count_of(COUNTER_BYTES_IN), size);
    ck_assert_uint_eq(count_of(COUNTER_BYTES_OUT), size);
    ck_assert_uint_eq(count_of(COUNTER_CONNECTIONS_ENDED), 1);
}
END_TEST

START_TEST(what_came_before_the_start_comes_back_too)
{
    struct client *client = meet((enum transport)_i);

    send_some(client, 1000);
    finish(client);
    support_loop_settle();
    ck_assert_uint_eq(count_of(COUNTER_BYTES_IN), 0); /* nothing is read yet */
    start(client);
    receive_all(client);
    ck_assert_uint_eq(client->received, 1000);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(bytes_that_come_one_by_one_come_back)
{
    struct client *client = join((enum transport)_i);

    for (int i = 0; client->sent < 2000; i++) {
        send_some(client, 1);
        support_loop_once();
        if (i % 3 == 0)
            receive_some(client, 2);
    }
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(clients_are_served_side_by_side)
{
    for (int i = 0; i < CLIENTS; i++)
        (void)join((enum transport)(i % TRANSPORT_COUNT));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < CLIENTS; i++)
            exchange(&scene.clients[i], (uint64_t)(round * 1000 + i));
    }
    for (int i = 0; i < CLIENTS; i++) {
        finish(&scene.clients[i]);
        receive_all(&scene.clients[i]);
        await_end(&scene.clients[i], CLOSE_CLIENT);
    }
}
END_TEST

START_TEST(after_fin_all_that_waits_still_comes_back)
{
    struct client *client = join((enum transport)_i);

    support_loop_until(is_paused, client);
    send_some(client, 10000); /* as far as the kernel takes it; it lies before the FIN */
    finish(client);
    (void)support_loop_for(SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

/* A client with a mind of its own, and marks of all sizes. */

static const struct {
    uint64_t high, low;
} marks[] = {{1, 0},       {1, 1},    {2, 1},         {4096, 0},
             {4096, 4096}, {5000, 1}, {65536, 16384}, {1 << 30, 0}};

START_TEST(no_order_of_reads_and_writes_stalls_or_loses_a_byte)
{
    enum { STEPS = 300 };
    struct connection_limits limits = usual_limits;
    uint64_t seed = (uint64_t)_i; /* which check prints where a test fails */
    struct client *client;

    limits.high_water_bytes = marks[_i % COUNT_OF(marks)].high;
    limits.low_water_bytes = marks[_i % COUNT_OF(marks)].low;
    use_limits(&limits);
    client = join((enum transport)(_i / COUNT_OF(marks) % TRANSPORT_COUNT));
    for (int step = 0; step < STEPS; step++) {
        uint64_t size = UINT64_C(1) << support_random(&seed) % 16;

        if (support_random(&seed) % 2 == 0)
            send_some(client, support_random(&seed) % size + 1);
        if (support_random(&seed) % 3 == 0)
            receive_some(client, support_random(&seed) % size + 1);
        for (uint64_t turns = support_random(&seed) % 4; turns > 0; turns--) {
            support_loop_once();
            look();
        }
    }
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

/* Back-pressure. */

START_TEST(a_client_that_never_reads_fills_no_more_than_its_share)
{
    const size_t before = support_memory_bytes();
    struct client *client = join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(is_paused, client); /* look checks the bound at each turn */
    bytes_in = count_of(COUNTER_BYTES_IN);
    keep_on(is_paused, client, SHORT_MS);
    ck_assert_uint_eq(count_of(COUNTER_BYTES_IN), bytes_in); /* nothing more is read */
    ck_assert_uint_le(support_memory_bytes() - before, scene.group.limits.high_water_bytes + 65536);
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_flood_costs_no_more_memory_than_its_share)
{
    const size_t before = support_memory_bytes();
    struct client *client = meet((enum transport)_i);

    send_some(client,
              UINT64_MAX); /* as much as the kernel holds, so that it is read in large pieces */
    start(client);
    for (int round = 0; round < 20; round++) {
        support_loop_settle();
        send_some(client, UINT64_MAX);
        look();
        ck_assert_uint_le(support_memory_bytes() - before,
                          scene.group.limits.high_water_bytes + 65536);
        receive_some(client, (uint64_t)round * 10000);
    }
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(many_small_messages_that_wait_cost_little_memory)
{
    struct connection_limits limits = usual_limits;
    const size_t before = support_memory_bytes();
    struct client *client;

    limits.high_water_bytes = 20000;
    use_limits(&limits);
    client = join(UNIX_PAIR);
    while (scene.pool.queued_bytes < limits.high_water_bytes) {
        send_some(client, 1);
        support_loop_once();
    }
    ck_assert_uint_le(support_memory_bytes() - before, 4 * limits.high_water_bytes);
}
END_TEST

START_TEST(reading_goes_on_at_the_low_mark_and_not_before)
{
    struct client *client = join((enum transport)_i);
    const uint64_t low = _i >= FIRST_SHORTCUT ? 0 : scene.group.limits.low_water_bytes;
    uint64_t paused_in;
    bool has_gone_on = false;

    support_loop_until(is_paused, client);
    send_some(client, READ_BYTES); /* there is something to read on with */
    support_loop_settle();
    paused_in = count_of(COUNTER_BYTES_IN);
    ck_assert_uint_gt(client->sent, paused_in);
    while (!has_gone_on) {
        ck_assert_uint_lt(client->received, client->sent);
        client->receive_goal = client->received + 1000;
        support_loop_until(has_received, client);
        for (int turn = 0; turn < 20 && !has_gone_on; turn++) {
            support_loop_once();
            has_gone_on = count_of(COUNTER_BYTES_IN) > paused_in;
        }
        /* What waited is at the low mark if, and only if, it goes on. */
        ck_assert_int_eq(has_gone_on, paused_in <= count_of(COUNTER_BYTES_OUT) + low);
    }
}
END_TEST

/* All connections together. */

static bool is_group_full(void *argument)
{
    (void)argument;
    look();
    for (int i = 0; i < scene.count; i++)
        send_some(&scene.clients[i], SUPPORT_PAYLOAD_ROOM);
    return scene.pool.queued_bytes >= scene.group.limits.max_queued_bytes;
}

START_TEST(all_together_queue_no_more_than_the_groups_share)
{
    struct connection_limits limits = usual_limits;
    uint64_t bytes_in;

    limits.max_queued_bytes = 100000;
    use_limits(&limits);
    for (int i = 0; i < CLIENTS; i++)
        (void)join((enum transport)_i);
    if (_i < FIRST_SHORTCUT) /* with it each queues what one read brings, and that may be less */
        support_loop_until(is_group_full, NULL);
    do { /* the kernel's buffers grow for a while */
        bytes_in = count_of(COUNTER_BYTES_IN);
        keep_on(is_group_full, NULL, SHORT_MS); /* look checks the bound at each turn */
    } while (count_of(COUNTER_BYTES_IN) > bytes_in);
}
END_TEST

START_TEST(at_the_groups_share_a_client_that_reads_is_still_served)
{
    struct connection_limits limits = usual_limits;
    struct client *client;

    limits.max_queued_bytes = 100000;
    use_limits(&limits);
    for (int i = 0; i < 3; i++)
        (void)join(UNIX_PAIR);
    support_loop_until(is_group_full, NULL);
    client = join((enum transport)_i);
    for (int i = 0; i < 100; i++)
        exchange(client, 1000);
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_client_that_waited_for_the_group_gets_everything_once_it_reads)
{
    struct connection_limits limits = usual_limits;
    struct client *hog, *client;

    limits.max_queued_bytes = limits.high_water_bytes + 6000;
    use_limits(&limits);
    hog = join(UNIX_PAIR);
    support_loop_until(is_paused, hog);
    client = join((enum transport)_i);
    while (scene.pool.queued_bytes < limits.max_queued_bytes) {
        send_some(client, 1000);
        support_loop_settle();
        look();
    }
    send_some(client, 5000);
    finish(client);
    receive_all(client); /* while the hog stays as it is */
    await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(hog->ends, 0);
    finish(hog);
    receive_all(hog);
}
END_TEST

START_TEST(those_that_waited_for_the_group_read_on_when_one_leaves)
{
    struct connection_limits limits = usual_limits;

    limits.max_queued_bytes = 100000;
    use_limits(&limits);
    for (int i = 0; i < 4; i++)
        (void)join((enum transport)_i);
    support_loop_until(is_group_full, NULL);
    connection_abort(scene.clients[0].connection, CLOSE_STOP);
    for (int i = 1; i < 4; i++)
        finish(&scene.clients[i]);
    for (int i = 1; i < 4; i++)
        receive_all(&scene.clients[i]);
}
END_TEST

static bool has_a_client_ended(void *argument)
{
    const struct client *client = argument;

    return client->ends > 0;
}

START_TEST(a_second_group_has_limits_of_its_own)
{
    struct client *first = join((enum transport)_i), *second = &scene.clients[scene.count++];
    const struct pair pair = make_pair((enum transport)_i);
    struct connection_group group = {
        .base = scene.group.base,
        .log = scene.group.log,
        .counters = scene.group.counters,
        .pool = scene.group.pool,
        .limits = scene.group.limits,
        .on_end = on_end,
        .owner = &scene,
    };

    group.limits.idle_timeout_ms = 50;
    group.limits.linger_timeout_ms = 0;
    ck_assert_int_eq(connection_init_group(&group), 0);
    *second = (struct client){
        .to_fd = pair.client_to, .from_fd = pair.client_from, .transport = first->transport};
    second->connection = connection_new(&group, pair.input, pair.output, &pair.peer);
    ck_assert_ptr_nonnull(second->connection);
    ck_assert_uint_eq(group.count, 1);
    ck_assert_uint_eq(scene.group.count, 1);
    start(second);
    support_loop_until(has_a_client_ended, second);
    ck_assert_int_eq((int)second->reason, CLOSE_IDLE);
    ck_assert_uint_eq(first->ends, 0);
    ck_assert_uint_eq(group.count, 0);
    connection_group_fini(&group);
    send_some(first, 1000);
    finish(first);
    receive_all(first);
}
END_TEST

/* Time-outs. */

static void use_timeouts(uint64_t idle_ms, uint64_t lifetime_ms, uint64_t write_ms,
                         uint64_t linger_ms)
{
    struct connection_limits limits = usual_limits;

    limits.idle_timeout_ms = idle_ms;
    limits.lifetime_ms = lifetime_ms;
    limits.write_timeout_ms = write_ms;
    limits.linger_timeout_ms = linger_ms;
    use_limits(&limits);
}

START_TEST(an_idle_client_is_sent_away)
{
    struct client *client;

    use_timeouts(SHORT_MS, 0, 0, LONG_MS);
    client = join((enum transport)_i);
    if (_i != UNIX_PAIR)
        exchange(client, 10);
    receive_all(client); /* FIN */
    hang_up(client);
    await_end(client, CLOSE_IDLE);
}
END_TEST

START_TEST(a_client_that_sends_is_not_idle)
{
    struct client *client;

    use_timeouts(SHORT_MS, 0, 0, 0);
    client = join((enum transport)_i);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        send_some(client, 1);
        keep_on(sees_end, client, SHORT_MS / 4);
    }
    await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.in_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_reads_its_echo_is_not_idle)
{
    struct client *client;

    use_timeouts(SHORT_MS, 0, 0, 0);
    client = join((enum transport)_i);
    send_all(client, HALF_BYTES);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        receive_some(client, 3000);
        keep_on(has_ended, client, SHORT_MS / 4);
    }
    await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_sends_and_reads_nothing_is_not_idle)
{
    struct client *client;

    use_timeouts(SHORT_MS, 0, 0, 0);
    client = join((enum transport)_i);
    send_all(client, HALF_BYTES);
    for (int i = 0; i < 20 && client->ends == 0; i++) {
        send_some(client, 100);
        keep_on(has_ended, client, SHORT_MS / 6);
    }
    await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.in_after_ms + SHORT_MS);
}
END_TEST

START_TEST(no_limit_of_time_means_none)
{
    struct client *client;

    use_timeouts(0, 0, 0, LONG_MS);
    client = join((enum transport)_i);
    exchange(client, 10);
    keep_on(has_ended, client, 3 * SHORT_MS);
    support_loop_until(is_paused, client);
    keep_on(has_ended, client, 3 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_given_up)
{
    struct client *client;

    use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = join((enum transport)_i);
    exchange(client, 10);
    keep_on(has_ended, client, 2 * SHORT_MS); /* as long as nothing waits, nothing stalls */
    ck_assert_uint_eq(client->ends, 0);
    let_echo_wait(client);
    await_end(client, CLOSE_WRITE_STALL);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_sends_and_takes_nothing_is_given_up)
{
    struct client *client;

    use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = join((enum transport)_i);
    let_echo_wait(client);
    for (int i = 0; i < 400 && client->ends == 0; i++) { /* it stays below the high mark */
        send_some(client, 100);
        keep_on(has_ended, client, SHORT_MS / 6);
    }
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_WRITE_STALL));
}
END_TEST

START_TEST(a_client_that_takes_little_is_not_given_up)
{
    struct client *client;

    use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = join((enum transport)_i);
    let_echo_wait(client);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        receive_some(client, 3000);
        keep_on(has_ended, client, SHORT_MS / 4);
    }
    support_loop_until(is_paused_or_ended, client);
    await_end(client, CLOSE_WRITE_STALL);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_said_fin_and_takes_nothing_is_given_up)
{
    struct client *client;

    use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = join((enum transport)_i);
    let_echo_wait(client);
    finish(client);
    await_end(client, CLOSE_WRITE_STALL);
}
END_TEST

START_TEST(a_lifetime_ends_however_busy_the_client_is)
{
    const uint64_t begin_ms = clock_now_ms();
    struct client *client;

    use_timeouts(0, SHORT_MS, 0, LONG_MS);
    client = join((enum transport)_i);
    client->send_goal = UINT64_MAX;
    while (!client->is_eof) {
        ck_assert_int_eq(client->error, 0);
        look();
        send_some(client, 100);
        receive_some(client, UINT64_MAX);
        (void)support_loop_for(1);
    }
    ck_assert_uint_eq(client->received, count_of(COUNTER_BYTES_OUT));
    ck_assert_uint_eq(client->received, count_of(COUNTER_BYTES_IN));
    hang_up(client);
    await_end(client, CLOSE_LIFETIME);
    ck_assert_uint_ge(client->ended_ms, begin_ms + SHORT_MS);
}
END_TEST

/* The end that we begin: flush, FIN, linger. */

START_TEST(after_our_fin_what_comes_is_read_and_thrown_away)
{
    const size_t before = support_memory_bytes();
    struct client *client = join((enum transport)_i);
    uint64_t bytes_in;

    exchange(client, 20000);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    bytes_in = count_of(COUNTER_BYTES_IN);
    send_all(client, 1000000);
    ck_assert_uint_le(support_memory_bytes() - before, 65536);
    ck_assert_uint_eq(count_of(COUNTER_BYTES_IN), bytes_in);
    ck_assert_uint_eq(client->ends, 0);
    finish(client);
    await_end(client, CLOSE_DRAIN);
    ck_assert_uint_eq(client->received, 20000);
}
END_TEST

START_TEST(what_was_echoed_survives_what_comes_after_our_fin)
{
    struct client *client = join((enum transport)_i);

    /* What comes back lies in the client's kernel, unread, when the connection closes. */
    send_all(client, 3000);
    support_loop_until(is_echoed, client);
    send_some(client, 5000); /* not read yet: a close that does not read it would be a reset */
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_settle();
    send_some(client, 5000);
    support_loop_settle();
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_ge(client->received, 3000);
    ck_assert_uint_eq(client->received, count_of(COUNTER_BYTES_OUT));
    hang_up(client);
    await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_close_sends_all_that_waits)
{
    struct client *client = join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(is_paused, client);
    bytes_in = count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, bytes_in);
    finish(client);
    await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_fin_that_crosses_our_close_changes_nothing)
{
    struct client *client = join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(is_paused, client);
    bytes_in = count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    finish(client);
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, bytes_in);
    await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_client_that_never_says_fin_is_left_at_the_deadline)
{
    struct client *client;
    uint64_t closed_ms;

    use_timeouts(0, 0, 0, SHORT_MS);
    client = join((enum transport)_i);
    exchange(client, 10);
    closed_ms = clock_now_ms();
    connection_close(client->connection, CLOSE_LIFETIME);
    support_loop_until(sees_end, client);
    while (client->ends == 0) { /* what it sends puts nothing off */
        look();
        send_some(client, 100);
        (void)support_loop_for(SHORT_MS / 10);
    }
    ck_assert_int_eq((int)client->reason, CLOSE_LIFETIME);
    ck_assert_uint_ge(client->ended_ms, closed_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_never_reads_is_left_at_the_deadline)
{
    struct client *client;
    uint64_t closed_ms;

    use_timeouts(0, 0, 0, SHORT_MS);
    client = join((enum transport)_i);
    support_loop_until(is_paused, client);
    closed_ms = clock_now_ms();
    connection_close(client->connection, CLOSE_DRAIN);
    await_end(client, CLOSE_DRAIN);
    ck_assert_uint_ge(client->ended_ms, closed_ms + SHORT_MS);
}
END_TEST

START_TEST(a_second_close_moves_neither_deadline_nor_reason)
{
    struct client *client;

    use_timeouts(0, 0, 0, SHORT_MS);
    client = join((enum transport)_i);
    if (_i % 2 == 0)
        support_loop_until(is_paused, client);
    connection_close(client->connection, CLOSE_DRAIN);
    for (int i = 0; i < 1000 && client->ends == 0; i++) {
        connection_close(client->connection, CLOSE_LIFETIME);
        (void)support_loop_for(SHORT_MS / 5);
    }
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_DRAIN));
}
END_TEST

/* Send, say FIN, and wait until the connection has read it; its echo waits. */
static struct client *join_half_closed(enum transport transport)
{
    struct client *client = join(transport);

    become_half_closed(client);
    ck_assert_uint_gt(scene.pool.queued_bytes, 0);
    ck_assert_uint_eq(client->ends, 0);
    return client;
}

START_TEST(a_close_after_the_clients_fin_still_sends_all)
{
    struct client *client = join_half_closed((enum transport)_i);

    connection_close(client->connection, CLOSE_DRAIN);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_close_after_the_clients_fin_has_a_deadline)
{
    struct client *client;

    use_timeouts(0, 0, 0, SHORT_MS);
    client = join_half_closed((enum transport)_i);
    (void)support_loop_for(2 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0); /* before the close there is none */
    connection_close(client->connection, CLOSE_DRAIN);
    await_end(client, CLOSE_DRAIN); /* "client closed" would say that it got everything */
}
END_TEST

START_TEST(without_linger_a_close_ends_at_once)
{
    struct client *client;

    use_timeouts(0, 0, 0, 0);
    client = join((enum transport)_i);
    exchange(client, 10);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_int_eq((int)client->reason, CLOSE_DRAIN);
    receive_all(client);
}
END_TEST

START_TEST(a_close_over_pipes_ends_when_all_has_left)
{
    struct client *client = join(PIPES);
    uint64_t bytes_in;

    support_loop_until(is_paused, client);
    bytes_in = count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(sees_end, client);
    ck_assert_uint_eq(client->received, bytes_in);
    await_end(client, CLOSE_DRAIN); /* nobody lingers: a pipe has no FIN of the other side */
}
END_TEST

START_TEST(a_close_right_after_the_start_is_clean)
{
    struct client *client = join((enum transport)_i);

    send_some(client, 100);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(sees_end, client);
    ck_assert_int_eq(client->error, 0);
    hang_up(client);
    await_end(client, CLOSE_DRAIN);
}
END_TEST

/* Ends at once. */

START_TEST(an_abort_ends_at_once_in_every_state)
{
    struct client *client = join(socket_of(_i));
    unsigned descriptors;

    states[_i / SOCKET_COUNT](client);
    ck_assert_uint_eq(client->ends, 0);
    descriptors = support_descriptor_count();
    connection_abort(client->connection, CLOSE_STOP);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_uint_eq(scene.pool.queued_bytes, 0);
    if (_i / SOCKET_COUNT < FIRST_CLOSING) /* on its way out it may keep the reason why it went */
        ck_assert_int_eq((int)client->reason, CLOSE_STOP);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 1);
    support_loop_until(sees_end, client);
}
END_TEST

START_TEST(an_abort_closes_both_pipes)
{
    struct client *client = join(PIPES);
    const unsigned descriptors = support_descriptor_count();

    become_paused(client);
    connection_abort(client->connection, CLOSE_STOP);
    ck_assert_uint_eq(client->ends, 1);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 2);
}
END_TEST

START_TEST(a_connection_that_is_freed_calls_nobody)
{
    struct client *client = join(socket_of(_i));
    unsigned descriptors;

    states[_i / SOCKET_COUNT](client);
    descriptors = support_descriptor_count();
    connection_free(client->connection);
    client->connection = NULL;
    ck_assert_uint_eq(scene.pool.queued_bytes, 0);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 1);
    support_loop_until(sees_end, client);
    ck_assert_uint_eq(client->ends, 0);
    connection_free(NULL);
}
END_TEST

START_TEST(no_deadline_comes_after_a_free)
{
    struct client *client;

    use_timeouts(5 * SHORT_MS, 5 * SHORT_MS, 5 * SHORT_MS, 5 * SHORT_MS);
    client = join(socket_of(_i));
    let_echo_wait(client);
    if (client->ends > 0)
        return; /* the machine is too slow for this test */
    if (_i / SOCKET_COUNT == 0)
        connection_close(client->connection, CLOSE_DRAIN);
    connection_free(client->connection);
    client->connection = NULL;
    keep_on(sees_end, client, 7 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

/* Clients that go without a word. */

START_TEST(a_reset_ends_a_connection_in_every_state)
{
    const int state = _i / 2;
    struct client *client = join(_i % 2 == 0 ? TCP_PAIR : TCP_SHORTCUT), *other = join(UNIX_PAIR);

    exchange(other, 100);
    states[state](client);
    ck_assert_uint_eq(client->ends, 0);
    reset(client);
    support_loop_until(has_ended, client);
    if (state < FIRST_CLOSING)
        ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_RESET));
    if (states[state] == become_lingering) /* all was sent: how the client leaves is its affair */
        ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_DRAIN));
    exchange(other, 100); /* nobody else notices */
}
END_TEST

START_TEST(a_client_that_closes_with_echo_on_its_way_counts_as_reset)
{
    struct client *client = join((enum transport)_i);

    support_loop_until(is_paused, client);
    hang_up(client);
    await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(a_client_that_closes_without_reading_its_echo_ends)
{
    struct client *client = join((enum transport)_i);

    send_all(client, 1000);
    support_loop_until(is_echoed, client);
    hang_up(client);
    support_loop_until(has_ended, client);
    ck_assert(client->reason == CLOSE_CLIENT || client->reason == CLOSE_RESET);
}
END_TEST

START_TEST(output_that_nobody_reads_any_more_counts_as_reset)
{
    struct client *client = join(PIPES);

    exchange(client, 10);
    support_close(&client->from_fd);
    send_some(client, 10);
    await_end(client, CLOSE_RESET);
    support_close(&client->to_fd);
}
END_TEST

START_TEST(another_error_of_the_system_is_a_network_error)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    const union peer peer = {.family = AF_UNSPEC};
    struct client *client = &scene.clients[scene.count++];
    char name[64];

    if (terminal < 0) {
        scene.count--;
        return; /* this system has no pseudo terminals for us */
    }
    ck_assert_int_eq(grantpt(terminal), 0);
    ck_assert_int_eq(unlockpt(terminal), 0);
    ck_assert_int_eq(ptsname_r(terminal, name, sizeof name), 0);
    support_set_nonblocking(terminal);
    *client = (struct client){.to_fd = open(name, O_RDWR | O_NOCTTY), .from_fd = -1};
    ck_assert_int_ge(client->to_fd, 0);
    client->connection = connection_new(&scene.group, terminal, terminal, &peer);
    ck_assert_ptr_nonnull(client->connection);
    start(client);
    support_loop_settle();
    support_close(&client->to_fd); /* reading now fails with EIO */
    await_end(client, CLOSE_NETWORK_ERROR);
    support_assert_matches(support_log_text(),
                           "closed: network error \\(Input/output error\\), in=0 ");
}
END_TEST

/* Memory that runs out. */

/* Send up to the goal, then FIN; read on; tell whether the connection has ended. */
static bool is_served(void *argument)
{
    struct client *client = argument;

    if (has_sent(client) && !client->has_finished && client->error == 0)
        finish(client);
    return sees_end(client) && has_ended(client);
}

/* Read on; say FIN when it comes from there; tell whether the connection has ended. */
static bool is_sent_away(void *argument)
{
    struct client *client = argument;

    if (sees_end(client) && !client->has_finished && client->error == 0)
        finish(client);
    return has_ended(client);
}

/* How many allocations in a row fail, over which transport, and who ends the connection. */
static const struct shortage {
    enum transport transport;
    unsigned long count;
    bool do_we_end;
} shortages[] = {
    {UNIX_PAIR, 1, false},    {UNIX_PAIR, 5, false},     {PIPES, 1, false},
    {PIPES, 5, false},        {UNIX_PAIR, 1, true},      {UNIX_PAIR, 5, true},
    {PIPES, 1, true},         {UNIX_SHORTCUT, 1, false}, {UNIX_SHORTCUT, 5, false},
    {UNIX_SHORTCUT, 1, true}, {TCP_SHORTCUT, 1, false},
};

/* Serve one client from its first byte to its end, though the nth allocation fails. */
static void serve_one(const struct shortage *shortage, unsigned long nth)
{
    const enum close_reason good = shortage->do_we_end ? CLOSE_DRAIN : CLOSE_CLIENT;
    const struct pair pair = make_pair(shortage->transport);
    struct client *client = meet_over(&pair, shortage->transport);

    if (client->connection == NULL) {
        ck_assert_int_eq(errno, ENOMEM);
        support_loop_settle();
        ck_assert_int_eq(close(pair.input), 0); /* it is ours still */
        if (pair.output != pair.input)
            ck_assert_int_eq(close(pair.output), 0);
        return;
    }
    if (connection_start(client->connection, (uint64_t)scene.count) < 0) {
        ck_assert_uint_eq(client->ends, 0);
        connection_free(client->connection);
        client->connection = NULL;
        return;
    }
    client->send_goal = 300000;
    ck_assert_msg(support_loop_reaches(is_paused_or_ended, client),
                  "after allocation %lu failed nothing is read", nth);
    if (shortage->do_we_end && client->ends == 0)
        connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_msg(support_loop_reaches(shortage->do_we_end ? is_sent_away : is_served, client),
                  "after allocation %lu failed the connection hangs", nth);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_msg(client->reason == good || client->reason == CLOSE_NO_MEMORY,
                  "after allocation %lu failed the connection ended: %s", nth,
                  close_reason_name(client->reason));
    if (client->reason == good)
        ck_assert_uint_eq(client->received, count_of(COUNTER_BYTES_IN));
    if (client->reason == CLOSE_CLIENT)
        ck_assert_uint_eq(client->received, client->sent);
}

START_TEST(a_shortage_at_any_moment_ends_cleanly)
{
    unsigned descriptors = 0;
    bool has_failed = true;

    for (unsigned long nth = 0; has_failed; nth++) {
        teardown(); /* from a new loop on, which has no memory to spare */
        support_renew_base();
        if (nth == 0)
            descriptors = support_descriptor_count();
        ck_assert_msg(support_descriptor_count() == descriptors,
                      "allocation %lu left a descriptor open", nth);
        setup();
        support_memory_fail(nth + 1, shortages[_i].count);
        serve_one(&shortages[_i], nth + 1);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert_msg(scene.pool.queued_bytes == 0, "allocation %lu left bytes queued", nth + 1);
        ck_assert(has_failed || nth > 4); /* something did fail before */
    }
    ck_assert_int_ne((int)scene.clients[0].reason, CLOSE_NO_MEMORY);
}
END_TEST

START_TEST(a_group_is_made_whole_or_not_at_all)
{
    bool has_failed = true;
    unsigned long nth = 0;

    connection_group_fini(&scene.group);
    while (has_failed) {
        const size_t before = support_memory_bytes();
        int status;

        support_memory_fail(++nth, 1);
        status = connection_init_group(&scene.group);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (has_failed) {
            ck_assert_int_eq(status, -1);
            ck_assert_int_eq(errno, ENOMEM);
            ck_assert_uint_eq(support_memory_bytes(), before);
        } else {
            ck_assert_int_eq(status, 0);
        }
    }
    ck_assert_uint_gt(nth, 1);
}
END_TEST

/* The log. */

START_TEST(a_line_tells_of_the_beginning_and_one_of_the_end)
{
    static const char *const peers[] = {"stdio", "unix", "127\\.0\\.0\\.1:[0-9]+", "unix",
                                        "127\\.0\\.0\\.1:[0-9]+"};
    struct client *client = join((enum transport)_i);
    char pattern[200];
    const char *text;

    exchange(client, 1234);
    finish(client);
    receive_all(client);
    await_end(client, CLOSE_CLIENT);
    text = support_log_text();
    (void)snprintf(pattern, sizeof pattern,
                   "^[^ ]+ debug: connection 1 %s opened\n"
                   "[^ ]+ info: connection 1 %s closed: client closed, in=1234 out=1234 "
                   "age=[0-9]+\\.[0-9]{3}s\n$",
                   peers[_i], peers[_i]);
    support_assert_matches(text, pattern);
}
END_TEST

START_TEST(an_ipv6_client_is_named_in_brackets)
{
    struct pair pair = make_pair(UNIX_PAIR);
    struct client *client;

    pair.peer.v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(5001), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    client = meet_over(&pair, UNIX_PAIR);
    ck_assert_ptr_nonnull(client->connection);
    start(client);
    connection_abort(client->connection, CLOSE_STOP);
    support_assert_matches(support_log_text(), "info: connection 1 \\[::1\\]:5001 closed: stopped");
}
END_TEST

START_TEST(the_line_about_the_end_has_its_facts_in_json)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    unsigned long seconds, milliseconds, age_ms;
    struct client *client;
    char *text;

    ck_assert_ptr_nonnull(log);
    scene.group.log = log;
    client = join(UNIX_PAIR);
    exchange(client, 10);
    (void)support_loop_for(1100);
    connection_abort(client->connection, CLOSE_STOP);
    log_free(log);
    text = support_read_file(fd);
    support_assert_matches(text,
                           "^\\{\"time\":\"[^\"]+\",\"level\":\"info\",\"message\":\"connection 1 "
                           "unix closed: stopped, in=10 out=10 age=[0-9.]+s\",\"connection\":1,"
                           "\"peer\":\"unix\",\"reason\":\"stopped\",\"in_bytes\":10,"
                           "\"out_bytes\":10,\"age_ms\":[0-9]+\\}\n$");
    ck_assert_int_eq(sscanf(strstr(text, " age="), " age=%lu.%3lus", &seconds, &milliseconds), 2);
    ck_assert_int_eq(sscanf(strstr(text, "age_ms"), "age_ms\":%lu", &age_ms), 1);
    ck_assert_uint_ge(age_ms, 1100);
    ck_assert_uint_eq(seconds * 1000 + milliseconds, age_ms);
    free(text);
    support_close(&fd);
}
END_TEST

START_TEST(a_report_tells_the_state_and_the_bytes)
{
    static const char *const words[] = {"open", "open", "draining", "draining", "lingering"};
    struct client *client = join(socket_of(_i));
    char pattern[200];
    const char *word = words[_i / SOCKET_COUNT];
    uint64_t in, out;

    if (client->transport >= FIRST_SHORTCUT && states[_i / SOCKET_COUNT] == become_half_closed)
        return; /* there is no such state */
    states[_i / SOCKET_COUNT](client);
    in = count_of(COUNTER_BYTES_IN);
    out = count_of(COUNTER_BYTES_OUT);
    connection_report(client->connection, LOG_LEVEL_INFO);
    ck_assert_uint_eq(client->ends, 0);
    connection_abort(client->connection, CLOSE_STOP);
    (void)snprintf(pattern, sizeof pattern,
                   " info: connection 1 [^ ]+ %s, in=%" PRIu64 " out=%" PRIu64
                   " age=[0-9]+\\.[0-9]{3}s\n",
                   word, in, out);
    support_assert_matches(support_log_text(), pattern);
}
END_TEST

static const struct {
    enum close_reason reason;
    const char *name;
} reasons[] = {
    {CLOSE_CLIENT, "client closed"},
    {CLOSE_RESET, "reset by client"},
    {CLOSE_NETWORK_ERROR, "network error"},
    {CLOSE_IDLE, "idle timeout"},
    {CLOSE_WRITE_STALL, "write timeout"},
    {CLOSE_LIFETIME, "lifetime over"},
    {CLOSE_DRAIN, "drained"},
    {CLOSE_STOP, "stopped"},
    {CLOSE_NO_MEMORY, "out of memory"},
};

START_TEST(every_reason_has_its_words)
{
    char pattern[100];
    struct client *client = join(UNIX_PAIR);

    ck_assert_str_eq(close_reason_name(reasons[_i].reason), reasons[_i].name);
    connection_abort(client->connection, reasons[_i].reason);
    ck_assert_int_eq((int)client->reason, (int)reasons[_i].reason);
    (void)snprintf(pattern, sizeof pattern, " closed: %s( \\(.*\\))?, in=0 ", reasons[_i].name);
    support_assert_matches(support_log_text(), pattern);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *test_case = support_case(suite, name);

    tcase_add_checked_fixture(test_case, setup, teardown);
    return test_case;
}

static Suite *connection_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection");
    TCase *test_case;

    test_case = add_case(suite, "echo");
    tcase_add_loop_test(test_case, every_byte_comes_back_and_then_fin, 0, COUNT_OF(sizes) * all);
    tcase_add_loop_test(test_case, what_came_before_the_start_comes_back_too, 0, all);
    tcase_add_loop_test(test_case, bytes_that_come_one_by_one_come_back, 0, all);
    tcase_add_test(test_case, clients_are_served_side_by_side);
    tcase_add_loop_test(test_case, after_fin_all_that_waits_still_comes_back, 0, all);
    tcase_add_loop_test(test_case, no_order_of_reads_and_writes_stalls_or_loses_a_byte, 0,
                        COUNT_OF(marks) * all);

    test_case = add_case(suite, "back-pressure");
    tcase_add_loop_test(test_case, a_client_that_never_reads_fills_no_more_than_its_share, 0, all);
    tcase_add_loop_test(test_case, a_flood_costs_no_more_memory_than_its_share, 0, all);
    tcase_add_test(test_case, many_small_messages_that_wait_cost_little_memory);
    tcase_add_loop_test(test_case, reading_goes_on_at_the_low_mark_and_not_before, 0, all);
    tcase_add_loop_test(test_case, all_together_queue_no_more_than_the_groups_share, 0, all);
    tcase_add_loop_test(test_case, at_the_groups_share_a_client_that_reads_is_still_served, 0, all);
    tcase_add_loop_test(test_case, a_client_that_waited_for_the_group_gets_everything_once_it_reads,
                        0, FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, those_that_waited_for_the_group_read_on_when_one_leaves, 0,
                        FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, a_second_group_has_limits_of_its_own, 0, TRANSPORT_COUNT);

    test_case = add_case(suite, "timeouts");
    tcase_add_loop_test(test_case, an_idle_client_is_sent_away, 0, all);
    tcase_add_loop_test(test_case, a_client_that_sends_is_not_idle, 0, all);
    tcase_add_loop_test(test_case, a_client_that_reads_its_echo_is_not_idle, 0, FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, a_client_that_sends_and_reads_nothing_is_not_idle, 0,
                        FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, no_limit_of_time_means_none, 0, all);
    tcase_add_loop_test(test_case, a_client_that_takes_nothing_is_given_up, 0, all);
    tcase_add_loop_test(test_case, a_client_that_sends_and_takes_nothing_is_given_up, 0, all);
    tcase_add_loop_test(test_case, a_client_that_takes_little_is_not_given_up, 0, all);
    tcase_add_loop_test(test_case, a_client_that_said_fin_and_takes_nothing_is_given_up, 0, all);
    tcase_add_loop_test(test_case, a_lifetime_ends_however_busy_the_client_is, FIRST_SOCKET, all);

    test_case = add_case(suite, "close");
    tcase_add_loop_test(test_case, after_our_fin_what_comes_is_read_and_thrown_away, FIRST_SOCKET,
                        all);
    tcase_add_loop_test(test_case, what_was_echoed_survives_what_comes_after_our_fin, FIRST_SOCKET,
                        all);
    tcase_add_loop_test(test_case, a_close_sends_all_that_waits, FIRST_SOCKET, all);
    tcase_add_loop_test(test_case, a_fin_that_crosses_our_close_changes_nothing, FIRST_SOCKET, all);
    tcase_add_loop_test(test_case, a_client_that_never_says_fin_is_left_at_the_deadline,
                        FIRST_SOCKET, all);
    tcase_add_loop_test(test_case, a_client_that_never_reads_is_left_at_the_deadline, FIRST_SOCKET,
                        all);
    tcase_add_loop_test(test_case, a_second_close_moves_neither_deadline_nor_reason, FIRST_SOCKET,
                        all);
    tcase_add_loop_test(test_case, a_close_after_the_clients_fin_still_sends_all, FIRST_SOCKET,
                        FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, a_close_after_the_clients_fin_has_a_deadline, FIRST_SOCKET,
                        FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, without_linger_a_close_ends_at_once, FIRST_SOCKET, all);
    tcase_add_test(test_case, a_close_over_pipes_ends_when_all_has_left);
    tcase_add_loop_test(test_case, a_close_right_after_the_start_is_clean, FIRST_SOCKET, all);

    test_case = add_case(suite, "abrupt");
    tcase_add_loop_test(test_case, an_abort_ends_at_once_in_every_state, 0,
                        COUNT_OF(states) * SOCKET_COUNT);
    tcase_add_test(test_case, an_abort_closes_both_pipes);
    tcase_add_loop_test(test_case, a_connection_that_is_freed_calls_nobody, 0,
                        COUNT_OF(states) * SOCKET_COUNT);
    tcase_add_loop_test(test_case, no_deadline_comes_after_a_free, 0, 2 * SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_reset_ends_a_connection_in_every_state, 0,
                        2 * COUNT_OF(states));
    tcase_add_loop_test(test_case, a_client_that_closes_with_echo_on_its_way_counts_as_reset, 0,
                        all);
    tcase_add_loop_test(test_case, a_client_that_closes_without_reading_its_echo_ends, 0, all);
    tcase_add_test(test_case, output_that_nobody_reads_any_more_counts_as_reset);
    tcase_add_test(test_case, another_error_of_the_system_is_a_network_error);

    test_case = add_case(suite, "memory");
    tcase_add_loop_test(test_case, a_shortage_at_any_moment_ends_cleanly, 0, COUNT_OF(shortages));
    tcase_add_test(test_case, a_group_is_made_whole_or_not_at_all);

    test_case = add_case(suite, "log");
    tcase_add_loop_test(test_case, a_line_tells_of_the_beginning_and_one_of_the_end, 0, all);
    tcase_add_test(test_case, an_ipv6_client_is_named_in_brackets);
    tcase_add_test(test_case, the_line_about_the_end_has_its_facts_in_json);
    tcase_add_loop_test(test_case, a_report_tells_the_state_and_the_bytes, 0,
                        COUNT_OF(states) * SOCKET_COUNT);
    tcase_add_loop_test(test_case, every_reason_has_its_words, 0, COUNT_OF(reasons));
    return suite;
}

int main(void)
{
    return support_run(connection_suite());
}
