/*
 * check_greeting: connections whose client is told an identity before its echo.
 * Looks at them only from outside: bytes, counters, the log, the end callback. What an identity
 * looks like is in check_identity.
 * Run by make check.
 */
#include <config.h>

#include "base/identity.h"
#include "base/proxy_header.h"
#include "echod/connection.h"
#include "scene.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define V1 "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

/* What a client has read of its identity. */
static struct greeting {
    struct client *client;
    size_t length;
    char text[IDENTITY_SIZE + 1];
} greeting;

/* Read no byte behind the line. */
static bool has_line(void *argument)
{
    struct client *client = greeting.client;

    (void)argument;
    scene_look();
    while (greeting.length == 0 || greeting.text[greeting.length - 1] != '\n') {
        ck_assert_uint_lt(greeting.length, IDENTITY_SIZE);
        if (read(client->from_fd, &greeting.text[greeting.length], 1) != 1)
            return false;
        greeting.length++;
    }
    greeting.text[greeting.length] = '\0';
    return true;
}

static const char *take_line(struct client *client)
{
    greeting = (struct greeting){.client = client};
    support_loop_until(has_line, NULL);
    return greeting.text;
}

static struct client *join(enum listener_identify mode, int transport)
{
    scene_use_identity(mode, 0, &scene_usual_limits);
    return client_join((enum transport)transport);
}

START_TEST(the_identity_comes_before_the_client_says_a_word)
{
    struct client *client = join(LISTENER_IDENTIFY_LINE, _i);

    support_assert_matches(take_line(client),
                           "^echod=[^ ]+ host=a\\\\x20host pod=a-pod .*client=[^ ]+ id=1 "
                           "listener=public pid=7 worker=3\n$");
    client_exchange(client, 100000);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), 100000);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), 100000);
    ck_assert_uint_eq(scene_count_of(COUNTER_IDENTITY_BYTES), greeting.length);
    support_assert_matches(support_log_text(), "opened.*in=100000 out=100000");
}
END_TEST

START_TEST(json_is_one_line_as_well)
{
    struct client *client = join(LISTENER_IDENTIFY_JSON, _i);

    support_assert_matches(take_line(client), "^\\{\"echod\":\".*\"worker\":3\\}\n$");
    client_exchange(client, 10);
}
END_TEST

START_TEST(what_the_client_sends_meanwhile_is_echoed)
{
    struct client *client;

    scene_use_identity(LISTENER_IDENTIFY_LINE, 0, &scene_usual_limits);
    client = client_meet((enum transport)_i);
    client_send(client, 5000); /* before the connection begins */
    client_start(client);
    client_send(client, 5000);
    client_finish(client);
    (void)take_line(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), 10000);
}
END_TEST

START_TEST(it_may_be_all)
{
    const bool is_json = _i >= SOCKET_COUNT;
    struct client *client = join(is_json ? LISTENER_IDENTIFY_ONLY_JSON : LISTENER_IDENTIFY_ONLY,
                                 FIRST_SOCKET + _i % SOCKET_COUNT);

    client_send(client, 1000); /* is never echoed, and destroys nothing */
    ck_assert_int_eq(take_line(client)[0], is_json ? '{' : 'e');
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    ck_assert_uint_eq(client->ends, 0); /* it waits for the client's FIN */
    client_finish(client);
    client_await_end(client, CLOSE_IDENTIFIED);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), 0);
    support_assert_matches(support_log_text(), "closed: identity sent, in=0 out=0");
}
END_TEST

START_TEST(a_fin_that_is_withheld_does_not_follow_it)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.idle_timeout_ms = SHORT_MS;
    scene_use_impaired_identity(LISTENER_IDENTIFY_ONLY, &(struct impair){.is_fin_withheld = true},
                                &limits);
    client = client_join(TCP_PAIR);
    (void)take_line(client);
    client_send(client, 1000); /* is never echoed */
    if (_i == 1)
        client_finish(client);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    client_await_end(client, CLOSE_IDLE);
    support_assert_matches(support_log_text(), "closed: idle timeout, in=0 out=0");
}
END_TEST

