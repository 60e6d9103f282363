/*
 * check_datagram_guard: what could start a loop or reach a third party gets no answer.
 * Opens no socket.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_guard.h"

#include "support.h"

#include <arpa/inet.h>
#include <string.h>

static uint8_t hops; /* that the next datagrams have left */

enum { OWN_PORT = 13265, OTHER_OWN_PORT = 7, CLIENT_PORT = 40000 };

static struct datagram_ports own_ports;

static void setup(void)
{
    hops = 64;
    memset(&own_ports, 0, sizeof own_ports);
    datagram_ports_add(&own_ports, OWN_PORT);
    datagram_ports_add(&own_ports, OTHER_OWN_PORT);
}

static enum datagram_verdict judge_with(const char *text, uint16_t port, bool is_to_many,
                                        bool are_low_ports_allowed)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr *source = (const struct sockaddr *)&v4;

    if (inet_pton(AF_INET, text, &v4.sin_addr) != 1) {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        source = (const struct sockaddr *)&v6;
    }
    return datagram_guard_judge(source, is_to_many, hops, &own_ports, are_low_ports_allowed);
}

static enum datagram_verdict judge(const char *text, uint16_t port)
{
    return judge_with(text, port, false, false);
}

static const char *const HOSTS[] = {
    "127.0.0.1", "192.0.2.1",   "223.255.255.255", "255.255.255.254",
    "::1",       "2001:db8::1", "fe80::1",         "::ffff:192.0.2.1"};
static const char *const NO_HOSTS[] = {
    "0.0.0.0", "255.255.255.255", "224.0.0.1",      "239.255.255.255",        "::",
    "ff02::1", "ff0e::1",         "::ffff:0.0.0.0", "::ffff:255.255.255.255", "::ffff:224.0.0.1"};
enum {
    HOST_COUNT = sizeof HOSTS / sizeof HOSTS[0],
    NO_HOST_COUNT = sizeof NO_HOSTS / sizeof NO_HOSTS[0],
};

START_TEST(a_client_is_fine)
{
    ck_assert_int_eq(judge(HOSTS[_i], CLIENT_PORT), DATAGRAM_IS_FINE);
    ck_assert_int_eq(judge(HOSTS[_i], 1024), DATAGRAM_IS_FINE);
    ck_assert_int_eq(judge(HOSTS[_i], 65535), DATAGRAM_IS_FINE);
}
END_TEST

START_TEST(a_low_port_is_that_of_a_service)
{
    ck_assert_int_eq(judge(HOSTS[_i], 1), DATAGRAM_FROM_LOW_PORT);
    ck_assert_int_eq(judge(HOSTS[_i], 53), DATAGRAM_FROM_LOW_PORT);
    ck_assert_int_eq(judge(HOSTS[_i], 1023), DATAGRAM_FROM_LOW_PORT);
    ck_assert_int_eq(judge_with(HOSTS[_i], 1, false, true), DATAGRAM_IS_FINE);
    ck_assert_int_eq(judge_with(HOSTS[_i], 1023, false, true), DATAGRAM_IS_FINE);
}
END_TEST

START_TEST(our_own_ports_are_echoes_wherever_they_are)
{
    ck_assert_int_eq(judge(HOSTS[_i], OWN_PORT), DATAGRAM_FROM_OWN_PORT);
    ck_assert_int_eq(judge(HOSTS[_i], OTHER_OWN_PORT), DATAGRAM_FROM_OWN_PORT);
    ck_assert_int_eq(judge_with(HOSTS[_i], OTHER_OWN_PORT, false, true), DATAGRAM_FROM_OWN_PORT);
    ck_assert_int_eq(judge(HOSTS[_i], OWN_PORT - 1), DATAGRAM_IS_FINE);
    ck_assert_int_eq(judge(HOSTS[_i], OWN_PORT + 1), DATAGRAM_IS_FINE);
}
END_TEST

START_TEST(port_0_is_nobody)
{
    ck_assert_int_eq(judge(HOSTS[_i], 0), DATAGRAM_FROM_NO_HOST);
    ck_assert_int_eq(judge_with(HOSTS[_i], 0, false, true), DATAGRAM_FROM_NO_HOST);
}
END_TEST

START_TEST(a_source_that_is_no_host_is_forged)
{
    ck_assert_int_eq(judge(NO_HOSTS[_i], CLIENT_PORT), DATAGRAM_FROM_NO_HOST);
    ck_assert_int_eq(judge_with(NO_HOSTS[_i], CLIENT_PORT, false, true), DATAGRAM_FROM_NO_HOST);
}
END_TEST

START_TEST(what_was_sent_to_many_is_not_for_us)
{
    ck_assert_int_eq(judge_with(HOSTS[_i], CLIENT_PORT, true, false), DATAGRAM_TO_MANY);
    ck_assert_int_eq(judge_with(HOSTS[_i], CLIENT_PORT, true, true), DATAGRAM_TO_MANY);
}
END_TEST

START_TEST(an_answer_has_a_hop_less_than_its_question)
{
    hops = 1;
    ck_assert_int_eq(judge(HOSTS[_i], CLIENT_PORT), DATAGRAM_WITHOUT_HOPS);
    ck_assert_int_eq(judge_with(HOSTS[_i], CLIENT_PORT, false, true), DATAGRAM_WITHOUT_HOPS);
    hops = 2;
    ck_assert_int_eq(judge(HOSTS[_i], CLIENT_PORT), DATAGRAM_IS_FINE);
    hops = 0; /* nobody told */
    ck_assert_int_eq(judge(HOSTS[_i], CLIENT_PORT), DATAGRAM_IS_FINE);
}
END_TEST

START_TEST(a_source_without_an_ip_address_loops_nowhere)
{
    struct sockaddr unnamed = {.sa_family = AF_UNIX};

    ck_assert_int_eq(datagram_guard_judge(&unnamed, false, 64, &own_ports, false),
                     DATAGRAM_IS_FINE);
}
END_TEST

START_TEST(a_set_of_ports_has_what_was_added)
{
    static struct datagram_ports ports;

    datagram_ports_add(&ports, 0);
    datagram_ports_add(&ports, 1000);
    datagram_ports_add(&ports, 65535);
    for (unsigned port = 0; port <= 65535; port++)
        support_assert(datagram_ports_has(&ports, (uint16_t)port) ==
                       (port == 0 || port == 1000 || port == 65535));
}
END_TEST

static Suite *datagram_guard_suite(void)
{
    Suite *suite = suite_create("datagram_guard");
    TCase *tests = support_case(suite, "datagram_guard");

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, a_client_is_fine, 0, HOST_COUNT);
    tcase_add_loop_test(tests, a_low_port_is_that_of_a_service, 0, HOST_COUNT);
    tcase_add_loop_test(tests, our_own_ports_are_echoes_wherever_they_are, 0, HOST_COUNT);
    tcase_add_loop_test(tests, port_0_is_nobody, 0, HOST_COUNT);
    tcase_add_loop_test(tests, a_source_that_is_no_host_is_forged, 0, NO_HOST_COUNT);
    tcase_add_loop_test(tests, what_was_sent_to_many_is_not_for_us, 0, HOST_COUNT);
    tcase_add_loop_test(tests, an_answer_has_a_hop_less_than_its_question, 0, HOST_COUNT);
    tcase_add_test(tests, a_source_without_an_ip_address_loops_nowhere);
    tcase_add_test(tests, a_set_of_ports_has_what_was_added);
    return suite;
}

int main(void)
{
    return support_run_together(datagram_guard_suite());
}
