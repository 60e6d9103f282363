/*
 * check_listener: clients are accepted, or wait, and a shortage of descriptors costs no time.
 * Serves no client: that is the worker's.
 * Run by make check.
 */
#include <config.h>

#include "echod/listener.h"

#include "base/clock.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 200 };      /* more than one turn of the loop accepts */
enum { CLOCK_TICK_MS = 10 }; /* by which libevent's clock and ours may differ */

static struct {
    struct listener *listener;
    struct counters counters;
    struct sockaddr_in address;
    int clients[CLIENTS];
    int client_count;
    int accepted[CLIENTS];
    struct sockaddr_storage peers[CLIENTS];
    int accepted_count;
    int pause_after; /* the callback pauses when it has been called so often; 0: never */
    struct rlimit limit;
} scene;

static void on_accept(evutil_socket_t fd, const struct sockaddr *address, void *argument)
{
    struct sockaddr_storage *peer = &scene.peers[scene.accepted_count];

    ck_assert_ptr_eq(argument, &scene);
    ck_assert(support_is_nonblocking(fd));
    ck_assert(support_is_close_on_exec(fd));
    memcpy(peer, address,
           address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(sa_family_t));
    scene.accepted[scene.accepted_count++] = fd;
    if (scene.accepted_count == scene.pause_after)
        listener_pause(scene.listener);
}

static struct listener *new_listener(int fd)
{
    return listener_new(support_base(), fd, "tcp://test", support_log(LOG_FORMAT_TEXT),
                        &scene.counters, on_accept, &scene);
}

static int open_socket(void)
{
    int fd = support_bind_tcp(&scene.address);

    ck_assert_int_eq(listen(fd, CLIENTS), 0);
    support_set_nonblocking(fd);
    return fd;
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &scene.limit), 0);
    scene.listener = new_listener(open_socket());
    ck_assert_ptr_nonnull(scene.listener);
}

static void allow_descriptors(void)
{
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &scene.limit), 0);
}

static void teardown(void)
{
    allow_descriptors();
    listener_free(scene.listener);
    for (int i = 0; i < scene.client_count; i++)
        support_close(&scene.clients[i]);
    for (int i = 0; i < scene.accepted_count; i++)
        support_close(&scene.accepted[i]);
}

/* Let clients connect; the system does that, whether or not anyone accepts. */
static void connect_clients(int count)
{
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(connect(fd, (const struct sockaddr *)&scene.address, sizeof scene.address),
                         0);
        scene.clients[scene.client_count++] = fd;
    }
}

static bool are_all_accepted(void *argument)
{
    (void)argument;
    return scene.accepted_count == scene.client_count;
}

static uint64_t shortages(void)
{
    return counters_get(&scene.counters, COUNTER_ACCEPT_SHORTAGES);
}

START_TEST(clients_are_accepted_with_their_addresses)
{
    listener_resume(scene.listener);
    connect_clients(10);
    support_loop_until(are_all_accepted, NULL);
    for (int i = 0; i < 10; i++) {
        const struct sockaddr_in *peer = (struct sockaddr_in *)(void *)&scene.peers[i];
        struct sockaddr_in own = {.sin_family = AF_INET};
        socklen_t length = sizeof own;

        ck_assert_int_eq(getsockname(scene.clients[i], (struct sockaddr *)&own, &length), 0);
        ck_assert_int_eq(peer->sin_family, AF_INET);
        ck_assert_uint_eq(peer->sin_addr.s_addr, own.sin_addr.s_addr);
        ck_assert_uint_eq(peer->sin_port, own.sin_port);
    }
    ck_assert_uint_eq(shortages(), 0);
}
END_TEST

START_TEST(a_unix_client_is_accepted)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct listener *listener;

    /* The system chooses an abstract name (unix(7), autobind). */
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    support_set_nonblocking(fd);
    listener = new_listener(fd);
    ck_assert_ptr_nonnull(listener);
    listener_resume(listener);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, length), 0);
    scene.clients[scene.client_count++] = client;
    support_loop_until(are_all_accepted, NULL);
    ck_assert_int_eq(scene.peers[0].ss_family, AF_UNIX);
    listener_free(listener);
}
END_TEST

