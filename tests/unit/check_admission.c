/*
 * check_admission: who is let in, by rate, by source and by network; what is forgotten when there
 * are too many sources; and what an entry costs among a million of them.
 * What a source is, check_source_key has.
 * Run by make check.
 */
#include <config.h>

#include "echod/admission.h"

#include "base/units.h"
#include "echod/admission_options.h"
#include "support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BEGIN_MS = 5000, SECOND_MS = 1000 };

static struct admission *admission;

/* The clients that are in, in the order in which they came. */
static struct admission_source *known[ADMISSION_SOURCES + 8];
static size_t known_count;

static void set(struct admission_limits limits)
{
    if (limits.prefixes.v4 == 0)
        limits.prefixes = (struct source_prefixes){SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};
    ck_assert_int_eq(admission_reserve(admission), 0);
    admission_set_limits(admission, &limits);
}

static void setup(void)
{
    static const struct source_seed seed = {{UINT64_C(0x0123456789abcdef), 42}};

    admission = admission_new(&seed);
    ck_assert_ptr_nonnull(admission);
    known_count = 0;
}

static void teardown(void)
{
    admission_free(admission);
    admission_free(NULL);
}

static struct sockaddr_in v4_of(uint32_t number)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(number)}};
}

static enum admission_verdict enter_number(uint32_t number, uint64_t now_ms)
{
    const struct sockaddr_in address = v4_of(number);
    const enum admission_verdict verdict =
        admission_enter(admission, (const struct sockaddr *)&address, now_ms, &known[known_count]);

    if (admission_is_granted(verdict))
        known_count++;
    return verdict;
}

static enum admission_verdict enter(const char *text, uint64_t now_ms)
{
    struct in_addr address;

    ck_assert_int_eq(inet_pton(AF_INET, text, &address), 1);
    return enter_number(ntohl(address.s_addr), now_ms);
}

static void leave(size_t index)
{
    admission_leave(admission, known[index]);
    known[index] = NULL;
}

/* --- Limits ---------------------------------------------------------------------------------- */

START_TEST(without_limits_everybody_is_let_in_and_nobody_is_known)
{
    const struct admission_limits none = {0};

    ck_assert(!admission_is_limiting(admission));
    admission_set_limits(admission, &none);
    ck_assert(!admission_is_limiting(admission));
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_ptr_null(known[0]);
    leave(0);
}
END_TEST

START_TEST(a_source_has_so_many_connections_at_a_time)
{
    set((struct admission_limits){.connections_per_source = 2});
    ck_assert(admission_is_limiting(admission));
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
    ck_assert_int_eq(enter("10.0.0.2", BEGIN_MS), ADMISSION_GRANTED);
    leave(0);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
}
END_TEST

START_TEST(a_source_has_a_rate)
{
    set((struct admission_limits){.rate_per_source = 2});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    leave(0);
    leave(1);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter("10.0.0.2", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS + 499), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS + 500), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS + 500), ADMISSION_SOURCE_RATE);
}
END_TEST

START_TEST(all_sources_together_have_a_rate)
{
    set((struct admission_limits){.rate = 3});
    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(enter_number(i, BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter_number(4, BEGIN_MS), ADMISSION_RATE);
    ck_assert_int_eq(enter_number(4, BEGIN_MS + 334), ADMISSION_GRANTED);
    ck_assert_int_eq(enter_number(4, BEGIN_MS + 334), ADMISSION_RATE);
}
END_TEST

/* Otherwise one source could use up what is there for all. */
START_TEST(whom_its_source_keeps_out_takes_nothing_from_the_others)
{
    set((struct admission_limits){.rate = 3, .rate_per_source = 1, .connections_per_source = 1});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
    leave(0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter("10.0.0.2", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.3", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.4", BEGIN_MS), ADMISSION_RATE);
    /* Who was refused by the rate of all has lost nothing of its own. */
    ck_assert_int_eq(enter("10.0.0.4", BEGIN_MS + 334), ADMISSION_GRANTED);
}
END_TEST

START_TEST(who_has_no_ip_address_is_under_the_common_rate_alone)
{
    const struct sockaddr unnamed = {.sa_family = AF_UNIX};
    struct admission_source *source;

    set((struct admission_limits){.rate = 3, .connections_per_source = 1, .rate_per_source = 1});
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(admission_enter(admission, i == 0 ? NULL : &unnamed, BEGIN_MS, &source),
                         ADMISSION_GRANTED);
        ck_assert_ptr_null(source);
        admission_leave(admission, source);
    }
    ck_assert_int_eq(admission_enter(admission, &unnamed, BEGIN_MS, &source), ADMISSION_RATE);
}
END_TEST

