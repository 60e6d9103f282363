/*
 * check_control: what is asked of the process is done in its loop, and each asker hears exactly
 * once what came of it, also when the process ends before.
 * Drain and reload are stand-ins, and both loops are one; test_admin_actions.py has real ones.
 * Run by make check.
 */
#include <config.h>

#include "echod/control.h"

#include "support.h"

#include <string.h>

enum { ASKED = 3 };

/* What somebody heard who asked. */
struct heard {
    unsigned count;
    bool is_failure;
    struct error error;
};

static struct {
    struct mailbox *main_mailbox, *asker_mailbox;
    struct reload reload;
    struct control control;
    struct control_asker asker;
    struct reload_waiter *waiters[ASKED]; /* in the order in which they came */
    size_t waiter_count;
    unsigned drains;
    struct heard heard[ASKED];
} scene;

/* --- Stand-ins ------------------------------------------------------------------------------- */

void reload_request_for(struct reload *reload, struct reload_waiter *waiter)
{
    ck_assert_ptr_eq(reload, &scene.reload);
    ck_assert_uint_lt(scene.waiter_count, ASKED);
    scene.waiters[scene.waiter_count++] = waiter;
}

static void drain(void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    scene.drains++;
}

/* --- Scene ----------------------------------------------------------------------------------- */

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.main_mailbox = mailbox_new(support_base());
    scene.asker_mailbox = mailbox_new(support_base());
    ck_assert_ptr_nonnull(scene.main_mailbox);
    ck_assert_ptr_nonnull(scene.asker_mailbox);
    scene.control = (struct control){scene.main_mailbox, &scene.reload, drain, &scene};
    scene.asker = (struct control_asker){&scene.control, scene.asker_mailbox, NULL};
}

static void teardown(void)
{
    control_asker_fini(&scene.asker);
    mailbox_free(scene.asker_mailbox);
    mailbox_free(scene.main_mailbox);
}

static void on_end(const struct error *error, void *owner)
{
    struct heard *heard = owner;

    heard->count++;
    heard->is_failure = error != NULL;
    if (error != NULL)
        heard->error = *error;
}

static void ask(enum control_kind kind, size_t number)
{
    static const char *const names[ASKED] = {"operator 0", "operator 1", "operator 2"};

    ck_assert_int_eq(control_ask(&scene.asker, kind, names[number], on_end, &scene.heard[number]),
                     0);
}

static void expect_success(size_t number)
{
    ck_assert_uint_eq(scene.heard[number].count, 1);
    ck_assert(!scene.heard[number].is_failure);
}

static void expect_failure(size_t number, const char *text)
{
    ck_assert_uint_eq(scene.heard[number].count, 1);
    ck_assert(scene.heard[number].is_failure);
    ck_assert_str_eq(scene.heard[number].error.text, text);
}

/* --- Tests ----------------------------------------------------------------------------------- */

START_TEST(a_drain_begins_in_the_loop_and_is_answered)
{
    ask(CONTROL_DRAIN, 0);
    ck_assert_uint_eq(scene.drains, 0);
    ck_assert_uint_eq(scene.heard[0].count, 0);
    support_loop_settle();
    ck_assert_uint_eq(scene.drains, 1);
    expect_success(0);
    ask(CONTROL_DRAIN, 1);
    support_loop_settle();
    expect_success(1);
    ck_assert_ptr_null(scene.asker.first);
}
END_TEST

START_TEST(a_reload_is_answered_when_it_is_over)
{
    ask(CONTROL_RELOAD, 0);
    support_loop_settle();
    ck_assert_uint_eq(scene.waiter_count, 1);
    ck_assert_str_eq(scene.waiters[0]->name, "operator 0");
    ck_assert_uint_eq(scene.heard[0].count, 0);
    scene.waiters[0]->on_end(scene.waiters[0], NULL);
    ck_assert_uint_eq(scene.heard[0].count, 0); /* that is another loop's turn */
    support_loop_settle();
    expect_success(0);
}
END_TEST

/* The error is gone by the time at which it is told. */
START_TEST(a_reload_that_fails_says_why)
{
    struct error error = {""};

    ask(CONTROL_RELOAD, 0);
    support_loop_settle();
    error_set(&error, "echod.conf:7: no");
    scene.waiters[0]->on_end(scene.waiters[0], &error);
    error_set(&error, "something else");
    support_loop_settle();
    expect_failure(0, "echod.conf:7: no");
}
END_TEST

START_TEST(each_of_many_hears_of_its_own)
{
    static const size_t order[ASKED] = {1, 0, 2}; /* from within the list, its ends */

    for (size_t i = 0; i < ASKED; i++)
        ask(CONTROL_RELOAD, i);
    support_loop_settle();
    ck_assert_uint_eq(scene.waiter_count, ASKED);
    for (size_t i = 0; i < ASKED; i++) {
        struct reload_waiter *waiter = scene.waiters[order[i]];

        waiter->on_end(waiter, NULL);
        support_loop_settle();
        expect_success(order[i]);
        ck_assert(i < ASKED - 1 ? scene.asker.first != NULL : scene.asker.first == NULL);
    }
}
END_TEST

/* One was not read, one is under way, and one was answered, which nobody has read. */
START_TEST(who_waits_hears_that_echod_ends)
{
    ask(CONTROL_RELOAD, 0);
    ask(CONTROL_RELOAD, 1);
    support_loop_settle();
    scene.waiters[1]->on_end(scene.waiters[1], NULL);
    ask(CONTROL_DRAIN, 2);
    control_asker_fini(&scene.asker);
    ck_assert_ptr_null(scene.asker.first);
    for (size_t i = 0; i < ASKED; i++)
        expect_failure(i, "echod ends");
}
END_TEST

START_TEST(who_asks_too_late_hears_that_echod_ends)
{
    mailbox_close(scene.main_mailbox);
    ask(CONTROL_DRAIN, 0);
    support_loop_settle();
    ck_assert_uint_eq(scene.heard[0].count, 0);
    control_asker_fini(&scene.asker);
    expect_failure(0, "echod ends");
    ck_assert_uint_eq(scene.drains, 0);
}
END_TEST

START_TEST(a_long_name_is_cut)
{
    char name[2 * RELOAD_ASKER_SIZE];

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(control_ask(&scene.asker, CONTROL_RELOAD, name, on_end, &scene.heard[0]), 0);
    support_loop_settle();
    ck_assert_uint_eq(strlen(scene.waiters[0]->name), RELOAD_ASKER_SIZE - 1);
}
END_TEST

static Suite *control_suite(void)
{
    Suite *suite = suite_create("control");
    TCase *control = support_case(suite, "control");

    tcase_add_checked_fixture(control, setup, teardown);
    tcase_add_test(control, a_drain_begins_in_the_loop_and_is_answered);
    tcase_add_test(control, a_reload_is_answered_when_it_is_over);
    tcase_add_test(control, a_reload_that_fails_says_why);
    tcase_add_test(control, each_of_many_hears_of_its_own);
    tcase_add_test(control, who_waits_hears_that_echod_ends);
    tcase_add_test(control, who_asks_too_late_hears_that_echod_ends);
    tcase_add_test(control, a_long_name_is_cut);
    return suite;
}

int main(void)
{
    return support_run(control_suite());
}
