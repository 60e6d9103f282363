/*
 * check_tls_watch: certificates are warned of each day, from a month before their end on.
 * Time is what the tests say. Run by make check.
 */
#include <config.h>

#include "echod/tls_watch.h"

#include "echod/tls_context.h"
#include "issuer.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static struct {
    struct endpoint_list endpoints;
    struct tls_watch watch;
} scene;

/* Listen at one plain address, and at one whose certificate lasts for so many days. */
static void begin(long days)
{
    static struct listener_options options;
    struct issued issued = issuer_make((struct issuer_wish){
        .common_name = "a", .begin_s = -100, .end_s = days * ISSUER_DAY + 1000});
    struct error error = {""};
    struct tls_context *context;
    struct endpoint *endpoint;

    memset(&scene, 0, sizeof scene);
    (void)issuer_begin();
    (void)strcpy(options.tls.cert, issuer_write("a.pem", issued.certificate, issued.key, NULL));
    context = tls_context_new(&options, &error);
    ck_assert_msg(context != NULL, "%s", error.text);
    ck_assert_ptr_nonnull(endpoint_add(&scene.endpoints, ENDPOINT_LISTENER));
    endpoint = endpoint_add(&scene.endpoints, ENDPOINT_LISTENER);
    ck_assert_ptr_nonnull(endpoint);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "tls://[::]:7");
    endpoint_set_next_tls(endpoint, context);
    endpoint_take_next(endpoint);
    tls_context_unref(context);
    issuer_free(&issued);
    ck_assert_int_eq(tls_watch_start(&scene.watch, support_base(), &scene.endpoints,
                                     support_log(LOG_FORMAT_TEXT)),
                     0);
}

static void setup(void)
{
    begin(100);
}

static void teardown(void)
{
    tls_watch_stop(&scene.watch);
    tls_watch_stop(&scene.watch); /* twice is fine */
    endpoint_list_close_from(&scene.endpoints, 0);
    free(scene.endpoints.items);
    issuer_end();
}

static void look(long days)
{
    tls_watch_look(&scene.watch, time(NULL) + days * ISSUER_DAY);
}

START_TEST(an_end_is_warned_of_from_a_month_before_it_on)
{
    look(0);
    look(69);
    look(71);
    support_assert_matches(support_log_text(), "^[^\n]* warning: certificate of tls://\\[::\\]:7: "
                                               "[^\n]* CN=a, ends [^\n]*, in 29 days; renew it\n$");
}
END_TEST

START_TEST(it_is_warned_of_each_day)
{
    look(99);
    look(100);
    look(101);
    support_assert_matches(support_log_text(), "in 1 day; [^\n]*\n[^\n]*, within a day; [^\n]*\n"
                                               "[^\n]* CN=a, ended [^\n]*; renew it\n$");
}
END_TEST

START_TEST(what_a_reload_drops_is_not_looked_at)
{
    endpoint_set_next_tls(&scene.endpoints.items[1], NULL);
    endpoint_drop_next(&scene.endpoints.items[1]);
    look(71);
    support_assert_matches(support_log_text(), " CN=a, ends [^\n]*, in 29 days; renew it\n$");
}
END_TEST

START_TEST(the_next_look_is_a_day_away)
{
    struct timeval now, due;

    ck_assert_int_ne(event_pending(scene.watch.timer, EV_TIMEOUT, &due), 0);
    ck_assert_int_eq(event_base_gettimeofday_cached(support_base(), &now), 0);
    ck_assert_int_le(labs(due.tv_sec - now.tv_sec - ISSUER_DAY), 60);
    ck_assert_int_ne(event_get_events(scene.watch.timer) & EV_PERSIST, 0);
}
END_TEST

START_TEST(a_day_later_it_is_looked_at)
{
    teardown();
    begin(10);
    event_active(scene.watch.timer, EV_TIMEOUT, 1);
    support_loop_settle();
    support_assert_matches(support_log_text(), " CN=a, ends [^\n]*, in 10 days; renew it\n$");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls_watch");
    TCase *test_case = support_case(suite, "watch");

    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, an_end_is_warned_of_from_a_month_before_it_on);
    tcase_add_test(test_case, it_is_warned_of_each_day);
    tcase_add_test(test_case, what_a_reload_drops_is_not_looked_at);
    tcase_add_test(test_case, the_next_look_is_a_day_away);
    tcase_add_test(test_case, a_day_later_it_is_looked_at);
    return support_run(suite);
}
