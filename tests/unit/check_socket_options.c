/*
 * check_socket_options: what a listener is told, read back from its sockets.
 * What clients inherit is in tests/system/test_listener_options.py.
 * Run by make check.
 */
#include <config.h>

#include "echod/socket_options.h"

#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ABSENT = -1 };
#ifndef IP_FREEBIND
#define IP_FREEBIND ABSENT
#endif
#ifndef TCP_FASTOPEN
#define TCP_FASTOPEN ABSENT
#endif
#ifndef TCP_USER_TIMEOUT
#define TCP_USER_TIMEOUT ABSENT
#endif

static struct listener_options options;
static const char *failed;
static int fd;

static void setup(void)
{
    options = (struct listener_options){.backlog = 1};
    listener_options_set_defaults(&options);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
    (void)close(fd);
}

static int number(int level, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

static void set_for_clients(void)
{
    ck_assert_int_eq(socket_options_set_for_clients(fd, &options, &failed), 0);
    ck_assert_ptr_null(failed);
}

static int set_all(void)
{
    if (socket_options_set_before_bind(fd, AF_INET, &options, &failed) < 0)
        return -1;
    return socket_options_set_for_clients(fd, &options, &failed);
}

START_TEST(the_defaults_are_set)
{
    set_for_clients();
    ck_assert_int_ne(number(IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_ne(number(SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_KEEPINTVL), 75);
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_KEEPCNT), 9);
}
END_TEST

START_TEST(each_option_is_set_and_taken_back)
{
    options.nodelay = false;
    options.keepalive_ms = 0;
    set_for_clients();
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(number(SOL_SOCKET, SO_KEEPALIVE), 0);
    listener_options_set_defaults(&options);
    set_for_clients();
    ck_assert_int_ne(number(IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_ne(number(SOL_SOCKET, SO_KEEPALIVE), 0);
}
END_TEST

/* What not every system has, and what it is set to. */
static const struct {
    const char *name;
    int level, option, value;
} extras[] = {
    {"user-timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 30000},
    {"fastopen", IPPROTO_TCP, TCP_FASTOPEN, 5},
    {"freebind", IPPROTO_IP, IP_FREEBIND, 1},
};

START_TEST(an_option_is_set_and_taken_back_or_refused_by_name)
{
    options.user_timeout_ms = _i == 0 ? 30000 : 0;
    options.fastopen = _i == 1 ? 5 : 0;
    options.freebind = _i == 2;
    if (extras[_i].option == ABSENT) {
        ck_assert_int_eq(set_all(), -1);
        ck_assert_int_eq(errno, ENOPROTOOPT);
        ck_assert_str_eq(failed, extras[_i].name);
    } else {
        ck_assert_int_eq(number(extras[_i].level, extras[_i].option), 0);
        ck_assert_int_eq(set_all(), 0);
        ck_assert_int_eq(number(extras[_i].level, extras[_i].option), extras[_i].value);
    }
    listener_options_set_defaults(&options);
    ck_assert_int_eq(set_all(), 0);
    if (extras[_i].option != ABSENT && extras[_i].level == IPPROTO_TCP)
        ck_assert_int_eq(number(extras[_i].level, extras[_i].option), 0);
}
END_TEST

/* Silence in milliseconds, and the seconds until the first probe and between probes. */
static const struct {
    uint64_t idle_ms;
    int idle_s, interval_s;
} keepalives[] = {
    {1000, 1, 1},      {1500, 2, 1},      {10000, 10, 1},
    {100000, 100, 10}, {750000, 750, 75}, {32767000, 32767, 75},
};

START_TEST(probes_follow_at_a_tenth_of_the_silence)
{
    options.keepalive_ms = keepalives[_i].idle_ms;
    set_for_clients();
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_KEEPIDLE), keepalives[_i].idle_s);
    ck_assert_int_eq(number(IPPROTO_TCP, TCP_KEEPINTVL), keepalives[_i].interval_s);
}
END_TEST

START_TEST(a_refused_option_is_named)
{
    (void)strcpy(options.device, "nowhere0");
    ck_assert_int_eq(socket_options_set_before_bind(fd, AF_INET, &options, &failed), -1);
    ck_assert_str_eq(failed, "device"); /* the system does not know it, or the option */
    ck_assert_int_ne(errno, 0);
}
END_TEST

START_TEST(an_ipv6_socket_is_for_ipv6_unless_it_is_told_otherwise)
{
    (void)close(fd);
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0)
        support_skip("there is no IPv6 here");
    ck_assert_int_eq(socket_options_set_before_bind(fd, AF_INET6, &options, &failed), 0);
    ck_assert_int_eq(number(IPPROTO_IPV6, IPV6_V6ONLY), 1);
    options.v6only = false;
#ifdef IPV6_FREEBIND
    options.freebind = true;
#endif
    ck_assert_int_eq(socket_options_set_before_bind(fd, AF_INET6, &options, &failed), 0);
    ck_assert_int_eq(number(IPPROTO_IPV6, IPV6_V6ONLY), 0);
#ifdef IPV6_FREEBIND
    ck_assert_int_eq(number(IPPROTO_IPV6, IPV6_FREEBIND), 1);
#endif
}
END_TEST

START_TEST(what_counts_when_a_socket_is_bound_is_kept)
{
    struct listener_options next = options;

    next.idle_timeout_ms = 1;
    next.keepalive_ms = 0;
    ck_assert(!socket_options_need_bind(&options, &next));
    next.mark = 7;
    next.v6only = false;
    next.freebind = true;
    next.mode = 0600;
    (void)strcpy(next.device, "lo");
    ck_assert(socket_options_need_bind(&options, &next));
    socket_options_keep_bound(&next, &options);
    ck_assert(!socket_options_need_bind(&options, &next));
    ck_assert_uint_eq(next.idle_timeout_ms, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socket_options");
    TCase *test_case = support_case(suite, "options");

    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, the_defaults_are_set);
    tcase_add_test(test_case, each_option_is_set_and_taken_back);
    tcase_add_loop_test(test_case, an_option_is_set_and_taken_back_or_refused_by_name, 0,
                        (int)(sizeof extras / sizeof extras[0]));
    tcase_add_loop_test(test_case, probes_follow_at_a_tenth_of_the_silence, 0,
                        (int)(sizeof keepalives / sizeof keepalives[0]));
    tcase_add_test(test_case, a_refused_option_is_named);
    tcase_add_test(test_case, an_ipv6_socket_is_for_ipv6_unless_it_is_told_otherwise);
    tcase_add_test(test_case, what_counts_when_a_socket_is_bound_is_kept);
    return support_run(suite);
}
