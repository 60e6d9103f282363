/*
 * check_worker: a worker answers a ping when its loop has turned, and not before; who asks it about
 * connections gets an answer, whatever becomes of it; it keeps nothing of options that it no longer
 * has.
 * Serves no client: tests/system does.
 * Run by make check.
 */
#include <config.h>

#include "echod/worker.h"
#include "echod/inspection.h"
#include "echod/options_reader.h"

#include "support.h"

#include <stdatomic.h>
#include <string.h>

static struct {
    struct options options;
    struct sockets sockets;
    struct listener_stats_list stats;
    struct connection_limit limit;
    struct worker *worker;
    _Atomic int finished;
    _Atomic int changed;
} scene;

/* Called in the worker's thread. */
static void on_event(enum worker_event event, unsigned worker_index, void *owner)
{
    (void)worker_index;
    (void)owner;
    if (event == WORKER_FINISHED)
        atomic_fetch_add(&scene.finished, 1);
    if (event == WORKER_CHANGED)
        atomic_fetch_add(&scene.changed, 1);
}

static void on_error(const struct error *error, void *argument)
{
    (void)argument;
    ck_abort_msg("%s", error->text);
}

static void setup(void)
{
    char program[] = "echod", no_config[] = "--no-config", option[] = "--listen",
         address[] = "tcp://127.0.0.1:0";
    char *arguments[] = {program, no_config, option, address, NULL};
    const struct worker_place place = {
        .count = 1,
        .cpu = CAPACITY_ANY_CPU,
        .max_queued_bytes = 1024,
        .limit = &scene.limit,
    };
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const struct passed passed = {0};

    scene.limit.max = 10;
    scene.finished = scene.changed = 0;
    ck_assert_int_eq(options_read(&scene.options, 4, arguments, on_error, NULL), 0);
    ck_assert_int_eq(
        sockets_open(&scene.sockets, &scene.options.listen, 1, &passed, log, on_error, NULL), 0);
    scene.stats.worker_count = 1;
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.sockets.endpoints), 0);
    scene.worker = worker_new(&place, &scene.options, &scene.sockets, log, on_event, &scene);
    ck_assert_ptr_nonnull(scene.worker);
}

static void teardown(void)
{
    worker_free(scene.worker);
    listener_stats_fini(&scene.stats);
    sockets_close(&scene.sockets);
    options_free(&scene.options);
}

static bool answers(void *argument)
{
    (void)argument;
    return worker_ping(scene.worker);
}

START_TEST(a_worker_whose_loop_does_not_turn_answers_no_ping)
{
    ck_assert(worker_ping(scene.worker)); /* the first asks, and there is no other to answer */
    for (int i = 0; i < 100; i++)
        ck_assert(!worker_ping(scene.worker));
    ck_assert_int_eq(worker_start(scene.worker), 0);
    support_loop_until(answers, NULL);
    for (int i = 0; i < 100; i++)
        support_loop_until(answers, NULL);
    worker_stop(scene.worker);
}
END_TEST

START_TEST(every_message_has_room_while_the_loop_does_not_turn)
{
    (void)worker_ping(scene.worker);
    worker_report(scene.worker);
    worker_drain(scene.worker);
    worker_stop(scene.worker);
    (void)worker_ping(scene.worker);
    worker_report(scene.worker);
    ck_assert_int_eq(worker_start(scene.worker), 0);
}
END_TEST

static bool has_finished(void *argument)
{
    (void)argument;
    return atomic_load(&scene.finished) == 1;
}

START_TEST(a_worker_that_has_finished_hangs_nobody_up)
{
    ck_assert_int_eq(worker_start(scene.worker), 0);
    worker_drain(scene.worker);
    support_loop_until(has_finished, NULL);
    for (int i = 0; i < 10; i++)
        ck_assert(worker_ping(scene.worker));
}
END_TEST

static uint64_t lag_count(const struct worker_reading *reading)
{
    uint64_t count = 0;

    for (size_t i = 0; i < BUCKETS_MAX; i++)
        count += reading->lags.counts[i];
    return count;
}

