/*
 * check_inspection: pages of the connections of all workers are in order and complete while others
 * come and go; one is found and ended by its id; nobody waits for ever, and nothing is left behind.
 * Connections and workers are stand-ins: real tables and inquiries, in one loop.
 * Run by make check.
 */
#include <config.h>

#include "base/clock.h"
#include "echod/connection.h"
#include "echod/inquiries.h"
#include "echod/inspection.h"

#include "support.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 3, MANY = 3000, PATIENCE_MS = 60000 };

struct connection {
    struct snapshot snapshot;
    bool lingers; /* when it is closed */
    bool stays;   /* while the others come and go */
    unsigned told;
    enum close_reason reason;
};

/* Of a worker what answers. */
struct worker {
    struct table *table;
    struct inquiries inquiries;
    bool is_mute;           /* it answers nothing, ... */
    struct inquiry *unread; /* ... which is this */
};

static struct {
    struct worker workers[WORKERS], *pointers[WORKERS];
    struct inspector inspector;
    struct inspection *inspection;
    struct connection *all[4 * MANY]; /* those that are there */
    size_t count;
    uint64_t seed;
    struct connection *ended; /* the one that ended last */
    size_t looks;             /* at connections */
    uint64_t tick_ns;         /* which the clock goes on each time that it is read, ... */
    uint64_t passed_ns;       /* ... and has gone on beside what really passed */

    uint64_t ids[INSPECTION_PAGE_MAX]; /* of the page */
    struct snapshot last;              /* the last that was told of */
    bool has_tls;
    size_t told;
    unsigned overs;
    enum inspection_outcome outcome;
    uint64_t next;
    size_t late_worker;
} scene;

/* --- Stand-ins ------------------------------------------------------------------------------- */

uint64_t clock_now_ns(void)
{
    struct timespec now;

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    scene.passed_ns += scene.tick_ns;
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + scene.passed_ns;
}

uint64_t clock_now_ms(void)
{
    return clock_now_ns() / 1000000;
}

struct timeval clock_timeval(uint64_t milliseconds)
{
    return (struct timeval){.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
}

void connection_look(const struct connection *connection, struct snapshot *snapshot)
{
    scene.looks++;
    *snapshot = connection->snapshot;
}

bool connection_describe_tls(const struct connection *connection, struct tls_facts *facts)
{
    facts->version = "TLSv1.3";
    return connection->snapshot.bytes_in == 7;
}

static struct worker *worker_of(const struct connection *connection)
{
    return &scene.workers[(connection->snapshot.id - 1) % WORKERS];
}

static void take_out(struct connection *connection)
{
    ck_assert_ptr_eq(table_remove(worker_of(connection)->table, connection->snapshot.id),
                     connection);
    for (size_t i = 0; i < scene.count; i++) {
        if (scene.all[i] == connection) {
            scene.all[i] = scene.all[--scene.count];
            break;
        }
    }
}

void connection_close(struct connection *connection, enum close_reason reason)
{
    connection->reason = reason;
    if (connection->lingers)
        connection->snapshot.state = CONNECTION_LINGERING;
    else
        connection_reset(connection, reason);
}

void connection_reset(struct connection *connection, enum close_reason reason)
{
    connection->reason = reason;
    take_out(connection);
    scene.ended = connection;
}

void worker_ask(struct worker *worker, struct inquiry *inquiry)
{
    if (worker->is_mute)
        worker->unread = inquiry;
    else
        inquiries_add(&worker->inquiries, inquiry);
}

/* --- Scene ----------------------------------------------------------------------------------- */

static void on_result(const struct inquiry_result *result, void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    ck_assert_uint_lt(scene.told, INSPECTION_PAGE_MAX);
    scene.ids[scene.told++] = result->snapshot.id;
    scene.last = result->snapshot;
    scene.has_tls = result->has_tls;
}

static void on_over(enum inspection_outcome outcome, uint64_t next, size_t worker, void *owner)
{
    ck_assert_ptr_eq(owner, &scene);
    scene.overs++;
    scene.outcome = outcome;
    scene.next = next;
    scene.late_worker = worker;
    inspection_drop(scene.inspection);
    scene.inspection = NULL;
}

static const struct inspection_events events = {on_result, on_over};

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.seed = 1;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &scene.workers[i];