/* --- Changes --------------------------------------------------------------------------------- */

START_TEST(who_is_in_stays_and_counts_under_new_limits)
{
    set((struct admission_limits){.connections_per_source = 3});
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    set((struct admission_limits){.connections_per_source = 2});
    leave(0);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
    leave(1);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    set((struct admission_limits){.rate = 0});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    set((struct admission_limits){.connections_per_source = 3});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
}
END_TEST

START_TEST(a_bucket_that_a_lower_rate_has_emptied_is_full_at_its_old_time)
{
    set((struct admission_limits){.rate_per_source = 0.1});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_GRANTED);
    set((struct admission_limits){.rate_per_source = 10});
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter("10.0.0.1", BEGIN_MS + 10 * SECOND_MS), ADMISSION_GRANTED);
}
END_TEST

static void recount(uint32_t number, size_t index)
{
    const struct sockaddr_in address = v4_of(number);

    admission_recount(admission, (const struct sockaddr *)&address, &known[index]);
}

START_TEST(who_came_before_the_limit_is_counted_afterwards)
{
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_GRANTED);
    recount(1, 0); /* there is nothing to count for yet */
    ck_assert_ptr_null(known[0]);
    set((struct admission_limits){.connections_per_source = 1});
    for (int i = 0; i < 2; i++) { /* the second time changes nothing */
        recount(1, 0);
        recount(1, 1);
    }
    leave(0);
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_SOURCE_FULL);
    leave(1);
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_GRANTED);
}
END_TEST

START_TEST(who_is_in_is_counted_under_other_prefixes)
{
    set((struct admission_limits){.connections_per_source = 2});
    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(enter_number(0x0a000000 + i, BEGIN_MS), ADMISSION_GRANTED);
    set((struct admission_limits){.connections_per_source = 2, .prefixes = {24, 56}});
    for (uint32_t i = 1; i <= 3; i++)
        recount(0x0a000000 + i, i - 1);
    ck_assert_ptr_eq(known[0], known[2]);
    leave(0);
    ck_assert_int_eq(enter("10.0.0.4", BEGIN_MS), ADMISSION_SOURCE_FULL);
    leave(1);
    ck_assert_int_eq(enter("10.0.0.4", BEGIN_MS), ADMISSION_GRANTED);
}
END_TEST

/* --- Bounds ---------------------------------------------------------------------------------- */

START_TEST(the_source_whose_last_client_left_first_is_forgotten)
{
    set((struct admission_limits){.rate_per_source = 0.001});
    for (uint32_t i = 1; i <= ADMISSION_SOURCES; i++)
        support_assert(enter_number(i, BEGIN_MS) == ADMISSION_GRANTED);
    leave(2); /* of the source 3 */
    leave(0);
    leave(1);
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter("192.0.2.1", BEGIN_MS), ADMISSION_GRANTED); /* for 3 */
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter_number(2, BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter_number(3, BEGIN_MS), ADMISSION_GRANTED); /* for 1 */
    ck_assert_int_eq(enter_number(2, BEGIN_MS), ADMISSION_SOURCE_RATE);
    ck_assert_int_eq(enter_number(1, BEGIN_MS), ADMISSION_GRANTED); /* for 2 */
}
END_TEST

START_TEST(sources_with_clients_are_never_forgotten)
{
    set((struct admission_limits){.connections_per_source = 1, .rate = 1e9});
    for (uint32_t i = 1; i <= ADMISSION_SOURCES; i++)
        support_assert(enter_number(i, BEGIN_MS) == ADMISSION_GRANTED);
    ck_assert_int_eq(enter("192.0.2.1", BEGIN_MS), ADMISSION_UNKNOWN);
    ck_assert_ptr_null(known[ADMISSION_SOURCES]);
    leave(ADMISSION_SOURCES);
    for (uint32_t i = 1; i <= ADMISSION_SOURCES; i++)
        support_assert(enter_number(i, BEGIN_MS) == ADMISSION_SOURCE_FULL);
    leave(7);
    known_count = 7;
    ck_assert_int_eq(enter("192.0.2.1", BEGIN_MS), ADMISSION_GRANTED);
    known_count = ADMISSION_SOURCES;
    ck_assert_int_eq(enter("192.0.2.1", BEGIN_MS), ADMISSION_SOURCE_FULL);
}
END_TEST

