/*
 * check_sockets: a whole list of addresses, opened, changed and closed.
 * check_inet, check_unix, check_inherited and check_standard know the kinds of addresses.
 * Run by make check.
 */
#include <config.h>

#include "echod/sockets.h"

#include "opening.h"
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(several_addresses_are_opened)
{
    const unsigned descriptors = support_descriptor_count();
    unsigned unix_count = 0;

    opening_open(2, TEXTS("127.0.0.1:0", opening.url, "tcp://127.0.0.1:0"));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 3);
    for (size_t i = 0; i < 3; i++) {
        opening_check_listener(&opening.sockets.endpoints.items[i], 2);
        unix_count += strcmp(opening.sockets.endpoints.items[i].name, opening.url) == 0;
    }
    ck_assert_uint_eq(unix_count, 1);
    opening_close(descriptors);
}
END_TEST

START_TEST(a_later_failure_undoes_what_came_before)
{
    opening_check_refused(2, TEXTS(opening.url, "tcp://127.0.0.1:0", "tcp://192.0.2.1:7"),
                          "192.0.2.1");
    ck_assert_int_eq(access(opening.path, F_OK), -1);
}
END_TEST

START_TEST(all_that_cannot_be_had_is_reported_with_its_place)
{
    const char *const bad[] = {"fd://999", "bad..name:1", "192.0.2.1:1", "127.0.0.1:0", NULL};

    opening_check_refused(1, bad, "--listen tcp://192.0.2.1:1: ");
    ck_assert_uint_eq(opening.errors, 3);
    opening_check_refused(1, TEXTS("127.0.0.1:0", "unix:///nowhere/x"),
                          "/etc/a.conf:7: listen unix:///nowhere/x: ");
}
END_TEST

START_TEST(without_descriptors_nothing_is_left_open)
{
    struct rlimit before, limit;
    unsigned allowed;
    int status = -1;

    if (support_is_under_valgrind())
        support_skip("valgrind keeps the limit itself, and closes what exceeds it");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (allowed = 0; status != 0; allowed++) { /* one more each time, until it is enough */
        const unsigned descriptors = support_descriptor_count();
        int lowest_free = dup(STDERR_FILENO);

        ck_assert_uint_lt(allowed, 100);
        limit = before;
        limit.rlim_cur = (rlim_t)lowest_free + allowed;
        support_close(&lowest_free);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        status = opening_open_into(&opening.sockets, 3, TEXTS("tcp://127.0.0.1:0", opening.url));
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (status != 0) {
            ck_assert_uint_eq(support_descriptor_count(), descriptors);
            ck_assert_int_eq(access(opening.path, F_OK), -1);
            ck_assert_ptr_nonnull(strstr(opening.error.text, "raise the limit of open files"));
        }
    }
    ck_assert_uint_gt(allowed, 6); /* three for each address */
}
END_TEST

static int change_to(const char *const texts[])
{
    struct listen items[LIST_SIZE];
    const struct listen_list list = opening_list(items, texts);

    return sockets_change(&opening.sockets, &list, NULL, support_log(LOG_FORMAT_TEXT),
                          opening_on_error, NULL);
}

START_TEST(what_stays_is_not_touched_and_the_rest_comes_or_leaves)
{
    const unsigned descriptors = support_descriptor_count();
    const size_t workers = (size_t)_i;
    unsigned long stays, comes;
    int fd;

    opening_open(workers, TEXTS("127.0.0.1:0", opening.url));
    stays = opening.sockets.endpoints.items[0].number;
    fd = opening.sockets.endpoints.items[0].worker_fds[0];
    ck_assert_int_eq(change_to(TEXTS("[::1]:0", "127.0.0.1:0")), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 3);
    opening_check_listener(&opening.sockets.endpoints.items[2], workers);
    comes = opening.sockets.endpoints.items[2].number;
    ck_assert(!opening.sockets.endpoints.items[0].is_leaving);
    ck_assert(opening.sockets.endpoints.items[1].is_leaving);
    ck_assert(!opening.sockets.endpoints.items[2].is_leaving);
    ck_assert_int_eq(access(opening.path, F_OK), 0);

    sockets_finish_change(&opening.sockets);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 2);
    ck_assert_uint_eq(opening.sockets.endpoints.items[0].number, stays);
    ck_assert_uint_eq(opening.sockets.endpoints.items[1].number, comes);
    ck_assert_int_eq(opening.sockets.endpoints.items[0].worker_fds[0], fd);
    ck_assert_int_lt(access(opening.path, F_OK), 0);
    ck_assert_uint_eq(support_descriptor_count(), descriptors + 2 * workers);

    ck_assert_int_eq(change_to(TEXTS(opening.url, "[::1]:0", "127.0.0.1:0")), 0);
    ck_assert_uint_ne(opening.sockets.endpoints.items[2].number, comes);
    ck_assert_int_eq(access(opening.path, F_OK), 0);
    opening_close(descriptors);
}
END_TEST

