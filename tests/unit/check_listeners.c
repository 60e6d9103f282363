/*
 * check_listeners: a listener pauses and backs off alone, and none is left behind by a reload.
 * Serves no client: it counts and closes those that come.
 * Run by make check.
 */
#include <config.h>

#include "echod/listeners.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LISTENERS = 2, CLIENTS = 8, EVERYONE = LISTENERS + 1 };

static struct {
    struct connection_pool pool;
    struct client_group_list groups;
    struct connection_limit limit;
    struct listeners listeners;
    struct listener_stats_list stats;
    struct endpoint_list endpoints;
    struct sockaddr_in addresses[LISTENERS];
    int clients[CLIENTS];
    int client_count;
    unsigned calls[LISTENERS]; /* of the callback, for clients of each listener */
    unsigned long refusing;    /* the number of the endpoint whose clients are refused, EVERYONE,
 or LISTENERS: none */
} scene;

/* Take a client, which from here on counts as open, or refuse it as a shortage of memory does. */
static int on_client(struct client_listener *listener, int fd, const struct sockaddr *address,
                     void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    ck_assert_int_eq(address->sa_family, AF_INET);
    scene.calls[listener->number]++;
    descriptor_close(fd);
    if (listener->number == scene.refusing || scene.refusing == EVERYONE) {
        errno = ENOMEM;
        return -1;
    }
    atomic_fetch_add(&scene.limit.open, 1);
    atomic_fetch_add(&listener->stats->open, 1);
    return 0;
}

/* Add an endpoint that listens, with a limit of connections of its own. */
static struct endpoint *add_endpoint(uint64_t max_connections)
{
    struct sockaddr_in *address = &scene.addresses[scene.endpoints.count];
    const int fd = support_bind_tcp(address);
    struct endpoint *endpoint;

    ck_assert_int_eq(listen(fd, CLIENTS), 0);
    support_set_nonblocking(fd);
    endpoint = endpoint_add_socket(&scene.endpoints, ENDPOINT_LISTENER, fd);
    ck_assert_ptr_nonnull(endpoint);
    endpoint->options.max_connections = max_connections;
    endpoint->options.backlog = CLIENTS;
    endpoint->next_options = endpoint->options;
    (void)snprintf(endpoint->name, sizeof endpoint->name, "tcp://test:%zu", scene.endpoints.count);
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
    return endpoint;
}

static void add(uint64_t max_connections)
{
    ck_assert_int_eq(listeners_add(&scene.listeners, add_endpoint(max_connections)), 0);
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.refusing = LISTENERS;
    scene.limit.max = 100;
    scene.stats.worker_count = scene.endpoints.worker_count = 1;
    ck_assert_int_eq(connection_pool_init(&scene.pool), 0);
    scene.groups = (struct client_group_list){
        .base = support_base(),
        .log = support_log(LOG_FORMAT_TEXT),
        .pool = &scene.pool,
    };
    scene.listeners = (struct listeners){
        .base = support_base(),
        .log = support_log(LOG_FORMAT_TEXT),
        .groups = &scene.groups,
        .limit = &scene.limit,
        .worker_count = 1,
        .cpu = -1,
        .on_client = on_client,
        .owner = &scene,
    };
    ck_assert_int_eq(listeners_init(&scene.listeners), 0);
}

static void teardown(void)
{
    listeners_fini(&scene.listeners);
    client_group_list_fini(&scene.groups);
    connection_pool_fini(&scene.pool);
    endpoint_list_close_from(&scene.endpoints, 0);
    free(scene.endpoints.items);
    listener_stats_fini(&scene.stats);
    for (int i = 0; i < scene.client_count; i++)
        support_close(&scene.clients[i]);
}

static void connect_clients(size_t listener, int count)
{
    for (int i = 0; i < count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&scene.addresses[listener];
        const int fd = socket(AF_INET, SOCK_STREAM, 0);

        ck_assert_int_eq(connect(fd, address, sizeof scene.addresses[listener]), 0);
        scene.clients[scene.client_count++] = fd;
    }
}

/* Let one client of a listener leave. */
static void leave(size_t listener)
{
    atomic_fetch_sub(&scene.limit.open, 1);
    atomic_fetch_sub(&scene.endpoints.items[listener].stats->open, 1);
    listeners_note_room(&scene.listeners);
}

static bool has_come(void *argument)
{
    const unsigned *wanted = argument;

    return scene.calls[0] >= wanted[0] && scene.calls[1] >= wanted[1];
}

static void await(unsigned first, unsigned second)
{
    unsigned wanted[LISTENERS] = {first, second};

    support_loop_until(has_come, wanted);
    support_loop_settle();
}

