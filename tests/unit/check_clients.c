/*
 * check_clients: clients have ids, count against the limits as long as they are there, and are told
 * of and ended together.
 * Accepts nobody: it hands over sockets.
 * Run by make check.
 */
#include <config.h>

#include "echod/clients.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CLIENTS = 128, WORKER = 1, WORKERS = 2 };

static struct {
    struct connection_limit limit;
    struct self self;
    struct listener_stats_list stats;
    struct endpoint_list endpoints;
    struct clients clients;
    struct client_group *group;
    int ends[MAX_CLIENTS]; /* ours, of the sockets */
    int count;
    unsigned gone, told, passed_ended, passed_failed;
} scene;

static void on_event(enum clients_event event, void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    switch (event) {
    case CLIENTS_PASSED_ENDED:
        scene.passed_ended++;
        break;
    case CLIENTS_PASSED_FAILED:
        scene.passed_failed++;
        break;
    case CLIENTS_ONE_GONE:
        scene.gone++;
        break;
    case CLIENTS_TOLD:
        scene.told++;
        break;
    }
}

static struct listener_stats *stats(void)
{
    return scene.endpoints.items[0].stats;
}

/* Have an endpoint for the clients to come by, which is a client that was passed as well. */
static void setup(void)
{
    const struct options options = {.linger_timeout_ms = 1000};
    const struct listener_options listener_options = {.high_water_bytes = 65536,
                                                      .log = LISTENER_LOG_CLOSED};
    struct endpoint *endpoint;

    memset(&scene, 0, sizeof scene);
    scene.stats.worker_count = scene.endpoints.worker_count = WORKERS;
    endpoint = endpoint_add(&scene.endpoints, ENDPOINT_CLIENT);
    ck_assert_ptr_nonnull(endpoint);
    endpoint->options = listener_options;
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
    scene.clients = (struct clients){
        .base = support_base(),
        .log = support_log(LOG_FORMAT_TEXT),
        .limit = &scene.limit,
        .self = &scene.self,
        .worker_index = WORKER,
        .worker_count = WORKERS,
        .on_event = on_event,
        .owner = &scene,
    };
    ck_assert_int_eq(clients_init(&scene.clients, 1), 0);
    client_group_list_set(&scene.clients.groups, &options, 65536);
    scene.group = client_group_new(&scene.clients.groups, &listener_options, NULL, stats());
    ck_assert_ptr_nonnull(scene.group);
}

static void teardown(void)
{
    clients_fini(&scene.clients);
    support_loop_settle();
    endpoint_list_close_from(&scene.endpoints, 0);
    free(scene.endpoints.items);
    listener_stats_fini(&scene.stats);
    for (int i = 0; i < scene.count; i++)
        support_close(&scene.ends[i]);
}

/* Return one end of a socket, of which the other is ours. */
static int new_socket(void)
{
    int fds[2];

    support_unix_pair(fds);
    support_set_nonblocking(fds[0]);
    scene.ends[scene.count++] = fds[1];
    return fds[0];
}

static uint64_t serve_one(void)
{
    const int fd = new_socket();
    const union peer peer = peer_make(&(const struct sockaddr){.sa_family = AF_UNIX});

    return clients_serve(&scene.clients, scene.group, fd, fd, &peer, NULL);
}

static bool has_gone(void *argument)
{
    return scene.gone == *(const unsigned *)argument;
}

static void expect_open(unsigned count)
{
    ck_assert_uint_eq(clients_count(&scene.clients), count);
    ck_assert_uint_eq(atomic_load(&scene.limit.open), count);
    ck_assert_uint_eq(atomic_load(&stats()->open), count);
}

/* Let a client come from an address. */
static int accept_one(void)
{
    const struct sockaddr_in address = support_loopback(5000);
    const union peer peer = peer_make((const struct sockaddr *)&address);

    return clients_accept(&scene.clients, scene.group, new_socket(), &peer);
}

START_TEST(a_client_counts_for_its_source_from_its_beginning_to_its_end)
{
    const struct admission_limits limits = {.connections_per_source = 1, .prefixes = {32, 64}};
    unsigned one = 1;

    ck_assert_int_eq(admission_reserve(stats()->admission), 0);
    admission_set_limits(stats()->admission, &limits);
    support_memory_fail(1, 1);
    ck_assert_int_eq(accept_one(), -1); /* it is not served, and does not count */
    support_memory_fail(0, 0);
    ck_assert_int_eq(accept_one(), 0);
    expect_open(1);
    ck_assert_int_eq(accept_one(), 0); /* it is refused */
    expect_open(1);
    ck_assert_uint_eq(counters_get(&stats()->by_worker[WORKER], COUNTER_REFUSED_SOURCE_FULL), 1);
    support_close(&scene.ends[1]);
    support_loop_until(has_gone, &one);
    ck_assert_int_eq(accept_one(), 0);
    expect_open(1);
}
END_TEST

