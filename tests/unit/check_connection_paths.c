/*
 * check_connection_paths: every order in which a client, an operator and time may act, up to a
 * length, over every transport and through every stage: a model checker whose model is echod
 * itself. Wherever a path leads, something is armed there, so that it comes to an end; what
 * came back is a prefix of what was sent, and at an end in order all that was read.
 * Stands in for clock, so that no time passes but the test's.
 * ECHOD_TEST_PATH_LENGTH=N tries longer paths than make check does.
 * Run by make check.
 */
#include <config.h>

#include "base/clock.h"
#include "base/proxy_header.h"
#include "scene.h"
#include "secure.h"
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

enum {
    LENGTH = 3, /* with TLS one less: each path has its handshake */
    LENGTH_MAX = 12,
    LITTLE = 100,
    MUCH = 100000,
    SENT_MAX = 100, /* so much more than KERNEL_BYTES */
    TURNS = 100,
    HEADER_LENGTH = sizeof header - 1
};

/* --- clock. ---------------------------------------------------------------------------------- */

static uint64_t passed_ms; /* beside what really passed */

uint64_t clock_now_ns(void)
{
    struct timespec now;

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + passed_ms * 1000000;
}

uint64_t clock_now_ms(void)
{
    return clock_now_ns() / 1000000;
}

