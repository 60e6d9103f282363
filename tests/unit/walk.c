#include <config.h>

#include "walk.h"

#include "base/clock.h"
#include "base/proxy_header.h"
#include "echod/byte_rate.h"
#include "secure.h"
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
static const char garbage[] = "no handshake\r\n";

enum {
    LITTLE = 100,
    MUCH = 100000,
    LITTLE_OF_SLOW = 2, /* of who is held back: not all of it passes at once */
    MUCH_OF_SLOW = 6,
    SLOW = 1000, /* bytes a second, or less */
    WHILE_MS = 1000,
    TURNS = 100,
    HEADER_LENGTH = sizeof header - 1
};

struct walk walk;

static struct byte_line line;

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

/* --- Time ------------------------------------------------------------------------------------ */

/* What has an end keeps it, whatever comes meanwhile. */
static void check_due(const struct timeout_queue *queue, uint64_t *due_ms)
{
    const struct timeout *first = TAILQ_FIRST(&queue->armed);

    if (first == NULL)
        return;
    ck_assert_msg(*due_ms == 0 || *due_ms == first->due_ms, "%s: a deadline was put off",
                  walk.text);
    *due_ms = first->due_ms;
}

static void look(void)
{
    scene_look();
    check_due(&scene.group.handshake, &walk.handshake_ms);
    check_due(&scene.group.lifetime, &walk.lifetime_ms);
    check_due(&scene.group.closing, &walk.closing_ms);
}

void walk_turn(void)
{
    passed_ms++;
    support_loop_once();
    look();
}

static void fire(struct deadlines *deadlines)
{
    if (deadlines->timer != NULL && event_pending(deadlines->timer, EV_TIMEOUT, NULL) != 0)
        event_active(deadlines->timer, EV_TIMEOUT, 1);
}

void walk_pass(uint64_t milliseconds)
{
    passed_ms += milliseconds;
    fire(&scene.pool.deadlines);
    fire(&scene.pool.held_back);
}

/* At once, or when the loop has looked at the sockets. */
static void fire_timeouts(struct timeout_queue *queue, bool is_at_once)
{
    if (!queue->is_timer_set)
        return;
    queue->has_waited |= is_at_once;
    event_active(queue->timer, EV_TIMEOUT, 1);
}

static void pass_deadlines(bool is_at_once)
{
    struct connection_group *group = &scene.group;

    passed_ms += 2 * (uint64_t)LONG_MS;
    fire_timeouts(&group->handshake, is_at_once);
    fire_timeouts(&group->idle, is_at_once);
    fire_timeouts(&group->write_stall, is_at_once);
    fire_timeouts(&group->closing, is_at_once);
    walk_pass(0);
}

void walk_pass_deadlines(void)
{
    pass_deadlines(false);
}

/* --- Client ---------------------------------------------------------------------------------- */

bool walk_has_ended(void)
{
    return walk.client->ends > 0;
}

static bool may_send(void)
{
    return !walk.is_gone && !walk.is_garbled && !walk.client->has_finished &&
           walk.client->error == 0;
}

/* Tell whether all has been sent that comes before the echo. */
static bool is_introduced(void)
{
    return walk.header_left == 0 && (!walk.is_secure || secure_is_ready());
}

static void send_raw(const char *bytes, size_t size)
{
    ck_assert_int_eq(write(walk.client->to_fd, bytes, size), (ssize_t)size);
}

static void send_header(void)
{
    const size_t part = walk.header_left == HEADER_LENGTH ? HEADER_LENGTH / 2 : walk.header_left;

    send_raw(&header[HEADER_LENGTH - walk.header_left], part);
    walk.header_left -= part;
}

/* Half of the header or of a flight of the handshake, or the other half. */
bool walk_introduce(void)
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

/* Tell whether a rate is so slow that it holds back what comes at once. */
static bool is_slow(void)
{
    const struct stage *stage = walk.stage;

    return (stage->rate > 0 && stage->rate <= SLOW) ||
           (stage->line_rate > 0 && stage->line_rate <= SLOW);
}

static uint64_t little(void)
{
    return is_slow() ? LITTLE_OF_SLOW : LITTLE;
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
    return send_bytes(little());
}

static bool send_much(void)
{
    return send_bytes(is_slow() ? MUCH_OF_SLOW : MUCH);
}

/* Half of a record; the other half leaves with what the client does next. */
static bool send_part(void)
{
    return walk.is_secure && may_send() && is_introduced() &&
           secure_send_part(walk.client, (size_t)little());
}