        worker->table = table_new(i, WORKERS);
        ck_assert_ptr_nonnull(worker->table);
        worker->inquiries = (struct inquiries){.base = support_base(), .table = worker->table};
        ck_assert_int_eq(inquiries_init(&worker->inquiries), 0);
        scene.pointers[i] = worker;
    }
    scene.inspector = (struct inspector){
        .workers = scene.pointers,
        .worker_count = WORKERS,
        .base = support_base(),
        .mailbox = mailbox_new(support_base()),
        .patience_ms = PATIENCE_MS,
    };
    ck_assert_ptr_nonnull(scene.inspector.mailbox);
}

static void teardown(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        inquiries_end(&scene.workers[i].inquiries);
    inspector_fini(&scene.inspector);
    mailbox_free(scene.inspector.mailbox);
    for (unsigned i = 0; i < WORKERS; i++) {
        inquiries_fini(&scene.workers[i].inquiries);
        table_free(scene.workers[i].table);
    }
    for (size_t i = 0; i < scene.count; i++)
        free(scene.all[i]);
    free(scene.ended);
}

/* Let one come, of a random worker. */
static struct connection *add(void)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct worker *worker = &scene.workers[support_random(&scene.seed) % WORKERS];

    ck_assert_ptr_nonnull(connection);
    connection->snapshot.listener = "public";
    connection->snapshot.state = CONNECTION_OPEN;
    connection->snapshot.id = table_insert(worker->table, connection);
    ck_assert_uint_gt(connection->snapshot.id, 0);
    scene.all[scene.count++] = connection;
    return connection;
}

static void remove_one(size_t place)
{
    struct connection *connection = scene.all[place];

    take_out(connection);
    free(connection);
}

/* Let so many come, and many go again, so that slots are used anew and ids lie in no order. */
static void add_many(size_t count)
{
    for (size_t i = 0; i < 2 * count; i++)
        (void)add();
    while (scene.count > count)
        remove_one((size_t)(support_random(&scene.seed) % scene.count));
}

static bool is_over(void *argument)
{
    (void)argument;
    return scene.inspection == NULL;
}

static void begin_page(const struct snapshot_filter *filter, uint64_t after, size_t limit)
{
    scene.told = 0;
    scene.inspection = inspection_list(&scene.inspector, filter, after, limit, &events, &scene);
    ck_assert_ptr_nonnull(scene.inspection);
}

static void get_page(const struct snapshot_filter *filter, uint64_t after, size_t limit)
{
    begin_page(filter, after, limit);
    support_loop_until(is_over, NULL);
    ck_assert_int_eq(scene.outcome, INSPECTION_DONE);
}

static void ask_of_one(enum inquiry_kind kind, uint64_t id)
{
    scene.told = 0;
    scene.inspection = inspection_of_one(&scene.inspector, kind, id, &events, &scene);
    ck_assert_ptr_nonnull(scene.inspection);
    support_loop_until(is_over, NULL);
    ck_assert_int_eq(scene.outcome, INSPECTION_DONE);
    ck_assert_uint_eq(scene.next, 0);
}

static int compare_ids(const void *one, const void *other)
{
    const uint64_t id = *(const uint64_t *)one, other_id = *(const uint64_t *)other;

    return (id > other_id) - (id < other_id);
}

static const struct snapshot_filter any = {.listener = ""};

/* --- Pages ----------------------------------------------------------------------------------- */

/* The sizes are such that the last page is full, not full, and the only one. */
START_TEST(pages_tell_of_all_workers_in_the_order_of_ids)
{
    static const size_t limits[] = {1, 7, 64, 100, 129, INSPECTION_PAGE_MAX};
    const size_t count = 1000, limit = limits[_i];
    uint64_t expected[1000], after = 0;
    size_t seen = 0;

    add_many(count);
    for (size_t i = 0; i < count; i++)
        expected[i] = scene.all[i]->snapshot.id;
    qsort(expected, count, sizeof expected[0], compare_ids);
    do {
        get_page(&any, after, limit);
        ck_assert_uint_eq(scene.told, count - seen < limit ? count - seen : limit);
        for (size_t i = 0; i < scene.told; i++)
            support_assert(scene.ids[i] == expected[seen + i]);
        seen += scene.told;
        after = scene.next;
        ck_assert_uint_eq(after, seen < count ? expected[seen - 1] : 0);
    } while (after != 0);
    ck_assert_uint_eq(seen, count);
}
END_TEST

