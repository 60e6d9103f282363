/*
 * check_datagram_impair: a datagram socket that misbehaves does so as it was told, and holds no
 * more than it may. What chance decides is check_impair's; of delays only the lower bound is
 * checked. Run by make check.
 */
#include <config.h>

#include "echod/datagram_impair.h"

#include "base/clock.h"
#include "echod/datagram_echo.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DELAY_MS = 40,
    LONG_MS = 60000,
    NS_PER_MS = 1000000,
    SIZE = 200,
    BURST = 100,
    LARGE = 60000,
    BUFFER_BYTES = 4 << 20,
    PER_CENT = 10000,
};

static struct {
    struct datagram_pool pool;
    struct gauge queued_bytes; /* of the worker */
    struct datagram_limits limits;
    struct counters counters;
    struct datagram_echo *echo;
    bool is_ipv6;
    int client;
    int over_count;
    unsigned char received[1 << 16];
} scene;

static void on_over(struct datagram_echo *echo, void *owner)
{
    (void)owner;
    scene.over_count++;
    datagram_echo_free(echo);
    scene.echo = NULL;
}

static void bind_to_loopback(int fd)
{
    struct sockaddr_in v4 = support_loopback(0);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    if (scene.is_ipv6)
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&v6, sizeof v6), 0);
    else
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&v4, sizeof v4), 0);
}

static int open_socket(void)
{
    const int size = BUFFER_BYTES, fd = socket(scene.is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_ge(fd, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    bind_to_loopback(fd);
    support_set_nonblocking(fd);
    return fd;
}

static void start(const struct impair *impair)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int fd = open_socket();

    scene.limits.impair = *impair;
    scene.echo = datagram_echo_new(support_base(), fd, "udp://test", &scene.limits, &scene.pool,
                                   support_log(LOG_FORMAT_TEXT), &scene.counters, on_over, NULL);
    ck_assert_ptr_nonnull(scene.echo);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    scene.client = open_socket();
    ck_assert_int_eq(connect(scene.client, (struct sockaddr *)&address, length), 0);
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.pool.queued_bytes = &scene.queued_bytes;
    scene.pool.max_queued_bytes = 2 * DATAGRAM_POOL_HELD_BYTES;
    scene.client = -1;
}

static void teardown(void)
{
    datagram_echo_free(scene.echo);
    datagram_pool_fini(&scene.pool);
    ck_assert_uint_eq(gauge_get(&scene.queued_bytes), 0);
    support_close(&scene.client);
}

static uint64_t counted(enum counter which)
{
    return counters_get(&scene.counters, which);
}

/* Send a datagram of the payload that begins at this offset. */
static void ask(uint64_t offset, size_t size)
{
    ck_assert_int_eq(send(scene.client, support_payload(offset), size, 0), (ssize_t)size);
}

static void ask_burst(void)
{
    for (uint64_t i = 0; i < BURST; i++)
        ask(i, SIZE);
}

static bool has_received(void *argument)
{
    const uint64_t *count = argument;

    return counted(COUNTER_DATAGRAMS_IN) >= *count;
}

static void await_questions(uint64_t count)
{
    support_loop_until(has_received, &count);
}

static bool is_readable(void *argument)
{
    char byte;

    (void)argument;
    return recv(scene.client, &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) >= 0;
}

/* Receive the next answer. Return its length. */
static size_t receive(void)
{
    ssize_t length;

    support_loop_until(is_readable, NULL);
    length = recv(scene.client, scene.received, sizeof scene.received, 0);
    ck_assert_int_ge(length, 0);
    return (size_t)length;
}

/* Receive the next answer, which is unchanged. Return the offset of its payload. */
static uint64_t receive_whole(void)
{
    ck_assert_uint_eq(receive(), SIZE);
    for (uint64_t i = 0; i < BURST; i++) {
        if (memcmp(scene.received, support_payload(i), SIZE) == 0)
            return i;
    }
    ck_abort_msg("nobody asked that");
}

static void expect_silence(void)
{
    support_loop_settle();
    ck_assert(!is_readable(NULL));
}

START_TEST(nothing_leaves_before_its_delay_is_over_and_order_is_kept)
{
    const struct impair impair = {.delay_ms = DELAY_MS, .jitter_ms = _i == 0 ? 0 : DELAY_MS / 2};
    const uint64_t begin_ns = clock_now_ns();

    start(&impair);
    ask_burst();
    for (uint64_t i = 0; i < BURST; i++)
        ck_assert_uint_eq(receive_whole(), i);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, (impair.delay_ms - impair.jitter_ms) * NS_PER_MS);
    expect_silence();
    ck_assert_uint_eq(counted(COUNTER_DATAGRAMS_OUT), BURST);
}
END_TEST

