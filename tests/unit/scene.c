#include <config.h>

#include "scene.h"

#include "base/clock.h"
#include "echod/serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct scene scene;

const struct connection_limits scene_usual_limits = {
    .high_water_bytes = 262144,
    .low_water_bytes = 65536,
    .max_queued_bytes = 1 << 28,
    .linger_timeout_ms = LONG_MS,
};

uint64_t scene_count_of(enum counter which)
{
    return counters_get(&scene.counters, which);
}

/* Return how many connections have ended, for any reason. */
static uint64_t count_ends(void)
{
    uint64_t count = 0;

    for (int reason = 0; reason < CLOSE_REASON_COUNT; reason++)
        count += scene_count_of(counters_of_end((enum close_reason)reason));
    return count;
}

/* Return how many ages have been counted: each connection has one. */
static uint64_t count_ages(void)
{
    struct buckets_reading reading = {{0}, 0};
    uint64_t count = 0;

    buckets_read(&scene.counters.ages, &reading);
    for (size_t i = 0; i < BUCKETS_MAX; i++)
        count += reading.counts[i];
    return count;
}

void scene_look(void)
{
    const struct connection_limits *limits = &scene.group.limits;
    const uint64_t in = scene_count_of(COUNTER_BYTES_IN), out = scene_count_of(COUNTER_BYTES_OUT);

    if (in != scene.bytes_in)
        scene.in_after_ms = scene.looked_ms;
    if (out != scene.bytes_out)
        scene.out_after_ms = scene.looked_ms;
    scene.bytes_in = in;
    scene.bytes_out = out;
    scene.looked_ms = clock_now_ms();
    support_assert(gauge_get(&scene.pool.queued_bytes) <=
                   (uint64_t)scene.count * (limits->high_water_bytes + READ_BYTES));
    support_assert(gauge_get(&scene.pool.queued_bytes) <=
                   limits->max_queued_bytes + (uint64_t)scene.count * READ_BYTES);
}

static void on_end(struct connection *connection, void *owner)
{
    struct client *client = &scene.clients[connection_id(connection) - 1];

    scene_look();
    ck_assert_ptr_eq(owner, &scene);
    ck_assert_ptr_eq(client->connection, connection);
    ck_assert_uint_eq(client->ends, 0);
    client->ends++;
    scene.ends++;
    client->reason = connection_reason(connection);
    ck_assert_int_eq(connection_is_complete(connection),
                     client->reason == CLOSE_CLIENT || client->reason == CLOSE_IDENTIFIED);
    client->ended_ms = clock_now_ms();
    client->connection = NULL;
    ck_assert_uint_eq(count_ends(), scene.ends);
    ck_assert_uint_eq(count_ages(), scene.ends);
    ck_assert_uint_gt(scene_count_of(counters_of_end(client->reason)), 0);
    connection_free(connection);
}

static void start_group(const struct serving *serving)
{
    static const struct self self = {.host = "a host", .pod = "a-pod", .pid = 7};

    memset(&scene, 0, sizeof scene);
    scene.looked_ms = clock_now_ms();
    scene.group.base = support_base();
    scene.group.log = support_log(LOG_FORMAT_TEXT);
    scene.group.counters = &scene.counters;
    ck_assert_int_eq(connection_pool_init(&scene.pool), 0);
    scene.group.pool = &scene.pool;
    scene.group.limits = *serving->limits;
    scene.group.logs = LISTENER_LOG_ALL;
    scene.group.on_end = on_end;
    scene.group.owner = &scene;
    scene.group.tls = serving->tls;
    scene.group.proxy_versions = serving->proxy_versions;
    scene.group.identify = (struct identify_plan){
        .mode = serving->identify_mode, .worker = 3, .self = &self, .listener = "public"};
    if (serving->impair != NULL)
        scene.group.impair = *serving->impair;
    scene.group.impaired_count = &scene.impaired;
    scene.group.lines[0] = serving->line;
    scene.group.gate.label = "public";
    ck_assert_int_eq(connection_init_group(&scene.group), 0);
}

static void end_group(void)
{
    ck_assert_int_eq(scene.count, 0);
    connection_group_fini(&scene.group);
    connection_pool_fini(&scene.pool);
}

void scene_use(const struct serving *serving)
{
    end_group();
    start_group(serving);
}

void scene_use_limits(const struct connection_limits *limits)
{
    scene_use(&(struct serving){.limits = limits});
}

void scene_use_proxy(unsigned versions, const struct connection_limits *limits)
{
    scene_use(&(struct serving){.limits = limits, .proxy_versions = versions});
}

void scene_use_identity(unsigned mode, unsigned proxy_versions,
                        const struct connection_limits *limits)
{
    scene_use_tls(NULL, mode, proxy_versions, limits);
}

void scene_use_tls(struct tls_context *tls, unsigned mode, unsigned proxy_versions,
                   const struct connection_limits *limits)
{
    scene_use(&(struct serving){
        .limits = limits, .proxy_versions = proxy_versions, .identify_mode = mode, .tls = tls});
}