START_TEST(a_drain_ends_it_all_the_same)
{
    struct client *client;

    scene_use_impaired_identity(LISTENER_IDENTIFY_ONLY, &(struct impair){.is_fin_withheld = true},
                                &scene_usual_limits);
    client = client_join(TCP_PAIR);
    if (_i == 0)
        connection_close(client->connection, CLOSE_DRAIN);
    (void)take_line(client);
    if (_i == 1)
        connection_close(client->connection, CLOSE_DRAIN);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, ECONNRESET);
    client_await_end(client, CLOSE_DRAIN);
}
END_TEST

START_TEST(pipes_end_when_it_is_all)
{
    struct client *client = join(LISTENER_IDENTIFY_ONLY, PIPES);

    (void)take_line(client);
    client_await_end(client, CLOSE_IDENTIFIED);
}
END_TEST

START_TEST(a_client_that_stays_is_left_after_the_linger_timeout)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.linger_timeout_ms = _i < SOCKET_COUNT ? SHORT_MS : 0;
    scene_use_identity(LISTENER_IDENTIFY_ONLY, 0, &limits);
    client = client_join((enum transport)(FIRST_SOCKET + _i % SOCKET_COUNT));
    (void)take_line(client);
    client_await_end(client, CLOSE_IDENTIFIED);
}
END_TEST

/* Fill what the kernel takes for a client that does not read. */
static void fill(int fd)
{
    static const char zeros[4096];

    while (send(fd, zeros, sizeof zeros, MSG_DONTWAIT) > 0)
        continue;
    while (send(fd, zeros, 1, MSG_DONTWAIT) > 0)
        continue;
    ck_assert(errno == EAGAIN);
}

static bool is_identity_queued(void *nothing)
{
    (void)nothing;
    return gauge_get(&scene.pool.queued_bytes) > 0;
}

/* Make a client that takes not even the identity. */
static struct client *join_stuck(unsigned mode, const struct connection_limits *limits)
{
    struct client *client;
    struct pair pair;

    scene_use_identity(mode, 0, limits);
    pair = pair_make(UNIX_SHORTCUT);
    fill(pair.output);
    client = client_meet_over(&pair, UNIX_SHORTCUT);
    client_start(client);
    support_loop_until(is_identity_queued, NULL);
    return client;
}

START_TEST(a_client_that_never_reads_has_the_write_timeout)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.write_timeout_ms = SHORT_MS;
    client = join_stuck(_i == 0 ? LISTENER_IDENTIFY_LINE : LISTENER_IDENTIFY_ONLY, &limits);
    connection_report(client->connection, LOG_LEVEL_INFO);
    client_await_end(client, CLOSE_WRITE_STALL);
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), 0);
    support_assert_matches(support_log_text(), "connection 1 [^ ]+ greeting, in=0 out=0");
}
END_TEST

START_TEST(it_is_not_idle_while_that_waits)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.idle_timeout_ms = SHORT_MS;
    client = join_stuck(LISTENER_IDENTIFY_LINE, &limits);
    (void)support_loop_for(3 * (uint64_t)SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

/* Read away all that is there. */
static bool is_unstuck(void *argument)
{
    struct client *client = argument;
    char bytes[4096];

    while (recv(client->from_fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    return client_sees_end(client);
}

START_TEST(an_end_that_we_begin_lets_it_leave_first)
{
    struct client *client =
        join_stuck(_i == 0 ? LISTENER_IDENTIFY_LINE : LISTENER_IDENTIFY_ONLY, &scene_usual_limits);

    connection_close(client->connection, CLOSE_LIFETIME);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(is_unstuck, client);
    ck_assert_int_eq(client->error, 0);
    client_finish(client);
    support_loop_until(client_has_ended, client);
    ck_assert_uint_gt(scene_count_of(COUNTER_IDENTITY_BYTES), 0);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), 0);
}
END_TEST

START_TEST(without_a_linger_time_the_end_is_at_once)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.linger_timeout_ms = 0;
    client = join_stuck(LISTENER_IDENTIFY_LINE, &limits);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_uint_eq(gauge_get(&scene.pool.queued_bytes), 0);
}
END_TEST