struct timeval clock_timeval(uint64_t milliseconds)
{
    return (struct timeval){.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
}

/* --- Steps ----------------------------------------------------------------------------------- */

/* One path, as far as it was walked. */
static struct walk {
    struct client *client;
    size_t header_left;    /* bytes of the header that are to be sent before others */
    bool is_halved;        /* half of what comes before the echo has been sent */
    bool is_identity_left; /* it is to be read before the echo */
    bool is_gone;          /* the client has closed */
    bool is_cut;           /* something happened after which bytes may be lost */
    bool is_told;          /* the operator told it to leave */
    bool is_secure;        /* the client speaks TLS */
    uint64_t read_before;  /* COUNTER_BYTES_IN of those before it */
    char text[LENGTH_MAX + 1];
} walk;

/* Do it. Return false where it makes no sense: there are no paths on from here then. */
typedef bool step_function(void);

static bool may_send(void)
{
    return !walk.is_gone && !walk.client->has_finished && walk.client->error == 0;
}

/* Tell whether all has been sent that comes before the echo. */
static bool is_introduced(void)
{
    return walk.header_left == 0 && (!walk.is_secure || secure_is_ready());
}

static void send_header(void)
{
    const size_t part = walk.header_left == HEADER_LENGTH ? HEADER_LENGTH / 2 : walk.header_left;

    ck_assert_int_eq(write(walk.client->to_fd, &header[HEADER_LENGTH - walk.header_left], part),
                     (ssize_t)part);
    walk.header_left -= part;
}

/* Half of the header or of a flight of the handshake, or the other half. */
static bool introduce(void)
{
    if (!may_send() || is_introduced())
        return false;
    if (walk.header_left > 0)
        send_header();
    else
        secure_shake(!walk.is_halved);
    walk.is_halved = !walk.is_halved;
    return true;
}

static bool send_bytes(uint64_t size)
{
    if (!may_send() || !is_introduced())
        return false;
    client_send(walk.client, size);
    return true;
}

static bool send_little(void)
{
    return send_bytes(LITTLE);
}

static bool send_much(void)
{
    return send_bytes(MUCH);
}

/* Read the identity, as far as it is there. */
static void receive_identity(void)
{
    ssize_t got = 1;
    char byte = '\0';

    while (walk.is_identity_left && (got = client_read(walk.client, &byte, 1)) == 1)
        walk.is_identity_left = byte != '\n';
    if (got == 0)
        walk.client->is_eof = true;
    else if (got < 0 && errno != EAGAIN)
        walk.client->error = errno;
}

static bool may_receive(void)
{
    return !walk.is_gone && !walk.client->is_eof && walk.client->error == 0;
}

static void receive_bytes(uint64_t size)
{
    receive_identity();
    if (!walk.is_identity_left && !walk.client->is_eof)
        client_receive(walk.client, size);
}

static bool receive_little(void)
{
    if (!may_receive() || (walk.is_secure && !secure_is_ready()))
        return false;
    receive_bytes(READ_BYTES);
    return true;
}

static bool receive_all(void)
{
    if (!may_receive() || (walk.is_secure && !secure_is_ready()))
        return false;
    receive_bytes(UINT64_MAX);
    return true;
}

/* In order: with TLS, by a close_notify and FIN. */
static bool finish(void)
{
    if (!may_send() || (walk.is_secure && !secure_is_ready()))
        return false;
    client_finish(walk.client);
    return true;
}

/* By FIN alone. */
static bool truncate_it(void)
{
    if (!walk.is_secure || !may_send())
        return false;
    walk.client->has_finished = true;
    secure_truncate();
    return true;
}

/* By close_notify alone. */
static bool say_close(void)
{
    if (!walk.is_secure || !may_send() || !secure_is_ready())
        return false;
    walk.client->has_finished = true;
    secure_close();
    return true;
}

static bool update_keys(void)
{
    return walk.is_secure && may_send() && secure_is_ready() && secure_update_keys();
}

static bool vanish(void)
{
    if (walk.is_gone)
        return false;
    walk.is_gone = walk.is_cut = true;
    client_hang_up(walk.client);
    return true;
}

static bool tell_to_leave(void)
{
    if (walk.is_told)
        return false;
    walk.is_told = true;
    connection_close(walk.client->connection, CLOSE_OPERATOR);
    return true;
}

static bool abort_it(void)
{
    walk.is_cut = true;
    connection_reset(walk.client->connection, CLOSE_OPERATOR);
    return true;
}

static bool turn(void)
{
    support_loop_once();
    return true;
}

/* Let all deadlines be over, of which the loop hears when it has looked at the sockets. */
static bool wait_long(void)
{
    struct connection_group *group = &scene.group;
    struct timeout_queue *const queues[] = {&group->handshake, &group->idle, &group->lifetime,
                                            &group->write_stall, &group->closing};

    walk.is_cut = true;
    passed_ms += 2 * (uint64_t)LONG_MS;
    for (int i = 0; i < COUNT_OF(queues); i++) {
        if (queues[i]->is_timer_set)
            event_active(queues[i]->timer, EV_TIMEOUT, 1);
    }
    return true;
}

static const struct step {
    char letter;
    step_function *take;
} steps[] = {
    {'h', introduce},   {'s', send_little}, {'S', send_much},   {'r', receive_little},
    {'R', receive_all}, {'f', finish},      {'v', vanish},      {'l', tell_to_leave},
    {'a', abort_it},    {'w', wait_long},   {'.', turn}, /* those of TLS alone: */
    {'t', truncate_it}, {'c', say_close},   {'k', update_keys},
};

enum { STEP_COUNT = sizeof steps / sizeof steps[0], PLAIN_STEP_COUNT = STEP_COUNT - 3 };

/* --- Walks ----------------------------------------------------------------------------------- */

enum layer { PLAIN, TLS_1_2, TLS_1_3 };

/* What a connection goes through before its echo. */
static const struct stage {
    enum layer layer;
    bool has_shaken; /* hands, before the first step */
    unsigned proxy_versions;
    enum listener_identify identify;
} stages[] = {
    {PLAIN, false, 0, LISTENER_IDENTIFY_OFF},
    {PLAIN, false, PROXY_V1, LISTENER_IDENTIFY_OFF},
    {PLAIN, false, 0, LISTENER_IDENTIFY_LINE},
    {PLAIN, false, PROXY_V1, LISTENER_IDENTIFY_LINE},
    {TLS_1_2, false, 0, LISTENER_IDENTIFY_OFF},
    {TLS_1_2, true, 0, LISTENER_IDENTIFY_OFF},
    {TLS_1_3, false, PROXY_V1, LISTENER_IDENTIFY_OFF},
    {TLS_1_3, true, 0, LISTENER_IDENTIFY_OFF},
    {TLS_1_3, true, 0, LISTENER_IDENTIFY_LINE},
};

static const struct connection_limits limits = {
    .high_water_bytes = 8192,
    .low_water_bytes = 4096,
    .max_queued_bytes = 1 << 28,
    .idle_timeout_ms = LONG_MS,
    .lifetime_ms = 3 * LONG_MS,
    .write_timeout_ms = LONG_MS,
    .linger_timeout_ms = LONG_MS,
    .handshake_timeout_ms = LONG_MS,
};

static bool has_ended(void)
{
    return walk.client->ends > 0;
}

/* Take the steps of a path. Return how many there were before one that makes no sense. */
static size_t take(const unsigned char *path, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (has_ended() || !steps[path[i]].take())
            return i;
        walk.text[i] = steps[path[i]].letter;
        scene_look();
    }
    return length;
}

