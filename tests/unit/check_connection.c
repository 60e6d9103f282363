/*
 * check_connection: clients of every temper get all of their bytes back, whatever memory runs out.
 * Looks at a connection only from outside: descriptors, counters, the log, the end callback.
 * Run by make check.
 */
#include <config.h>

#include "echod/connection.h"

#include "scene.h"
#include "support.h"

#include <errno.h>
#include <unistd.h>

/* Every byte comes back. */

static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, 1000000};

START_TEST(every_byte_comes_back_and_then_fin)
{
    const uint64_t size = sizes[_i / TRANSPORT_COUNT];
    struct client *client = client_join((enum transport)(_i % TRANSPORT_COUNT));

    client_exchange(client, size);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), size);
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_OUT), size);
    ck_assert_uint_eq(scene_count_of(counters_of_end(CLOSE_CLIENT)), 1);
}
END_TEST

START_TEST(what_came_before_the_start_comes_back_too)
{
    struct client *client = client_meet((enum transport)_i);

    client_send(client, 1000);
    client_finish(client);
    support_loop_settle();
    ck_assert_uint_eq(scene_count_of(COUNTER_BYTES_IN), 0); /* nothing is read yet */
    client_start(client);
    client_receive_all(client);
    ck_assert_uint_eq(client->received, 1000);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(bytes_that_come_one_by_one_come_back)
{
    struct client *client = client_join((enum transport)_i);

    for (int i = 0; client->sent < 2000; i++) {
        client_send(client, 1);
        support_loop_once();
        if (i % 3 == 0)
            client_receive(client, 2);
    }
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

START_TEST(clients_are_served_side_by_side)
{
    for (int i = 0; i < CLIENTS; i++)
        (void)client_join((enum transport)(i % TRANSPORT_COUNT));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < CLIENTS; i++)
            client_exchange(&scene.clients[i], (uint64_t)(round * 1000 + i));
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_finish(&scene.clients[i]);
        client_receive_all(&scene.clients[i]);
        client_await_end(&scene.clients[i], CLOSE_CLIENT);
    }
}
END_TEST