START_TEST(what_is_dropped_gets_no_answer)
{
    start(&(struct impair){.drop = 30 * PER_CENT});
    ask_burst();
    await_questions(BURST);
    ck_assert_uint_gt(counted(COUNTER_IMPAIR_DROPPED), 0);
    ck_assert_uint_lt(counted(COUNTER_IMPAIR_DROPPED), BURST);
    for (uint64_t i = counted(COUNTER_IMPAIR_DROPPED); i < BURST; i++)
        (void)receive_whole();
    expect_silence();
}
END_TEST

START_TEST(what_is_duplicated_comes_twice)
{
    start(&(struct impair){.duplicate = 100 * PER_CENT});
    ask_burst();
    for (uint64_t i = 0; i < 2 * BURST; i++)
        ck_assert_uint_eq(receive_whole(), i / 2);
    expect_silence();
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_DUPLICATED), BURST);
}
END_TEST

/* Each that is chosen comes behind the next one that is not; only the last may find none. */
START_TEST(what_is_reordered_comes_behind_the_next)
{
    uint64_t last = 0, overtaken = 0;
    bool has_come[BURST] = {false};

    start(&(struct impair){.reorder = 30 * PER_CENT});
    ask_burst();
    for (uint64_t i = 0; i < BURST; i++) {
        const uint64_t offset = receive_whole();

        ck_assert(!has_come[offset]);
        has_come[offset] = true;
        overtaken += offset < last;
        last = offset > last ? offset : last;
    }
    ck_assert_uint_gt(overtaken, 0);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_REORDERED), overtaken);
}
END_TEST

START_TEST(what_nothing_overtakes_is_late)
{
    uint64_t begin_ns;

    start(&(struct impair){.reorder = 100 * PER_CENT});
    begin_ns = clock_now_ns();
    ask(0, SIZE);
    ck_assert_uint_eq(receive_whole(), 0);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, DATAGRAM_IMPAIR_OVERTAKE_MS * (uint64_t)NS_PER_MS);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_REORDERED), 0);
}
END_TEST

/* Each second one overtakes the one before it, and a copy overtakes nobody. */
START_TEST(where_all_are_reordered_each_two_change_places)
{
    const bool is_doubled = _i == 1;
    const uint64_t copies = is_doubled ? 2 : 1;

    start(
        &(struct impair){.reorder = 100 * PER_CENT, .duplicate = is_doubled ? 100 * PER_CENT : 0});
    ask_burst();
    for (uint64_t i = 0; i < BURST * copies; i++)
        ck_assert_uint_eq(receive_whole(), (i / copies) ^ 1);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_REORDERED), BURST / 2);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_DUPLICATED), is_doubled ? BURST : 0);
}
END_TEST

/* Make another client, which nobody of the others overtakes, ask once. Return its socket. */
static int ask_as_another(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int fd = open_socket();

    ck_assert_int_eq(getpeername(scene.client, (struct sockaddr *)&address, &length), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(send(fd, support_payload(0), SIZE, 0), SIZE);
    return fd;
}

/* Of two clients, whose questions come together, over IPv4 and over IPv6. */
START_TEST(nobody_overtakes_the_answers_to_another)
{
    int first, other;

    scene.is_ipv6 = _i == 1;
    start(&(struct impair){.reorder = 100 * PER_CENT});
    first = scene.client;
    other = ask_as_another();
    ask(1, SIZE);
    ask(2, SIZE);
    ck_assert_int_eq(send(other, support_payload(3), SIZE, 0), SIZE);
    ck_assert_uint_eq(receive_whole(), 2);
    ck_assert_uint_eq(receive_whole(), 1);
    scene.client = other;
    ck_assert_uint_eq(receive_whole(), 3);
    ck_assert_uint_eq(receive_whole(), 0);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_REORDERED), 2);
    support_close(&first);
}
END_TEST

START_TEST(few_wait_to_be_overtaken)
{
    int clients[BURST];

    start(&(struct impair){.reorder = 100 * PER_CENT});
    for (unsigned i = 0; i < BURST; i++)
        clients[i] = ask_as_another();
    await_questions(BURST);
    ck_assert_uint_ge(counted(COUNTER_DATAGRAMS_OUT), BURST - DATAGRAM_IMPAIR_OVERTAKABLE);
    for (unsigned i = 0; i < BURST; i++)
        support_close(&clients[i]);
}
END_TEST

START_TEST(what_is_cut_is_the_beginning)
{
    start(&(struct impair){.truncate = 100 * PER_CENT});
    for (size_t i = 1; i < 20; i++) {
        size_t length;

        ask(i, i);
        length = receive();
        ck_assert_uint_lt(length, i);
        ck_assert_mem_eq(scene.received, support_payload(i), length);
    }
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_TRUNCATED), 19);
}
END_TEST

