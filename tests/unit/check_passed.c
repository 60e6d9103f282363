/*
 * check_passed: what the environment says of sockets that were passed, and what it says wrongly.
 * Takes no socket: check_sockets does; here, any descriptor will do.
 * Run by make check.
 */
#include <config.h>

#include "echod/passed.h"

#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_FD = 3, COUNT = 4 };

static struct {
    struct passed passed;
    int fillers[FIRST_FD + COUNT]; /* so that the descriptors from FIRST_FD on are open */
    int filler_count;
} scene;

static void setup(void)
{
    int fd;

    memset(&scene, 0, sizeof scene);
    (void)support_log(LOG_FORMAT_TEXT);
    while ((fd = open("/dev/null", O_RDONLY)) < FIRST_FD + COUNT) {
        ck_assert_int_ge(fd, 0);
        scene.fillers[scene.filler_count++] = fd;
    }
    support_close(&fd);
}

static void teardown(void)
{
    passed_fini(&scene.passed);
    while (scene.filler_count > 0)
        support_close(&scene.fillers[--scene.filler_count]);
}

static void set_variable(const char *name, const char *value)
{
    if (value != NULL)
        ck_assert_int_eq(setenv(name, value, 1), 0);
}

/* Read an environment with these variables, of which any may be NULL. */
static void read_variables(const char *count, const char *pid, const char *names)
{
    set_variable("LISTEN_FDS", count);
    set_variable("LISTEN_PID", pid);
    set_variable("LISTEN_FDNAMES", names);
    passed_init(&scene.passed, support_log(LOG_FORMAT_TEXT));
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
    ck_assert_ptr_null(getenv("LISTEN_PID"));
    ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
}

static const char *own_pid(void)
{
    static char text[16];

    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    return text;
}

/* See which sockets have a name, as a text such as "3 5". */
static void check_sockets_of(const char *name, const char *expected)
{
    const struct passed_socket *socket;
    char found[64] = "";
    size_t cursor = 0;

    while ((socket = passed_next(&scene.passed, name, &cursor)) != NULL) {
        const size_t length = strlen(found);

        (void)snprintf(found + length, sizeof found - length, "%s%d", length == 0 ? "" : " ",
                       socket->fd);
    }
    ck_assert_str_eq(found, expected);
}

static void check_explanation(const char *name, const char *pattern)
{
    struct error error = {""};

    passed_explain(&scene.passed, name, &error);
    support_assert_matches(error.text, pattern);
}