START_TEST(where_there_is_none_the_page_is_empty)
{
    get_page(&any, 0, 10);
    ck_assert_uint_eq(scene.told, 0);
    ck_assert_uint_eq(scene.next, 0);
    add_many(10);
    get_page(&any, UINT64_MAX, 10);
    ck_assert_uint_eq(scene.told, 0);
    ck_assert_uint_eq(scene.next, 0);
}
END_TEST

/* Time is always up after a step: so does a turn of the slowest machine end. */
START_TEST(a_turn_looks_at_few_however_many_there_are)
{
    const size_t count = INSPECTION_PAGE_MAX, most = WORKERS * INQUIRY_STEP;
    size_t turns = 0;

    add_many(count);
    scene.tick_ns = INQUIRIES_TURN_NS / 2 + 1;
    begin_page(&any, 0, count);
    while (scene.inspection != NULL) {
        scene.looks = 0;
        ck_assert_int_eq(event_base_loop(support_base(), EVLOOP_ONCE), 0);
        ck_assert_uint_le(scene.looks, most);
        turns++;
    }
    ck_assert_uint_eq(scene.told, count);
    ck_assert_uint_gt(turns, 2 * count / most); /* to find them, and to describe them */
}
END_TEST

/* Of those that do not stay some go, and others come. */
static void churn(void)
{
    for (int i = 0; i < 20; i++) {
        const size_t place = (size_t)(support_random(&scene.seed) % scene.count);

        if (!scene.all[place]->stays)
            remove_one(place);
        if (scene.count < 2 * MANY)
            (void)add();
    }
}

static void note_told(uint64_t after)
{
    for (size_t i = 0; i < scene.told; i++) {
        struct connection *connection =
            table_find(scene.workers[(scene.ids[i] - 1) % WORKERS].table, scene.ids[i]);

        support_assert(scene.ids[i] > (i == 0 ? after : scene.ids[i - 1]));
        if (connection != NULL)
            connection->told++;
    }
}

START_TEST(who_stays_is_told_of_once_while_others_come_and_go)
{
    const size_t few = support_is_under_valgrind() ? 100 : 10; /* each page takes its time there */
    const size_t limit = _i == 0 ? few : 500;
    uint64_t after = 0;

    add_many(MANY);
    for (size_t i = 0; i < scene.count; i += 3)
        scene.all[i]->stays = true;
    do {
        begin_page(&any, after, limit);
        while (scene.inspection != NULL) {
            churn();
            support_loop_once();
        }
        ck_assert_uint_le(scene.told, limit);
        note_told(after);
        ck_assert(scene.next == 0 || scene.next > after);
        after = scene.next;
    } while (after != 0);
    for (size_t i = 0; i < scene.count; i++)
        support_assert(scene.all[i]->told <= 1 &&
                       (scene.all[i]->told == 1 || !scene.all[i]->stays));
}
END_TEST

START_TEST(several_may_ask_at_a_time_and_who_is_dropped_gets_nothing)
{
    struct inspection *dropped[20];

    add_many(MANY);
    for (int i = 0; i < 20; i++) {
        dropped[i] = inspection_list(&scene.inspector, &any, 0, 100, &events, NULL);
        ck_assert_ptr_nonnull(dropped[i]);
        if (i % 2 == 0)
            inspection_drop(dropped[i]);
    }
    begin_page(&any, 0, 50);
    for (int i = 1; i < 20; i += 2)
        inspection_drop(dropped[i]);
    support_loop_until(is_over, NULL);
    ck_assert_uint_eq(scene.told, 50);
    support_loop_settle();
    ck_assert_ptr_null(scene.inspector.first);
}
END_TEST

/* --- Filters --------------------------------------------------------------------------------- */

