/*
 * check_connection_abort: connections that end at once, for us or for the client.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "scene.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Ends at once. */

START_TEST(an_abort_ends_at_once_in_every_state)
{
    struct client *client = client_join(scene_socket_of(_i));
    unsigned descriptors;

    client_states[_i / SOCKET_COUNT](client);
    ck_assert_uint_eq(client->ends, 0);
    descriptors = support_descriptor_count();
    connection_abort(client->connection, CLOSE_STOP);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
    if (_i / SOCKET_COUNT < FIRST_CLOSING) /* on its way out it may keep the reason why it went */
        ck_assert_int_eq((int)client->reason, CLOSE_STOP);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 1);
    support_loop_until(client_sees_end, client);
}
END_TEST

START_TEST(a_reset_ends_at_once_and_the_client_sees_it)
{
    struct client *client = client_join(_i == 0 ? TCP_PAIR : TCP_SHORTCUT);

    client_exchange(client, 10);
    connection_reset(client->connection, CLOSE_OPERATOR);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_int_eq((int)client->reason, CLOSE_OPERATOR);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
}
END_TEST

/* Before the first byte idle is as long as the age; from then on it is shorter. */
START_TEST(a_look_tells_how_a_connection_stands)
{
    struct client *client = client_join(scene_socket_of(_i));
    struct snapshot snapshot;

    scene.group.gate.label = "public";
    (void)support_loop_for(50);
    connection_look(client->connection, &snapshot);
    ck_assert_uint_eq(snapshot.id, 1);
    ck_assert_str_eq(snapshot.listener, "public");
    ck_assert_int_eq(snapshot.state, CONNECTION_OPEN);
    ck_assert_uint_ge(snapshot.age_ms, 40);
    ck_assert_uint_eq(snapshot.idle_ms, snapshot.age_ms);
    client_exchange(client, 10);
    connection_look(client->connection, &snapshot);
    ck_assert_uint_eq(snapshot.bytes_in, 10);
    ck_assert_uint_eq(snapshot.bytes_out, 10);
    ck_assert_uint_lt(snapshot.idle_ms, snapshot.age_ms);
    client_become_paused(client);
    connection_look(client->connection, &snapshot);
    ck_assert_uint_gt(snapshot.queued_bytes, 0);
    ck_assert_uint_eq(snapshot.queued_bytes, snapshot.bytes_in - snapshot.bytes_out);
    ck_assert(!snapshot.has_via);
    connection_abort(client->connection, CLOSE_STOP);
}
END_TEST

START_TEST(an_abort_closes_both_pipes)
{
    struct client *client = client_join(PIPES);
    const unsigned descriptors = support_descriptor_count();

    client_become_paused(client);
    connection_abort(client->connection, CLOSE_STOP);
    ck_assert_uint_eq(client->ends, 1);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 2);
}
END_TEST

START_TEST(a_connection_that_is_freed_calls_nobody)
{
    struct client *client = client_join(scene_socket_of(_i));
    unsigned descriptors;

    client_states[_i / SOCKET_COUNT](client);
    descriptors = support_descriptor_count();
    connection_free(client->connection);
    client->connection = NULL;
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 1);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->ends, 0);
    connection_free(NULL);
}
END_TEST

START_TEST(no_deadline_comes_after_a_free)
{
    struct client *client;

    scene_use_timeouts(5 * SHORT_MS, 5 * SHORT_MS, 5 * SHORT_MS, 5 * SHORT_MS);
    client = client_join(scene_socket_of(_i));
    client_let_echo_wait(client);
    if (client->ends > 0)
        support_skip("the machine is too slow");
    if (_i / SOCKET_COUNT == 0)
        connection_close(client->connection, CLOSE_DRAIN);
    connection_free(client->connection);
    client->connection = NULL;
    client_keep_on(client_sees_end, client, 7 * SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

/* Clients that go without a word. */

START_TEST(a_reset_ends_a_connection_in_every_state)
{
    const int state = _i / 2;
    struct client *client = client_join(_i % 2 == 0 ? TCP_PAIR : TCP_SHORTCUT),
                  *other = client_join(UNIX_PAIR);

    client_exchange(other, 100);
    client_states[state](client);
    ck_assert_uint_eq(client->ends, 0);
    client_reset(client);
    support_loop_until(client_has_ended, client);
    if (state < FIRST_CLOSING)
        ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_RESET));
    if (client_states[state] ==
        client_become_lingering) /* all was sent: how the client leaves is its affair */
        ck_assert_str_eq(close_reason_name(client->reason), close_reason_name(CLOSE_DRAIN));
    client_exchange(other, 100); /* nobody else notices */
}
END_TEST

