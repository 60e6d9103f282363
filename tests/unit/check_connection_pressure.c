/*
 * check_connection_pressure: how much waits for clients that do not read, alone and together.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "scene.h"
#include "support.h"

START_TEST(a_client_that_never_reads_fills_no_more_than_its_share)
{
    const size_t before = support_memory_bytes();
    struct client *client = client_join((enum transport)_i);
    uint64_t bytes_in;

    support_loop_until(client_is_paused, client); /* scene_look checks the bound at each turn */
    bytes_in = scene_count_of(COUNTER_BYTES_IN);
    client_keep_on(client_is_paused, client, SHORT_MS);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), bytes_in); /* nothing more is read */
    ck_assert_uint_le(support_memory_bytes() - before, scene.group.limits.high_water_bytes + 65536);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_flood_costs_no_more_memory_than_its_share)
{
    const size_t before = support_memory_bytes();
    struct client *client = client_meet((enum transport)_i);

    /* As much as the kernel holds, so that it is read in large pieces. */
    client_send(client, UINT64_MAX);
    client_start(client);
    for (int round = 0; round < 20; round++) {
        support_loop_settle();
        client_send(client, UINT64_MAX);
        scene_look();
        ck_assert_uint_le(support_memory_bytes() - before,
                          scene.group.limits.high_water_bytes + 65536);
        client_receive(client, (uint64_t)round * 10000);
    }
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(many_small_messages_that_wait_cost_little_memory)
{
    struct connection_limits limits = scene_usual_limits;
    const size_t before = support_memory_bytes();
    struct client *client;

    limits.high_water_bytes = 20000;
    scene_use_limits(&limits);
    client = client_join(UNIX_PAIR);
    while (gauge_get(&scene.pool.queued_bytes) < limits.high_water_bytes) {
        client_send(client, 1);
        support_loop_once();
    }
    ck_assert_uint_le(support_memory_bytes() - before, 4 * limits.high_water_bytes);
}
END_TEST

START_TEST(reading_goes_on_at_the_low_mark_and_not_before)
{
    struct client *client = client_join((enum transport)_i);
    const uint64_t low = _i >= FIRST_SHORTCUT ? 0 : scene.group.limits.low_water_bytes;
    uint64_t paused_in;
    bool has_gone_on = false;

    support_loop_until(client_is_paused, client);
    client_send(client, READ_BYTES); /* there is something to read on with */
    support_loop_settle();
    paused_in = scene_count_of(COUNTER_BYTES_IN);
    ck_assert_uint_gt(client->sent, paused_in);
    while (!has_gone_on) {
        ck_assert_uint_lt(client->received, client->sent);
        client->receive_goal = client->received + 1000;
        support_loop_until(client_has_received, client);
        for (int turn = 0; turn < 20 && !has_gone_on; turn++) {
            support_loop_once();
            has_gone_on = scene_count_of(COUNTER_BYTES_IN) > paused_in;
        }
        /* What waited is at the low mark if, and only if, it goes on. */
        ck_assert_int_eq(has_gone_on, paused_in <= scene_count_of(COUNTER_BYTES_OUT) + low);
    }
}
END_TEST

/* All connections together. */

static bool is_group_full(void *argument)
{
    (void)argument;
    scene_look();
    for (int i = 0; i < scene.count; i++)
        client_send(&scene.clients[i], SUPPORT_PAYLOAD_ROOM);
    return gauge_get(&scene.pool.queued_bytes) >= scene.group.limits.max_queued_bytes;
}

START_TEST(all_together_queue_no_more_than_the_groups_share)
{
    struct connection_limits limits = scene_usual_limits;
    uint64_t bytes_in;

    limits.max_queued_bytes = 100000;
    scene_use_limits(&limits);
    for (int i = 0; i < CLIENTS; i++)
        (void)client_join((enum transport)_i);
    if (_i < FIRST_SHORTCUT) /* with it each queues what one read brings, and that may be less */
        support_loop_until(is_group_full, NULL);
    do { /* the kernel's buffers grow for a while */
        bytes_in = scene_count_of(COUNTER_BYTES_IN);
        client_keep_on(is_group_full, NULL,
                       SHORT_MS); /* scene_look checks the bound at each turn */
    } while (scene_count_of(COUNTER_BYTES_IN) > bytes_in);
}
END_TEST

START_TEST(at_the_groups_share_a_client_that_reads_is_still_served)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *client;

    limits.max_queued_bytes = 100000;
    scene_use_limits(&limits);
    for (int i = 0; i < 3; i++)
        (void)client_join(UNIX_PAIR);
    support_loop_until(is_group_full, NULL);
    client = client_join((enum transport)_i);
    for (int i = 0; i < 100; i++)
        client_exchange(client, 1000);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(a_client_that_waited_for_the_group_gets_everything_once_it_reads)
{
    struct connection_limits limits = scene_usual_limits;
    struct client *hog, *client;
    uint64_t hogs_bytes;

    limits.max_queued_bytes = limits.high_water_bytes + 6000;
    scene_use_limits(&limits);
    hog = client_join(UNIX_PAIR);
    support_loop_until(client_is_paused, hog);
    client = client_join((enum transport)_i);
    hogs_bytes = gauge_get(&scene.pool.queued_bytes);
    while (gauge_get(&scene.pool.queued_bytes) < limits.max_queued_bytes) {
        /* The kernel may take megabytes before anything waits with us. */
        client_send(client,
                    gauge_get(&scene.pool.queued_bytes) > hogs_bytes ? 1000 : 16 * READ_BYTES);
        support_loop_settle();
        scene_look();
    }
    client_send(client, 5000);
    client_finish(client);
    client_receive_all(client); /* while the hog stays as it is */
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(hog->ends, 0);
    client_finish(hog);
    client_receive_all(hog);
}
END_TEST

START_TEST(those_that_waited_for_the_group_read_on_when_one_leaves)
{
    struct connection_limits limits = scene_usual_limits;

    limits.max_queued_bytes = 100000;
    scene_use_limits(&limits);
    for (int i = 0; i < 4; i++)
        (void)client_join((enum transport)_i);
    support_loop_until(is_group_full, NULL);
    connection_abort(scene.clients[0].connection, CLOSE_STOP);
    for (int i = 1; i < 4; i++)
        client_finish(&scene.clients[i]);
    for (int i = 1; i < 4; i++)
        client_receive_all(&scene.clients[i]);
}
END_TEST

static bool has_a_client_ended(void *argument)
{
    const struct client *client = argument;

    return client->ends > 0;
}

START_TEST(a_second_group_has_limits_of_its_own)
{
    struct client *first = client_join((enum transport)_i), *second = &scene.clients[scene.count++];
    const struct pair pair = pair_make((enum transport)_i);
    struct connection_group group = {
        .base = scene.group.base,
        .log = scene.group.log,
        .counters = scene.group.counters,
        .pool = scene.group.pool,
        .limits = scene.group.limits,
        .on_end = scene.group.on_end,
        .owner = &scene,
    };

    group.limits.idle_timeout_ms = 50;
    group.limits.linger_timeout_ms = 0;
    ck_assert_int_eq(connection_init_group(&group), 0);
    *second = (struct client){
        .to_fd = pair.client_to, .from_fd = pair.client_from, .transport = first->transport};
    second->connection = connection_new(&group, pair.input, pair.output, &pair.peer);
    ck_assert_ptr_nonnull(second->connection);
    ck_assert_uint_eq(group.count, 1);
    ck_assert_uint_eq(scene.group.count, 1);
    client_start(second);
    support_loop_until(has_a_client_ended, second);
    ck_assert_int_eq((int)second->reason, CLOSE_IDLE);
    ck_assert_uint_eq(first->ends, 0);
    ck_assert_uint_eq(group.count, 0);
    connection_group_fini(&group);
    client_send(first, 1000);
    client_finish(first);
    client_receive_all(first);
}
END_TEST

static Suite *connection_pressure_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection_pressure");
    TCase *test_case;

    test_case = scene_case(suite, "back-pressure");
    tcase_add_loop_test(test_case, a_client_that_never_reads_fills_no_more_than_its_share, 0, all);
    tcase_add_loop_test(test_case, a_flood_costs_no_more_memory_than_its_share, 0, all);
    tcase_add_test(test_case, many_small_messages_that_wait_cost_little_memory);
    tcase_add_loop_test(test_case, reading_goes_on_at_the_low_mark_and_not_before, 0, all);
    tcase_add_loop_test(test_case, all_together_queue_no_more_than_the_groups_share, 0, all);
    tcase_add_loop_test(test_case, at_the_groups_share_a_client_that_reads_is_still_served, 0, all);
    tcase_add_loop_test(test_case, a_client_that_waited_for_the_group_gets_everything_once_it_reads,
                        0, FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, those_that_waited_for_the_group_read_on_when_one_leaves, 0,
                        FIRST_SHORTCUT);
    tcase_add_loop_test(test_case, a_second_group_has_limits_of_its_own, 0, TRANSPORT_COUNT);
    return suite;
}

int main(void)
{
    return support_run(connection_pressure_suite());
}