START_TEST(after_fin_all_that_waits_still_comes_back)
{
    struct client *client = client_join((enum transport)_i);

    support_loop_until(client_is_paused, client);
    client_send(client, 10000); /* as far as the kernel takes it; it lies before the FIN */
    client_finish(client);
    (void)support_loop_for(SHORT_MS);
    ck_assert_uint_eq(client->ends, 0);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

/* A client with a mind of its own, and marks of all sizes. */

static const struct {
    uint64_t high, low;
} marks[] = {{1, 0},       {1, 1},    {2, 1},         {4096, 0},
             {4096, 4096}, {5000, 1}, {65536, 16384}, {1 << 30, 0}};

START_TEST(no_order_of_reads_and_writes_stalls_or_loses_a_byte)
{
    enum { STEPS = 300 };
    struct connection_limits limits = scene_usual_limits;
    uint64_t seed = (uint64_t)_i; /* which check prints where a test fails */
    struct client *client;

    limits.high_water_bytes = marks[_i % COUNT_OF(marks)].high;
    limits.low_water_bytes = marks[_i % COUNT_OF(marks)].low;
    scene_use_limits(&limits);
    client = client_join((enum transport)(_i / COUNT_OF(marks) % TRANSPORT_COUNT));
    for (int step = 0; step < STEPS; step++) {
        uint64_t size = UINT64_C(1) << support_random(&seed) % 16;

        if (support_random(&seed) % 2 == 0)
            client_send(client, support_random(&seed) % size + 1);
        if (support_random(&seed) % 3 == 0)
            client_receive(client, support_random(&seed) % size + 1);
        for (uint64_t turns = support_random(&seed) % 4; turns > 0; turns--) {
            support_loop_once();
            scene_look();
        }
    }
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

/* Memory that runs out. */

/* Send up to the goal, then FIN; read on; tell whether the connection has ended. */
static bool is_served(void *argument)
{
    struct client *client = argument;

    if (client_has_sent(client) && !client->has_finished && client->error == 0)
        client_finish(client);
    return client_sees_end(client) && client_has_ended(client);
}

/* Read on; say FIN when it comes from there; tell whether the connection has ended. */
static bool is_sent_away(void *argument)
{
    struct client *client = argument;

    if (client_sees_end(client) && !client->has_finished && client->error == 0)
        client_finish(client);
    return client_has_ended(client);
}

/* How many allocations in a row fail, over which transport, and who ends the connection. */
static const struct shortage {
    enum transport transport;
    unsigned long count;
    bool do_we_end;
} shortages[] = {
    {UNIX_PAIR, 1, false},    {UNIX_PAIR, 5, false},     {PIPES, 1, false},
    {PIPES, 5, false},        {UNIX_PAIR, 1, true},      {UNIX_PAIR, 5, true},
    {PIPES, 1, true},         {UNIX_SHORTCUT, 1, false}, {UNIX_SHORTCUT, 5, false},
    {UNIX_SHORTCUT, 1, true}, {TCP_SHORTCUT, 1, false},
};

/* Serve one client from its first byte to its end, though the nth allocation fails. */
static void serve_one(const struct shortage *shortage, unsigned long nth)
{
    const enum close_reason good = shortage->do_we_end ? CLOSE_DRAIN : CLOSE_CLIENT;
    const struct pair pair = pair_make(shortage->transport);
    struct client *client = client_meet_over(&pair, shortage->transport);

    if (client->connection == NULL) {
        ck_assert_int_eq(errno, ENOMEM);
        support_loop_settle();
        ck_assert_int_eq(close(pair.input), 0); /* it is ours still */
        if (pair.output != pair.input)
            ck_assert_int_eq(close(pair.output), 0);
        return;
    }
    if (connection_start(client->connection, (uint64_t)scene.count) < 0) {
        ck_assert_uint_eq(client->ends, 0);
        connection_free(client->connection);
        client->connection = NULL;
        return;
    }
    client->send_goal = 300000;
    ck_assert_msg(support_loop_reaches(client_is_paused_or_ended, client),
                  "after allocation %lu failed nothing is read", nth);
    if (shortage->do_we_end && client->ends == 0)
        connection_close(client->connection, CLOSE_DRAIN);
    ck_assert_msg(support_loop_reaches(shortage->do_we_end ? is_sent_away : is_served, client),
                  "after allocation %lu failed the connection hangs", nth);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_msg(client->reason == good || client->reason == CLOSE_NO_MEMORY,
                  "after allocation %lu failed the connection ended: %s", nth,
                  close_reason_name(client->reason));
    if (client->reason == good)
        ck_assert_uint_eq(client->received, scene_count_of(COUNTER_BYTES_IN));
    if (client->reason == CLOSE_CLIENT)
        ck_assert_uint_eq(client->received, client->sent);
}

START_TEST(a_shortage_at_any_moment_ends_cleanly)
{
    unsigned descriptors = 0;
    bool has_failed = true;

    for (unsigned long nth = 0; has_failed; nth++) {
        scene_teardown(); /* from a new loop on, which has no memory to spare */
        support_renew_base();
        if (nth == 0)
            descriptors = support_descriptor_count();
        ck_assert_msg(support_descriptor_count() == descriptors,
                      "allocation %lu left a descriptor open", nth);
        scene_setup();
        support_memory_fail(nth + 1, shortages[_i].count);
        serve_one(&shortages[_i], nth + 1);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert_msg(gauge_get(&scene.pool.queued_bytes) == 0, "allocation %lu left bytes queued",
                      nth + 1);
        ck_assert(has_failed || nth > 4); /* something did fail before */
    }
    ck_assert_int_ne((int)scene.clients[0].reason, CLOSE_NO_MEMORY);
}
END_TEST

START_TEST(a_group_is_made_whole_or_not_at_all)
{
    bool has_failed = true;
    unsigned long nth = 0;

    connection_group_fini(&scene.group);
    while (has_failed) {
        const size_t before = support_memory_bytes();
        int status;

        support_memory_fail(++nth, 1);
        status = connection_init_group(&scene.group);
        has_failed = support_memory_has_failed();
        support_memory_fail(0, 0);
        if (has_failed) {
            ck_assert_int_eq(status, -1);
            ck_assert_int_eq(errno, ENOMEM);
            ck_assert_uint_eq(support_memory_bytes(), before);
        } else {
            ck_assert_int_eq(status, 0);
        }
    }
    ck_assert_uint_gt(nth, 1);
}
END_TEST

static Suite *connection_suite(void)
{
    const int all = TRANSPORT_COUNT;
    Suite *suite = suite_create("connection");
    TCase *test_case;

    test_case = scene_case(suite, "echo");
    tcase_add_loop_test(test_case, every_byte_comes_back_and_then_fin, 0, COUNT_OF(sizes) * all);
    tcase_add_loop_test(test_case, what_came_before_the_start_comes_back_too, 0, all);
    tcase_add_loop_test(test_case, bytes_that_come_one_by_one_come_back, 0, all);
    tcase_add_test(test_case, clients_are_served_side_by_side);
    tcase_add_loop_test(test_case, after_fin_all_that_waits_still_comes_back, 0, all);
    tcase_add_loop_test(test_case, no_order_of_reads_and_writes_stalls_or_loses_a_byte, 0,
                        COUNT_OF(marks) * all);

    test_case = scene_case(suite, "memory");
    tcase_add_loop_test(test_case, a_shortage_at_any_moment_ends_cleanly, 0, COUNT_OF(shortages));
    tcase_add_test(test_case, a_group_is_made_whole_or_not_at_all);
    return suite;
}

int main(void)
{
    return support_run(connection_suite());
}