START_TEST(a_client_that_is_gone_is_a_reset)
{
    struct client *client = join_stuck(LISTENER_IDENTIFY_LINE, &scene_usual_limits);

    client_hang_up(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(it_tells_what_the_proxy_says)
{
    struct client *client;

    scene_use_identity(LISTENER_IDENTIFY_LINE, PROXY_ANY, &scene_usual_limits);
    client = client_join(scene_socket_of(_i));
    ck_assert_int_eq(write(client->to_fd, V1, sizeof V1 - 1), sizeof V1 - 1);
    client_send(client, 10);
    support_assert_matches(take_line(client), " client=[^ ]+ source=192\\.0\\.2\\.1:56324 "
                                              "destination=198\\.51\\.100\\.1:443 id=1 ");
    ck_assert_ptr_null(strstr(greeting.text, "client=192.0.2.1"));
    client_exchange(client, 10);
    support_assert_matches(support_log_text(), "connection 1 192\\.0\\.2\\.1:56324 opened via=");
}
END_TEST

START_TEST(nothing_is_told_before_the_header)
{
    struct client *client;
    char byte;

    scene_use_identity(LISTENER_IDENTIFY_LINE, PROXY_ANY, &scene_usual_limits);
    client = client_join(scene_socket_of(_i));
    support_loop_settle();
    ck_assert_int_eq(recv(client->from_fd, &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(write(client->to_fd, "PROXY TCP5 ", 11), 11);
    client_await_end(client, CLOSE_INVALID);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 0);
}
END_TEST

START_TEST(an_end_that_waits_for_the_header_lets_both_leave)
{
    struct client *client;

    scene_use_identity(LISTENER_IDENTIFY_LINE, PROXY_ANY, &scene_usual_limits);
    client = client_join(scene_socket_of(_i));
    ck_assert_int_eq(write(client->to_fd, V1, sizeof V1 - 1), sizeof V1 - 1);
    client_send(client, 10);
    connection_close(client->connection, CLOSE_LIFETIME);
    ck_assert_uint_eq(client->ends, 0);
    (void)take_line(client);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 10);
    client_finish(client);
    client_await_end(client, CLOSE_LIFETIME);
}
END_TEST

START_TEST(without_memory_nothing_begins)
{
    scene_use_identity(LISTENER_IDENTIFY_LINE, 0, &scene_usual_limits);
    scene_start_without_memory();
}
END_TEST

static Suite *greeting_suite(void)
{
    Suite *suite = suite_create("greeting");
    TCase *test_case;

    test_case = scene_case(suite, "identity");
    tcase_add_loop_test(test_case, the_identity_comes_before_the_client_says_a_word, 0,
                        TRANSPORT_COUNT);
    tcase_add_loop_test(test_case, json_is_one_line_as_well, 0, TRANSPORT_COUNT);
    tcase_add_loop_test(test_case, what_the_client_sends_meanwhile_is_echoed, 0, TRANSPORT_COUNT);
    tcase_add_loop_test(test_case, it_may_be_all, 0, 2 * SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_fin_that_is_withheld_does_not_follow_it, 0, 2);
    tcase_add_loop_test(test_case, a_drain_ends_it_all_the_same, 0, 2);
    tcase_add_test(test_case, pipes_end_when_it_is_all);

    test_case = scene_case(suite, "life");
    tcase_add_loop_test(test_case, a_client_that_stays_is_left_after_the_linger_timeout, 0,
                        2 * SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_client_that_never_reads_has_the_write_timeout, 0, 2);
    tcase_add_test(test_case, it_is_not_idle_while_that_waits);
    tcase_add_loop_test(test_case, an_end_that_we_begin_lets_it_leave_first, 0, 2);
    tcase_add_test(test_case, without_a_linger_time_the_end_is_at_once);
    tcase_add_test(test_case, a_client_that_is_gone_is_a_reset);
    tcase_add_test(test_case, without_memory_nothing_begins);

    test_case = scene_case(suite, "behind a proxy");
    tcase_add_loop_test(test_case, it_tells_what_the_proxy_says, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, nothing_is_told_before_the_header, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, an_end_that_waits_for_the_header_lets_both_leave, 0,
                        SOCKET_COUNT);
    return suite;
}

int main(void)
{
    return support_run(greeting_suite());
}
