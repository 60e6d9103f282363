/*
 * check_handshake: connections that begin with a header of the PROXY protocol.
 * Looks at them only from outside: bytes, counters, the log, the end callback. What a header may be
 * is in check_proxy_header.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"
#include "echod/connection.h"
#include "echod/proxy_reader.h"
#include "scene.h"
#include "support.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define V1 "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"

static const struct {
    const char *bytes;
    size_t length;
} headers[] = {{V1, sizeof V1 - 1}, {V2, sizeof V2 - 1}};

static void say(struct client *client, const char *bytes, size_t length)
{
    ck_assert_int_eq(write(client->to_fd, bytes, length), (ssize_t)length);
}

/* Tell whether something that was said waits for the rest of the header. */
static bool is_taken(void *argument)
{
    (void)argument;
    scene_look();
    return gauge_get(&scene.pool.queued_bytes) > 0;
}

static struct client *join_behind_proxy(int number)
{
    scene_use_proxy(PROXY_ANY, &scene_usual_limits);
    return client_join(scene_socket_of(number));
}

START_TEST(an_echo_begins_behind_the_header)
{
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct client *client;

        if (i == 0)
            scene_use_proxy(PROXY_ANY, &scene_usual_limits);
        client = client_join(scene_socket_of(_i));
        say(client, headers[i].bytes, headers[i].length);
        client_exchange(client, 100000);
        client_finish(client);
        client_receive_all(client);
        client_await_end(client, CLOSE_CLIENT);
    }
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), 200000);
    support_assert_matches(support_log_text(), "connection 1 192\\.0\\.2\\.1:56324 opened via=.*"
                                               "connection 2 192\\.0\\.2\\.1:56324 opened via=");
}
END_TEST

START_TEST(a_header_may_come_in_two_pieces_split_anywhere)
{
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        for (size_t first = 1; first < headers[i].length; first++) {
            struct client *client;

            scene.count = 0;
            client = join_behind_proxy(_i);
            say(client, headers[i].bytes, first);
            support_loop_until(is_taken, NULL);
            say(client, headers[i].bytes + first, headers[i].length - first);
            client_exchange(client, 10);
            client_finish(client);
            client_receive_all(client);
            client_await_end(client, CLOSE_CLIENT);
            client_hang_up(client);
        }
    }
    scene.count = 0;
}
END_TEST

static void expect_incomplete(struct proxy_reader *reader, int fd)
{
    struct proxy_header header;
    struct error error;

    ck_assert_int_eq(proxy_reader_read(reader, fd, PROXY_ANY, &header, &error),
                     PROXY_READING_INCOMPLETE);
}

/* It cannot be looked at; were it left in the socket, the loop would report it again and again. */
START_TEST(an_urgent_byte_is_taken_from_a_unix_socket)
{
    struct proxy_reader reader = {.length = 0};
    struct pollfd input = {.events = POLLIN};
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    input.fd = ends[0];
    ck_assert_int_eq(write(ends[1], V1, 7), 7);
    expect_incomplete(&reader, ends[0]);
    if (send(ends[1], "!", 1, MSG_OOB) == 1) { /* where the kernel has it for Unix sockets */
        expect_incomplete(&reader, ends[0]);
        ck_assert_int_eq(poll(&input, 1, 0), 0);
    }
    proxy_reader_fini(&reader);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

START_TEST(what_is_no_header_is_told_and_not_echoed)
{
    struct client *client = join_behind_proxy(_i);

    say(client, "PROXY TCP5 ", 11);
    client_await_end(client, CLOSE_INVALID);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 0);
    ck_assert_uint_eq(scene_count_of(COUNTER_PROXY_INVALID), 1);
    support_assert_matches(support_log_text(), "closed: bad PROXY header \\([^\n]+\\), in=0 out=0");
}
END_TEST

START_TEST(an_end_within_the_header_is_told)
{
    struct client *client = join_behind_proxy(_i);

    say(client, V1, 7);
    client_finish(client);
    client_await_end(client, CLOSE_INVALID);
    support_assert_matches(support_log_text(), "bad PROXY header \\(it ends after 7 bytes\\)");
}
END_TEST

START_TEST(an_end_before_the_header_is_that_of_the_client)
{
    struct client *client = join_behind_proxy(_i);

    client_finish(client);
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(scene_count_of(COUNTER_PROXY_INVALID), 0);
}
END_TEST

START_TEST(a_reset_is_a_reset)
{
    struct client *client;

    scene_use_proxy(PROXY_ANY, &scene_usual_limits);
    client = client_join(_i == 0 ? TCP_PAIR : TCP_SHORTCUT);
    client_reset(client);
    client_await_end(client, CLOSE_RESET);
}
END_TEST

