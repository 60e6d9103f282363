/*
 * check_datagrams: a worker serves its sockets of the datagram endpoints, as a reload has them.
 * How one socket echoes is check_datagram_echo's.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagrams.h"

#include "echod/listener_stats.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_SYS_RANDOM_H
#include <sys/random.h>
#endif

enum { ENDPOINTS = 2, WORKERS = 2, IDLE_MS = 300 };

static struct {
    struct datagrams *datagrams;
    struct endpoint endpoints[ENDPOINTS];
    struct endpoint_list list;
    struct listener_stats_list stats;
    int worker_fds[ENDPOINTS][WORKERS];
    int clients[ENDPOINTS]; /* each is connected to an endpoint */
    struct gauge queued_bytes;
    int drained, idle;
    bool is_short_of_entropy;
} scene;

/* Stands before the C library's: a rate needs random bytes. */
int getentropy(void *buffer, size_t length)
{
    if (scene.is_short_of_entropy) {
        errno = ENOMEM;
        return -1;
    }
    memset(buffer, 1, length);
    return 0;
}

static void on_event(enum datagrams_event event, void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    switch (event) {
    case DATAGRAMS_DRAINED:
        scene.drained++;
        break;
    case DATAGRAMS_IDLE:
        scene.idle++;
        break;
    }
}

/* Bind an endpoint, both of whose workers have the same socket. */
static void bind_endpoint(unsigned index)
{
    struct sockaddr_in address = support_loopback(0);
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    scene.worker_fds[index][0] = fd;
    scene.worker_fds[index][1] = dup(fd);
    scene.clients[index] = socket(AF_INET, SOCK_DGRAM, 0);
    support_set_nonblocking(scene.clients[index]);
    ck_assert_int_eq(connect(scene.clients[index], (struct sockaddr *)&address, length), 0);
    scene.endpoints[index] = (struct endpoint){
        .kind = ENDPOINT_DATAGRAM,
        .number = index + 10,
        .name = "udp://test",
        .worker_fds = scene.worker_fds[index],
    };
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        bind_endpoint(i);
    scene.list = (struct endpoint_list){
        .items = scene.endpoints,
        .count = ENDPOINTS,
        .worker_count = WORKERS,
    };
    scene.stats.worker_count = WORKERS;
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.list), 0);
}

static void start(size_t worker)
{
    scene.datagrams = datagrams_new(support_base(), worker, NULL, &scene.queued_bytes,
                                    support_log(LOG_FORMAT_TEXT), on_event, &scene);
    ck_assert_ptr_nonnull(scene.datagrams);
    ck_assert_int_eq(datagrams_take(scene.datagrams, &scene.list), 0);
}

static void teardown(void)
{
    datagrams_free(scene.datagrams);
    datagrams_free(NULL);
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        support_close(&scene.worker_fds[i][0]);
        support_close(&scene.worker_fds[i][1]);
        support_close(&scene.clients[i]);
    }
    listener_stats_fini(&scene.stats);
}

static bool is_answered(void *argument)
{
    const unsigned *index = argument;
    char bytes[8];

    return recv(scene.clients[*index], bytes, sizeof bytes, 0) == 4;
}

static void expect_answer(unsigned index)
{
    ck_assert_int_eq(send(scene.clients[index], "ping", 4, 0), 4);
    support_loop_until(is_answered, &index);
}

static bool has_drained(void *argument)
{
    (void)argument;
    return scene.drained > 0;
}

static bool is_idle(void *argument)
{
    (void)argument;
    return scene.idle > 0;
}

START_TEST(a_worker_takes_its_own_sockets)
{
    start(1);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), ENDPOINTS);
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        ck_assert_int_ge(scene.worker_fds[i][0], 0);
        ck_assert_int_eq(scene.worker_fds[i][1], -1);
        expect_answer(i);
    }
}
END_TEST

START_TEST(a_reload_drains_what_leaves_and_serves_what_comes)
{
    scene.list.count = 1;
    start(0);
    scene.list.count = 2;
    scene.endpoints[0].is_leaving = true;
    ck_assert_int_eq(send(scene.clients[0], "ping", 4, 0), 4); /* it waits */
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    support_loop_until(is_answered, &(unsigned){0});
    support_loop_until(has_drained, NULL);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 1);
    expect_answer(1);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0); /* nothing is left to do */
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 1);
    expect_answer(1);
    ck_assert_int_eq(scene.idle, 0);
}
END_TEST