static bool send_garbage(void)
{
    if (!may_send() || is_introduced())
        return false;
    send_raw(garbage, sizeof garbage - 1);
    if (walk.is_secure)
        secure_give_up();
    walk.is_garbled = walk.is_cut = true;
    return true;
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

bool walk_may_receive(void)
{
    return !walk.is_gone && !walk.client->is_eof && walk.client->error == 0;
}

void walk_receive(uint64_t size)
{
    receive_identity();
    if (!walk.is_identity_left && !walk.client->is_eof)
        client_receive(walk.client, size);
}

static bool receive(uint64_t size)
{
    if (!walk_may_receive() || (walk.is_secure && !secure_is_ready()))
        return false;
    walk_receive(size);
    return true;
}

static bool receive_little(void)
{
    return receive(READ_BYTES);
}

static bool receive_all(void)
{
    return receive(UINT64_MAX);
}

/* In order: with TLS, by a close_notify and FIN. */
static bool finish(void)
{
    if (!may_send() || (walk.is_secure && !secure_is_ready()))
        return false;
    client_finish(walk.client);
    return true;
}

void walk_finish(void)
{
    (void)finish();
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

/* --- Operator and time ----------------------------------------------------------------------- */

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
    walk_turn();
    return true;
}

static bool wait_a_while(void)
{
    walk_pass(WHILE_MS);
    return true;
}

/* Let all deadlines be over, of which the loop hears when it has looked at the sockets. */
static bool wait_long(void)
{
    walk.is_cut = true;
    fire_timeouts(&scene.group.lifetime, false);
    walk_pass_deadlines();
    return true;
}

/* The same, of which it hears before what has come. */
static bool wait_too_long(void)
{
    walk.is_cut = true;
    pass_deadlines(true);
    return true;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static const struct step {
    char letter;
    bool (*take)(void);
} steps[] = {
    {'h', walk_introduce}, {'s', send_little},   {'S', send_much},    {'r', receive_little},
    {'R', receive_all},    {'f', finish},        {'v', vanish},       {'l', tell_to_leave},
    {'a', abort_it},       {'w', wait_long},     {'.', turn},         {'t', truncate_it},
    {'c', say_close},      {'k', update_keys},   {'g', send_garbage}, {'p', send_part},
    {'d', wait_a_while},   {'n', wait_too_long},
};

static void note(char letter)
{
    const size_t length = strlen(walk.text);

    if (length < WALK_LENGTH_MAX)
        walk.text[length] = letter;
}

bool walk_step(char letter)
{
    const struct step *step = steps;

    while (step->letter != letter)
        step++;
    if (walk_has_ended() || !step->take())
        return false;
    note(letter);
    look();
    return true;
}

/* --- Begin and end --------------------------------------------------------------------------- */

bool walk_use(const struct stage *stage)
{
    static const struct connection_limits usual = {
        .high_water_bytes = 8192,
        .low_water_bytes = 4096,
        .max_queued_bytes = 1 << 28,
        .idle_timeout_ms = LONG_MS,
        .lifetime_ms = 3 * LONG_MS,
        .write_timeout_ms = LONG_MS,
        .linger_timeout_ms = LONG_MS,
        .handshake_timeout_ms = LONG_MS,
    };
    struct connection_limits limits = usual;
    const bool is_secure = stage->layer != PLAIN;

    if (is_secure && !secure_is_there())
        return false;
    limits.rate_limit = stage->rate;
    scene_use(&(struct serving){
        .limits = &limits,
        .proxy_versions = stage->proxy_versions,
        .identify_mode = stage->identify,
        .impair = &stage->impair,
        .line = stage->line_rate > 0 ? &line : NULL,
        .tls = is_secure ? secure_begin() : NULL,
    });
    return true;
}

void walk_leave(const struct stage *stage)
{
    if (stage->layer != PLAIN)
        secure_end();
}

static bool is_in(void)
{
    return walk_has_ended() ||
           (walk.stage->shaken == NEARLY_SHAKEN && walk.header_left == 0 && secure_may_finish()) ||
           !walk_introduce();
}

static void shake_hands(void)
{
    for (int turns = 0; turns < TURNS && !is_in(); turns++)
        walk_turn();
    ck_assert(is_in());
    walk.is_halved = false;
}

/* What those before it have booked is nothing to it. */
static void renew_line(uint64_t rate)
{
    byte_line_set(&line, 0);
    byte_line_set(&line, rate);
}

void walk_begin(enum transport transport, const struct stage *stage)
{
    renew_line(stage->line_rate);
    walk = (struct walk){
        .stage = stage,
        .header_left = stage->proxy_versions == 0 ? 0 : HEADER_LENGTH,
        .is_identity_left = stage->identify != LISTENER_IDENTIFY_OFF,
        .read_before = scene_count_of(COUNTER_BYTES_IN),
        .client = client_join(transport),
        .is_secure = stage->layer != PLAIN,
    };
    if (walk.is_secure)
        secure_join(walk.client, stage->layer == TLS_1_2);
    if (stage->shaken != UNSHAKEN)
        shake_hands();
    for (const char *letter = stage->before; letter != NULL && *letter != '\0'; letter++)
        ck_assert(walk_step(*letter));
}

void walk_end(void)
{
    if (!walk.is_gone)
        client_hang_up(walk.client);
    scene.count = 0;
    support_loop_once(); /* which closes the descriptors */
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
    ck_assert_uint_eq(scene.group.count, 0);
    ck_assert_uint_eq(scene.pool.deadlines.reserved, 0);
    ck_assert_uint_eq(scene.pool.held_back.reserved, 0);
}

bool walk_is_identity_all(void)
{
    return walk.stage->identify == LISTENER_IDENTIFY_ONLY ||
           walk.stage->identify == LISTENER_IDENTIFY_ONLY_JSON;
}