START_TEST(an_address_is_checked_without_opening_it)
{
    const unsigned descriptors = support_descriptor_count();
    struct listen items[LIST_SIZE];
    const struct listen_list list =
        opening_list(items, TEXTS("127.0.0.1:1", "localhost:1", "[::1]:1", "unix:///x", "fd://999",
                                  "stdio:", "bad..name:1", "unix:///nowhere/x"));

    for (size_t i = 0; i + 2 < list.count; i++)
        ck_assert_int_eq(sockets_check(&list, i, &opening.error), 0);
    ck_assert_int_eq(sockets_check(&list, list.count - 2, &opening.error), -1);
    ck_assert_ptr_nonnull(strstr(opening.error.text, "--listen tcp://bad..name:1: "));
    ck_assert_int_eq(sockets_check(&list, list.count - 1, &opening.error), -1);
    ck_assert_ptr_nonnull(strstr(opening.error.text, "there is no directory /nowhere; "));
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
}
END_TEST

START_TEST(an_address_that_stands_there_twice_is_two)
{
    opening_open(1, TEXTS("127.0.0.1:0", "127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    ck_assert(!opening.sockets.endpoints.items[0].is_leaving);
    ck_assert(opening.sockets.endpoints.items[1].is_leaving);
    sockets_finish_change(&opening.sockets);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0")), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 3);
    for (size_t i = 0; i < opening.sockets.endpoints.count; i++)
        ck_assert(!opening.sockets.endpoints.items[i].is_leaving);
}
END_TEST

START_TEST(a_name_with_several_addresses_stays_whole)
{
    size_t count;

    opening_open(1, TEXTS("localhost:0"));
    count = opening.sockets.endpoints.count;
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "localhost:0")), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, count + 1);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    sockets_finish_change(&opening.sockets);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
}
END_TEST

START_TEST(a_change_that_fails_changes_nothing)
{
    struct sockaddr_in address;
    int busy = support_bind_tcp(&address);
    unsigned descriptors;
    char text[64];

    ck_assert_int_eq(listen(busy, 1), 0);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    opening_open(2, TEXTS("127.0.0.1:0"));
    descriptors = support_descriptor_count();
    ck_assert_int_eq(change_to(TEXTS(opening.url, "[::1]:0", text)), -1);
    ck_assert_ptr_nonnull(strstr(opening.error.text, text));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    ck_assert(!opening.sockets.endpoints.items[0].is_leaving);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_int_lt(access(opening.path, F_OK), 0);
    support_close(&busy);
}
END_TEST

START_TEST(a_change_reports_all_that_cannot_be_had)
{
    opening_open(1, TEXTS("127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("fd://999", "bad..name:1", "127.0.0.1:0")), -1);
    ck_assert_uint_eq(opening.errors, 2);
    ck_assert_ptr_nonnull(strstr(opening.error.text, "/etc/a.conf:7: listen tcp://bad..name:1: "));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
}
END_TEST

/* Of fd:// and others it is known only when the socket is there. */
START_TEST(a_change_refuses_what_an_open_socket_cannot_do)
{
    opening_open(1, TEXTS("127.0.0.1:0", "udp://127.0.0.1:0"));
    opening.options.proxy = LISTENER_PROXY_V1;
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    sockets_undo_change(&opening.sockets, opening.sockets.endpoints.next_number);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "udp://127.0.0.1:0")), -1);
    ck_assert_uint_eq(opening.errors, 1);
    ck_assert_ptr_nonnull(strstr(opening.error.text, "proxy goes with stream sockets"));
    for (size_t i = 0; i < 2; i++)
        ck_assert_uint_eq(opening.sockets.endpoints.items[i].next_options.proxy,
                          LISTENER_PROXY_OFF);
}
END_TEST

START_TEST(what_is_passed_comes_at_the_start_only)
{
    struct sockaddr_in address;
    int passed = support_bind_tcp(&address);
    char text[32];

    ck_assert_int_eq(listen(passed, 1), 0);
    (void)snprintf(text, sizeof text, "fd://%d", passed);
    opening_open(1, TEXTS("127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", text)), -1);
    ck_assert_ptr_nonnull(strstr(opening.error.text, text));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "stdio:")), -1);
    sockets_close(&opening.sockets);

    opening_open(1, TEXTS("127.0.0.1:0", text));
    ck_assert(opening.sockets.endpoints.items[0].is_passed);
    ck_assert_int_eq(change_to(TEXTS(text)), 0);
    ck_assert(!opening.sockets.endpoints.items[0].is_leaving);
    ck_assert(opening.sockets.endpoints.items[1].is_leaving);
}
END_TEST