START_TEST(sockets_are_found_by_name)
{
    read_variables("4", own_pid(), "web:admin:web:");
    check_sockets_of("", "3 4 5 6");
    check_sockets_of("web", "3 5");
    check_sockets_of("admin", "4");
    check_sockets_of("unknown", "6");
    check_sockets_of("other", "");
    check_explanation("other", "^systemd://other: no socket was passed .*: web, admin, unknown$");
    for (int fd = FIRST_FD; fd < FIRST_FD + COUNT; fd++)
        ck_assert(support_is_close_on_exec(fd));
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(without_names_all_are_unknown)
{
    read_variables("2", own_pid(), NULL);
    check_sockets_of("", "3 4");
    check_sockets_of("unknown", "3 4");
}
END_TEST

START_TEST(too_few_names_leave_the_last_without)
{
    read_variables("3", own_pid(), "a:b");
    check_sockets_of("b", "4");
    check_sockets_of("unknown", "5");
}
END_TEST

START_TEST(a_socket_is_found_by_its_descriptor)
{
    read_variables("2", own_pid(), "a:b");
    ck_assert_ptr_null(passed_find(&scene.passed, 0));
    ck_assert_ptr_null(passed_find(&scene.passed, 2));
    ck_assert_str_eq(passed_find(&scene.passed, 3)->name, "a");
    ck_assert_str_eq(passed_find(&scene.passed, 4)->name, "b");
    ck_assert_ptr_null(passed_find(&scene.passed, 5));
}
END_TEST

START_TEST(what_echod_bound_itself_is_no_socket_that_was_passed)
{
    read_variables("3", own_pid(), "a:" PASSED_KEPT_PREFIX "b:c");
    check_sockets_of("", "3 5");
    check_sockets_of(PASSED_KEPT_PREFIX "b", "");
    ck_assert_ptr_null(passed_find(&scene.passed, 4));
    check_explanation("b", ": a, c$");
    passed_warn_of_rest(&scene.passed, support_log(LOG_FORMAT_TEXT));
    ck_assert_uint_eq(support_count(support_log_text(), "nobody serves"), 2);
}
END_TEST

START_TEST(what_nobody_took_is_a_warning_by_name)
{
    read_variables("3", own_pid(), "a:b:c");
    passed_find(&scene.passed, 4)->is_taken = true;
    passed_warn_of_rest(&scene.passed, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(support_log_text(), "warning: nobody serves descriptor 3, .*\"a\": add "
                                               "--listen systemd://a, and restart echod\n");
    support_assert_matches(support_log_text(), "warning: nobody serves descriptor 5, .*\"c\"");
    ck_assert_uint_eq(support_count(support_log_text(), "warning"), 2);
}
END_TEST

START_TEST(without_variables_nothing_was_passed)
{
    read_variables(NULL, NULL, NULL);
    check_sockets_of("", "");
    check_explanation("", "^systemd://a?: nothing was passed: LISTEN_FDS is not set; ");
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(none_is_none)
{
    read_variables("0", own_pid(), "");
    check_explanation("a", "^systemd://a?: nothing was passed: LISTEN_FDS is 0; ");
}
END_TEST

START_TEST(the_sockets_of_another_process_are_not_ours)
{
    read_variables("2", "1", "a:b");
    check_sockets_of("", "");
    check_explanation("", "^systemd://a?: nothing was passed: LISTEN_PID is 1, and this "
                          "is process [0-9]+; ");
    ck_assert_str_eq(support_log_text(), ""); /* a parent may well have left its variables */
}
END_TEST

START_TEST(a_process_that_is_no_number_is_not_ours)
{
    read_variables("2", "1x", "a:b");
    check_explanation("", "^systemd://a?: nothing was passed: LISTEN_PID is 1x, and this ");
}
END_TEST

START_TEST(sockets_without_a_process_are_not_ours)
{
    read_variables("2", NULL, "a:b");
    check_explanation("", "^systemd://a?: nothing was passed: LISTEN_PID is not set, ");
}
END_TEST

START_TEST(a_wrong_count_is_a_warning)
{
    static const char *const counts[] = {"", "x", "-1", "99999999999999999999", "2147483647"};

    read_variables(counts[_i], own_pid(), NULL);
    check_sockets_of("", "");
    check_explanation("", "^systemd://a?: nothing was passed: LISTEN_FDS=");
    support_assert_matches(support_log_text(), " warning: LISTEN_FDS=");
}
END_TEST

START_TEST(a_descriptor_that_is_not_open_is_a_warning)
{
    read_variables("100000", own_pid(), NULL);
    check_sockets_of("", "");
    check_explanation("", "LISTEN_FDS=100000, but descriptor [0-9]+ is not open; ");
    support_assert_matches(support_log_text(), " warning: LISTEN_FDS=100000, but ");
}
END_TEST

static Suite *passed_suite(void)
{
    Suite *suite = suite_create("passed");
    TCase *environment = support_case(suite, "environment");

    tcase_add_checked_fixture(environment, setup, teardown);
    tcase_add_test(environment, sockets_are_found_by_name);
    tcase_add_test(environment, without_names_all_are_unknown);
    tcase_add_test(environment, too_few_names_leave_the_last_without);
    tcase_add_test(environment, a_socket_is_found_by_its_descriptor);
    tcase_add_test(environment, what_echod_bound_itself_is_no_socket_that_was_passed);
    tcase_add_test(environment, what_nobody_took_is_a_warning_by_name);
    tcase_add_test(environment, without_variables_nothing_was_passed);
    tcase_add_test(environment, none_is_none);
    tcase_add_test(environment, the_sockets_of_another_process_are_not_ours);
    tcase_add_test(environment, a_process_that_is_no_number_is_not_ours);
    tcase_add_test(environment, sockets_without_a_process_are_not_ours);
    tcase_add_loop_test(environment, a_wrong_count_is_a_warning, 0, 5);
    tcase_add_test(environment, a_descriptor_that_is_not_open_is_a_warning);
    return suite;
}

int main(void)
{
    return support_run(passed_suite());
}