static bool has_measured(void *argument)
{
    struct worker_reading reading;

    worker_read(scene.worker, &reading);
    return lag_count(&reading) == *(const uint64_t *)argument;
}

START_TEST(a_loop_that_stands_lags_more_and_more)
{
    struct worker_reading first, second;
    uint64_t count = 1;

    worker_read(scene.worker, &first);
    ck_assert_uint_eq(first.lag_ns, 0);
    worker_measure_lag(scene.worker);
    worker_measure_lag(scene.worker); /* while the first waits */
    worker_read(scene.worker, &first);
    worker_read(scene.worker, &second);
    ck_assert_uint_gt(second.lag_ns, first.lag_ns);
    ck_assert_uint_eq(lag_count(&second), 0);

    ck_assert_int_eq(worker_start(scene.worker), 0);
    support_loop_until(has_measured, &count);
    worker_read(scene.worker, &first);
    ck_assert_uint_ge(first.lag_ns, second.lag_ns);
    ck_assert_uint_eq(first.lags.sum, first.lag_ns);
    count = 2;
    worker_measure_lag(scene.worker);
    support_loop_until(has_measured, &count);
    worker_stop(scene.worker);
}
END_TEST

START_TEST(a_worker_that_has_finished_does_not_lag)
{
    struct worker_reading reading;

    ck_assert_int_eq(worker_start(scene.worker), 0);
    worker_drain(scene.worker);
    support_loop_until(has_finished, NULL);
    worker_measure_lag(scene.worker);
    worker_read(scene.worker, &reading);
    ck_assert_uint_eq(reading.lag_ns, 0);
    ck_assert_uint_eq(reading.queued_bytes, 0);
}
END_TEST

/* Asking. */

static struct {
    struct mailbox *mailbox;
    struct inspector inspector;
    struct inspection *inspection;
    unsigned told, overs;
} asker;

static void on_result(const struct inquiry_result *result, void *owner)
{
    (void)result;
    (void)owner;
    asker.told++;
}

static void on_over(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner)
{
    (void)owner;
    (void)worker;
    ck_assert_int_eq(outcome, INSPECTION_DONE);
    ck_assert_uint_eq(next, 0);
    asker.overs++;
    inspection_drop(asker.inspection);
    asker.inspection = NULL;
}

static const struct inspection_events events = {on_result, on_over};

static void setup_asker(void)
{
    setup();
    memset(&asker, 0, sizeof asker);
    asker.mailbox = mailbox_new(support_base());
    ck_assert_ptr_nonnull(asker.mailbox);
    asker.inspector = (struct inspector){
        .workers = &scene.worker,
        .worker_count = 1,
        .base = support_base(),
        .mailbox = asker.mailbox,
        .patience_ms = 60000,
    };
}

static void teardown_asker(void)
{
    worker_stop(scene.worker);
    teardown();
    inspector_fini(&asker.inspector);
    mailbox_free(asker.mailbox);
}

static void ask(void)
{
    const struct snapshot_filter any = {.listener = ""};

    asker.inspection = inspection_list(&asker.inspector, &any, 0, 10, &events, NULL);
    ck_assert_ptr_nonnull(asker.inspection);
}

static bool has_asked(void *argument)
{
    (void)argument;
    return asker.inspection == NULL;
}

/* Connect to the worker. Return whether that could be. */
static bool try_to_connect(int fd)
{
    struct address address;
    struct sockaddr_in socket_address;
    struct error error = {""};

    ck_assert_int_eq(address_parse(scene.sockets.endpoints.items[0].name, &address, &error), 0);
    socket_address = support_loopback(address.port);
    return connect(fd, (struct sockaddr *)&socket_address, sizeof socket_address) == 0;
}

/* Return our end of a connection to the worker. */
static int connect_to_worker(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert(try_to_connect(fd));
    return fd;
}

static bool tells_of_one(void *argument)
{
    (void)argument;
    asker.told = 0;
    ask();
    support_loop_until(has_asked, NULL);
    return asker.told == 1;
}

