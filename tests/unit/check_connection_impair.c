/*
 * check_connection_impair: connections that misbehave do so as they were told, to the byte, and
 * keep to all bounds and ends of those that do not. Looks at a connection only from outside; of
 * delays only the lower bound is checked. Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "scene.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DELAY_MS = 40, NS_PER_MS = 1000000, SOME_BYTES = 3000, CUT_BYTES = 10001 };

static void use(const struct impair *impair)
{
    scene_use_impair(impair, &scene_usual_limits);
}

static void use_with_idle_timeout(const struct impair *impair)
{
    struct connection_limits limits = scene_usual_limits;

    limits.idle_timeout_ms = SHORT_MS;
    scene_use_impair(impair, &limits);
}

/* Make a client whose connection misbehaves so. The number of a loop test says over which socket.
 */
static struct client *join(const struct impair *impair, int number)
{
    use(impair);
    return client_join(scene_socket_of(number));
}

static void pass_ms(uint64_t ms)
{
    (void)support_loop_for(ms);
}

/* Send so much, and receive it no earlier than this. */
static void exchange_late(struct client *client, uint64_t size, uint64_t ms)
{
    const uint64_t begin_ns = clock_now_ns();

    client_exchange(client, size);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, ms * NS_PER_MS);
}

/* Send some bytes and FIN, and receive all of them no earlier than DELAY_MS after `begin_ns`. */
static void finish_late(struct client *client, uint64_t begin_ns)
{
    client_send_all(client, SOME_BYTES);
    client_finish(client);
    client_receive_all(client);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, DELAY_MS * NS_PER_MS);
    client_await_end(client, CLOSE_CLIENT);
}

/* Send some bytes, and receive all of them though we end the connection at once. */
static void drain_late(const struct impair *impair, int number)
{
    struct client *client = join(impair, number);

    client_send_all(client, SOME_BYTES);
    connection_close(client->connection, CLOSE_DRAIN);
    client_receive_all(client);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
}

/* --- Delay ----------------------------------------------------------------------------------- */

START_TEST(nothing_leaves_before_its_delay_is_over)
{
    struct client *client = join(&(struct impair){.delay_ms = DELAY_MS}, _i);

    for (int i = 0; i < 3; i++)
        exchange_late(client, 100, DELAY_MS);
    exchange_late(client, HALF_BYTES, DELAY_MS);
}
END_TEST

START_TEST(jitter_keeps_the_order)
{
    struct client *client = join(&(struct impair){.delay_ms = 20, .jitter_ms = 20}, _i);

    for (int i = 0; i < 20; i++) {
        client_send(client, 100);
        pass_ms(1);
    }
    client_exchange(client, 1); /* client_receive compares what comes */
}
END_TEST

START_TEST(what_is_held_leaves_after_the_clients_fin)
{
    struct client *client = join(&(struct impair){.delay_ms = DELAY_MS}, _i);

    finish_late(client, clock_now_ns());
}
END_TEST

START_TEST(what_is_held_leaves_when_we_end_a_connection)
{
    drain_late(&(struct impair){.delay_ms = DELAY_MS}, _i);
}
END_TEST

START_TEST(what_is_held_is_lost_when_the_linger_timeout_is_over)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.linger_timeout_ms = SHORT_MS;
    scene_use_impair(&(struct impair){.delay_ms = LONG_MS}, &limits);
    client = client_join(scene_socket_of(_i));
    client_send_all(client, SOME_BYTES);
    pass_ms(5);
    connection_close(client->connection, CLOSE_DRAIN);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(what_is_held_pauses_reading)
{
    struct client *client = join(&(struct impair){.delay_ms = 2 * DELAY_MS}, _i);

    support_loop_until(client_is_paused, client); /* scene_look checks the bounds */
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(what_all_hold_pauses_each)
{
    struct connection_limits limits = scene_usual_limits;

    limits.max_queued_bytes = 20000;
    scene_use_impair(&(struct impair){.delay_ms = DELAY_MS}, &limits);
    for (int i = 0; i < CLIENTS; i++)
        client_send(client_join(scene_socket_of(_i)), 20000);
    pass_ms(10);
    for (int i = 0; i < CLIENTS; i++) {
        client_finish(&scene.clients[i]);
        client_receive_all(&scene.clients[i]); /* scene_look checks the bounds */
    }
}
END_TEST

START_TEST(little_messages_cost_little_memory)
{
    struct client *client = join(&(struct impair){.delay_ms = LONG_MS}, _i);
    const size_t before = support_memory_bytes();

    for (int i = 0; i < 2000; i++) {
        client_send(client, 1);
        support_loop_once();
    }
    support_loop_settle();
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 2000);
    ck_assert_uint_le(support_memory_bytes() - before, 16384);
}
END_TEST

