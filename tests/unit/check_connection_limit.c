/*
 * check_connection_limit: connections whose rate is limited are held back for long enough, lose
 * nothing, and keep to all ends of those that are not. How fast they are, check_byte_rate shows: of
 * time only lower bounds are checked.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "echod/byte_rate.h"
#include "echod/connection_state.h"
#include "echod/stream_limit.h"
#include "scene.h"
#include "support.h"

enum { RATE = 100000, BURST = 10000, MORE_BYTES = 25000, MS = 1000000 };

/* Hold connections back to so many bytes a second. */
static void use_rate(uint64_t rate, uint64_t idle_timeout_ms)
{
    struct connection_limits limits = scene_usual_limits;

    limits.rate_limit = rate;
    limits.idle_timeout_ms = idle_timeout_ms;
    scene_use_limits(&limits);
}

/* Make a client that is held back: one byte a second may pass, and it has sent more. */
static struct client *join_held_back(int number)
{
    struct client *client = client_join(scene_socket_of(number));

    client_send_all(client, 3);
    client->receive_goal = 1;
    support_loop_until(client_has_received, client);
    support_loop_settle();
    ck_assert_uint_eq(client->received, 1);
    ck_assert_uint_eq(scene_count_of(COUNTER_HELD_BACK), 1);
    return client;
}

static void exchange_slowly(struct client *client, uint64_t least_ms)
{
    const uint64_t begin_ns = clock_now_ns();

    client_exchange(client, MORE_BYTES);
    ck_assert_uint_ge(clock_now_ns() - begin_ns, least_ms * MS);
    ck_assert_uint_eq(scene_count_of(COUNTER_HELD_BACK), 1);
    ck_assert_uint_gt(scene.group.counters->held_back_ns, 0);
}

START_TEST(a_client_is_echoed_no_faster_than_its_rate)
{
    struct client *client;

    use_rate(RATE, 0);
    client = client_join(scene_socket_of(_i));
    exchange_slowly(client, (MORE_BYTES - BURST) * 1000 / RATE);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_fast_client_loses_nothing)
{
    struct client *client;

    use_rate(50000000, 0);
    client = client_join(scene_socket_of(_i));
    client_exchange(client, (uint64_t)10 * HALF_BYTES);
    client_send_all(client, MORE_BYTES);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

/* More waits than reading lets pass before it pauses, though its rate would. */
START_TEST(a_fast_client_that_reads_late_loses_nothing)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.rate_limit = 50000000;
    limits.high_water_bytes = limits.low_water_bytes = 1000;
    scene_use_limits(&limits);
    client = client_join(scene_socket_of(_i));
    client_become_paused(client);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_client_that_misbehaves_is_limited_as_well)
{
    const struct impair impair = {.seed = 1, .delay_ms = 1};
    struct connection_limits limits = scene_usual_limits;

    limits.rate_limit = RATE;
    scene_use_impair(&impair, &limits);
    exchange_slowly(client_join(scene_socket_of(_i)), (MORE_BYTES - BURST) * 1000 / RATE);
}
END_TEST

START_TEST(a_clients_end_is_not_held_back)
{
    struct client *client;

    use_rate(1, 0);
    client = client_join(scene_socket_of(_i));
    client_exchange(client, 1);
    client_finish(client);
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(scene_count_of(COUNTER_HELD_BACK), 0);
}
END_TEST