void scene_use_impair(const struct impair *impair, const struct connection_limits *limits)
{
    scene_use(&(struct serving){.limits = limits, .impair = impair});
}

void scene_use_impaired_identity(unsigned mode, const struct impair *impair,
                                 const struct connection_limits *limits)
{
    scene_use(&(struct serving){.limits = limits, .identify_mode = mode, .impair = impair});
}

void scene_use_line(struct byte_line *line, const struct connection_limits *limits)
{
    scene_use(&(struct serving){.limits = limits, .line = line});
}

void scene_use_timeouts(uint64_t idle_ms, uint64_t lifetime_ms, uint64_t write_ms,
                        uint64_t linger_ms)
{
    struct connection_limits limits = scene_usual_limits;

    limits.idle_timeout_ms = idle_ms;
    limits.lifetime_ms = lifetime_ms;
    limits.write_timeout_ms = write_ms;
    limits.linger_timeout_ms = linger_ms;
    scene_use_limits(&limits);
}

void scene_setup(void)
{
    start_group(&(struct serving){.limits = &scene_usual_limits});
}

void client_hang_up(struct client *client)
{
    if (client->to_fd != client->from_fd)
        support_close(&client->to_fd);
    client->to_fd = -1;
    support_close(&client->from_fd);
}

void scene_teardown(void)
{
    for (int i = 0; i < scene.count; i++) {
        connection_free(scene.clients[i].connection);
        client_hang_up(&scene.clients[i]);
    }
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
    ck_assert_uint_eq(scene.group.count, 0);
    connection_group_fini(&scene.group);
    connection_pool_fini(&scene.pool);
}