START_TEST(a_client_that_resets_ends_at_once_whatever_is_held)
{
    struct client *client = join(&(struct impair){.delay_ms = LONG_MS}, TCP_PAIR - FIRST_SOCKET);

    client_send_all(client, SOME_BYTES);
    pass_ms(5);
    client_reset(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(a_client_that_resets_is_noticed_where_nothing_is_read)
{
    struct client *client = join(&(struct impair){.delay_ms = LONG_MS}, TCP_PAIR - FIRST_SOCKET);

    if (_i == 0) {
        support_loop_until(client_is_paused, client);
    } else {
        client_send_all(client, SOME_BYTES);
        client_finish(client);
        pass_ms(5);
    }
    client_reset(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

/* --- Bandwidth, chunks, stalls --------------------------------------------------------------- */

START_TEST(no_more_leaves_than_the_bandwidth_carries)
{
    struct client *client = join(&(struct impair){.bandwidth = 500000}, _i);

    exchange_late(client, 20000, 20000 / 500);
    pass_ms(20); /* which is not saved up */
    exchange_late(client, 10000, 10000 / 500);
}
END_TEST

/* Whoever is behind a socket of this kind sees each write by itself. */
static struct client *join_by_packets(void)
{
    struct pair pair = {.peer.family = AF_UNIX};
    struct client *client;
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair.client_to = pair.client_from = fds[0];
    pair.input = pair.output = fds[1];
    client = client_meet_over(&pair, UNIX_PAIR);
    client_start(client);
    return client;
}

START_TEST(each_chunk_is_a_write_of_its_own)
{
    static const ssize_t expected[] = {7, 7, 6};
    struct client *client;

    use(&(struct impair){.chunk_bytes = 7});
    client = join_by_packets();
    client_send(client, 20);
    support_loop_until(scene_is_echoed, NULL);
    for (int i = 0; i < COUNT_OF(expected); i++) {
        const uint64_t before = client->received;
        unsigned char bytes[100];
        const ssize_t got = read(client->from_fd, bytes, sizeof bytes);

        ck_assert_int_eq(got, expected[i]);
        ck_assert_mem_eq(bytes, support_payload(before), (size_t)got);
        client->received += (uint64_t)got;
    }
}
END_TEST

START_TEST(chunks_of_a_byte_reach_a_slow_reader)
{
    struct client *client = join(&(struct impair){.chunk_bytes = 1}, _i);

    client_send_all(client, 20000);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

/* Receive until nothing more comes. */
static void receive_until_quiet(struct client *client)
{
    for (int i = 0; i < 10; i++) {
        pass_ms(2);
        client_receive(client, UINT64_MAX);
    }
}

START_TEST(a_stall_lasts_as_long_as_it_was_told)
{
    struct client *client =
        join(&(struct impair){.stall = {.bytes = CUT_BYTES, .ms = 2 * DELAY_MS}}, _i);
    const uint64_t begin_ns = clock_now_ns();

    client_send_all(client, CUT_BYTES + 1);
    client->receive_goal = CUT_BYTES;
    support_loop_until(client_has_received, client);
    client->receive_goal = CUT_BYTES + 1;
    support_loop_until(client_has_received, client);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, 2 * DELAY_MS * NS_PER_MS);
    client_exchange(client, HALF_BYTES); /* once is enough */
}
END_TEST

START_TEST(a_stall_holds_the_clients_fin_as_well)
{
    struct client *client =
        join(&(struct impair){.stall = {.bytes = CUT_BYTES, .ms = 2 * DELAY_MS}}, _i);
    const uint64_t begin_ns = clock_now_ns();

    client_send_all(client, CUT_BYTES);
    client_finish(client);
    client_receive_all(client);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, 2 * DELAY_MS * NS_PER_MS);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(an_endless_stall_ends_with_the_idle_timeout)
{
    struct client *client;

    use_with_idle_timeout(&(struct impair){.stall = {.bytes = CUT_BYTES}});
    scene.group.closing.duration_ms = SHORT_MS;
    client = client_join(scene_socket_of(_i));
    client_send(client, _i / 2 % 2 == 0 ? 2 * HALF_BYTES : CUT_BYTES);
    if (_i % 2 == 0)
        client_finish(client);
    client->receive_goal = CUT_BYTES + 1;
    support_loop_until(client_has_received, client); /* to its end */
    ck_assert_uint_eq(client->received, CUT_BYTES);
    client_await_end(client, CLOSE_IDLE);
}
END_TEST

/* --- Ends ------------------------------------------------------------------------------------ */

START_TEST(a_connection_is_closed_behind_the_byte_that_it_was_told)
{
    struct client *client = join(&(struct impair){.close_after = {.bytes = CUT_BYTES}}, _i);

    client_send(client, HALF_BYTES);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, CUT_BYTES);
    client_finish(client);
    client_await_end(client, CLOSE_ON_PURPOSE);
    ck_assert_uint_eq(scene_count_of(COUNTER_IMPAIR_CLOSED), 1);
}
END_TEST

START_TEST(a_connection_is_reset_behind_the_byte_that_it_was_told)
{
    struct client *client =
        join(&(struct impair){.reset_after = {.bytes = CUT_BYTES}}, TCP_PAIR - FIRST_SOCKET);

    client_send(client, 2 * CUT_BYTES);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    ck_assert_uint_eq(client->received, CUT_BYTES);
    client_await_end(client, CLOSE_RESET_ON_PURPOSE);
    ck_assert_uint_eq(scene_count_of(COUNTER_IMPAIR_RESET), 1);
}
END_TEST

static bool has_read_slowly(void *argument)
{
    struct client *client = argument;

    client_receive(client, 1000);
    return client->received == client->receive_goal || client->error != 0;
}

/* The kernel still holds some of it when all has left echod: the reset would throw that away. */
START_TEST(a_reset_waits_for_what_is_read_slowly)
{
    struct client *client =
        join(&(struct impair){.reset_after = {.bytes = HALF_BYTES}}, TCP_PAIR - FIRST_SOCKET);

    client_send_all(client, HALF_BYTES);
    client->receive_goal = HALF_BYTES;
    support_loop_until(has_read_slowly, client);
    ck_assert_uint_eq(client->received, HALF_BYTES);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    client_await_end(client, CLOSE_RESET_ON_PURPOSE);
}
END_TEST

START_TEST(a_stall_comes_before_an_end_at_the_same_byte)
{
    const struct impair_stall stall = {.bytes = CUT_BYTES, .ms = 2 * DELAY_MS};
    const struct impair closed = {.stall = stall, .close_after = {.bytes = CUT_BYTES}};
    const struct impair reset = {.stall = stall, .reset_after = {.bytes = CUT_BYTES}};
    const uint64_t begin_ns = clock_now_ns();
    struct client *client = join(_i == 0 ? &closed : &reset, TCP_PAIR - FIRST_SOCKET);

    client_send(client, CUT_BYTES);
    client_finish(client); /* which shortens nothing */
    support_loop_until(client_sees_end, client);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, 2 * DELAY_MS * NS_PER_MS);
    ck_assert_int_eq(client->error, _i == 0 ? 0 : ECONNRESET);
    ck_assert_uint_eq(client->received, CUT_BYTES);
    client_await_end(client, _i == 0 ? CLOSE_ON_PURPOSE : CLOSE_RESET_ON_PURPOSE);
}
END_TEST

START_TEST(a_byte_less_ends_nothing)
{
    struct client *client = join(&(struct impair){.close_after = {.bytes = CUT_BYTES}}, _i);

    client_exchange(client, CUT_BYTES - 1);
    receive_until_quiet(client);
    ck_assert(!client->is_eof);
    client_send(client, 1);
    client_receive_all(client);
}
END_TEST

START_TEST(a_connection_is_closed_or_reset_at_its_age)
{
    const struct impair closed = {.close_after = {.ms = DELAY_MS}};
    const struct impair reset = {.reset_after = {.ms = DELAY_MS}};
    const uint64_t begin_ns = clock_now_ns();
    struct client *client = join(_i == 0 ? &closed : &reset, TCP_PAIR - FIRST_SOCKET);

    client_send(client, SOME_BYTES);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, DELAY_MS * NS_PER_MS);
    ck_assert_int_eq(client->error, _i == 0 ? 0 : ECONNRESET);
    client_hang_up(client);
    client_await_end(client, _i == 0 ? CLOSE_ON_PURPOSE : CLOSE_RESET_ON_PURPOSE);
}
END_TEST

START_TEST(an_age_gives_an_end_that_has_begun_no_more_time)
{
    struct client *client =
        join(&(struct impair){.delay_ms = LONG_MS, .close_after = {.ms = DELAY_MS}}, _i);
    uint64_t due_ms;

    client_send(client, SOME_BYTES);
    connection_close(client->connection, CLOSE_DRAIN);
    due_ms = --TAILQ_FIRST(&scene.group.closing.armed)->due_ms; /* not what it would be now */
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(TAILQ_FIRST(&scene.group.closing.armed)->due_ms, due_ms);
    client_finish(client);
    client_await_end(client, CLOSE_ON_PURPOSE);
}
END_TEST

static bool is_paused_or_closed(void *client)
{
    return client_is_paused(client) || client_sees_end(client);
}

START_TEST(an_age_ends_a_connection_that_is_paused)
{
    struct client *client =
        join(&(struct impair){.delay_ms = LONG_MS, .close_after = {.ms = 3 * SHORT_MS}}, _i);

    support_loop_until(is_paused_or_closed, client);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 0);
    client_hang_up(client);
    client_await_end(client, CLOSE_ON_PURPOSE);
}
END_TEST