START_TEST(a_client_that_is_held_back_is_not_idle)
{
    struct client *client;

    use_rate(5, SHORT_MS); /* a byte takes longer */
    client = client_join(scene_socket_of(_i));
    client_send_all(client, 3);
    client_keep_on(client_has_ended, client, 3 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
    client->receive_goal = 3;
    support_loop_until(client_has_received, client);
    support_loop_until(client_sees_end, client);
    client_finish(client);
    client_await_end(client, CLOSE_IDLE);
}
END_TEST

START_TEST(a_client_that_is_held_back_can_be_closed)
{
    struct client *client;

    use_rate(1, 0);
    client = join_held_back(_i);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 1);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

/* Of what waits when we close it, as much is echoed as its rate lets pass, and that is nothing. */
START_TEST(a_close_does_not_wait_for_what_may_not_be_read)
{
    struct client *client;

    use_rate(1, 0);
    client = client_join(scene_socket_of(_i));
    client_exchange(client, 1);
    client_send(client, 2);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 1);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

static bool keeps_sending(void *argument)
{
    client_send(argument, 1);
    return client_has_ended(argument);
}

static bool is_any_held_back(void *argument)
{
    (void)argument;
    return scene_count_of(COUNTER_HELD_BACK) > 0;
}

START_TEST(a_client_that_was_held_back_may_go_on_when_it_is_closed)
{
    struct client *client;

    use_rate(1000 / SHORT_MS, 0);
    client = client_join(scene_socket_of(_i));
    client_send_all(client, 3);
    support_loop_until(is_any_held_back, NULL);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    client_keep_on(keeps_sending, client, 3 * SHORT_MS); /* its turn would have come */
    ck_assert_uint_eq(client->ends, 0);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_reset_is_seen_though_nothing_is_read)
{
    struct client *client;

    use_rate(1, 0);
    client = client_join(_i == 0 ? TCP_PAIR : TCP_SHORTCUT);
    client_send_all(client, 60);
    client->receive_goal = 1;
    support_loop_until(client_has_received, client);
    client_reset(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

/* --- Shared rates ---------------------------------------------------------------------------- */

static bool has_any_received(void *argument)
{
    struct client *clients = argument;

    const bool has_first =
        client_has_received(&clients[0]); /* each reads, whatever the other did */
    const bool has_second = client_has_received(&clients[1]);

    return has_first || has_second;
}

START_TEST(clients_share_a_line_evenly)
{
    const uint64_t begin_ns = clock_now_ns();
    struct byte_line line = {0};
    struct client *one, *other;

    byte_line_set(&line, RATE);
    scene_use_line(&line, &scene_usual_limits);
    one = client_join(scene_socket_of(_i));
    other = client_join(scene_socket_of(_i));
    client_send_all(one, MORE_BYTES);
    client_send_all(other, MORE_BYTES);
    one->receive_goal = other->receive_goal = MORE_BYTES;
    support_loop_until(has_any_received, one);
    ck_assert_uint_ge(one->received, MORE_BYTES / 2);
    ck_assert_uint_ge(other->received, MORE_BYTES / 2);
    support_loop_until(client_has_received, one);
    support_loop_until(client_has_received, other);
    ck_assert_uint_ge(clock_now_ns() - begin_ns,
                      (uint64_t)(2 * MORE_BYTES - BURST) * 1000 / RATE * MS);
    ck_assert_uint_eq(scene_count_of(COUNTER_HELD_BACK), 2);
    support_assert_matches(support_log_text(), "clients of public are held back: together");
}
END_TEST

/* The same by a rate that it shares. */
static struct client *join_held_back_by(struct byte_line *line, int number)
{
    byte_line_set(line, 1);
    scene_use_line(line, &scene_usual_limits);
    return join_held_back(number);
}

START_TEST(a_client_that_leaves_gives_its_turn_back)
{
    struct byte_line line = {0};
    struct client *client = join_held_back_by(&line, _i);
    const uint64_t next_ns = byte_line_next(&line);

    connection_abort(client->connection, CLOSE_STOP);
    ck_assert_uint_eq(byte_line_next(&line), next_ns - 1000 * (uint64_t)MS);
}
END_TEST

/* What comes between the look at a socket and the read, nobody has booked. */
START_TEST(what_is_read_beyond_a_turn_is_booked_late)
{
    struct byte_line line = {0};
    struct client *client = join_held_back_by(&line, _i);
    const uint64_t next_ns = byte_line_next(&line);

    stream_limit_note_read(client->connection->limit, 3); /* one is booked */
    ck_assert_uint_eq(byte_line_next(&line), next_ns + 2000 * (uint64_t)MS);
}
END_TEST

START_TEST(where_memory_is_short_no_client_begins)
{
    use_rate(RATE, 0);
    scene_start_without_memory();
}
END_TEST

static Suite *connection_limit_suite(void)
{
    const int all = SOCKET_COUNT;
    Suite *suite = suite_create("connection_limit");
    TCase *tests = scene_case(suite, "limit");

    tcase_add_loop_test(tests, a_client_is_echoed_no_faster_than_its_rate, 0, all);
    tcase_add_loop_test(tests, a_fast_client_loses_nothing, 0, all);
    tcase_add_loop_test(tests, a_fast_client_that_reads_late_loses_nothing, 0, all);
    tcase_add_loop_test(tests, a_client_that_misbehaves_is_limited_as_well, 0, all);
    tcase_add_loop_test(tests, a_clients_end_is_not_held_back, 0, all);
    tcase_add_loop_test(tests, a_client_that_is_held_back_is_not_idle, 0, all);
    tcase_add_loop_test(tests, a_client_that_is_held_back_can_be_closed, 0, all);
    tcase_add_loop_test(tests, a_close_does_not_wait_for_what_may_not_be_read, 0, all);
    tcase_add_loop_test(tests, a_client_that_was_held_back_may_go_on_when_it_is_closed, 0, all);
    tcase_add_loop_test(tests, a_reset_is_seen_though_nothing_is_read, 0, 2);
    tests = scene_case(suite, "lines");
    tcase_add_loop_test(tests, clients_share_a_line_evenly, 0, all);
    tcase_add_loop_test(tests, a_client_that_leaves_gives_its_turn_back, 0, all);
    tcase_add_test(tests, what_is_read_beyond_a_turn_is_booked_late);
    tcase_add_test(tests, where_memory_is_short_no_client_begins);
    return suite;
}

int main(void)
{
    return support_run(connection_limit_suite());
}