/* Let the kernel hold little of what comes back. */
static void make_small(const struct pair *pair)
{
    const int size = KERNEL_BYTES;

    ck_assert_int_eq(setsockopt(pair->output, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    ck_assert_int_eq(setsockopt(pair->client_from, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

struct pair pair_make(enum transport transport)
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
        ck_assert_int_eq(setsockopt(there[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
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

struct client *client_meet_over(const struct pair *pair, enum transport transport)
{
    struct client *client = &scene.clients[scene.count++];

    *client = (struct client){
        .to_fd = pair->client_to, .from_fd = pair->client_from, .transport = transport};
    scene.group.limits.has_shortcuts = transport >= FIRST_SHORTCUT;
    if (!scene.group.is_impaired && !scene.group.is_limited && scene.group.tls == NULL)
        scene.group.service =
            transport >= FIRST_SHORTCUT ? serve_by_shortcut() : serve_canonically();
    client->connection = connection_new(&scene.group, pair->input, pair->output, &pair->peer);
    return client;
}

struct client *client_meet(enum transport transport)
{
    const struct pair pair = pair_make(transport);
    struct client *client = client_meet_over(&pair, transport);

    ck_assert_ptr_nonnull(client->connection);
    return client;
}

void client_start(struct client *client)
{
    uint64_t id = (uint64_t)(client - scene.clients) + 1;

    ck_assert_int_eq(connection_start(client->connection, id), 0);
    ck_assert_uint_eq(connection_id(client->connection), id);
}

struct client *client_join(enum transport transport)
{
    struct client *client = client_meet(transport);

    client_start(client);
    return client;
}

ssize_t client_write(struct client *client, const void *bytes, size_t size)
{
    return client->layer == NULL ? write(client->to_fd, bytes, size)
                                 : client->layer->write(client, bytes, size);
}

ssize_t client_read(struct client *client, void *bytes, size_t size)
{
    return client->layer == NULL ? read(client->from_fd, bytes, size)
                                 : client->layer->read(client, bytes, size);
}

void client_send(struct client *client, uint64_t size)
{
    while (size > 0 && client->error == 0) {
        size_t part = size < SUPPORT_PAYLOAD_ROOM ? (size_t)size : SUPPORT_PAYLOAD_ROOM;
        ssize_t written = client_write(client, support_payload(client->sent), part);

        if (written < 0) {
            if (errno != EAGAIN)
                client->error = errno;
            return;
        }
        client->sent += (uint64_t)written;
        size -= (uint64_t)written;
    }
}

void client_receive(struct client *client, uint64_t size)
{
    static unsigned char bytes[SUPPORT_PAYLOAD_ROOM];

    while (size > 0 && !client->is_eof && client->error == 0) {
        size_t part = size < sizeof bytes ? (size_t)size : sizeof bytes;
        ssize_t got = client_read(client, bytes, part);

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

void client_finish(struct client *client)
{
    client->has_finished = true;
    if (client->layer != NULL)
        client->layer->finish(client);
    else if (client->to_fd == client->from_fd)
        ck_assert_int_eq(shutdown(client->to_fd, SHUT_WR), 0);
    else
        support_close(&client->to_fd);
}

void client_reset(struct client *client)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    ck_assert_int_eq(setsockopt(client->to_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    client_hang_up(client);
}

bool client_has_ended(void *argument)
{
    scene_look();
    return ((struct client *)argument)->ends > 0;
}

bool client_has_sent(void *argument)
{
    struct client *client = argument;

    scene_look();
    if (client->sent < client->send_goal)
        client_send(client, client->send_goal - client->sent);
    return client->sent >= client->send_goal || client->error != 0;
}

bool client_has_received(void *argument)
{
    struct client *client = argument;

    scene_look();
    client_receive(client, client->receive_goal - client->received);
    return client->received >= client->receive_goal || client->is_eof || client->error != 0;
}

static bool has_exchanged(void *argument)
{
    bool is_sent = client_has_sent(argument), is_received = client_has_received(argument);

    return is_sent && is_received;
}

bool client_sees_end(void *argument)
{
    struct client *client = argument;

    scene_look();
    client_receive(client, UINT64_MAX);
    return client->is_eof || client->error != 0;
}

/* Return how much output makes reading pause; the shortcut does not read behind any. */
static uint64_t pause_mark(const struct client *client)
{
    return client->transport >= FIRST_SHORTCUT ? 1 : scene.group.limits.high_water_bytes;
}

bool client_is_paused(void *argument)
{
    struct client *client = argument;

    scene_look();
    client_send(client, READ_BYTES);
    return gauge_get(&scene.pool.queued_bytes) >= pause_mark(client);
}

bool client_is_paused_or_ended(void *argument)
{
    return client_is_paused(argument) || client_has_ended(argument);
}

/* Tell whether connections have read all that clients sent, or the kernel has taken it again. */
static bool is_counted(enum counter which)
{
    uint64_t sent = 0;

    scene_look();
    for (int i = 0; i < scene.count; i++)
        sent += scene.clients[i].sent;
    return scene_count_of(which) == sent;
}

static bool is_read(void *argument)
{
    (void)argument;
    return is_counted(COUNTER_BYTES_IN);
}

bool scene_is_echoed(void *argument)
{
    (void)argument;
    return is_counted(COUNTER_BYTES_OUT);
}

void client_exchange(struct client *client, uint64_t size)
{
    client->send_goal = client->sent + size;
    client->receive_goal = client->received + size;
    support_loop_until(has_exchanged, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, client->receive_goal);
}

void client_send_all(struct client *client, uint64_t size)
{
    client->send_goal = client->sent + size;
    support_loop_until(client_has_sent, client);
    ck_assert_int_eq(client->error, 0);
}

void client_receive_all(struct client *client)
{
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, client->sent);
}

void client_await_end(struct client *client, enum close_reason reason)
{
    support_loop_until(client_has_ended, client);
    ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(reason));
}

void client_keep_on(support_condition *condition, struct client *client, uint64_t duration_ms)
{
    const uint64_t end_ms = clock_now_ms() + duration_ms;

    while (clock_now_ms() < end_ms) {
        (void)condition(client);
        (void)support_loop_for(10);
    }
}

static void become_open(struct client *client)
{
    client_exchange(client, 10);
}

void client_become_paused(struct client *client)
{
    support_loop_until(client_is_paused, client);
}

void client_become_half_closed(struct client *client)
{
    if (client->transport >= FIRST_SHORTCUT) { /* which reads no FIN while output waits */
        client_become_paused(client);
        return;
    }
    client_send_all(client, HALF_BYTES);
    client_finish(client);
    support_loop_until(is_read, client);
    support_loop_settle(); /* the FIN is read as well */
}

static void become_closing(struct client *client)
{
    client_become_paused(client);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_settle();
}

void client_become_lingering(struct client *client)
{
    client_exchange(client, 10);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
}

void (*const client_states[STATES])(struct client *client) = {
    become_open,    client_become_paused,    client_become_half_closed,
    become_closing, client_become_lingering,
};

enum transport scene_socket_of(int number)
{
    return (enum transport)(FIRST_SOCKET + number % SOCKET_COUNT);
}

void client_let_echo_wait(struct client *client)
{
    if (client->transport >= FIRST_SHORTCUT)
        support_loop_until(client_is_paused_or_ended, client);
    else
        client_send_all(client, HALF_BYTES);
}

TCase *scene_case(Suite *suite, const char *name)
{
    TCase *test_case = support_case(suite, name);

    tcase_add_checked_fixture(test_case, scene_setup, scene_teardown);
    return test_case;
}

/* Begin a connection while one allocation fails. Return whether it began all the same. */
static bool begins_without(unsigned long nth)
{
    const struct pair pair = pair_make(UNIX_SHORTCUT);
    struct connection *connection =
        connection_new(&scene.group, pair.input, pair.output, &pair.peer);
    int status;

    ck_assert_ptr_nonnull(connection);
    support_memory_fail(nth, 1);
    status = connection_start(connection, nth);
    support_memory_fail(0, 0);
    connection_free(connection);
    (void)close(pair.client_to);
    support_loop_settle();
    return status == 0;
}

void scene_start_without_memory(void)
{
    unsigned long nth = 1;

    while (!begins_without(nth))
        nth++;
    ck_assert_uint_gt(nth, 1);
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
}
