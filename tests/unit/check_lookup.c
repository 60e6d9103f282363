/*
 * check_lookup: what is looked up can be taken once, and who waits no longer is not called.
 * The system's resolver is played. That echod goes on meanwhile is in test_reload.
 * Run by make check.
 */
#include <config.h>

#include "echod/lookup.h"

#include "support.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int calls;
static atomic_int questions; /* that the system was asked */
static atomic_int blocked;   /* those of them that came from a thread without signals */
static int ends[2];          /* of a pipe, into which each call writes */

static bool is_blocked(int number)
{
    sigset_t mask;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, number) == 1;
}

/* Both stand before the C library's, whose names the parameters have. */

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    (void)service;
    (void)req;
    questions++;
    blocked += is_blocked(SIGTERM);
    if (strstr(name, "..") != NULL)
        return EAI_NONAME;
    *pai = calloc(1, sizeof **pai);
    if (*pai == NULL)
        return EAI_MEMORY;
    (*pai)->ai_family = AF_INET;
    return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
    free(ai);
}

static void on_found(void *argument)
{
    const char byte = 0;

    ck_assert_ptr_eq(argument, &calls);
    calls++;
    ck_assert_int_eq((int)write(ends[1], &byte, 1), 1);
}

static void wait_for_call(void)
{
    char byte;

    ck_assert_int_eq((int)read(ends[0], &byte, 1), 1);
}

static void setup(void)
{
    ck_assert_int_eq(pipe(ends), 0);
    calls = questions = blocked = 0;
}

static void teardown(void)
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static struct address make_address(const char *text)
{
    struct address address;
    struct error error;

    ck_assert_int_eq(address_parse(text, &address, &error), 0);
    return address;
}

static struct lookup *look_up(struct address *addresses, size_t count)
{
    struct listen items[8];
    const struct listen_list list = {.items = items, .count = count};
    struct lookup *lookup;

    ck_assert_uint_le(count, 8);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct listen){.address = addresses[i]};

    lookup = lookup_start(&list, on_found, &calls);
    ck_assert_ptr_nonnull(lookup);
    memset(items, 0, sizeof items); /* not needed any more */
    return lookup;
}

START_TEST(what_was_found_is_taken_once)
{
    const struct address literal = make_address("127.0.0.1:7"), wrong = make_address("bad..name:7");
    struct address list[] = {literal, make_address("unix:///x"), wrong, literal};
    struct addrinfo *first = NULL, *second = NULL, *third = NULL;
    struct lookup *lookup = look_up(list, 4);

    wait_for_call();
    ck_assert_int_eq(lookup_find(lookup, &literal, &first), 0);
    ck_assert_int_eq(lookup_find(lookup, &literal, &second), 0);
    ck_assert_ptr_ne(first, second);
    ck_assert_int_ne(lookup_find(lookup, &wrong, &third), 0);
    ck_assert_int_eq(lookup_find(lookup, &literal, &third),
                     0); /* asks the system, as without lookup */
    freeaddrinfo(first);
    freeaddrinfo(second);
    freeaddrinfo(third);
    lookup_free(lookup);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(what_was_found_is_not_asked_for_again)
{
    struct address list[] = {make_address("a:7"), make_address("unix:///x"),
                             make_address("udp://b:7")};
    struct addrinfo *found = NULL;
    struct lookup *lookup = look_up(list, 3);

    wait_for_call();
    ck_assert_int_eq(questions, 2);
    for (int i = 0; i < 3; i += 2) {
        ck_assert_int_eq(lookup_find(lookup, &list[i], &found), 0);
        freeaddrinfo(found);
    }
    ck_assert_int_eq(questions, 2);
    lookup_free(lookup);
}
END_TEST

START_TEST(signals_are_for_others_than_the_thread)
{
    struct address list[] = {make_address("a:7"), make_address("b:7")};
    struct lookup *lookup = look_up(list, 2);

    ck_assert(!is_blocked(SIGTERM));
    wait_for_call();
    ck_assert_int_eq(blocked, 2);
    lookup_free(lookup);
}
END_TEST

START_TEST(it_is_over_when_it_was_told)
{
    struct address list[] = {make_address("a:7")};
    struct lookup *lookup = look_up(list, 1);

    wait_for_call();
    ck_assert(lookup_is_over(lookup));
    lookup_free(lookup);
}
END_TEST

START_TEST(what_is_left_is_freed)
{
    struct address list[] = {make_address("127.0.0.1:7"), make_address("[::1]:7")};
    struct lookup *lookup = look_up(list, 2);

    wait_for_call();
    lookup_free(lookup);
    lookup_free(NULL);
}
END_TEST

START_TEST(who_waits_no_longer_is_not_called)
{
    struct pollfd later = {.fd = ends[0], .events = POLLIN};
    int called = 0;

    for (int i = 0; i < 200; i++) {
        struct address list[] = {make_address("127.0.0.1:7"), make_address("localhost:7")};
        const int before = calls;

        lookup_free(look_up(list, 2));
        called += calls - before; /* before it was freed, or by one of those that are freed */
    }
    for (; called > 0; called--)
        wait_for_call();
    ck_assert_int_eq(poll(&later, 1, 100), 0);
}
END_TEST

START_TEST(without_names_the_system_is_asked)
{
    const struct address address = make_address("127.0.0.1:7");
    struct addrinfo *found = NULL;

    ck_assert_int_eq(lookup_find(NULL, &address, &found), 0);
    ck_assert_int_eq(found->ai_family, AF_INET);
    freeaddrinfo(found);
}
END_TEST

static Suite *names_suite(void)
{
    Suite *suite = suite_create("lookup");
    TCase *tests = support_case(suite, "lookup");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_was_found_is_taken_once);
    tcase_add_test(tests, what_was_found_is_not_asked_for_again);
    tcase_add_test(tests, signals_are_for_others_than_the_thread);
    tcase_add_test(tests, it_is_over_when_it_was_told);
    tcase_add_test(tests, what_is_left_is_freed);
    tcase_add_test(tests, who_waits_no_longer_is_not_called);
    tcase_add_test(tests, without_names_the_system_is_asked);
    return suite;
}

int main(void)
{
    return support_run(names_suite());
}
