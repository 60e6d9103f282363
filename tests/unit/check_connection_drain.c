/*
 * check_connection_drain: the end that we begin: what waits leaves, then FIN, then linger.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "scene.h"
#include "support.h"

START_TEST(after_our_fin_what_comes_is_read_and_thrown_away)
{
    const size_t before = support_memory_bytes();
    struct client *client = client_join((enum transport)_i);
    uint64_t bytes_in;

    client_exchange(client, 20000);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    bytes_in = scene_count_of(COUNTER_BYTES_IN);
    client_send_all(client, 1000000);
    ck_assert_uint_le(support_memory_bytes() - before, 65536);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), bytes_in);
    ck_assert_uint_eq(client->ends, 0);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
    ck_assert_uint_eq(client->received, 20000);
}
END_TEST

START_TEST(what_was_echoed_survives_what_comes_after_our_fin)
{
    struct client *client = client_join((enum transport)_i);

    /* What comes back lies in the client's kernel, unread, when the connection closes. */
    client_send_all(client, 3000);
    support_loop_until(scene_is_echoed, client);
    client_send(client, 5000); /* not read yet: a close that does not read it would be a reset */
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_settle();
    client_send(client, 5000);
    support_loop_settle();
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_ge(client->received, 3000);
    ck_assert_uint_eq(client->received, scene_count_of(COUNTER_BYTES_OUT));
    client_hang_up(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_close_sends_all_that_waits)
{
    struct client *client = client_join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(client_is_paused, client);
    bytes_in = scene_count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, bytes_in);
    client_finish(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_fin_that_crosses_our_close_changes_nothing)
{
    struct client *client = client_join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(client_is_paused, client);
    bytes_in = scene_count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    client_finish(client);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->received, bytes_in);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(a_client_that_never_says_fin_is_left_at_the_deadline)
{
    struct client *client;
    uint64_t closed_ms;

    scene_use_timeouts(0, 0, 0, SHORT_MS);
    client = client_join((enum transport)_i);
    client_exchange(client, 10);
    closed_ms = clock_now_ms();
    connection_close(client->connection, CLOSE_LIFETIME);
    support_loop_until(client_sees_end, client);
    while (client->ends == 0) { /* what it sends puts nothing off */
        scene_look();
        client_send(client, 100);
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

    scene_use_timeouts(0, 0, 0, SHORT_MS);
    client = client_join((enum transport)_i);
    support_loop_until(client_is_paused, client);
    closed_ms = clock_now_ms();
    connection_close(client->connection, CLOSE_DRAIN);
    client_await_end(client, CLOSE_DRAIN);
    ck_assert_uint_ge(client->ended_ms, closed_ms + SHORT_MS);
}
END_TEST

START_TEST(a_second_close_moves_neither_deadline_nor_reason)
{
    struct client *client;

    scene_use_timeouts(0, 0, 0, SHORT_MS);
    client = client_join((enum transport)_i);
    if (_i % 2 == 0)
        support_loop_until(client_is_paused, client);
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
    struct client *client = client_join(transport);

    client_become_half_closed(client);
    ck_assert_uint_gt(gauge_get(&scene.pool.queued_bytes), 0);
    ck_assert_uint_eq(client->ends, 0);
    return client;
}

START_TEST(a_close_after_the_clients_fin_still_sends_all)
{
    struct client *client = join_half_closed((enum transport)_i);

    connection_close(client->connection, CLOSE_DRAIN);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_close_after_the_clients_fin_has_a_deadline)
{
    struct client *client;

    scene_use_timeouts(0, 0, 0, SHORT_MS);
    client = join_half_closed((enum transport)_i);
    (void)support_loop_for(2 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0); /* before the close there is none */
    connection_close(client->connection, CLOSE_DRAIN);
    client_await_end(client, CLOSE_DRAIN); /* "client closed" would say that it got everything */
}
END_TEST

START_TEST(without_linger_a_close_ends_at_once)
{
    struct client *client;

    scene_use_timeouts(0, 0, 0, 0);
    client = client_join((enum transport)_i);
    client_exchange(client, 10);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_int_eq((int)client->reason, CLOSE_DRAIN);
    client_receive_all(client);
}
END_TEST

START_TEST(a_close_over_pipes_ends_when_all_has_left)
{
    struct client *client = client_join(PIPES);
    uint64_t bytes_in;

    support_loop_until(client_is_paused, client);
    bytes_in = scene_count_of(COUNTER_BYTES_IN);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, bytes_in);
    client_await_end(client, CLOSE_DRAIN); /* nobody lingers: a pipe has no FIN of the other side */
}
END_TEST

START_TEST(a_close_right_after_the_start_is_clean)
{
    struct client *client = client_join((enum transport)_i);

    client_send(client, 100);
    connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    client_hang_up(client);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

static Suite *connection_drain_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection_drain");
    TCase *test_case;

    test_case = scene_case(suite, "close");
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
    return suite;
}

int main(void)
{
    return support_run(connection_drain_suite());
}