START_TEST(clients_count_as_long_as_they_are_there)
{
    unsigned one = 1;

    ck_assert_uint_eq(serve_one(), 2); /* of the second of two workers */
    ck_assert_uint_eq(serve_one(), 4);
    expect_open(2);
    support_close(&scene.ends[0]);
    support_loop_until(has_gone, &one);
    expect_open(1);
}
END_TEST

START_TEST(a_client_that_there_is_no_memory_for_leaves_nothing)
{
    const unsigned before = support_descriptor_count();
    bool is_served = false;

    for (unsigned long nth = 1; !is_served; nth++) {
        support_memory_fail(nth, 1);
        is_served = serve_one() != 0;
        ck_assert(is_served || errno == ENOMEM);
        ck_assert(is_served || support_memory_has_failed());
        expect_open(is_served ? 1 : 0);
    }
    support_memory_fail(0, 0);
    clients_abort(&scene.clients, CLOSE_STOP);
    support_loop_settle();
    ck_assert_uint_eq(support_descriptor_count(), before + (unsigned)scene.count);
}
END_TEST

START_TEST(all_are_ended_together)
{
    unsigned three = 3;

    for (int i = 0; i < 3; i++)
        ck_assert_uint_ne(serve_one(), 0);
    clients_close(&scene.clients, CLOSE_DRAIN);
    for (int i = 0; i < 3; i++)
        support_close(&scene.ends[i]);
    support_loop_until(has_gone, &three);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_ne(serve_one(), 0);
    clients_abort(&scene.clients, CLOSE_STOP);
    ck_assert_uint_eq(scene.gone, 5);
    expect_open(0);
}
END_TEST

static void serve_passed(void)
{
    struct endpoint *endpoint = &scene.endpoints.items[0];

    endpoint->input_fd = endpoint->output_fd = new_socket();
    ck_assert_int_eq(clients_serve_passed(&scene.clients, endpoint), 0);
    ck_assert_int_eq(endpoint->input_fd, -1);
    ck_assert_int_eq(endpoint->output_fd, -1);
}

START_TEST(the_end_of_one_that_was_passed_is_told)
{
    unsigned two = 2;

    serve_passed();
    ck_assert_uint_ne(serve_one(), 0);
    support_close(&scene.ends[0]);
    support_close(&scene.ends[1]);
    support_loop_until(has_gone, &two);
    ck_assert_uint_eq(scene.passed_ended, 1);
    ck_assert_uint_eq(scene.passed_failed, 0);
}
END_TEST

START_TEST(the_end_of_one_that_was_passed_and_did_not_get_all_is_told)
{
    serve_passed();
    clients_abort(&scene.clients, CLOSE_STOP);
    ck_assert_uint_eq(scene.passed_ended, 0);
    ck_assert_uint_eq(scene.passed_failed, 1);
}
END_TEST

static bool has_told(void *argument)
{
    (void)argument;
    return scene.told == 1;
}

START_TEST(a_report_has_a_line_for_each_and_lets_the_loop_turn)
{
    for (int i = 0; i < MAX_CLIENTS; i++)
        ck_assert_uint_ne(serve_one(), 0);
    clients_report(&scene.clients);
    ck_assert_uint_eq(scene.told, 0);
    support_loop_until(has_told, NULL);
    ck_assert_uint_eq(support_count(support_log_text(), " open"), MAX_CLIENTS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clients");
    TCase *clients = support_case(suite, "clients");

    tcase_add_checked_fixture(clients, setup, teardown);
    tcase_add_test(clients, clients_count_as_long_as_they_are_there);
    tcase_add_test(clients, a_client_counts_for_its_source_from_its_beginning_to_its_end);
    tcase_add_test(clients, a_client_that_there_is_no_memory_for_leaves_nothing);
    tcase_add_test(clients, all_are_ended_together);
    tcase_add_test(clients, the_end_of_one_that_was_passed_is_told);
    tcase_add_test(clients, the_end_of_one_that_was_passed_and_did_not_get_all_is_told);
    tcase_add_test(clients, a_report_has_a_line_for_each_and_lets_the_loop_turn);
    return support_run(suite);
}