/* What is known by the books is what a plain count says, whatever order they come and go in. */
START_TEST(counts_are_right_after_many_comings_and_goings)
{
    enum { SOURCES = 40, STEPS = 20000, MOST = 3 };
    uint64_t seed = (uint64_t)_i + 1;
    struct admission_source *clients[SOURCES][MOST];
    unsigned counts[SOURCES] = {0};

    set((struct admission_limits){.connections_per_source = MOST});
    for (int step = 0; step < STEPS; step++) {
        const unsigned i = (unsigned)(support_random(&seed) % SOURCES);

        if (support_random(&seed) % 2 == 0 && counts[i] > 0) {
            admission_leave(admission, clients[i][--counts[i]]);
            continue;
        }
        known_count = 0;
        support_assert(enter_number(i + 1, BEGIN_MS) ==
                       (counts[i] < MOST ? ADMISSION_GRANTED : ADMISSION_SOURCE_FULL));
        if (counts[i] < MOST)
            clients[i][counts[i]++] = known[0];
    }
}
END_TEST

/* --- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ENTRIES = 5000, THREADS_LIMIT = 6 };

/* Come and go from one source, with two clients at a time. Return how often more came in than may.
 */
static void *come_and_go(void *argument)
{
    const struct sockaddr_in address = v4_of(1);
    struct admission_source *sources[2];
    uintptr_t granted = 0;

    (void)argument;
    for (int i = 0; i < ENTRIES; i++) {
        bool is_in[2];

        for (int j = 0; j < 2; j++) {
            is_in[j] = admission_is_granted(admission_enter(
                admission, (const struct sockaddr *)&address, BEGIN_MS, &sources[j]));
            granted += is_in[j];
        }
        for (int j = 0; j < 2; j++) {
            if (is_in[j])
                admission_leave(admission, sources[j]);
        }
    }
    return (void *)granted; /* NOLINT(performance-no-int-to-ptr) */
}

START_TEST(limits_hold_for_all_threads_together)
{
    pthread_t threads[THREADS];
    uintptr_t granted = 0;

    set((struct admission_limits){.connections_per_source = THREADS_LIMIT, .rate = 10000});
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;

        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        granted += (uintptr_t)result;
    }
    ck_assert_uint_eq(granted, 10000); /* time stands still */
    for (int i = 0; i < THREADS_LIMIT; i++)
        ck_assert_int_eq(enter_number(1, BEGIN_MS + SECOND_MS), ADMISSION_GRANTED);
    ck_assert_int_eq(enter_number(1, BEGIN_MS + SECOND_MS), ADMISSION_SOURCE_FULL);
}
END_TEST

/* --- Networks -------------------------------------------------------------------------------- */

static struct network_list list_of(const char *one, const char *other)
{
    struct network_list list = {.count = 0};
    struct error error = {""};

    if (one != NULL)
        ck_assert_int_eq(network_parse(one, &list.items[list.count++], &error), 0);
    if (other != NULL)
        ck_assert_int_eq(network_parse(other, &list.items[list.count++], &error), 0);
    return list;
}

START_TEST(networks_let_in_who_is_allowed_and_not_denied)
{
    const struct network_list none = list_of(NULL, NULL), all = list_of("10.0.0.0/8", "::/0");
    const struct network_list some = list_of("10.1.0.0/16", NULL);
    const struct sockaddr_in inside = v4_of(0x0a000001), denied = v4_of(0x0a010001);
    const struct sockaddr_in outside = v4_of(0xc0000201);
    const struct sockaddr unnamed = {.sa_family = AF_UNIX};

    ck_assert(admission_allows(&none, &none, (const struct sockaddr *)&outside));
    ck_assert(admission_allows(&all, &none, (const struct sockaddr *)&inside));
    ck_assert(admission_allows(&all, &some, (const struct sockaddr *)&inside));
    ck_assert(!admission_allows(&all, &some, (const struct sockaddr *)&denied));
    ck_assert(!admission_allows(&all, &none, (const struct sockaddr *)&outside));
    ck_assert(!admission_allows(&none, &some, (const struct sockaddr *)&denied));
    ck_assert(admission_allows(&none, &some, (const struct sockaddr *)&outside));
    ck_assert(admission_allows(&all, &some, &unnamed));
    ck_assert(admission_allows(&all, &some, NULL));
}
END_TEST

/* --- Cost ------------------------------------------------------------------------------------ */

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Return how long it takes to come and go, of so many sources, each known or not by chance. */
static double cost_of_entry_ns(uint32_t sources, int entries)
{
    uint64_t seed = 7;
    const double begin = now_ns();

    for (int i = 0; i < entries; i++) {
        known_count = 0;
        support_assert(enter_number((uint32_t)(support_random(&seed) % sources), BEGIN_MS) ==
                       ADMISSION_GRANTED);
        leave(0);
    }
    return (now_ns() - begin) / entries;
}