/* Let the client read. Tell whether it has back all, or its end: neither needs a FIN. */
static bool is_answered(void *argument)
{
    (void)argument;
    if (may_receive())
        receive_bytes(UINT64_MAX);
    if (walk.is_told)
        return has_ended() || !may_receive();
    return has_ended() || walk.client->received == walk.client->sent;
}

/* Let the client do all that a client in order does. Tell whether its connection has ended. */
static bool is_over(void *argument)
{
    (void)argument;
    if (walk.is_secure && !walk.is_gone)
        secure_leave();
    if (may_receive())
        receive_bytes(UINT64_MAX);
    return has_ended() && (walk.is_gone || walk.client->is_eof || walk.client->error != 0);
}

static bool is_in(void *argument)
{
    (void)argument;
    return has_ended() || !introduce();
}

/* Turn the loop until it is true, without a wait for what is under way, which hardly ever is. */
static void reach(support_condition *condition)
{
    for (int turns = 0; turns < TURNS && !condition(NULL); turns++)
        support_loop_once();
    ck_assert_msg(support_loop_reaches(condition, NULL), "%s: nothing is armed", walk.text);
}

/* Whatever has happened, it comes to an end as soon as the client lets it. */
static void reach_end(void)
{
    reach(is_in);
    if (!walk.is_cut)
        reach(is_answered);
    if (!has_ended())
        (void)finish();
    reach(is_over);
}

static void check_bytes(void)
{
    const struct client *client = walk.client;
    const uint64_t read_bytes = scene_count_of(COUNTER_BYTES_IN) - walk.read_before;

    ck_assert_msg(client->received <= read_bytes, "%s: more came back than was read", walk.text);
    ck_assert_msg(walk.is_cut || client->error == 0, "%s: the client was reset", walk.text);
    ck_assert_msg(walk.is_cut || client->received == read_bytes,
                  "%s: of %" PRIu64 " bytes %" PRIu64 " came back", walk.text, read_bytes,
                  client->received);
    ck_assert_msg(walk.is_cut || walk.is_told || client->received == client->sent,
                  "%s: of %" PRIu64 " bytes %" PRIu64 " came back", walk.text, client->sent,
                  client->received);
    ck_assert_msg(walk.is_cut || !walk.is_secure || !secure_is_ready() || secure_is_closed(),
                  "%s: there was no close_notify", walk.text);
    ck_assert_msg(gauge_get(&scene.pool.queued_bytes) == 0, "%s: it still counts", walk.text);
}