/* The log has a line that begins so, and says that memory lacks. */
static void expect_line(const char *begin)
{
    support_assert_matches(support_log_text(), support_format("%s: %s", begin, strerror(ENOMEM)));
}

START_TEST(a_refusal_backs_off_only_its_own_listener)
{
    const uint64_t begin_ms = clock_now_ms();

    scene.refusing = 0;
    add(100);
    add(100);
    connect_clients(0, 4);
    connect_clients(1, 4);
    listeners_update(&scene.listeners);
    await(1, 4);
    ck_assert_uint_eq(scene.calls[1], 4);
    ck_assert_uint_le(scene.calls[0], (clock_now_ms() - begin_ms) / LISTENER_RETRY_MS + 1);
    scene.refusing = LISTENERS;
    await(4, 4); /* it goes on by itself */
    expect_line("a client of tcp://test:1 is refused");
}
END_TEST

START_TEST(a_back_off_lasts_whatever_limit_another_listener_reaches)
{
    const uint64_t begin_ms = clock_now_ms();

    scene.refusing = 0;
    add(100);
    add(1);
    connect_clients(0, 4);
    listeners_update(&scene.listeners);
    await(1, 0);
    connect_clients(1, 1);
    await(1, 1);
    ck_assert_uint_le(scene.calls[0], (clock_now_ms() - begin_ms) / LISTENER_RETRY_MS + 1);
}
END_TEST

START_TEST(a_client_who_leaves_ends_a_back_off_from_a_shortage)
{
    unsigned before;

    scene.refusing = 0;
    add(100);
    add(100);
    connect_clients(0, 4);
    connect_clients(1, 1);
    listeners_update(&scene.listeners);
    await(1, 1);
    connect_clients(0, 1); /* whatever has been tried by now, one more waits */
    before = scene.calls[0];
    leave(1);
    support_loop_settle();
    ck_assert_uint_gt(scene.calls[0], before);
}
END_TEST

START_TEST(a_refusal_by_one_listener_hides_none_by_another)
{
    scene.refusing = EVERYONE;
    add(100);
    add(100);
    connect_clients(0, 1);
    connect_clients(1, 1);
    listeners_update(&scene.listeners);
    await(1, 1);
    ck_assert_uint_eq(
        support_count(support_log_text(), support_format("is refused: %s\n", strerror(ENOMEM))), 2);
}
END_TEST

START_TEST(a_listener_at_its_own_limit_pauses_alone)
{
    add(2);
    add(100);
    connect_clients(0, 3);
    connect_clients(1, 4);
    listeners_update(&scene.listeners);
    await(2, 4);
    ck_assert_uint_eq(scene.calls[0], 2);
    leave(1);
    support_loop_settle();
    ck_assert_uint_eq(scene.calls[0], 2); /* another's client makes no room here */
    leave(0);
    await(3, 4);
}
END_TEST

START_TEST(the_limit_of_all_pauses_all)
{
    scene.limit.max = 3;
    add(100);
    add(100);
    connect_clients(0, 3);
    listeners_update(&scene.listeners);
    await(3, 0);
    connect_clients(1, 1);
    support_loop_settle();
    ck_assert_uint_eq(scene.calls[1], 0);
    leave(0);
    await(3, 1);
}
END_TEST

START_TEST(other_options_set_another_limit)
{
    add(1);
    connect_clients(0, 4);
    listeners_update(&scene.listeners);
    await(1, 0);
    ck_assert_uint_eq(scene.calls[0], 1);
    scene.endpoints.items[0].next_options.max_connections = 3;
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    listeners_update(&scene.listeners);
    await(3, 0);
    ck_assert_uint_eq(scene.calls[0], 3);
}
END_TEST

START_TEST(a_listener_goes_by_its_next_name)
{
    struct endpoint *endpoint;

    add(100);
    endpoint = &scene.endpoints.items[0];
    (void)snprintf(endpoint->next_options.name, sizeof endpoint->next_options.name, "public");
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    scene.refusing = 0;
    connect_clients(0, 1);
    listeners_update(&scene.listeners);
    await(1, 0);
    ck_assert_uint_eq(listener_stats_sum(endpoint->stats, 1, COUNTER_CONNECTIONS_REFUSED), 1);
    expect_line("a client of public is refused");
}
END_TEST

START_TEST(in_json_the_listener_is_a_fact)
{
    add(100);
    (void)snprintf(scene.endpoints.items[0].next_options.name,
                   sizeof scene.endpoints.items[0].next_options.name, "public");
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    log_change(scene.listeners.log, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    scene.refusing = 0;
    connect_clients(0, 1);
    listeners_update(&scene.listeners);
    await(1, 0);
    support_memory_fail(1, 100);
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), -1);
    support_memory_fail(0, 0);
    support_assert_matches(
        support_log_text(),
        "\"a client of public is refused: [^\n]*\"listener\":\"public\"}\n"
        "[^\n]* keeps its limits at tcp://test:1 [^\n]*\"listener\":\"public\"}\n$");
}
END_TEST