START_TEST(a_worker_tells_of_its_connections)
{
    int fd;

    ck_assert_int_eq(worker_start(scene.worker), 0);
    fd = connect_to_worker();
    support_loop_until(tells_of_one, NULL);
    asker.inspection = inspection_of_one(&asker.inspector, INQUIRY_RESET, 1, &events, NULL);
    support_loop_until(has_asked, NULL);
    ck_assert_uint_eq(asker.told, 2);
    ask();
    support_loop_until(has_asked, NULL);
    ck_assert_uint_eq(asker.told, 2);
    support_close(&fd);
}
END_TEST

/* Who asks comes before its end, at its end, or after it. */
START_TEST(a_worker_that_finishes_answers_who_asks)
{
    ck_assert_int_eq(worker_start(scene.worker), 0);
    for (int i = 0; i < 20; i++) {
        ask();
        if (i == _i)
            worker_drain(scene.worker);
        support_loop_until(has_asked, NULL);
    }
    ck_assert_uint_eq(asker.overs, 20);
}
END_TEST

static bool has_changed(void *argument)
{
    return atomic_load(&scene.changed) == *(const int *)argument;
}

/* What the loops themselves have at a moment differs a little; a group for each reload would show.
 */
START_TEST(a_reload_leaves_no_memory_behind)
{
    enum { RELOADS = 100, SLACK_BYTES = 8192 };
    size_t bytes = 0;

    ck_assert_int_eq(worker_start(scene.worker), 0);
    for (int i = 1; i <= RELOADS; i++) {
        worker_change(scene.worker, &scene.options, 1024);
        support_loop_until(has_changed, &i);
        if (i == 2)
            bytes = support_memory_bytes();
    }
    ck_assert_uint_lt(support_memory_bytes(), bytes + SLACK_BYTES);
    worker_stop(scene.worker);
}
END_TEST

/* Tell whether the worker listens as it is expected to. */
static bool listens(void *argument)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const bool is_connected = try_to_connect(fd);

    support_close(&fd);
    return is_connected == *(const bool *)argument;
}

START_TEST(a_worker_follows_pauses)
{
    struct listener_stats *stats = scene.stats.first;
    bool is_listening = false;

    ck_assert_int_eq(worker_start(scene.worker), 0);
    atomic_store(&stats->is_paused, true);
    worker_follow_pauses(scene.worker);
    support_loop_until(listens, &is_listening);
    atomic_store(&stats->is_paused, false);
    worker_follow_pauses(scene.worker);
    is_listening = true;
    support_loop_until(listens, &is_listening);
    worker_stop(scene.worker);
}
END_TEST

static Suite *worker_suite(void)
{
    Suite *suite = suite_create("worker");
    TCase *ping = support_case(suite, "ping");
    TCase *lag = support_case(suite, "lag");
    TCase *asking = support_case(suite, "asking");
    TCase *reload = support_case(suite, "reload");

    tcase_add_checked_fixture(ping, setup, teardown);
    tcase_add_test(ping, a_worker_whose_loop_does_not_turn_answers_no_ping);
    tcase_add_test(ping, every_message_has_room_while_the_loop_does_not_turn);
    tcase_add_test(ping, a_worker_that_has_finished_hangs_nobody_up);

    tcase_add_checked_fixture(lag, setup, teardown);
    tcase_add_test(lag, a_loop_that_stands_lags_more_and_more);
    tcase_add_test(lag, a_worker_that_has_finished_does_not_lag);
    tcase_add_checked_fixture(asking, setup_asker, teardown_asker);
    tcase_add_test(asking, a_worker_tells_of_its_connections);
    tcase_add_loop_test(asking, a_worker_that_finishes_answers_who_asks, 0, 3);

    tcase_add_checked_fixture(reload, setup, teardown);
    tcase_add_test(reload, a_reload_leaves_no_memory_behind);
    tcase_add_test(reload, a_worker_follows_pauses);
    return suite;
}

int main(void)
{
    return support_run(worker_suite());
}