START_TEST(without_lingering_what_was_echoed_has_left_all_the_same)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.linger_timeout_ms = 0;
    scene_use_impair(&(struct impair){.close_after = {.bytes = CUT_BYTES}}, &limits);
    client = client_join(UNIX_PAIR);
    client_send(client, CUT_BYTES);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, CUT_BYTES);
    client_await_end(client, CLOSE_ON_PURPOSE);
}
END_TEST

START_TEST(a_fin_that_is_withheld_never_comes)
{
    struct client *client;

    use_with_idle_timeout(&(struct impair){.is_fin_withheld = true});
    client = client_join(TCP_PAIR);
    client_send_all(client, SOME_BYTES);
    client_finish(client);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    ck_assert_uint_eq(client->received, SOME_BYTES);
    client_await_end(client, CLOSE_IDLE);
}
END_TEST

START_TEST(a_fin_is_withheld_from_who_sent_none)
{
    struct client *client = join(&(struct impair){.is_fin_withheld = true}, 1);

    client_exchange(client, SOME_BYTES);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    ck_assert_uint_eq(client->reason, CLOSE_DRAIN);
}
END_TEST

/* --- Beginnings ------------------------------------------------------------------------------ */

START_TEST(a_client_that_is_refused_is_reset_at_once)
{
    struct client *client = join(&(struct impair){.refuse = 1000000}, TCP_PAIR - FIRST_SOCKET);

    client_await_end(client, CLOSE_REFUSED_ON_PURPOSE);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    ck_assert_uint_eq(scene_count_of(COUNTER_IMPAIR_REFUSED), 1);
}
END_TEST

