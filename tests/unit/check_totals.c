/*
 * check_totals: what is counted of listeners adds up, and stands in the lines about totals.
 * Counts nothing that happened: no client comes.
 * Run by make check.
 */
#include <config.h>

#include "echod/totals.h"

#include "support.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

static struct {
    struct endpoint_list endpoints;
    struct listener_stats_list stats;
    unsigned allocations_left; /* then memory is short */
} scene;

/*
 * The linker's option --wrap chooses these names: the first is called in the place of the C
 * library's, which is the second. NOLINTBEGIN(bugprone-reserved-identifier,cert-*)
 */
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (scene.allocations_left == 0) {
        errno = ENOMEM;
        return NULL;
    }
    scene.allocations_left--;
    return __real_aligned_alloc(alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-*) */

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.allocations_left = UINT_MAX;
    scene.stats.worker_count = scene.endpoints.worker_count = WORKERS;
}

static void teardown(void)
{
    endpoint_list_close_from(&scene.endpoints, 0);
    free(scene.endpoints.items);
    listener_stats_fini(&scene.stats);
}

/* Add an endpoint, which has no name if that is empty. */
static void add(enum endpoint_kind kind, const char *address, const char *name)
{
    struct endpoint *endpoint = endpoint_add(&scene.endpoints, kind);

    ck_assert_ptr_nonnull(endpoint);
    (void)snprintf(endpoint->name, sizeof endpoint->name, "%s", address);
    (void)snprintf(endpoint->next_options.name, sizeof endpoint->next_options.name, "%s", name);
}

static void find(void)
{
    ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), 0);
}

static void count(size_t endpoint, size_t worker, enum counter which, uint64_t amount)
{
    counters_add(&scene.endpoints.items[endpoint].stats->by_worker[worker], which, amount);
}

static size_t stats_count(void)
{
    size_t count = 0;

    for (const struct listener_stats *one = scene.stats.first; one != NULL; one = one->next)
        count++;
    return count;
}

START_TEST(workers_and_listeners_add_up)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:8", "public");
    find();
    count(0, 0, COUNTER_CONNECTIONS_ACCEPTED, 3);
    count(0, 1, COUNTER_CONNECTIONS_ACCEPTED, 4);
    count(1, 1, COUNTER_CONNECTIONS_ACCEPTED, 10);
    atomic_store(&scene.endpoints.items[0].stats->open, 7);
    atomic_store(&scene.endpoints.items[1].stats->open, 8);
    count(1, 1, COUNTER_BYTES_IN, UINT64_C(1) << 40);
    ck_assert_uint_eq(totals_open_connections(&scene.stats), 15);
    totals_log(&scene.stats, support_log(LOG_FORMAT_TEXT));
    totals_log_listeners(&scene.stats, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(
        support_log_text(),
        "totals: open=15 accepted=17 refused=0 in=1099511627776 out=0 "
        "accept_shortages=0 accept_limits=0 "
        "proxy_untrusted=0 proxy_invalid=0 handshakes_overdue=0 [^\n]* log_dropped=0\n"
        ".* listener tcp://127.0.0.1:7: open=7 accepted=7 refused=0 in=0 out=0 "
        "accept_shortages=0 accept_limits=0 [^\n]* handshakes_overdue=0 [^\n]*\n"
        ".* listener public: open=8 accepted=10 refused=0 in=1099511627776 ");
}
END_TEST

START_TEST(datagrams_have_totals_where_there_is_a_socket_for_them)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    add(ENDPOINT_DATAGRAM, "udp://127.0.0.1:7", "dgram");
    find();
    count(1, 0, COUNTER_DATAGRAMS_IN, 5);
    count(1, 1, COUNTER_DATAGRAMS_IN, 6);
    totals_log(&scene.stats, support_log(LOG_FORMAT_TEXT));
    totals_log_listeners(&scene.stats, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(
        support_log_text(),
        "totals: open=0 .* datagrams_in=11 .* log_dropped=0\n"
        ".* listener tcp://127.0.0.1:7: open=0 [^\n]* handshakes_overdue=0 [^\n]*\n"
        ".* listener dgram: datagrams_in=11 [^\n]*\n$");
}
END_TEST

START_TEST(misbehaviour_has_a_line_of_its_own_where_there_was_some)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    add(ENDPOINT_DATAGRAM, "udp://127.0.0.1:7", "dgram");
    find();
    count(0, 0, COUNTER_IMPAIR_RESET, 3);
    totals_log(&scene.stats, support_log(LOG_FORMAT_TEXT));
    totals_log_listeners(&scene.stats, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(support_log_text(),
                           "log_dropped=0\n"
                           "[^\n]* totals: misbehaved: corrupted=0 closed=0 reset=3 refused=0 "
                           "dropped=0 [^\n]*datagram_corrupted=0\n"
                           "[^\n]* listener tcp://127.0.0.1:7: open=0 [^\n]*\n"
                           "[^\n]* listener tcp://127.0.0.1:7 misbehaved: corrupted=0 [^\n]*\n"
                           "[^\n]* listener dgram: datagrams_in=0 [^\n]*\n$");
}
END_TEST

START_TEST(ends_have_a_line_of_the_reasons_that_there_were)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:8", "public");
    find();
    count(0, 0, counters_of_end(CLOSE_CLIENT), 3);
    count(0, 1, counters_of_end(CLOSE_CLIENT), 4);
    count(0, 1, counters_of_end(CLOSE_NO_MEMORY), 1);
    totals_log(&scene.stats, support_log(LOG_FORMAT_TEXT));
    totals_log_listeners(&scene.stats, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(
        support_log_text(),
        "log_dropped=0\n"
        "[^\n]* totals: ended: client_closed=7 out_of_memory=1\n"
        "[^\n]* listener tcp://127.0.0.1:7: open=0 [^\n]*\n"
        "[^\n]* listener tcp://127.0.0.1:7 ended: client_closed=7 out_of_memory=1\n"
        "[^\n]* listener public: open=0 [^\n]*\n$");
}
END_TEST