/* Where there is room for more than the list has, what stands there is no endpoint of it. */
START_TEST(a_reload_ends_with_the_list)
{
    scene.list.count = 1;
    start(0);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 1);
    ck_assert_int_ge(scene.worker_fds[1][0], 0); /* nobody took it */
}
END_TEST

static void expect_rate(unsigned index)
{
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(send(scene.clients[index], "ping", 4, 0), 4);
    support_loop_until(is_answered, &index);
    support_loop_settle();
    ck_assert(!is_answered(&index));
}

START_TEST(a_reload_changes_limits)
{
    start(0);
    scene.endpoints[0].next_options.rate = 1;
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    expect_rate(0);
    expect_answer(1);
}
END_TEST

/* Return the receive buffer of an endpoint's socket, which the other worker has as well. */
static int receive_buffer_of(unsigned index)
{
    int size = -1;
    socklen_t length = sizeof size;

    ck_assert_int_eq(getsockopt(scene.worker_fds[index][1], SOL_SOCKET, SO_RCVBUF, &size, &length),
                     0);
    return size;
}

START_TEST(a_reload_changes_the_receive_buffer_of_what_was_not_passed)
{
    int before;

    start(0);
    before = receive_buffer_of(0);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        scene.endpoints[i].next_options.receive_buffer_bytes = 16384;
    scene.endpoints[1].is_passed = true;
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    ck_assert_int_lt(receive_buffer_of(0), before);
    ck_assert_int_eq(receive_buffer_of(1), before);
    expect_answer(0);
}
END_TEST

#ifdef __linux__
START_TEST(what_the_system_dropped_is_counted_when_asked)
{
    enum { SENT = 200 };
    const int least = 1;
    const struct counters *counters;

    if (!support_system_tells_drops())
        support_skip("the system does not tell what it drops");
    start(0);
    counters = &scene.endpoints[0].stats->by_worker[0];
    ck_assert_int_eq(
        setsockopt(scene.worker_fds[0][1], SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    for (int i = 0; i < SENT; i++)
        ck_assert_int_eq(send(scene.clients[0], "ping", 4, 0), 4);
    ck_assert_uint_eq(counters_get(counters, COUNTER_DATAGRAMS_OVERFLOWED), 0);
    datagrams_count_overflow(scene.datagrams);
    ck_assert_uint_gt(counters_get(counters, COUNTER_DATAGRAMS_OVERFLOWED), 0);
    ck_assert_uint_lt(counters_get(counters, COUNTER_DATAGRAMS_OVERFLOWED), SENT);
}
END_TEST

START_TEST(of_workers_that_share_a_socket_the_first_counts_what_was_dropped)
{
    const int least = 1;
    const struct counters *counters;

    start(1);
    counters = &scene.endpoints[0].stats->by_worker[1];
    ck_assert_int_eq(
        setsockopt(scene.worker_fds[0][0], SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(send(scene.clients[0], "ping", 4, 0), 4);
    datagrams_count_overflow(scene.datagrams);
    expect_answer(0);
    ck_assert_uint_eq(counters_get(counters, COUNTER_DATAGRAMS_OVERFLOWED), 0);
}
END_TEST
#endif

START_TEST(a_reload_that_lacks_memory_is_tried_again)
{
    start(0);
    scene.endpoints[0].next_options.rate = 1;
    scene.endpoints[1].is_leaving = true;
    scene.is_short_of_entropy = true;
    log_change(support_log(LOG_FORMAT_TEXT), LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), -1);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), -1);
    expect_answer(0);
    expect_answer(0);
    scene.is_short_of_entropy = false;
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    expect_rate(0);
    support_loop_until(has_drained, NULL);
    support_assert_matches(support_log_text(),
                           "^[^\n]*worker 0 keeps its limits at udp://test for now: [^\n]*"
                           "\"listener\":\"udp://test\"}\n$");
}
END_TEST

static uint64_t datagrams_at(const struct endpoint *endpoint)
{
    return counters_get(&endpoint->stats->by_worker[0], COUNTER_DATAGRAMS_IN);
}

START_TEST(a_reload_that_renames_counts_elsewhere)
{
    const struct endpoint before = scene.endpoints[0];

    start(0);
    expect_answer(0);
    (void)strcpy(scene.endpoints[0].next_options.name, "after");
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.list), 0);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    expect_answer(0);
    expect_answer(1);
    ck_assert_uint_eq(datagrams_at(&before), 2); /* the second endpoint has the old name, too */
    ck_assert_uint_eq(datagrams_at(&scene.endpoints[0]), 1);
}
END_TEST