static void begin(enum transport transport, const struct stage *stage)
{
    walk = (struct walk){
        .header_left = stage->proxy_versions == 0 ? 0 : HEADER_LENGTH,
        .is_identity_left = stage->identify != LISTENER_IDENTIFY_OFF,
        .read_before = scene_count_of(COUNTER_BYTES_IN),
        .client = client_join(transport),
        .is_secure = stage->layer != PLAIN,
    };
    if (walk.is_secure)
        secure_join(walk.client, stage->layer == TLS_1_2);
    if (stage->has_shaken)
        reach(is_in);
}

static void end(void)
{
    if (!walk.is_gone)
        client_hang_up(walk.client);
    scene.count = 0;
    support_loop_once(); /* which closes the descriptors */
}

/* Return how many steps of the path make sense. */
static size_t walk_along(const unsigned char *path, size_t length, enum transport transport,
                         const struct stage *stage)
{
    size_t taken;

    begin(transport, stage);
    taken = take(path, length);
    reach_end();
    check_bytes();
    end();
    return taken;
}

/* Turn a path into the next one that differs at a place or before. Return false after the last. */
static bool advance(unsigned char *path, size_t length, size_t place)
{
    const unsigned step_count = walk.is_secure ? STEP_COUNT : PLAIN_STEP_COUNT;

    memset(path + place + 1, 0, length - place - 1);
    while (++path[place] == step_count) {
        path[place] = 0;
        if (place-- == 0)
            return false;
    }
    return true;
}

static size_t length_of_paths(const struct stage *stage)
{
    const char *text = getenv("ECHOD_TEST_PATH_LENGTH");
    const long length = text == NULL ? LENGTH : strtol(text, NULL, 10);

    ck_assert(length >= 2 && length <= LENGTH_MAX);
    return (size_t)(stage->layer == PLAIN ? length : length - 1);
}

static void walk_all_paths(enum transport transport, const struct stage *stage)
{
    const size_t length = length_of_paths(stage);
    unsigned char path[LENGTH_MAX] = {0};
    unsigned long count = 0;
    size_t taken;

    do {
        taken = walk_along(path, length, transport, stage);
        count++;
    } while (advance(path, length, taken < length ? taken : length - 1));
    (void)printf("%lu paths of up to %zu steps\n", count, length);
}

START_TEST(every_path_ends_and_loses_nothing)
{
    const enum transport transport = (enum transport)(_i / COUNT_OF(stages));
    const struct stage *stage = &stages[_i % COUNT_OF(stages)];
    const bool is_secure = stage->layer != PLAIN;

    if (transport == PIPES && (stage->proxy_versions != 0 || is_secure))
        return; /* a pipe has neither */
    if (is_secure && !secure_is_there())
        return;
    scene_use_tls(is_secure ? secure_begin() : NULL, stage->identify, stage->proxy_versions,
                  &limits);
    walk_all_paths(transport, stage);
    if (is_secure)
        secure_end();
}
END_TEST

/* Somewhere between none and many, the last bytes fill what the system takes, and no more waits. */
START_TEST(close_notify_waits_where_the_system_has_no_room)
{
    static const struct stage stage = {.layer = TLS_1_3, .has_shaken = true};
    const enum transport transport = scene_socket_of(_i);

    if (!secure_is_there())
        return;
    scene_use_tls(secure_begin(), stage.identify, stage.proxy_versions, &limits);
    for (int count = 0; count < SENT_MAX; count++) {
        begin(transport, &stage);
        for (int i = 0; i < count; i++)
            (void)(send_little() && turn());
        (void)tell_to_leave();
        reach_end();
        check_bytes();
        end();
    }
    secure_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection_paths");
    TCase *all = scene_case(suite, "paths");

    tcase_set_timeout(all, 0);
    tcase_add_loop_test(all, every_path_ends_and_loses_nothing, 0,
                        TRANSPORT_COUNT * COUNT_OF(stages));
    tcase_add_loop_test(all, close_notify_waits_where_the_system_has_no_room, 0, SOCKET_COUNT);
    return support_run(suite);
}