START_TEST(a_client_that_closes_with_echo_on_its_way_counts_as_reset)
{
    struct client *client = client_join((enum transport)_i);

    support_loop_until(client_is_paused, client);
    client_hang_up(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(a_client_that_closes_without_reading_its_echo_ends)
{
    struct client *client = client_join((enum transport)_i);

    client_send_all(client, 1000);
    support_loop_until(scene_is_echoed, client);
    client_hang_up(client);
    support_loop_until(client_has_ended, client);
    ck_assert(client->reason == CLOSE_CLIENT || client->reason == CLOSE_RESET);
}
END_TEST

START_TEST(output_that_nobody_reads_any_more_counts_as_reset)
{
    struct client *client = client_join(PIPES);

    client_exchange(client, 10);
    support_close(&client->from_fd);
    client_send(client, 10);
    client_await_end(client, CLOSE_RESET);
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
        support_skip("this system has no pseudo terminals for us");
    }
    ck_assert_int_eq(grantpt(terminal), 0);
    ck_assert_int_eq(unlockpt(terminal), 0);
    ck_assert_int_eq(ptsname_r(terminal, name, sizeof name), 0);
    support_set_nonblocking(terminal);
    *client = (struct client){.to_fd = open(name, O_RDWR | O_NOCTTY), .from_fd = -1};
    ck_assert_int_ge(client->to_fd, 0);
    client->connection = connection_new(&scene.group, terminal, terminal, &peer);
    ck_assert_ptr_nonnull(client->connection);
    client_start(client);
    support_loop_settle();
    support_close(&client->to_fd); /* reading now fails with EIO */
    client_await_end(client, CLOSE_NETWORK_ERROR);
    support_assert_matches(support_log_text(),
                           support_format("closed: network error \\(%s\\), in=0 ", strerror(EIO)));
}
END_TEST

static Suite *connection_abort_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection_abort");
    TCase *test_case;

    test_case = scene_case(suite, "abrupt");
    tcase_add_loop_test(test_case, an_abort_ends_at_once_in_every_state, 0,
                        COUNT_OF(client_states) * SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_reset_ends_at_once_and_the_client_sees_it, 0, 2);
    tcase_add_loop_test(test_case, a_look_tells_how_a_connection_stands, 0, SOCKET_COUNT);
    tcase_add_test(test_case, an_abort_closes_both_pipes);
    tcase_add_loop_test(test_case, a_connection_that_is_freed_calls_nobody, 0,
                        COUNT_OF(client_states) * SOCKET_COUNT);
    tcase_add_loop_test(test_case, no_deadline_comes_after_a_free, 0, 2 * SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_reset_ends_a_connection_in_every_state, 0,
                        2 * COUNT_OF(client_states));
    tcase_add_loop_test(test_case, a_client_that_closes_with_echo_on_its_way_counts_as_reset, 0,
                        all);
    tcase_add_loop_test(test_case, a_client_that_closes_without_reading_its_echo_ends, 0, all);
    tcase_add_test(test_case, output_that_nobody_reads_any_more_counts_as_reset);
    tcase_add_test(test_case, another_error_of_the_system_is_a_network_error);
    return suite;
}

int main(void)
{
    return support_run(connection_abort_suite());
}