START_TEST(who_waits_is_served_before_a_listener_goes)
{
    add(1);
    connect_clients(0, 4);
    listeners_update(&scene.listeners);
    await(1, 0);
    scene.endpoints.items[0].is_leaving = true;
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    ck_assert_uint_eq(scene.calls[0], 4); /* above its limit, or they were reset */
    ck_assert_ptr_null(scene.listeners.first);
}
END_TEST

static unsigned group_count(void)
{
    unsigned count = 0;

    for (const struct client_group *one = scene.groups.newest; one != NULL; one = one->older)
        count++;
    return count;
}

START_TEST(a_reload_leaves_no_group_behind)
{
    size_t bytes;

    add(100);
    add(100);
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    client_group_list_sweep(&scene.groups);
    bytes = support_memory_bytes();
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
        client_group_list_sweep(&scene.groups);
        ck_assert_uint_eq(group_count(), 2);
        ck_assert_uint_eq(support_memory_bytes(), bytes);
    }
    scene.endpoints.items[0].is_leaving = true;
    ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
    client_group_list_sweep(&scene.groups);
    ck_assert_uint_eq(group_count(), 1);
}
END_TEST

/* Its clients wait in the queue of its socket. */
START_TEST(an_endpoint_that_cannot_be_served_is_tried_again)
{
    unsigned long nth = 0;
    bool has_failed = true;

    while (has_failed) {
        struct endpoint *endpoint = add_endpoint(100);
        const int fd = endpoint->worker_fds[0];
        int status;

        support_memory_fail(++nth, 1);
        status = listeners_change(&scene.listeners, &scene.endpoints);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert_int_eq(status, has_failed ? -1 : 0);
        ck_assert_int_eq(endpoint->worker_fds[0], has_failed ? fd : -1);
        ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
        ck_assert_int_eq(endpoint->worker_fds[0], -1);
        endpoint->is_leaving = true;
        ck_assert_int_eq(listeners_change(&scene.listeners, &scene.endpoints), 0);
        ck_assert_ptr_null(scene.listeners.first);
        endpoint_list_close_from(&scene.endpoints, 0);
    }
    ck_assert_uint_gt(nth, 1);
    expect_line("worker 0 does not listen on tcp://test:1 yet");
}
END_TEST

START_TEST(without_memory_the_options_stay)
{
    unsigned long nth = 0;
    bool has_failed = true;

    add(1);
    while (has_failed) {
        int status;

        support_memory_fail(++nth, 1);
        scene.endpoints.items[0].next_options.max_connections = nth + 1;
        status = listeners_change(&scene.listeners, &scene.endpoints);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert_int_eq(status, has_failed ? -1 : 0);
        ck_assert_uint_eq(scene.endpoints.items[0].stats->max, has_failed ? 1 : nth + 1);
        client_group_list_sweep(&scene.groups);
        ck_assert_uint_eq(group_count(), 1);
    }
    ck_assert_uint_gt(nth, 1);
}
END_TEST

static Suite *listeners_suite(void)
{
    Suite *suite = suite_create("listeners");
    TCase *limits = support_case(suite, "limits");
    TCase *reload = support_case(suite, "reload");

    tcase_add_checked_fixture(limits, setup, teardown);
    tcase_add_test(limits, a_refusal_backs_off_only_its_own_listener);
    tcase_add_test(limits, a_back_off_lasts_whatever_limit_another_listener_reaches);
    tcase_add_test(limits, a_client_who_leaves_ends_a_back_off_from_a_shortage);
    tcase_add_test(limits, a_refusal_by_one_listener_hides_none_by_another);
    tcase_add_test(limits, a_listener_at_its_own_limit_pauses_alone);
    tcase_add_test(limits, the_limit_of_all_pauses_all);
    tcase_add_test(limits, other_options_set_another_limit);

    tcase_add_checked_fixture(reload, setup, teardown);
    tcase_add_test(reload, a_listener_goes_by_its_next_name);
    tcase_add_test(reload, in_json_the_listener_is_a_fact);
    tcase_add_test(reload, who_waits_is_served_before_a_listener_goes);
    tcase_add_test(reload, a_reload_leaves_no_group_behind);
    tcase_add_test(reload, an_endpoint_that_cannot_be_served_is_tried_again);
    tcase_add_test(reload, without_memory_the_options_stay);
    return suite;
}

int main(void)
{
    return support_run(listeners_suite());
}