/* Make a filter that lets only the connection pass that such a one is told apart by. */
static void set_apart(int kind, struct snapshot_filter *filter, struct snapshot *apart)
{
    struct error error = {""};

    switch (kind) {
    case 0:
        apart->listener = "inner";
        (void)strcpy(filter->listener, "inner");
        return;
    case 1:
        apart->peer.v4.sin_family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, "192.0.2.77", &apart->peer.v4.sin_addr), 1);
        filter->has_network = true;
        ck_assert_int_eq(network_parse("192.0.2.64/26", &filter->network, &error), 0);
        return;
    case 2:
        apart->state = CONNECTION_HANDSHAKE;
        filter->has_state = true;
        filter->state = CONNECTION_HANDSHAKE;
        return;
    case 3:
        apart->idle_ms = filter->min_idle_ms = 5000;
        return;
    case 4:
        apart->age_ms = filter->min_age_ms = 5000;
        return;
    case 5:
        apart->queued_bytes = filter->min_queued_bytes = 5000;
        return;
    default:
        ck_abort_msg("no such kind");
    }
}

/* All others are next to what is asked for. */
static void set_usual(struct snapshot *usual)
{
    usual->peer.v4.sin_family = AF_INET;
    ck_assert_int_eq(inet_pton(AF_INET, "192.0.2.63", &usual->peer.v4.sin_addr), 1);
    usual->idle_ms = usual->age_ms = usual->queued_bytes = 4999;
}

START_TEST(a_filter_lets_only_those_pass_of_which_all_holds)
{
    struct snapshot_filter filter = {.listener = ""};
    struct snapshot *apart;

    add_many(500);
    for (size_t i = 0; i < scene.count; i++)
        set_usual(&scene.all[i]->snapshot);
    apart = &scene.all[scene.count / 2]->snapshot;
    set_apart(_i, &filter, apart);
    get_page(&filter, 0, 10);
    ck_assert_uint_eq(scene.told, 1);
    ck_assert_uint_eq(scene.ids[0], apart->id);
    ck_assert_uint_eq(scene.next, 0);
    filter.min_idle_ms = 5001;
    get_page(&filter, 0, 10);
    ck_assert_uint_eq(scene.told, 0);
}
END_TEST

/* --- One ------------------------------------------------------------------------------------- */

START_TEST(one_is_found_by_its_id_and_no_other)
{
    struct connection *connection;

    add_many(100);
    connection = scene.all[50];
    connection->snapshot.bytes_in = 7;
    ask_of_one(INQUIRY_DESCRIBE, connection->snapshot.id);
    ck_assert_uint_eq(scene.told, 1);
    ck_assert_uint_eq(scene.ids[0], connection->snapshot.id);
    ck_assert(scene.has_tls);
    ask_of_one(INQUIRY_DESCRIBE, connection->snapshot.id + UINT64_C(3000000));
    ck_assert_uint_eq(scene.told, 0);
    ask_of_one(INQUIRY_CLOSE, UINT64_MAX);
    ck_assert_uint_eq(scene.told, 0);
    ck_assert_ptr_null(scene.ended);
}
END_TEST

START_TEST(one_that_is_ended_is_told_of_as_it_is_then)
{
    static const struct {
        enum inquiry_kind kind;
        bool lingers;
        enum connection_state state;
    } cases[] = {
        {INQUIRY_CLOSE, true, CONNECTION_LINGERING},
        {INQUIRY_CLOSE, false, CONNECTION_ENDED},
        {INQUIRY_RESET, true, CONNECTION_ENDED},
    };
    struct connection *connection;
    uint64_t id;

    add_many(100);
    connection = scene.all[50];
    connection->lingers = cases[_i].lingers;
    id = connection->snapshot.id;
    ask_of_one(cases[_i].kind, id);
    ck_assert_uint_eq(scene.told, 1);
    ck_assert_int_eq(scene.last.state, cases[_i].state);
    ck_assert_int_eq(connection->reason, CLOSE_OPERATOR);
    ask_of_one(INQUIRY_CLOSE, id);
    ck_assert_uint_eq(scene.told, _i == 0);
}
END_TEST

/* --- Workers that do not answer -------------------------------------------------------------- */

/* The worker that did not answer does so at last. */
static void answer_late(void)
{
    ck_assert_ptr_nonnull(scene.inspector.first); /* the worker has it still */
    inquiries_add(&scene.workers[1].inquiries, scene.workers[1].unread);
    support_loop_settle();
    ck_assert_ptr_null(scene.inspector.first);
}

static void ask_in_vain(uint64_t patience_ms)
{
    scene.inspector.patience_ms = patience_ms;
    begin_page(&any, 0, 10);
    support_loop_until(is_over, NULL);
    ck_assert_int_eq(scene.outcome, INSPECTION_OVERDUE);
}