START_TEST(what_comes_does_not_move_the_deadline)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.handshake_timeout_ms = SHORT_MS;
    scene_use_proxy(PROXY_ANY, &limits);
    client = client_join(scene_socket_of(_i));
    for (size_t i = 0; client->ends == 0; i++) {
        ck_assert_uint_lt(i, 1000);
        if (i < headers[0].length - 2)
            say(client, &headers[0].bytes[i], 1);
        (void)support_loop_for(5);
    }
    ck_assert_int_eq(client->reason, CLOSE_HANDSHAKE);
    ck_assert_uint_eq(scene_count_of(COUNTER_HANDSHAKES_OVERDUE), 1);
}
END_TEST

START_TEST(no_deadline_is_left_behind_the_header)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.handshake_timeout_ms = SHORT_MS;
    scene_use_proxy(PROXY_V2, &limits);
    client = client_join(scene_socket_of(_i));
    say(client, V2, sizeof V2 - 1);
    client_exchange(client, 10);
    (void)support_loop_for(3 * (uint64_t)SHORT_MS);
    client_exchange(client, 10);
    ck_assert_uint_eq(client->ends, 0);
}
END_TEST

START_TEST(who_is_not_trusted_is_ended_from_the_loop)
{
    struct error error = {""};
    struct client *client;

    scene_use_proxy(PROXY_ANY, &scene_usual_limits);
    scene.group.proxy_from.count = 1;
    ck_assert_int_eq(network_parse("192.0.2.0/24", &scene.group.proxy_from.items[0], &error), 0);
    client = client_join(_i == 0 ? TCP_PAIR : TCP_SHORTCUT);
    ck_assert_uint_eq(client->ends, 0);
    client_await_end(client, CLOSE_UNTRUSTED);
    ck_assert_uint_eq(scene_count_of(COUNTER_PROXY_UNTRUSTED), 1);
}
END_TEST

START_TEST(an_end_that_we_begin_is_at_once)
{
    struct client *client = join_behind_proxy(_i);

    say(client, V1, 7);
    support_loop_until(is_taken, NULL);
    connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_int_eq(client->reason, CLOSE_DRAIN);
}
END_TEST

START_TEST(what_is_there_when_we_end_it_is_echoed)
{
    struct client *client = join_behind_proxy(_i);

    say(client, V2, sizeof V2 - 1);
    client_send(client, 10);
    connection_close(client->connection, CLOSE_LIFETIME);
    ck_assert_uint_eq(client->ends, 0);
    support_loop_until(client_sees_end, client);
    ck_assert_uint_eq(client->received, 10);
    client_finish(client);
    client_await_end(client, CLOSE_LIFETIME);
}
END_TEST

START_TEST(a_header_alone_is_followed_by_our_fin)
{
    struct client *client = join_behind_proxy(_i);

    say(client, V2, sizeof V2 - 1);
    connection_close(client->connection, CLOSE_LIFETIME);
    support_loop_until(client_sees_end, client);
    ck_assert_int_eq(client->error, 0);
    client_finish(client);
    client_await_end(client, CLOSE_LIFETIME);
}
END_TEST

START_TEST(a_report_says_that_it_waits)
{
    struct client *client = join_behind_proxy(_i);

    connection_report(client->connection, LOG_LEVEL_INFO);
    connection_abort(client->connection, CLOSE_STOP);
    support_assert_matches(support_log_text(), "connection 1 [^ ]+ handshake, in=0 out=0 age=");
}
END_TEST

START_TEST(without_memory_nothing_begins)
{
    scene_use_proxy(PROXY_ANY, &scene_usual_limits);
    scene_start_without_memory();
}
END_TEST

static Suite *handshake_suite(void)
{
    Suite *suite = suite_create("handshake");
    TCase *test_case;

    test_case = scene_case(suite, "header");
    tcase_add_loop_test(test_case, an_echo_begins_behind_the_header, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_header_may_come_in_two_pieces_split_anywhere, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, no_deadline_is_left_behind_the_header, 0, SOCKET_COUNT);
    tcase_add_test(test_case, an_urgent_byte_is_taken_from_a_unix_socket);

    test_case = scene_case(suite, "refusal");
    tcase_add_loop_test(test_case, what_is_no_header_is_told_and_not_echoed, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, an_end_within_the_header_is_told, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, an_end_before_the_header_is_that_of_the_client, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_reset_is_a_reset, 0, 2);
    tcase_add_loop_test(test_case, what_comes_does_not_move_the_deadline, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, who_is_not_trusted_is_ended_from_the_loop, 0, 2);

    test_case = scene_case(suite, "life");
    tcase_add_loop_test(test_case, an_end_that_we_begin_is_at_once, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, what_is_there_when_we_end_it_is_echoed, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_header_alone_is_followed_by_our_fin, 0, SOCKET_COUNT);
    tcase_add_loop_test(test_case, a_report_says_that_it_waits, 0, SOCKET_COUNT);
    tcase_add_test(test_case, without_memory_nothing_begins);
    return suite;
}

int main(void)
{
    return support_run(handshake_suite());
}