/* Return how long it takes to connect to a listener and to be accepted and closed. */
static double cost_of_accept_ns(int entries)
{
    struct sockaddr_in address;
    const int listener = support_bind_tcp(&address);
    double begin;

    ck_assert_int_eq(listen(listener, 1), 0);
    begin = now_ns();
    for (int i = 0; i < entries; i++) {
        const int client = socket(AF_INET, SOCK_STREAM, 0);
        int accepted;

        ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
        accepted = accept(listener, NULL, NULL);
        ck_assert_int_ge(accepted, 0);
        (void)close(accepted);
        (void)close(client);
    }
    begin = (now_ns() - begin) / entries;
    (void)close(listener);
    return begin;
}

/* Printed, not judged: the machine may be busy. */
START_TEST(a_million_sources_cost_little)
{
    enum { MILLION = 1000000, ACCEPTS = 1000 };
    double few, many, accepted;

    set((struct admission_limits){.connections_per_source = 1});
    few = cost_of_entry_ns(1, MILLION / 10);
    (void)cost_of_entry_ns(MILLION, MILLION / 10); /* from here on sources are forgotten */
    many = cost_of_entry_ns(MILLION, MILLION / 10);
    accepted = cost_of_accept_ns(ACCEPTS);
    (void)fprintf(stderr,
                  "admission: of the time for a connection on the loopback, one source takes %.2f "
                  "%%, a million sources %.2f %%\n",
                  100 * few / accepted, 100 * many / accepted);
}
END_TEST

START_TEST(a_rate_is_written_as_it_is_read)
{
    static const double rates[] = {0, 0.5, 5, 1e6};
    const double rate = rates[_i];
    char text[SETTING_VALUE_SIZE] = "";
    double read_again = -1;

    ck_assert(admission_format_rate(&rate, text));
    ck_assert_int_eq(units_parse_rate(text, &read_again), 0);
    ck_assert_double_eq(read_again, rate);
}
END_TEST

START_TEST(networks_are_written_as_they_are_read)
{
    struct network_list list = {.count = 0};
    struct error error = {""};
    char text[SETTING_VALUE_SIZE] = "";

    ck_assert(!admission_format_networks(&list, text));
    for (list.count = 0; list.count < 3; list.count++) {
        static const char *const networks[] = {"10.0.0.0/8", "2001:db8::/32", "127.0.0.1"};

        ck_assert_int_eq(network_parse(networks[list.count], &list.items[list.count], &error), 0);
    }
    ck_assert(admission_format_networks(&list, text));
    ck_assert_str_eq(text, "10.0.0.0/8;2001:db8::/32;127.0.0.1");
}
END_TEST

static Suite *admission_suite(void)
{
    Suite *suite = suite_create("admission");
    TCase *tests = support_case(suite, "limits");
    TCase *bounds = support_case(suite, "bounds");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, without_limits_everybody_is_let_in_and_nobody_is_known);
    tcase_add_test(tests, a_source_has_so_many_connections_at_a_time);
    tcase_add_test(tests, a_source_has_a_rate);
    tcase_add_test(tests, all_sources_together_have_a_rate);
    tcase_add_test(tests, whom_its_source_keeps_out_takes_nothing_from_the_others);
    tcase_add_test(tests, who_has_no_ip_address_is_under_the_common_rate_alone);
    tcase_add_test(tests, who_is_in_stays_and_counts_under_new_limits);
    tcase_add_test(tests, a_bucket_that_a_lower_rate_has_emptied_is_full_at_its_old_time);
    tcase_add_test(tests, who_came_before_the_limit_is_counted_afterwards);
    tcase_add_test(tests, who_is_in_is_counted_under_other_prefixes);
    tcase_add_test(tests, limits_hold_for_all_threads_together);
    tcase_add_test(tests, networks_let_in_who_is_allowed_and_not_denied);
    tcase_add_loop_test(tests, a_rate_is_written_as_it_is_read, 0, 4);
    tcase_add_test(tests, networks_are_written_as_they_are_read);
    tcase_add_checked_fixture(bounds, setup, teardown);
    tcase_add_test(bounds, the_source_whose_last_client_left_first_is_forgotten);
    tcase_add_test(bounds, sources_with_clients_are_never_forgotten);
    tcase_add_loop_test(bounds, counts_are_right_after_many_comings_and_goings, 0, 3);
    tcase_add_test(bounds, a_million_sources_cost_little);
    return suite;
}

int main(void)
{
    return support_run(admission_suite());
}