START_TEST(the_same_seed_changes_the_same_bytes)
{
    static unsigned char first[LARGE];
    const struct impair impair = {.corrupt = PER_CENT, .seed = 5};
    uint64_t differing = 0;

    start(&impair);
    ask(0, LARGE);
    ck_assert_uint_eq(receive(), LARGE);
    for (size_t i = 0; i < LARGE; i++)
        differing += scene.received[i] != support_payload(0)[i];
    ck_assert_uint_gt(differing, 0);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_DATAGRAM_CORRUPTED), differing);
    memcpy(first, scene.received, LARGE);
    teardown();
    setup();
    start(&impair);
    ask(0, LARGE);
    ck_assert_uint_eq(receive(), LARGE);
    ck_assert_mem_eq(scene.received, first, LARGE);
}
END_TEST

/* Ask until this many more questions have come, or ten got no room. Return how many have come. */
static uint64_t ask_large(uint64_t count)
{
    uint64_t asked = counted(COUNTER_DATAGRAMS_IN);

    for (uint64_t i = 0; i < count && counted(COUNTER_IMPAIR_OVERFLOWED) < 10; i++) {
        ask(0, LARGE);
        await_questions(++asked);
    }
    return asked;
}

/* By all sockets of a worker together; what a socket held is room for others once it is closed. */
START_TEST(what_is_held_is_bounded)
{
    const struct impair impair = {.delay_ms = LONG_MS};
    const uint64_t room = DATAGRAM_POOL_HELD_BYTES / LARGE;
    struct datagram_echo *first;
    int first_client;

    start(&impair);
    (void)ask_large(room / 2);
    first = scene.echo;
    first_client = scene.client;
    start(&impair);
    ck_assert_uint_le(ask_large(room), room + 10);
    ck_assert_uint_ge(counted(COUNTER_DATAGRAMS_IN), room - 10);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_OVERFLOWED), 10);
    datagram_echo_free(first);
    support_close(&first_client);
    ask(0, LARGE);
    await_questions(counted(COUNTER_DATAGRAMS_IN) + 1);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_OVERFLOWED), 10);
}
END_TEST

/* What connections have queued is no room for answers, and what is held none for connections. */
START_TEST(what_is_held_counts_in_all_that_is_queued)
{
    start(&(struct impair){.delay_ms = LONG_MS});
    scene.pool.max_queued_bytes = 5 * LARGE;
    gauge_change(&scene.queued_bytes, 2 * LARGE, 0);
    (void)ask_large(4);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_OVERFLOWED), 2);
    ck_assert_uint_ge(gauge_get(&scene.queued_bytes), 4 * LARGE);
    ck_assert_uint_le(gauge_get(&scene.queued_bytes), 5 * LARGE);
    gauge_change(&scene.queued_bytes, 0, 2 * LARGE);
    ck_assert_uint_eq(ask_large(2), 6);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_OVERFLOWED), 2);
}
END_TEST

START_TEST(a_drain_waits_for_what_is_held)
{
    start(&(struct impair){.delay_ms = DELAY_MS});
    ask_burst();
    await_questions(BURST);
    datagram_echo_drain(scene.echo);
    for (uint64_t i = 0; i < BURST; i++)
        ck_assert_uint_eq(receive_whole(), i);
    support_loop_settle();
    ck_assert_int_eq(scene.over_count, 1);
}
END_TEST

START_TEST(what_is_held_leaves_when_nothing_is_wrong_any_more)
{
    start(&(struct impair){.delay_ms = LONG_MS, .reorder = 10 * PER_CENT});
    ask_burst();
    await_questions(BURST);
    scene.limits.impair = (struct impair){.seed = 1};
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    for (uint64_t i = 0; i < BURST; i++)
        (void)receive_whole();
    ask(7, SIZE);
    ck_assert_uint_eq(receive_whole(), 7);
}
END_TEST

/* The one that is held is to be overtaken, and is not any more. */
START_TEST(what_waits_to_be_overtaken_leaves_too)
{
    start(&(struct impair){.delay_ms = LONG_MS, .reorder = 100 * PER_CENT});
    ask(0, SIZE);
    await_questions(1);
    scene.limits.impair = (struct impair){.seed = 1};
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    ask(1, SIZE);
    ck_assert_uint_eq(receive_whole(), 0);
    ck_assert_uint_eq(receive_whole(), 1);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_REORDERED), 0);
}
END_TEST

/* Nobody who comes later waits behind an old delay, be it that of what waits to be overtaken. */
START_TEST(a_shorter_delay_is_that_of_what_is_held_too)
{
    start(&(struct impair){.delay_ms = LONG_MS, .reorder = (uint64_t)_i * 100 * PER_CENT});
    ask(0, SIZE);
    await_questions(1);
    scene.limits.impair = (struct impair){.delay_ms = DELAY_MS, .jitter_ms = DELAY_MS / 2};
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    ask(1, SIZE);
    ck_assert_uint_eq(receive_whole() + receive_whole(), 1);
}
END_TEST