START_TEST(a_client_is_left_alone_for_as_long_as_was_told)
{
    const uint64_t begin_ns = clock_now_ns();

    finish_late(join(&(struct impair){.accept_delay_ms = DELAY_MS}, _i), begin_ns);
}
END_TEST

/* It is looked at each second, whether it is there still. */
START_TEST(a_client_that_is_looked_at_is_left_alone_all_the_same)
{
    enum { MORE_THAN_A_LOOK_MS = 1100 };
    const uint64_t begin_ns = clock_now_ns();

    client_exchange(join(&(struct impair){.accept_delay_ms = MORE_THAN_A_LOOK_MS}, _i), 1);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, MORE_THAN_A_LOOK_MS * NS_PER_MS);
}
END_TEST

START_TEST(a_client_that_resets_while_it_is_left_alone_is_noticed)
{
    struct client *client =
        join(&(struct impair){.accept_delay_ms = LONG_MS}, TCP_PAIR - FIRST_SOCKET);

    client_reset(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(a_drain_waits_for_whom_nobody_has_looked_at)
{
    drain_late(&(struct impair){.accept_delay_ms = DELAY_MS}, _i);
}
END_TEST

/* --- Corruption ------------------------------------------------------------------------------ */

/* Send so many bytes in pieces of up to this size, and receive what comes back. */
static void collect(struct client *client, unsigned char *bytes, size_t size, size_t piece)
{
    size_t received = 0;

    while (received < size) {
        const size_t left = size - (size_t)client->sent;
        ssize_t got;

        client_send(client, left < piece ? left : piece);
        support_loop_once();
        got = read(client->from_fd, bytes + received, size - received);
        received += got > 0 ? (size_t)got : 0;
    }
}

START_TEST(the_same_bytes_are_changed_in_every_run)
{
    enum { SIZE = 60000 };
    static unsigned char one[SIZE], other[SIZE];
    const struct impair impair = {.corrupt = 1000, .seed = 5};
    uint64_t differing = 0;

    collect(join(&impair, _i), one, SIZE, SIZE);
    ck_assert_uint_gt(scene_count_of(COUNTER_IMPAIR_CORRUPTED), 0);
    for (size_t i = 0; i < SIZE; i++)
        differing += one[i] != support_payload(0)[i];
    ck_assert_uint_eq(differing, scene_count_of(COUNTER_IMPAIR_CORRUPTED));
    scene_teardown();
    scene_setup();
    collect(join(&impair, _i), other, SIZE, 997);
    ck_assert_mem_eq(one, other, SIZE);
}
END_TEST

/* --- Memory ---------------------------------------------------------------------------------- */

/* Serve a client from its first byte to its end. Return whether nothing was missing. */
static bool is_served(void)
{
    const struct pair pair = pair_make(UNIX_PAIR);
    struct client *client = client_meet_over(&pair, UNIX_PAIR);

    if (client->connection == NULL) {
        support_loop_settle();
        ck_assert_int_eq(close(pair.input), 0);
        return false;
    }
    if (connection_start(client->connection, 1) < 0)
        return false; /* the scene frees it */
    client_send(client, 8000);
    if (client->error == 0)
        client_finish(client);
    support_loop_until(client_sees_end, client);
    support_loop_until(client_has_ended, client);
    return client->reason == CLOSE_CLIENT && client->received == 8000;
}

START_TEST(each_lack_of_memory_is_survived)
{
    const struct impair impair = {.delay_ms = 2, .chunk_bytes = 5000};
    bool has_failed = true;

    for (unsigned long nth = 1; has_failed; nth++) {
        bool is_good;

        scene_teardown(); /* from a new loop on, which has no memory to spare */
        support_renew_base();
        scene_setup();
        use(&impair);
        support_memory_fail(nth, 1);
        is_good = is_served();
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
        ck_assert(is_good || has_failed);
    }
}
END_TEST

#define SOCKETS 2 /* plain Unix and TCP sockets */

int main(void)
{
    Suite *suite = suite_create("connection_impair");
    TCase *delays = scene_case(suite, "delays");
    TCase *pace = scene_case(suite, "pace");
    TCase *ends = scene_case(suite, "ends");

    tcase_add_loop_test(delays, nothing_leaves_before_its_delay_is_over, 0, SOCKETS);
    tcase_add_loop_test(delays, jitter_keeps_the_order, 0, SOCKETS);
    tcase_add_loop_test(delays, what_is_held_leaves_after_the_clients_fin, 0, SOCKETS);
    tcase_add_loop_test(delays, what_is_held_leaves_when_we_end_a_connection, 0, SOCKETS);
    tcase_add_loop_test(delays, what_is_held_is_lost_when_the_linger_timeout_is_over, 0, SOCKETS);
    tcase_add_loop_test(delays, what_is_held_pauses_reading, 0, SOCKETS);
    tcase_add_loop_test(delays, what_all_hold_pauses_each, 0, SOCKETS);
    tcase_add_loop_test(delays, little_messages_cost_little_memory, 0, SOCKETS);
    tcase_add_test(delays, a_client_that_resets_ends_at_once_whatever_is_held);
    tcase_add_loop_test(delays, a_client_that_resets_is_noticed_where_nothing_is_read, 0, 2);
    tcase_add_loop_test(pace, no_more_leaves_than_the_bandwidth_carries, 0, SOCKETS);
    tcase_add_test(pace, each_chunk_is_a_write_of_its_own);
    tcase_add_loop_test(pace, chunks_of_a_byte_reach_a_slow_reader, 0, SOCKETS);
    tcase_add_loop_test(pace, a_stall_lasts_as_long_as_it_was_told, 0, SOCKETS);
    tcase_add_loop_test(pace, a_stall_holds_the_clients_fin_as_well, 0, SOCKETS);
    tcase_add_loop_test(pace, an_endless_stall_ends_with_the_idle_timeout, 0, 2 * SOCKETS);
    tcase_add_loop_test(ends, a_connection_is_closed_behind_the_byte_that_it_was_told, 0, SOCKETS);
    tcase_add_test(ends, a_connection_is_reset_behind_the_byte_that_it_was_told);
    tcase_add_test(ends, a_reset_waits_for_what_is_read_slowly);
    tcase_add_loop_test(ends, a_stall_comes_before_an_end_at_the_same_byte, 0, 2);
    tcase_add_loop_test(ends, a_byte_less_ends_nothing, 0, SOCKETS);
    tcase_add_loop_test(ends, a_connection_is_closed_or_reset_at_its_age, 0, 2);
    tcase_add_loop_test(ends, an_age_ends_a_connection_that_is_paused, 0, SOCKETS);
    tcase_add_loop_test(ends, an_age_gives_an_end_that_has_begun_no_more_time, 0, SOCKETS);
    tcase_add_test(ends, without_lingering_what_was_echoed_has_left_all_the_same);
    tcase_add_test(ends, a_fin_that_is_withheld_never_comes);
    tcase_add_test(ends, a_fin_is_withheld_from_who_sent_none);
    tcase_add_test(ends, a_client_that_is_refused_is_reset_at_once);
    tcase_add_loop_test(ends, a_client_is_left_alone_for_as_long_as_was_told, 0, SOCKETS);
    tcase_add_loop_test(ends, a_client_that_is_looked_at_is_left_alone_all_the_same, 0, SOCKETS);
    tcase_add_test(ends, a_client_that_resets_while_it_is_left_alone_is_noticed);
    tcase_add_loop_test(ends, a_drain_waits_for_whom_nobody_has_looked_at, 0, SOCKETS);
    tcase_add_loop_test(ends, the_same_bytes_are_changed_in_every_run, 0, SOCKETS);
    tcase_add_test(ends, each_lack_of_memory_is_survived);
    return support_run(suite);
}