START_TEST(nobody_is_accepted_before_the_first_resume)
{
    connect_clients(2);
    (void)support_loop_for(2 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 0);
    listener_resume(scene.listener);
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(nobody_is_accepted_during_a_pause)
{
    listener_resume(scene.listener);
    connect_clients(2);
    support_loop_until(are_all_accepted, NULL);
    listener_pause(scene.listener);
    listener_pause(scene.listener);
    connect_clients(3);
    (void)support_loop_for(2 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 2);
    listener_resume(scene.listener);
    listener_resume(scene.listener);
    support_loop_until(are_all_accepted, NULL);
    ck_assert_int_eq(scene.accepted_count, 5);
}
END_TEST

START_TEST(a_pause_in_the_callback_stops_at_that_client)
{
    connect_clients(6);
    scene.pause_after = 2;
    listener_resume(scene.listener);
    (void)support_loop_for(2 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 2);
    scene.pause_after = 3;
    listener_resume(scene.listener);
    support_loop_settle();
    ck_assert_int_eq(scene.accepted_count, 3);
    scene.pause_after = 0;
    listener_resume(scene.listener);
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(a_turn_of_the_loop_accepts_some_and_leaves_the_rest_for_later)
{
    connect_clients(CLIENTS);
    listener_resume(scene.listener);
    support_loop_once();
    ck_assert_int_gt(scene.accepted_count, 0);
    ck_assert_int_lt(scene.accepted_count, CLIENTS); /* other clients have their turn */
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(no_turn_of_the_loop_accepts_more_than_the_first)
{
    int first, before;

    connect_clients(CLIENTS);
    listener_resume(scene.listener);
    support_loop_once();
    first = before = scene.accepted_count;
    while (scene.accepted_count < CLIENTS) {
        support_loop_once();
        ck_assert_int_le(scene.accepted_count - before, first);
        before = scene.accepted_count;
    }
}
END_TEST

START_TEST(a_pause_holds_wherever_a_turn_ends)
{
    connect_clients(CLIENTS);
    for (int i = 1; i <= CLIENTS; i++) { /* the callback pauses at each client in turn */
        scene.pause_after = i;
        listener_resume(scene.listener);
        support_loop_settle();
        ck_assert_int_eq(scene.accepted_count, i);
    }
}
END_TEST

START_TEST(one_client_may_be_accepted_at_once_even_during_a_pause)
{
    ck_assert(!listener_accept_one(scene.listener)); /* nobody is there */
    connect_clients(3);
    ck_assert(listener_accept_one(scene.listener));
    ck_assert_int_eq(scene.accepted_count, 1);
    listener_resume(scene.listener);
    ck_assert(listener_accept_one(scene.listener));
    listener_pause(scene.listener);
    ck_assert(listener_accept_one(scene.listener));
    ck_assert(!listener_accept_one(scene.listener));
    ck_assert_int_eq(scene.accepted_count, 3);
    connect_clients(1);
    support_loop_settle();
    ck_assert_int_eq(scene.accepted_count, 3); /* it did not end the pause */
}
END_TEST

START_TEST(after_a_back_off_it_goes_on_by_itself)
{
    const uint64_t begin_ms = clock_now_ms();

    listener_resume(scene.listener);
    listener_back_off(scene.listener, EMFILE);
    connect_clients(2);
    support_loop_until(are_all_accepted, NULL);
    ck_assert_uint_ge(clock_now_ms() + CLOCK_TICK_MS, begin_ms + LISTENER_RETRY_MS);
}
END_TEST

START_TEST(a_back_off_ends_with_a_resume_and_yields_to_a_pause)
{
    connect_clients(2);
    listener_resume(scene.listener);
    listener_back_off(scene.listener, EMFILE);
    listener_resume(scene.listener);
    support_loop_settle();
    ck_assert(are_all_accepted(NULL));
    listener_back_off(scene.listener, EMFILE);
    listener_pause(scene.listener);
    connect_clients(1);
    (void)support_loop_for(3 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 2);
}
END_TEST

static const int shortage_errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};

enum { SHORTAGE_ERROR_COUNT = sizeof shortage_errors / sizeof shortage_errors[0] };

START_TEST(room_ends_a_back_off_from_a_shortage)
{
    connect_clients(1);
    listener_resume(scene.listener);
    listener_back_off(scene.listener, shortage_errors[_i]);
    listener_note_room(scene.listener);
    support_loop_settle();
    ck_assert_int_eq(scene.accepted_count, 1);
}
END_TEST

START_TEST(room_ends_no_other_back_off)
{
    const uint64_t begin_ms = clock_now_ms();

    connect_clients(1);
    listener_resume(scene.listener);
    listener_back_off(scene.listener, EPERM);
    listener_note_room(scene.listener);
    support_loop_until(are_all_accepted, NULL);
    ck_assert_uint_ge(clock_now_ms() + CLOCK_TICK_MS, begin_ms + LISTENER_RETRY_MS);
}
END_TEST

START_TEST(room_begins_nothing_that_is_paused)
{
    connect_clients(1);
    listener_note_room(scene.listener);
    listener_back_off(scene.listener, EMFILE);
    listener_pause(scene.listener);
    listener_note_room(scene.listener);
    support_loop_settle();
    ck_assert_int_eq(scene.accepted_count, 0);
}
END_TEST

START_TEST(a_listener_that_waits_turns_no_loop)
{
    listener_resume(scene.listener);
    ck_assert_uint_lt(support_loop_for(200), 20);
    connect_clients(2);
    support_loop_until(are_all_accepted, NULL);
    listener_pause(scene.listener);
    connect_clients(2);
    ck_assert_uint_lt(support_loop_for(200), 20);
}
END_TEST

START_TEST(a_freed_listener_closes_its_socket)
{
    const unsigned descriptors = support_descriptor_count();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    connect_clients(2); /* they wait, and nobody comes any more */
    listener_resume(scene.listener);
    listener_free(scene.listener);
    scene.listener = NULL;
    ck_assert_uint_eq(support_descriptor_count(), descriptors - 1 + 1 + 2);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&scene.address, sizeof scene.address),
                     -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    support_loop_settle();
    ck_assert_int_eq(scene.accepted_count, 0);
    support_close(&fd);
    listener_free(NULL);
}
END_TEST

START_TEST(two_listeners_may_share_a_socket)
{
    int fd = open_socket(), copy = dup(fd);
    struct listener *first = new_listener(fd), *second = new_listener(copy);

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    listener_resume(first);
    listener_resume(second);
    for (int i = 0; i < 10; i++) {
        connect_clients(1);
        support_loop_until(are_all_accepted, NULL);
    }
    ck_assert_uint_eq(shortages(), 0); /* to find nobody there is no shortage */
    ck_assert_uint_eq(support_count(support_log_text(), "pauses"), 0);
    listener_free(first);
    listener_free(second);
}
END_TEST

START_TEST(without_memory_no_listener_is_made)
{
    int fd = open_socket();
    bool has_failed = true;
    unsigned long nth = 0;

    while (has_failed) {
        const size_t before = support_memory_bytes();
        struct listener *listener;

        support_memory_fail(++nth, 1);
        listener = new_listener(fd);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (has_failed) {
            ck_assert_ptr_null(listener);
            ck_assert_int_eq(errno, ENOMEM);
            ck_assert_uint_eq(support_memory_bytes(), before);
            ck_assert(support_is_nonblocking(fd)); /* it is open still */
        } else {
            ck_assert_ptr_nonnull(listener);
            listener_free(listener);
        }
    }
    ck_assert_uint_gt(nth, 1);
}
END_TEST

/* Shortages. */

/* Let no descriptor be opened any more until one is closed or allowed. */
static void forbid_descriptors(void)
{
    int lowest_free = dup(STDERR_FILENO);
    struct rlimit limit = scene.limit;

    ck_assert_int_ge(lowest_free, 0);
    limit.rlim_cur = (rlim_t)lowest_free;
    support_close(&lowest_free);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(dup(STDERR_FILENO), -1);
    ck_assert_int_eq(errno, EMFILE);
}

/* Let clients wait while there is no descriptor for them, and see that the loop comes to rest. */
static void run_short(int client_count, uint64_t duration_ms)
{
    const uint64_t begin_ms = clock_now_ms();
    uint64_t elapsed_ms;
    unsigned turns;

    connect_clients(client_count);
    listener_resume(scene.listener);
    forbid_descriptors();
    turns = support_loop_for(duration_ms);
    elapsed_ms = clock_now_ms() - begin_ms;
    ck_assert_int_eq(scene.accepted_count, 0);
    ck_assert_uint_eq(shortages(), 1); /* however often it tried */
    ck_assert_uint_lt(turns, 10 + 3 * (elapsed_ms / LISTENER_RETRY_MS));
}

START_TEST(without_descriptors_it_pauses_and_says_so_once_a_second)
{
    const uint64_t begin_ms = clock_now_ms();
    unsigned lines;
    const char *text;

    run_short(3, 5 * LISTENER_RETRY_MS);
    allow_descriptors();
    text = support_log_text();
    lines = support_count(
        text, support_format(" warning: listener tcp://test pauses: %s\n", strerror(EMFILE)));
    ck_assert_uint_ge(lines, 1);
    ck_assert_uint_le(lines, (clock_now_ms() - begin_ms) / 1000 + 1);
    ck_assert_uint_eq(lines, support_count(text, "\n"));
    listener_pause(scene.listener); /* its log is gone */
}
END_TEST

START_TEST(clients_that_waited_are_served_when_descriptors_are_free)
{
    run_short(3, 3 * LISTENER_RETRY_MS);
    allow_descriptors();
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(one_descriptor_that_becomes_free_serves_one_client)
{
    int spare = dup(STDERR_FILENO);

    run_short(3, LISTENER_RETRY_MS);
    support_close(&spare);
    (void)support_loop_for(4 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 1);
    ck_assert_uint_eq(shortages(), 2); /* the next client met another one */
    allow_descriptors();
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(a_resume_does_not_wait_for_the_next_try)
{
    run_short(3, LISTENER_RETRY_MS);
    allow_descriptors();
    listener_resume(scene.listener);
    support_loop_settle();
    ck_assert(are_all_accepted(NULL));
}
END_TEST

START_TEST(a_pause_outlasts_the_next_try)
{
    run_short(3, LISTENER_RETRY_MS);
    ck_assert(!listener_accept_one(scene.listener));
    listener_pause(scene.listener);
    allow_descriptors();
    (void)support_loop_for(4 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 0);
    listener_resume(scene.listener);
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(a_listener_may_be_freed_during_a_shortage)
{
    run_short(3, LISTENER_RETRY_MS);
    listener_free(scene.listener);
    scene.listener = NULL;
    (void)support_loop_for(2 * LISTENER_RETRY_MS);
    ck_assert_int_eq(scene.accepted_count, 0);
}
END_TEST

START_TEST(without_memory_for_the_retry_clients_are_still_served_later)
{
    connect_clients(3);
    listener_resume(scene.listener);
    forbid_descriptors();
    support_memory_fail(1, 1000000);
    support_loop_settle();
    support_memory_fail(0, 0);
    ck_assert_int_eq(scene.accepted_count, 0);
    allow_descriptors();
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

START_TEST(the_backlog_may_change_while_clients_wait)
{
    connect_clients(3);
    listener_set_backlog(scene.listener, 1);
    listener_resume(scene.listener);
    support_loop_until(are_all_accepted, NULL);
    listener_set_backlog(scene.listener, CLIENTS);
    connect_clients(5);
    support_loop_until(are_all_accepted, NULL);
}
END_TEST

static Suite *listener_suite(void)
{
    Suite *suite = suite_create("listener");
    TCase *accept_case = support_case(suite, "accept");
    TCase *shortage = support_case(suite, "shortage");

    tcase_add_checked_fixture(accept_case, setup, teardown);
    tcase_add_test(accept_case, clients_are_accepted_with_their_addresses);
    tcase_add_test(accept_case, a_unix_client_is_accepted);
    tcase_add_test(accept_case, nobody_is_accepted_before_the_first_resume);
    tcase_add_test(accept_case, nobody_is_accepted_during_a_pause);
    tcase_add_test(accept_case, a_pause_in_the_callback_stops_at_that_client);
    tcase_add_test(accept_case, a_turn_of_the_loop_accepts_some_and_leaves_the_rest_for_later);
    tcase_add_test(accept_case, no_turn_of_the_loop_accepts_more_than_the_first);
    tcase_add_test(accept_case, a_pause_holds_wherever_a_turn_ends);
    tcase_add_test(accept_case, one_client_may_be_accepted_at_once_even_during_a_pause);
    tcase_add_test(accept_case, after_a_back_off_it_goes_on_by_itself);
    tcase_add_test(accept_case, a_back_off_ends_with_a_resume_and_yields_to_a_pause);
    tcase_add_loop_test(accept_case, room_ends_a_back_off_from_a_shortage, 0, SHORTAGE_ERROR_COUNT);
    tcase_add_test(accept_case, room_ends_no_other_back_off);
    tcase_add_test(accept_case, room_begins_nothing_that_is_paused);
    tcase_add_test(accept_case, a_listener_that_waits_turns_no_loop);
    tcase_add_test(accept_case, the_backlog_may_change_while_clients_wait);
    tcase_add_test(accept_case, a_freed_listener_closes_its_socket);
    tcase_add_test(accept_case, two_listeners_may_share_a_socket);
    tcase_add_test(accept_case, without_memory_no_listener_is_made);

    if (support_is_under_valgrind()) { /* it keeps the limit itself, and closes who exceeds it */
        (void)fprintf(stderr, "the tests of a shortage were skipped\n");
        return suite;
    }
    tcase_add_checked_fixture(shortage, setup, teardown);
    tcase_add_test(shortage, without_descriptors_it_pauses_and_says_so_once_a_second);
    tcase_add_test(shortage, clients_that_waited_are_served_when_descriptors_are_free);
    tcase_add_test(shortage, one_descriptor_that_becomes_free_serves_one_client);
    tcase_add_test(shortage, a_resume_does_not_wait_for_the_next_try);
    tcase_add_test(shortage, a_pause_outlasts_the_next_try);
    tcase_add_test(shortage, a_listener_may_be_freed_during_a_shortage);
    tcase_add_test(shortage, without_memory_for_the_retry_clients_are_still_served_later);
    return suite;
}

int main(void)
{
    return support_run(listener_suite());
}