START_TEST(in_json_ends_have_names_that_nothing_else_has)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    find();
    count(0, 0, counters_of_end(CLOSE_IDLE), 5);
    totals_log(&scene.stats, support_log(LOG_FORMAT_JSON));
    support_assert_matches(support_log_text(),
                           "totals: ended: .*\"ended_idle_timeout\":5[^\n]*\n$");
}
END_TEST

START_TEST(every_counter_has_a_row_of_its_own)
{
    for (enum counter which = 0; which < COUNTER_COUNT; which++) {
        const struct counter_name *name = counters_name(which);

        ck_assert_ptr_nonnull(name->text);
        ck_assert_ptr_nonnull(name->help);
        ck_assert_int_eq(name->help[strlen(name->help) - 1], '.');
        for (enum counter other = 0; other < which; other++) {
            const struct counter_name *before = counters_name(other);

            ck_assert_str_ne(name->json, before->json);
            ck_assert(name->kind != before->kind || strcmp(name->text, before->text) != 0);
        }
    }
}
END_TEST

START_TEST(a_line_of_all_ends_is_not_cut)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    find();
    for (int reason = 0; reason < CLOSE_REASON_COUNT; reason++)
        count(0, 0, counters_of_end((enum close_reason)reason), UINT64_MAX);
    totals_log(&scene.stats, support_log(LOG_FORMAT_TEXT));
    support_assert_matches(support_log_text(), "out_of_memory=18446744073709551615\n$");
}
END_TEST

START_TEST(in_json_the_listener_is_a_fact)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "public");
    find();
    count(0, 1, COUNTER_BYTES_OUT, 42);
    totals_log_listeners(&scene.stats, support_log(LOG_FORMAT_JSON));
    support_assert_matches(support_log_text(), "\"listener\":\"public\".*\"out_bytes\":42");
}
END_TEST

START_TEST(what_was_counted_stays_when_a_listener_comes_back)
{
    const struct listener_stats *before;

    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    find();
    before = scene.endpoints.items[0].stats;
    count(0, 0, COUNTER_CONNECTIONS_ACCEPTED, 3);
    endpoint_list_close_from(&scene.endpoints, 0);
    find();
    ck_assert_uint_eq(listener_stats_total(&scene.stats, COUNTER_CONNECTIONS_ACCEPTED), 3);
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "");
    find();
    ck_assert_ptr_eq(scene.endpoints.items[0].stats, before);
    ck_assert_uint_eq(stats_count(), 1);
}
END_TEST

START_TEST(the_addresses_of_a_name_count_together_but_datagrams_apart)
{
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "public");
    add(ENDPOINT_LISTENER, "tcp://[::1]:7", "public");
    add(ENDPOINT_DATAGRAM, "udp://127.0.0.1:7", "public");
    find();
    ck_assert_ptr_eq(scene.endpoints.items[0].stats, scene.endpoints.items[1].stats);
    ck_assert_ptr_ne(scene.endpoints.items[0].stats, scene.endpoints.items[2].stats);
    ck_assert(scene.endpoints.items[2].stats->is_of_datagrams);
    ck_assert_uint_eq(stats_count(), 2);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    const struct listener_stats *before;

    if (support_is_under_valgrind())
        support_skip("valgrind has an allocator of its own, which does not fail");
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:7", "before");
    find();
    before = scene.endpoints.items[0].stats;
    (void)strcpy(scene.endpoints.items[0].next_options.name, "after");
    add(ENDPOINT_LISTENER, "tcp://127.0.0.1:8", "never");
    for (unsigned enough_for = 0; enough_for < 2; enough_for++) {
        scene.allocations_left = enough_for;
        ck_assert_int_eq(listener_stats_find(&scene.stats, &scene.endpoints), -1);
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_ptr_eq(scene.endpoints.items[0].stats, before);
        ck_assert_uint_eq(stats_count(), 1);
    }
    scene.allocations_left = UINT_MAX;
    find();
    ck_assert_str_eq(scene.endpoints.items[0].stats->label, "after");
    ck_assert_uint_eq(stats_count(), 3);
}
END_TEST

static Suite *totals_suite(void)
{
    Suite *suite = suite_create("totals");
    TCase *lines = support_case(suite, "lines");
    TCase *listeners = support_case(suite, "listeners");

    tcase_add_checked_fixture(lines, setup, teardown);
    tcase_add_test(lines, workers_and_listeners_add_up);
    tcase_add_test(lines, datagrams_have_totals_where_there_is_a_socket_for_them);
    tcase_add_test(lines, misbehaviour_has_a_line_of_its_own_where_there_was_some);
    tcase_add_test(lines, ends_have_a_line_of_the_reasons_that_there_were);
    tcase_add_test(lines, in_json_ends_have_names_that_nothing_else_has);
    tcase_add_test(lines, every_counter_has_a_row_of_its_own);
    tcase_add_test(lines, a_line_of_all_ends_is_not_cut);
    tcase_add_test(lines, in_json_the_listener_is_a_fact);

    tcase_add_checked_fixture(listeners, setup, teardown);
    tcase_add_test(listeners, what_was_counted_stays_when_a_listener_comes_back);
    tcase_add_test(listeners, the_addresses_of_a_name_count_together_but_datagrams_apart);
    tcase_add_test(listeners, without_memory_nothing_changes);
    return suite;
}

int main(void)
{
    return support_run(totals_suite());
}
