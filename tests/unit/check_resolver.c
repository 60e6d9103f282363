/*
 * check_resolver: a name is looked up at once, told when it stands for something else, and looked
 * up more often while nobody answers.
 * Asks no name server: the look-up is a function of the test.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/resolver.h"

#include "base/clock.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static const uint64_t patience_ns = UINT64_C(30000000000);
static const struct resolver_pace pace = {.first_ms = 1, .usual_ms = 3600000};

/* What the look-up says next; NULL: that there is no such name. */
static _Atomic(const char *) place;
static atomic_bool is_well, is_out_of_memory;
static atomic_uint look_ups, failures, changes;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct target last; /* that was told */

static int look_up(struct target *target, const struct address *address, int family,
                   struct error *error)
{
    const char *text = atomic_load(&place);

    (void)address;
    (void)family;
    atomic_fetch_add(&look_ups, 1);
    if (text == NULL) {
        error_set(error, "there is no such name");
        return -1;
    }
    target->count = 1;
    (void)snprintf(target->places[0].text, sizeof target->places[0].text, "%s", text);
    return 0;
}

static bool tell_whether_well(void *argument, size_t index)
{
    (void)argument;
    (void)index;
    return atomic_load(&is_well);
}

static int on_change(void *argument, size_t index, const struct target *target)
{
    (void)argument;
    ck_assert_uint_eq(index, 0);
    if (atomic_load(&is_out_of_memory))
        return -1;
    pthread_mutex_lock(&mutex);
    last = *target;
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&changes, 1);
    return 0;
}

static void on_failure(void *argument, size_t index)
{
    (void)argument;
    (void)index;
    atomic_fetch_add(&failures, 1);
}

static struct resolver *start(void)
{
    static const struct resolver_events events = {
        .is_well = tell_whether_well, .on_change = on_change, .on_failure = on_failure};
    const struct resolver_name name = {.family = 0};
    struct resolver *resolver = resolver_start(&name, 1, &pace, look_up, &events);

    ck_assert_ptr_nonnull(resolver);
    return resolver;
}

static void wait_for(atomic_uint *count, unsigned least)
{
    const uint64_t end_ns = clock_now_ns() + patience_ns;
    const struct timespec pause = {.tv_nsec = 1000000};

    while (atomic_load(count) < least) {
        ck_assert_uint_lt(clock_now_ns(), end_ns);
        (void)nanosleep(&pause, NULL);
    }
}

static void check_last(size_t count, const char *text)
{
    pthread_mutex_lock(&mutex);
    ck_assert_uint_eq(last.count, count);
    ck_assert_str_eq(count == 0 ? last.problem : last.places[0].text, text);
    pthread_mutex_unlock(&mutex);
}

START_TEST(a_name_that_is_found_is_told_once)
{
    struct resolver *resolver;

    atomic_store(&place, "192.0.2.1:7");
    resolver = start();
    wait_for(&look_ups, 4); /* nobody answers */
    resolver_free(resolver);
    ck_assert_uint_eq(atomic_load(&changes), 1);
    ck_assert_uint_eq(atomic_load(&failures), 0);
    check_last(1, "192.0.2.1:7");
}
END_TEST

START_TEST(a_name_that_is_not_found_is_told_and_tried_again)
{
    struct resolver *resolver = start();

    wait_for(&failures, 2);
    ck_assert_uint_eq(atomic_load(&changes), 1);
    check_last(0, "there is no such name");
    atomic_store(&place, "192.0.2.1:7");
    wait_for(&changes, 2);
    check_last(1, "192.0.2.1:7");
    atomic_store(&place, NULL);
    wait_for(&failures, atomic_load(&failures) + 2);
    resolver_free(resolver);
    ck_assert_uint_eq(atomic_load(&changes), 2); /* what it stood for stays */
}
END_TEST

START_TEST(another_address_is_told)
{
    struct resolver *resolver;

    atomic_store(&place, "192.0.2.1:7");
    resolver = start();
    wait_for(&changes, 1);
    atomic_store(&place, "192.0.2.2:7");
    wait_for(&changes, 2);
    resolver_free(resolver);
    check_last(1, "192.0.2.2:7");
}
END_TEST

START_TEST(a_name_that_is_well_is_left_alone)
{
    struct resolver *resolver;
    unsigned before;

    atomic_store(&place, "192.0.2.1:7");
    atomic_store(&is_well, true);
    resolver = start();
    wait_for(&changes, 1);
    before = atomic_load(&look_ups);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    ck_assert_uint_eq(atomic_load(&look_ups), before);
    atomic_store(&is_well, false);
    wait_for(&look_ups, before + 2);
    resolver_free(resolver);
}
END_TEST

START_TEST(what_could_not_be_taken_comes_again)
{
    struct resolver *resolver;

    atomic_store(&place, "192.0.2.1:7");
    atomic_store(&is_out_of_memory, true);
    resolver = start();
    wait_for(&look_ups, 2);
    atomic_store(&is_out_of_memory, false);
    wait_for(&changes, 1);
    resolver_free(resolver);
    check_last(1, "192.0.2.1:7");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *names = support_case(suite, "names");

    tcase_add_test(names, a_name_that_is_found_is_told_once);
    tcase_add_test(names, a_name_that_is_not_found_is_told_and_tried_again);
    tcase_add_test(names, another_address_is_told);
    tcase_add_test(names, a_name_that_is_well_is_left_alone);
    tcase_add_test(names, what_could_not_be_taken_comes_again);
    return support_run(suite);
}