START_TEST(who_asks_hears_which_worker_does_not_answer)
{
    uint64_t patience_ms = 20;
    unsigned asked = 1;

    add_many(100);
    scene.workers[1].is_mute = true;
    for (ask_in_vain(patience_ms); scene.late_worker != 1; asked++) { /* the others had no time */
        answer_late();
        patience_ms *= 2;
        ask_in_vain(patience_ms);
    }
    answer_late();
    ck_assert_uint_eq(scene.overs, asked);
}
END_TEST

/* Of the second, nobody waits any more. */
START_TEST(who_asks_hears_that_echod_ends)
{
    scene.workers[1].is_mute = true;
    begin_page(&any, 0, 10);
    if (_i == 1)
        inspection_drop(scene.inspection);
    for (unsigned i = 0; i < WORKERS; i++)
        inquiries_end(&scene.workers[i].inquiries);
    inspector_fini(&scene.inspector);
    ck_assert_ptr_null(scene.inspector.first);
    ck_assert_uint_eq(scene.overs, _i == 0);
    if (_i == 0)
        ck_assert_int_eq(scene.outcome, INSPECTION_ENDED);
}
END_TEST

START_TEST(nobody_is_ended_for_who_does_not_wait_any_more)
{
    uint64_t id;

    add_many(100);
    id = scene.all[0]->snapshot.id;
    scene.inspection = inspection_of_one(&scene.inspector, INQUIRY_CLOSE, id, &events, &scene);
    ck_assert_ptr_nonnull(scene.inspection);
    inspection_drop(scene.inspection);
    support_loop_settle();
    ck_assert_ptr_null(scene.ended);
    ck_assert_uint_eq(scene.overs, 0);
}
END_TEST

START_TEST(a_worker_that_ends_answers_with_what_it_knows)
{
    add_many(100);
    begin_page(&any, 0, 10);
    for (unsigned i = 0; i < WORKERS; i++)
        inquiries_end(&scene.workers[i].inquiries);
    support_loop_until(is_over, NULL);
    ck_assert_int_eq(scene.outcome, INSPECTION_DONE);
    ck_assert_uint_eq(scene.told, 0);
}
END_TEST

START_TEST(without_memory_nothing_is_asked)
{
    add_many(100);
    support_memory_fail(1, 1);
    ck_assert_ptr_null(inspection_list(&scene.inspector, &any, 0, 10, &events, &scene));
    ck_assert(support_memory_has_failed());
    support_memory_fail(0, 0);
    ck_assert_ptr_null(scene.inspector.first);
}
END_TEST

static Suite *inspection_suite(void)
{
    Suite *suite = suite_create("inspection");
    TCase *pages = support_case(suite, "pages");
    TCase *one = support_case(suite, "one");
    TCase *late = support_case(suite, "late");

    tcase_add_checked_fixture(pages, setup, teardown);
    tcase_add_loop_test(pages, pages_tell_of_all_workers_in_the_order_of_ids, 0, 6);
    tcase_add_test(pages, where_there_is_none_the_page_is_empty);
    tcase_add_test(pages, a_turn_looks_at_few_however_many_there_are);
    tcase_add_loop_test(pages, who_stays_is_told_of_once_while_others_come_and_go, 0, 2);
    tcase_add_test(pages, several_may_ask_at_a_time_and_who_is_dropped_gets_nothing);
    tcase_add_loop_test(pages, a_filter_lets_only_those_pass_of_which_all_holds, 0, 6);
    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_test(one, one_is_found_by_its_id_and_no_other);
    tcase_add_loop_test(one, one_that_is_ended_is_told_of_as_it_is_then, 0, 3);
    tcase_add_checked_fixture(late, setup, teardown);
    tcase_add_test(late, who_asks_hears_which_worker_does_not_answer);
    tcase_add_loop_test(late, who_asks_hears_that_echod_ends, 0, 2);
    tcase_add_test(late, nobody_is_ended_for_who_does_not_wait_any_more);
    tcase_add_test(late, a_worker_that_ends_answers_with_what_it_knows);
    tcase_add_test(late, without_memory_nothing_is_asked);
    return suite;
}

int main(void)
{
    return support_run(inspection_suite());
}
