/*
 * check_libevent_log: what libevent says stands in the log, as severe as it is.
 * Has libevent say nothing but what it says of a loop that is run within itself.
 * Run by make check.
 */
#include <config.h>

#include "echod/libevent_log.h"

#include "support.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

static void run_again(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    ck_assert_int_eq(event_base_loop(argument, EVLOOP_NONBLOCK), -1);
}

/* Let libevent warn. */
static void run_loop_within_itself(void)
{
    struct event_base *base = event_base_new();
    static const struct timeval now = {0};

    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(event_base_once(base, -1, EV_TIMEOUT, run_again, base, &now), 0);
    ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
    event_base_free(base);
}

START_TEST(a_warning_is_one_until_the_log_stops)
{
    libevent_log_start(support_log(LOG_FORMAT_TEXT));
    run_loop_within_itself();
    libevent_log_stop();
    support_assert_matches(support_log_text(),
                           "^[^ ]+ warning: libevent: [^\n]*reentrant[^\n]*\n$");
}
END_TEST

START_TEST(a_warning_goes_to_standard_error_when_the_log_has_stopped)
{
    int file = support_open_file(), kept = dup(STDERR_FILENO);
    char *written;

    libevent_log_start(support_log(LOG_FORMAT_TEXT));
    libevent_log_stop();
    ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
    run_loop_within_itself();
    ck_assert_int_eq(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    written = support_read_file(file);
    ck_assert_uint_eq(support_count(written, "reentrant"), 1);
    ck_assert_str_eq(support_log_text(), "");
    free(written);
    support_close(&file);
    support_close(&kept);
}
END_TEST

static Suite *libevent_log_suite(void)
{
    Suite *suite = suite_create("libevent_log");
    TCase *message = support_case(suite, "message");

    tcase_add_test(message, a_warning_is_one_until_the_log_stops);
    tcase_add_test(message, a_warning_goes_to_standard_error_when_the_log_has_stopped);
    return suite;
}

int main(void)
{
    return support_run(libevent_log_suite());
}
