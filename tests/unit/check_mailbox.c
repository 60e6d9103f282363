/*
 * check_mailbox: messages run in the loop, in order, each once, from whatever thread they come.
 * Tests no message that the server sends.
 * Run by make check.
 */
#include <config.h>

#include "echod/mailbox.h"

#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

enum { MESSAGES = 100, THREADS = 4, MESSAGES_EACH = 5000 };

static struct {
    struct mailbox *mailbox;
    struct mailbox_message messages[MESSAGES];
    int order[2 * MESSAGES];
    int count;
    pthread_t loop_thread;
} scene;

static int numbers[MESSAGES];

static void on_message(void *argument)
{
    ck_assert(pthread_equal(pthread_self(), scene.loop_thread));
    scene.order[scene.count++] = (int)((int *)argument - numbers);
}

static void setup(void)
{
    scene.count = 0;
    scene.loop_thread = pthread_self();
    scene.mailbox = mailbox_new(support_base());
    ck_assert_ptr_nonnull(scene.mailbox);
    for (int i = 0; i < MESSAGES; i++)
        scene.messages[i] = (struct mailbox_message){on_message, &numbers[i], NULL, false};
}

static void teardown(void)
{
    mailbox_free(scene.mailbox);
}

static void post(int number)
{
    ck_assert(mailbox_post(scene.mailbox, &scene.messages[number]));
}

START_TEST(messages_run_in_order_each_once)
{
    for (int i = 0; i < 5; i++)
        post(i);
    ck_assert_int_eq(scene.count, 0); /* nothing runs in the call */
    support_loop_settle();
    ck_assert_int_eq(scene.count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(scene.order[i], i);
}
END_TEST

START_TEST(a_message_that_waits_runs_once)
{
    for (int round = 1; round <= 5; round++) {
        post(1);
        post(0);
        post(1);
        post(1);
        support_loop_settle();
        ck_assert_int_eq(scene.count, 2 * round);
        ck_assert_int_eq(scene.order[2 * round - 2], 1);
        ck_assert_int_eq(scene.order[2 * round - 1], 0);
    }
}
END_TEST

/* The pipe that wakes the loop has less room than this. */
START_TEST(more_posts_than_the_pipe_holds_are_fine)
{
    for (int i = 0; i < 200000; i++)
        post(i % MESSAGES);
    support_loop_settle();
    ck_assert_int_eq(scene.count, MESSAGES);
}
END_TEST

START_TEST(an_idle_mailbox_turns_no_loop)
{
    post(0);
    support_loop_settle();
    ck_assert_uint_lt(support_loop_for(200), 20);
    ck_assert_int_eq(scene.count, 1);
}
END_TEST

static void post_another(void *argument)
{
    on_message(argument);
    post((int)((int *)argument - numbers) + 1);
}

START_TEST(a_message_may_post_the_next)
{
    scene.messages[7].function = post_another;
    post(7);
    support_loop_settle();
    ck_assert_int_eq(scene.count, 2);
    ck_assert_int_eq(scene.order[0], 7);
    ck_assert_int_eq(scene.order[1], 8);
}
END_TEST

static void post_itself(void *argument)
{
    on_message(argument);
    if (scene.count < 10)
        post((int)((int *)argument - numbers));
}

START_TEST(a_message_may_post_itself)
{
    scene.messages[3].function = post_itself;
    post(3);
    support_loop_settle();
    ck_assert_int_eq(scene.count, 10);
}
END_TEST

START_TEST(messages_that_wait_are_not_run_when_the_mailbox_is_freed)
{
    post(0);
    mailbox_free(scene.mailbox);
    scene.mailbox = NULL;
    support_loop_settle();
    ck_assert_int_eq(scene.count, 0);
    mailbox_free(NULL);
}
END_TEST

START_TEST(a_mailbox_that_is_closed_has_run_what_waited_and_takes_no_more)
{
    post(0);
    post(1);
    mailbox_close(scene.mailbox);
    ck_assert_int_eq(scene.count, 2);
    ck_assert(!mailbox_post(scene.mailbox, &scene.messages[2]));
    mailbox_close(scene.mailbox);
    support_loop_settle();
    ck_assert_int_eq(scene.count, 2);
}
END_TEST

/* Which this process was started with, so it is not close-on-exec. */
START_TEST(a_mailbox_touches_no_descriptor_but_its_own)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        ck_assert(!support_is_close_on_exec(fd));
}
END_TEST