/* Return how many of the first datagrams of a socket get no answer. */
static uint64_t dropped_of(const struct impair *impair, uint64_t count)
{
    uint64_t dropped = 0;

    for (uint64_t i = 0; i < count; i++)
        dropped += impair_judge_answer(impair, impair_key(impair->seed, 0), i, SIZE).is_dropped;
    return dropped;
}

START_TEST(the_faults_of_a_seed_go_on_after_a_reload)
{
    const struct impair impair = {.drop = 50 * PER_CENT, .seed = 5};
    uint64_t dropped;

    start(&impair);
    ask_burst();
    await_questions(BURST);
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    ask_burst();
    await_questions(2 * BURST);
    dropped = dropped_of(&impair, 2 * BURST);
    ck_assert_uint_ne(dropped, 2 * dropped_of(&impair, BURST));
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_DROPPED), dropped);
    scene.limits.impair.seed = 6; /* it begins at its beginning */
    ck_assert_int_eq(datagram_echo_change(scene.echo, &scene.limits), 0);
    ask_burst();
    await_questions(3 * BURST);
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_DROPPED),
                      dropped + dropped_of(&scene.limits.impair, BURST));
}
END_TEST

START_TEST(what_is_held_when_a_socket_is_closed_is_counted)
{
    start(&(struct impair){.delay_ms = LONG_MS, .reorder = 50 * PER_CENT});
    ask_burst();
    await_questions(BURST);
    datagram_echo_free(scene.echo);
    scene.echo = NULL;
    ck_assert_uint_eq(counted(COUNTER_IMPAIR_UNSENT), BURST);
}
END_TEST

/* An idle time-out that is over and over again while an answer is held turns the loop no faster. */
START_TEST(what_is_held_is_no_silence)
{
    scene.limits.idle_timeout_ms = DELAY_MS;
    start(&(struct impair){.delay_ms = LONG_MS});
    ask(0, SIZE);
    await_questions(1);
    ck_assert_uint_lt(support_loop_for((uint64_t)10 * DELAY_MS), 40);
    ck_assert_int_eq(scene.over_count, 0);
}
END_TEST

static bool is_over(void *argument)
{
    (void)argument;
    return scene.over_count > 0;
}

START_TEST(silence_begins_when_nothing_is_held_any_more)
{
    const uint64_t begin_ns = clock_now_ns();

    scene.limits.idle_timeout_ms = DELAY_MS;
    start(&(struct impair){.delay_ms = (uint64_t)3 * DELAY_MS});
    ask(0, SIZE);
    support_loop_until(is_over, NULL);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, (uint64_t)4 * (DELAY_MS - 1) * NS_PER_MS);
    ck_assert_uint_eq(receive_whole(), 0);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *test_case;

    if (!support_system_sends_hops())
        return support_skip_all("the system sends no datagram with as many hops as asked");
    suite = suite_create("datagram_impair");
    test_case = support_case(suite, "socket");

    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_loop_test(test_case, nothing_leaves_before_its_delay_is_over_and_order_is_kept, 0, 2);
    tcase_add_test(test_case, what_is_dropped_gets_no_answer);
    tcase_add_test(test_case, what_is_duplicated_comes_twice);
    tcase_add_test(test_case, what_is_reordered_comes_behind_the_next);
    tcase_add_test(test_case, what_nothing_overtakes_is_late);
    tcase_add_loop_test(test_case, where_all_are_reordered_each_two_change_places, 0, 2);
    tcase_add_loop_test(test_case, nobody_overtakes_the_answers_to_another, 0, 2);
    tcase_add_test(test_case, few_wait_to_be_overtaken);
    tcase_add_test(test_case, what_is_cut_is_the_beginning);
    tcase_add_test(test_case, the_same_seed_changes_the_same_bytes);
    tcase_add_test(test_case, what_is_held_is_bounded);
    tcase_add_test(test_case, what_is_held_counts_in_all_that_is_queued);
    tcase_add_test(test_case, a_drain_waits_for_what_is_held);
    tcase_add_test(test_case, what_is_held_leaves_when_nothing_is_wrong_any_more);
    tcase_add_test(test_case, what_waits_to_be_overtaken_leaves_too);
    tcase_add_loop_test(test_case, a_shorter_delay_is_that_of_what_is_held_too, 0, 2);
    tcase_add_test(test_case, the_faults_of_a_seed_go_on_after_a_reload);
    tcase_add_test(test_case, what_is_held_when_a_socket_is_closed_is_counted);
    tcase_add_test(test_case, what_is_held_is_no_silence);
    tcase_add_test(test_case, silence_begins_when_nothing_is_held_any_more);
    return support_run(suite);
}
