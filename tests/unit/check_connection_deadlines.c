/*
 * check_connection_deadlines: clients that are idle, take nothing, or stay too long.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "base/clock.h"
#include "scene.h"
#include "support.h"

START_TEST(an_idle_client_is_sent_away)
{
    struct client *client;

    scene_use_timeouts(SHORT_MS, 0, 0, LONG_MS);
    client = client_join((enum transport)_i);
    if (_i != UNIX_PAIR)
        client_exchange(client, 10);
    client_receive_all(client); /* FIN */
    client_hang_up(client);
    client_await_end(client, CLOSE_IDLE);
}
END_TEST

START_TEST(a_client_that_sends_is_not_idle)
{
    struct client *client;

    scene_use_timeouts(SHORT_MS, 0, 0, 0);
    client = client_join((enum transport)_i);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        client_send(client, 1);
        client_keep_on(client_sees_end, client, SHORT_MS / 4);
    }
    client_await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.in_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_reads_its_echo_is_not_idle)
{
    struct client *client;

    scene_use_timeouts(SHORT_MS, 0, 0, 0);
    client = client_join((enum transport)_i);
    client_send_all(client, HALF_BYTES);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        client_receive(client, 3000);
        client_keep_on(client_has_ended, client, SHORT_MS / 4);
    }
    client_await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_sends_and_reads_nothing_is_not_idle)
{
    struct client *client;

    scene_use_timeouts(SHORT_MS, 0, 0, 0);
    client = client_join((enum transport)_i);
    client_send_all(client, HALF_BYTES);
    for (int i = 0; i < 20 && client->ends == 0; i++) {
        client_send(client, 100);
        client_keep_on(client_has_ended, client, SHORT_MS / 6);
    }
    client_await_end(client, CLOSE_IDLE);
    ck_assert_uint_ge(client->ended_ms, scene.in_after_ms + SHORT_MS);
}
END_TEST

START_TEST(no_limit_of_time_means_none)
{
    struct client *client;

    scene_use_timeouts(0, 0, 0, LONG_MS);
    client = client_join((enum transport)_i);
    client_exchange(client, 10);
    client_keep_on(client_has_ended, client, 3 * SHORT_MS);
    support_loop_until(client_is_paused, client);
    client_keep_on(client_has_ended, client, 3 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_given_up)
{
    struct client *client;

    scene_use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = client_join((enum transport)_i);
    client_exchange(client, 10);
    client_keep_on(client_has_ended, client,
                   2 * SHORT_MS); /* as long as nothing waits, nothing stalls */
    ck_assert_uint_eq(client->ends, 0);
    client_let_echo_wait(client);
    client_await_end(client, CLOSE_WRITE_STALL);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_sends_and_takes_nothing_is_given_up)
{
    struct client *client;

    scene_use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = client_join((enum transport)_i);
    client_let_echo_wait(client);
    for (int i = 0; i < 400 && client->ends == 0; i++) { /* it stays below the high mark */
        client_send(client, 100);
        client_keep_on(client_has_ended, client, SHORT_MS / 6);
    }
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_WRITE_STALL));
}
END_TEST

START_TEST(a_client_that_takes_little_is_not_given_up)
{
    struct client *client;

    scene_use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = client_join((enum transport)_i);
    client_let_echo_wait(client);
    for (int i = 0; i < 15 && client->ends == 0; i++) {
        client_receive(client, 3000);
        client_keep_on(client_has_ended, client, SHORT_MS / 4);
    }
    support_loop_until(client_is_paused_or_ended, client);
    client_await_end(client, CLOSE_WRITE_STALL);
    ck_assert_uint_ge(client->ended_ms, scene.out_after_ms + SHORT_MS);
}
END_TEST

START_TEST(a_client_that_said_fin_and_takes_nothing_is_given_up)
{
    struct client *client;

    scene_use_timeouts(0, 0, SHORT_MS, LONG_MS);
    client = client_join((enum transport)_i);
    client_let_echo_wait(client);
    client_finish(client);
    client_await_end(client, CLOSE_WRITE_STALL);
}
END_TEST

START_TEST(a_lifetime_ends_however_busy_the_client_is)
{
    const uint64_t begin_ms = clock_now_ms();
    struct client *client;

    scene_use_timeouts(0, SHORT_MS, 0, LONG_MS);
    client = client_join((enum transport)_i);
    client->send_goal = UINT64_MAX;
    while (!client->is_eof) {
        ck_assert_int_eq(client->error, 0);
        scene_look();
        client_send(client, 100);
        client_receive(client, UINT64_MAX);
        (void)support_loop_for(1);
    }
    ck_assert_uint_eq(client->received, scene_count_of(COUNTER_BYTES_OUT));
    ck_assert_uint_eq(client->received, scene_count_of(COUNTER_BYTES_IN));
    client_hang_up(client);
    client_await_end(client, CLOSE_LIFETIME);
    ck_assert_uint_ge(client->ended_ms, begin_ms + SHORT_MS);
}
END_TEST

static Suite *connection_deadlines_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection_deadlines");
    TCase *test_case;

    test_case = scene_case(suite, "timeouts");
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
    return suite;
}

int main(void)
{
    return support_run(connection_deadlines_suite());
}