START_TEST(without_memory_no_mailbox_is_made)
{
    struct mailbox *mailbox = NULL;
    unsigned long nth = 0;
    bool has_failed = true;

    for (; has_failed; nth++) {
        const unsigned descriptors = support_descriptor_count();
        const size_t bytes = support_memory_bytes();

        support_memory_fail(nth + 1, 1);
        mailbox = mailbox_new(support_base());
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (mailbox != NULL)
            break;
        ck_assert(has_failed);
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_uint_eq(support_descriptor_count(), descriptors);
        ck_assert_uint_eq(support_memory_bytes(), bytes);
    }
    ck_assert_uint_gt(nth, 0);
    mailbox_free(mailbox);
}
END_TEST

/* Threads that post. */

struct sender {
    pthread_t thread;
    struct counted {
        struct mailbox_message message;
        struct sender *sender;
        int number;
    } messages[MESSAGES_EACH];
    int next; /* the message that is to run next */
};

static void on_counted(void *argument)
{
    const struct counted *counted = argument;

    support_assert(pthread_equal(pthread_self(), scene.loop_thread));
    support_assert(counted->number == counted->sender->next);
    counted->sender->next++;
}

static void *run_sender(void *argument)
{
    struct sender *sender = argument;

    for (int i = 0; i < MESSAGES_EACH; i++) {
        struct counted *counted = &sender->messages[i];

        *counted = (struct counted){{on_counted, counted, NULL, false}, sender, i};
        support_assert(mailbox_post(scene.mailbox, &counted->message));
    }
    return NULL;
}

static bool have_all_run(void *argument)
{
    const struct sender *senders = argument;

    for (int i = 0; i < THREADS; i++) {
        if (senders[i].next < MESSAGES_EACH)
            return false;
    }
    return true;
}

START_TEST(messages_of_several_threads_keep_each_threads_order)
{
    static struct sender senders[THREADS];

    for (int i = 0; i < THREADS; i++) {
        senders[i].next = 0;
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, run_sender, &senders[i]), 0);
    }
    support_loop_until(have_all_run, senders);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(senders[i].thread, NULL), 0);
    }
    support_loop_settle();
    ck_assert(have_all_run(senders));
}
END_TEST

/* A loop that sleeps in its kernel call wakes up for each message. */

static struct {
    int count;
    pthread_mutex_t mutex;
    pthread_cond_t ran;
} game = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ran = PTHREAD_COND_INITIALIZER};

enum { ROUNDS = 200, GAME_DEADLINE_S = 60 };

static void on_move(void *argument)
{
    (void)argument;
    (void)pthread_mutex_lock(&game.mutex);
    game.count++;
    (void)pthread_cond_signal(&game.ran);
    (void)pthread_mutex_unlock(&game.mutex);
    if (game.count == ROUNDS)
        (void)event_base_loopbreak(support_base());
}

/* Post one message, and the next one only when it has run and the loop sleeps again. */
static void *run_player(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        mailbox_post(scene.mailbox, argument);
        (void)pthread_mutex_lock(&game.mutex);
        while (game.count <= i)
            (void)pthread_cond_wait(&game.ran, &game.mutex);
        (void)pthread_mutex_unlock(&game.mutex);
    }
    return NULL;
}

START_TEST(a_sleeping_loop_wakes_up)
{
    const struct timeval deadline = {.tv_sec = GAME_DEADLINE_S};
    struct mailbox_message move = {on_move, NULL, NULL, false};
    pthread_t thread;

    game.count = 0;
    ck_assert_int_eq(event_base_loopexit(support_base(), &deadline), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_player, &move), 0);
    ck_assert_int_eq(event_base_dispatch(support_base()), 0);
    ck_assert_int_eq(game.count, ROUNDS);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static Suite *mailbox_suite(void)
{
    Suite *suite = suite_create("mailbox");
    TCase *loop = support_case(suite, "loop");
    TCase *threads = support_case(suite, "threads");

    tcase_add_checked_fixture(loop, setup, teardown);
    tcase_add_test(loop, messages_run_in_order_each_once);
    tcase_add_test(loop, a_message_that_waits_runs_once);
    tcase_add_test(loop, more_posts_than_the_pipe_holds_are_fine);
    tcase_add_test(loop, an_idle_mailbox_turns_no_loop);
    tcase_add_test(loop, a_message_may_post_the_next);
    tcase_add_test(loop, a_message_may_post_itself);
    tcase_add_test(loop, messages_that_wait_are_not_run_when_the_mailbox_is_freed);
    tcase_add_test(loop, a_mailbox_that_is_closed_has_run_what_waited_and_takes_no_more);
    tcase_add_test(loop, a_mailbox_touches_no_descriptor_but_its_own);
    tcase_add_test(loop, without_memory_no_mailbox_is_made);

    tcase_add_checked_fixture(threads, setup, teardown);
    tcase_add_test(threads, messages_of_several_threads_keep_each_threads_order);
    tcase_add_test(threads, a_sleeping_loop_wakes_up);
    return suite;
}

int main(void)
{
    return support_run(mailbox_suite());
}