START_TEST(a_drain_of_all_tells_of_each)
{
    start(0);
    datagrams_drain(scene.datagrams);
    datagrams_drain(scene.datagrams); /* once is enough */
    support_loop_settle();
    ck_assert_int_eq(scene.drained, ENDPOINTS);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 0);
}
END_TEST

START_TEST(a_close_tells_nobody)
{
    start(0);
    datagrams_close(scene.datagrams);
    support_loop_settle();
    ck_assert_int_eq(scene.drained, 0);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 0);
}
END_TEST

static void let_all_be_passed(void)
{
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        scene.endpoints[i].is_passed = true;
        scene.endpoints[i].next_options.idle_timeout_ms = IDLE_MS;
    }
}

START_TEST(passed_sockets_alone_may_be_idle)
{
    let_all_be_passed();
    start(0);
    expect_answer(0);
    ck_assert_int_eq(scene.idle, 0);
    support_loop_until(is_idle, NULL);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), ENDPOINTS); /* they serve on */
    expect_answer(1);
}
END_TEST

START_TEST(only_the_first_worker_serves_them)
{
    let_all_be_passed();
    start(1);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 0);
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 0);
}
END_TEST

START_TEST(beside_others_they_are_never_idle)
{
    let_all_be_passed();
    scene.endpoints[1].is_passed = false;
    start(0);
    (void)support_loop_for(3 * IDLE_MS);
    ck_assert_int_eq(scene.idle, 0);
}
END_TEST

START_TEST(a_reload_leaves_them_to_the_first_worker)
{
    let_all_be_passed();
    scene.endpoints[0].next_options.idle_timeout_ms = 0;
    scene.endpoints[1].next_options.idle_timeout_ms = 0;
    start(1);
    expect_answer(0);
    let_all_be_passed();
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    ck_assert(datagrams_are_leaving(scene.datagrams));
    support_loop_settle();
    ck_assert_int_eq(scene.drained, ENDPOINTS);
    ck_assert_uint_eq(datagrams_count(scene.datagrams), 0);
}
END_TEST

START_TEST(a_reload_that_leaves_passed_sockets_alone_lets_them_be_idle)
{
    let_all_be_passed();
    scene.endpoints[1].is_passed = false;
    start(0);
    scene.endpoints[1].is_leaving = true;
    ck_assert_int_eq(datagrams_change(scene.datagrams, &scene.list), 0);
    support_loop_until(is_idle, NULL);
    expect_answer(0);
}
END_TEST

static Suite *datagrams_suite(void)
{
    Suite *suite = suite_create("datagrams");
    TCase *tests = support_case(suite, "datagrams");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_worker_takes_its_own_sockets);
    tcase_add_test(tests, a_reload_drains_what_leaves_and_serves_what_comes);
    tcase_add_test(tests, a_reload_ends_with_the_list);
    tcase_add_test(tests, a_reload_changes_limits);
    tcase_add_test(tests, a_reload_changes_the_receive_buffer_of_what_was_not_passed);
#ifdef __linux__
    tcase_add_test(tests, what_the_system_dropped_is_counted_when_asked);
    tcase_add_test(tests, of_workers_that_share_a_socket_the_first_counts_what_was_dropped);
#endif
    tcase_add_test(tests, a_reload_that_lacks_memory_is_tried_again);
    tcase_add_test(tests, a_reload_that_renames_counts_elsewhere);
    tcase_add_test(tests, a_drain_of_all_tells_of_each);
    tcase_add_test(tests, a_close_tells_nobody);
    tcase_add_test(tests, passed_sockets_alone_may_be_idle);
    tcase_add_test(tests, only_the_first_worker_serves_them);
    tcase_add_test(tests, beside_others_they_are_never_idle);
    tcase_add_test(tests, a_reload_leaves_them_to_the_first_worker);
    tcase_add_test(tests, a_reload_that_leaves_passed_sockets_alone_lets_them_be_idle);
    return suite;
}

int main(void)
{
    if (!support_system_sends_hops())
        return support_skip_all("the system sends no datagram with as many hops as asked");
    return support_run(datagrams_suite());
}
