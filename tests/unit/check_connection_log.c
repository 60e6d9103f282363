/*
 * check_connection_log: the lines about one connection.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "scene.h"
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_line_tells_of_the_beginning_and_one_of_the_end)
{
    static const char *const peers[] = {"stdio", "unix", "127\\.0\\.0\\.1:[0-9]+", "unix",
                                        "127\\.0\\.0\\.1:[0-9]+"};
    struct client *client = client_join((enum transport)_i);
    char pattern[200];
    const char *text;

    client_exchange(client, 1234);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
    text = support_log_text();
    (void)snprintf(pattern, sizeof pattern,
                   "^[^ ]+ debug: connection 1 %s opened\n"
                   "[^ ]+ info: connection 1 %s closed: client closed, in=1234 out=1234 "
                   "age=[0-9]+\\.[0-9]{3}s\n$",
                   peers[_i], peers[_i]);
    support_assert_matches(text, pattern);
}
END_TEST

START_TEST(an_ipv6_client_is_named_in_brackets)
{
    struct pair pair = pair_make(UNIX_PAIR);
    struct client *client;

    pair.peer.v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(5001), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    client = client_meet_over(&pair, UNIX_PAIR);
    ck_assert_ptr_nonnull(client->connection);
    client_start(client);
    connection_abort(client->connection, CLOSE_STOP);
    support_assert_matches(support_log_text(), "info: connection 1 \\[::1\\]:5001 closed: stopped");
}
END_TEST

START_TEST(the_line_about_the_end_has_its_facts_in_json)
{
    int fd = support_open_file();
    struct log *log = log_new(fd, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    unsigned long seconds, milliseconds, age_ms;
    struct client *client;
    char *text;

    ck_assert_ptr_nonnull(log);
    scene.group.log = log;
    client = client_join(UNIX_PAIR);
    client_exchange(client, 10);
    (void)support_loop_for(1100);
    connection_abort(client->connection, CLOSE_STOP);
    log_free(log);
    text = support_read_file(fd);
    support_assert_matches(text,
                           "^\\{\"time\":\"[^\"]+\",\"level\":\"info\",\"message\":\"connection 1 "
                           "unix closed: stopped, in=10 out=10 age=[0-9.]+s\",\"connection\":1,"
                           "\"peer\":\"unix\",\"reason\":\"stopped\",\"in_bytes\":10,"
                           "\"out_bytes\":10,\"age_ms\":[0-9]+\\}\n$");
    ck_assert_int_eq(sscanf(strstr(text, " age="), " age=%lu.%3lus", &seconds, &milliseconds), 2);
    ck_assert_int_eq(sscanf(strstr(text, "age_ms"), "age_ms\":%lu", &age_ms), 1);
    ck_assert_uint_ge(age_ms, 1100);
    ck_assert_uint_eq(seconds * 1000 + milliseconds, age_ms);
    free(text);
    support_close(&fd);
}
END_TEST

START_TEST(a_report_tells_the_state_and_the_bytes)
{
    static const char *const words[] = {"open", "open", "draining", "draining", "lingering"};
    struct client *client = client_join(scene_socket_of(_i));
    char pattern[200];
    const char *word = words[_i / SOCKET_COUNT];
    uint64_t in, out;

    if (client->transport >= FIRST_SHORTCUT &&
        client_states[_i / SOCKET_COUNT] == client_become_half_closed)
        return; /* there is no such state */
    client_states[_i / SOCKET_COUNT](client);
    in = scene_count_of(COUNTER_BYTES_IN);
    out = scene_count_of(COUNTER_BYTES_OUT);
    connection_report(client->connection, LOG_LEVEL_INFO);
    ck_assert_uint_eq(client->ends, 0);
    connection_abort(client->connection, CLOSE_STOP);
    (void)snprintf(pattern, sizeof pattern,
                   " info: connection 1 [^ ]+ %s, in=%" PRIu64 " out=%" PRIu64
                   " age=[0-9]+\\.[0-9]{3}s\n",
                   word, in, out);
    support_assert_matches(support_log_text(), pattern);
}
END_TEST

static const struct {
    enum close_reason reason;
    const char *name;
} reasons[] = {
    {CLOSE_CLIENT, "client closed"},
    {CLOSE_RESET, "reset by client"},
    {CLOSE_NETWORK_ERROR, "network error"},
    {CLOSE_IDLE, "idle timeout"},
    {CLOSE_WRITE_STALL, "write timeout"},
    {CLOSE_LIFETIME, "lifetime over"},
    {CLOSE_UNTRUSTED, "untrusted proxy"},
    {CLOSE_HANDSHAKE, "handshake timeout"},
    {CLOSE_IDENTIFIED, "identity sent"},
    {CLOSE_ON_PURPOSE, "closed on purpose"},
    {CLOSE_RESET_ON_PURPOSE, "reset on purpose"},
    {CLOSE_REFUSED_ON_PURPOSE, "refused on purpose"},
    {CLOSE_TRUNCATED, "client closed without close_notify"},
    {CLOSE_OPERATOR, "closed by an operator"},
    {CLOSE_DRAIN, "drained"},
    {CLOSE_STOP, "stopped"},
    {CLOSE_NO_MEMORY, "out of memory"},
};

START_TEST(every_reason_has_its_words)
{
    char pattern[100];
    struct client *client = client_join(UNIX_PAIR);

    ck_assert_str_eq(close_reason_name(reasons[_i].reason), reasons[_i].name);
    connection_abort(client->connection, reasons[_i].reason);
    ck_assert_int_eq((int)client->reason, (int)reasons[_i].reason);
    (void)snprintf(pattern, sizeof pattern, " closed: %s( \\(.*\\))?, in=0 ", reasons[_i].name);
    support_assert_matches(support_log_text(), pattern);
}
END_TEST

static const struct {
    int error;
    enum close_reason reason;
} errors[] = {
    {ECONNRESET, CLOSE_RESET},        {EPIPE, CLOSE_RESET},
    {ETIMEDOUT, CLOSE_NETWORK_ERROR}, {EHOSTUNREACH, CLOSE_NETWORK_ERROR},
    {ENOMEM, CLOSE_NO_MEMORY},        {ENOBUFS, CLOSE_NO_MEMORY},
};

START_TEST(an_error_of_a_socket_has_a_reason)
{
    ck_assert_int_eq((int)close_reason_of_errno(errors[_i].error), (int)errors[_i].reason);
}
END_TEST

START_TEST(no_two_reasons_have_the_same_words)
{
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        const char *name = close_reason_name((enum close_reason)i);

        ck_assert_str_ne(name, "");
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(name, close_reason_name((enum close_reason)j));
    }
}
END_TEST

static Suite *connection_log_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection_log");
    TCase *test_case;

    test_case = scene_case(suite, "log");
    tcase_add_loop_test(test_case, a_line_tells_of_the_beginning_and_one_of_the_end, 0, all);
    tcase_add_test(test_case, an_ipv6_client_is_named_in_brackets);
    tcase_add_test(test_case, the_line_about_the_end_has_its_facts_in_json);
    tcase_add_loop_test(test_case, a_report_tells_the_state_and_the_bytes, 0,
                        COUNT_OF(client_states) * SOCKET_COUNT);
    tcase_add_loop_test(test_case, every_reason_has_its_words, 0, COUNT_OF(reasons));
    tcase_add_loop_test(test_case, an_error_of_a_socket_has_a_reason, 0, COUNT_OF(errors));
    tcase_add_test(test_case, no_two_reasons_have_the_same_words);
    return suite;
}

int main(void)
{
    return support_run(connection_log_suite());
}