START_TEST(a_passed_client_never_leaves)
{
    char text[32];
    int fds[2];

    support_tcp_pair(fds);
    (void)snprintf(text, sizeof text, "fd://%d", fds[1]);
    opening_open(1, TEXTS(text, "127.0.0.1:0"));
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0")), 0);
    ck_assert(!opening.sockets.endpoints.items[0].is_leaving);
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", text)), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 2);
    support_close(&fds[0]);
}
END_TEST

/* See which idle time-outs an endpoint has now and next. */
static void check_idle_timeouts(const struct endpoint *endpoint, uint64_t now_ms, uint64_t next_ms)
{
    ck_assert_uint_eq(endpoint->options.idle_timeout_ms, now_ms);
    ck_assert_uint_eq(endpoint->next_options.idle_timeout_ms, next_ms);
}

START_TEST(options_change_when_a_change_is_finished)
{
    const struct endpoint *endpoints;

    opening.options.idle_timeout_ms = 1;
    opening_open(1, TEXTS("127.0.0.1:0"));
    endpoints = opening.sockets.endpoints.items;
    check_idle_timeouts(&endpoints[0], 1, 1);
    opening.options.idle_timeout_ms = 2;
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "[::1]:0")), 0);
    endpoints = opening.sockets.endpoints.items;
    check_idle_timeouts(&endpoints[0], 1, 2);
    check_idle_timeouts(&endpoints[1], 2, 2);
    sockets_finish_change(&opening.sockets);
    check_idle_timeouts(&endpoints[0], 2, 2);
}
END_TEST

START_TEST(a_change_that_is_undone_leaves_all_as_it_was)
{
    unsigned descriptors;
    unsigned long next_number;

    opening.options.idle_timeout_ms = 1;
    opening_open(2, TEXTS("127.0.0.1:0", "udp://127.0.0.1:0"));
    next_number = opening.sockets.endpoints.next_number;
    descriptors = support_descriptor_count();
    opening.options.idle_timeout_ms = 2;
    ck_assert_int_eq(change_to(TEXTS("127.0.0.1:0", "[::1]:0", opening.url)), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 4);
    ck_assert_uint_eq(sockets_count_staying(&opening.sockets), 3);
    sockets_undo_change(&opening.sockets, next_number);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 2);
    ck_assert_uint_eq(sockets_count_staying(&opening.sockets), 2);
    for (size_t i = 0; i < 2; i++)
        check_idle_timeouts(&opening.sockets.endpoints.items[i], 1, 1);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_int_eq(access(opening.path, F_OK), -1);
}
END_TEST

START_TEST(a_socket_whose_path_is_gone_is_opened_anew)
{
    opening_open(1, TEXTS(opening.url));
    ck_assert_int_eq(unlink(opening.path), 0);
    ck_assert_int_eq(change_to(TEXTS(opening.url)), 0);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 2);
    ck_assert(opening.sockets.endpoints.items[0].is_leaving);
    sockets_finish_change(&opening.sockets);
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    ck_assert_int_eq(access(opening.path, F_OK), 0);
}
END_TEST

static Suite *sockets_suite(void)
{
    Suite *suite = suite_create("sockets");
    TCase *test_case;

    test_case = opening_case(suite, "open");
    tcase_add_test(test_case, several_addresses_are_opened);
    tcase_add_test(test_case, a_later_failure_undoes_what_came_before);
    tcase_add_test(test_case, all_that_cannot_be_had_is_reported_with_its_place);
    tcase_add_test(test_case, without_descriptors_nothing_is_left_open);

    test_case = opening_case(suite, "changes");
    tcase_add_loop_test(test_case, what_stays_is_not_touched_and_the_rest_comes_or_leaves, 1, 3);
    tcase_add_test(test_case, an_address_is_checked_without_opening_it);
    tcase_add_test(test_case, an_address_that_stands_there_twice_is_two);
    tcase_add_test(test_case, a_name_with_several_addresses_stays_whole);
    tcase_add_test(test_case, a_change_that_fails_changes_nothing);
    tcase_add_test(test_case, a_change_reports_all_that_cannot_be_had);
    tcase_add_test(test_case, a_change_refuses_what_an_open_socket_cannot_do);
    tcase_add_test(test_case, what_is_passed_comes_at_the_start_only);
    tcase_add_test(test_case, a_passed_client_never_leaves);
    tcase_add_test(test_case, options_change_when_a_change_is_finished);
    tcase_add_test(test_case, a_change_that_is_undone_leaves_all_as_it_was);
    tcase_add_test(test_case, a_socket_whose_path_is_gone_is_opened_anew);
    return suite;
}

int main(void)
{
    return support_run(sockets_suite());
}
