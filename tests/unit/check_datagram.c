/*
 * check_datagram: a peer that answers, repeats, cuts, changes and mixes up datagrams, or is not
 * there, and strangers.
 * Counts no messages; check_flow does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/datagram.h"

#include "base/identity.h"

#include "peer.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { NUMBER = 4, MOST_RETURNS = 300 };

static struct target target;
static struct pattern pattern;
static struct batch batch;
static struct datagram *datagram;
static int fd; /* the peer's */
static struct sockaddr_in client;
static unsigned char came[DATAGRAM_BYTES];

/* What the socket reported. */
static struct {
    size_t count, errors, unsent, turns;
    uint64_t sequences[MOST_RETURNS], error_sequence;
    struct fault faults[MOST_RETURNS];
    int failure;
    unsigned identities;
    char identity[IDENTITY_SIZE];
} seen;

static void on_identity(void *argument, const char *identity)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.identities++;
    (void)snprintf(seen.identity, sizeof seen.identity, "%s", identity);
}

static void on_returned(void *argument, uint64_t sequence, const struct fault *fault)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_uint_lt(seen.count, MOST_RETURNS);
    seen.sequences[seen.count] = sequence;
    seen.faults[seen.count++] = *fault;
}

static void on_error(void *argument, uint64_t sequence, int failure)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.errors++;
    seen.error_sequence = sequence;
    seen.failure = failure;
}

static void on_unsent(void *argument, uint64_t sequence, int failure)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_uint_eq(sequence, seen.unsent++);
    seen.failure = failure;
}

static void on_turn(void *argument)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.turns++;
}

static const struct datagram_events events = {
    .on_identity = on_identity,
    .on_returned = on_returned,
    .on_error = on_error,
    .on_unsent = on_unsent,
    .on_turn = on_turn,
};

/* --- Fixture. -------------------------------------------------------------------------------- */

static void set_up(void)
{
    memset(&seen, 0, sizeof seen);
    memset(&target, 0, sizeof target);
    pattern.origin = UINT64_C(0x0123456789abcdef);
    fd = peer_bind_udp(&target);
    datagram = NULL;
}

static void tear_down(void)
{
    datagram_free(datagram);
    support_close(&fd);
}

static void begin(size_t size)
{
    datagram =
        datagram_new(support_base(), &batch, &target, &pattern, NUMBER, size, &events, &seen);
    ck_assert_ptr_nonnull(datagram);
}

/* Receive a datagram of this size at the peer. */
static void receive(size_t size)
{
    socklen_t length = sizeof client;

    ck_assert_int_eq(recvfrom(fd, came, sizeof came, 0, (struct sockaddr *)&client, &length),
                     (ssize_t)size);
}

static void answer_from(int from_fd, const unsigned char *bytes, size_t length)
{
    ck_assert_int_eq(
        sendto(from_fd, bytes, length, 0, (const struct sockaddr *)&client, sizeof client),
        (ssize_t)length);
}

/* Send a datagram, and let the peer receive it. */
static void ask(uint64_t sequence, size_t size)
{
    datagram_send(datagram, sequence + 1);
    ck_assert_uint_eq(datagram_sent(datagram), sequence + 1);
    receive(size);
}

static bool has_seen(void *argument)
{
    return seen.count + seen.errors >= *(const size_t *)argument;
}

/* Wait for so many reports, of which the last is this. */
static void check_last(size_t count, uint64_t sequence, enum fault_kind kind)
{
    support_loop_until(has_seen, &count);
    support_loop_settle();
    ck_assert_uint_eq(seen.count, count);
    ck_assert_uint_eq(seen.sequences[count - 1], sequence);
    ck_assert_msg(seen.faults[count - 1].kind == kind, "%s, not %s: %s",
                  fault_name(seen.faults[count - 1].kind), fault_name(kind),
                  seen.faults[count - 1].text);
}

/* --- Answers. -------------------------------------------------------------------------------- */

START_TEST(an_answer_says_which_it_is)
{
    begin(64);
    ask(0, 64);
    answer_from(fd, came, 64);
    check_last(1, 0, FAULT_NONE);
    for (uint64_t sequence = 1; sequence < 4; sequence++)
        ask(sequence, 64);
    answer_from(fd, came, 64);
    check_last(2, 3, FAULT_NONE);
    pattern_fill(&pattern, NUMBER, UINT64_C(1) << 16, came, 64);
    answer_from(fd, came, 64);
    check_last(3, 1, FAULT_NONE);
}
END_TEST

START_TEST(an_answer_that_comes_twice_is_reported_twice)
{
    begin(64);
    ask(0, 64);
    answer_from(fd, came, 64);
    answer_from(fd, came, 64);
    check_last(2, 0, FAULT_NONE);
}
END_TEST

START_TEST(the_largest_and_the_smallest_return)
{
    begin(DATAGRAM_BYTES);
    ask(0, DATAGRAM_BYTES);
    answer_from(fd, came, DATAGRAM_BYTES);
    check_last(1, 0, FAULT_NONE);
    datagram_free(datagram);
    begin(1);
    ask(0, 1);
    answer_from(fd, came, 1);
    check_last(2, 0, FAULT_NONE);
}
END_TEST

START_TEST(what_does_not_say_which_it_is_is_the_oldest_that_is_not_settled)
{
    begin(8);
    for (uint64_t sequence = 0; sequence < 3; sequence++)
        ask(sequence, 8);
    datagram_settle(datagram, 1);
    came[0] ^= 1;
    answer_from(fd, came, 8);
    check_last(1, 1, FAULT_CORRUPTED);
}
END_TEST

START_TEST(a_small_answer_that_comes_twice_is_known_again)
{
    begin(8);
    ask(0, 8);
    answer_from(fd, came, 8);
    check_last(1, 0, FAULT_NONE);
    datagram_settle(datagram, 1);
    answer_from(fd, came, 8);
    check_last(2, 0, FAULT_NONE);
}
END_TEST

START_TEST(a_burst_goes_and_comes_whole)
{
    begin(64);
    datagram_send(datagram, 200);
    ck_assert_uint_eq(datagram_sent(datagram), 200);
    for (uint64_t sequence = 0; sequence < 200; sequence++) {
        receive(64);
        answer_from(fd, came, 64);
    }
    check_last(200, 199, FAULT_NONE);
    ck_assert_uint_le(seen.turns, 200 / BATCH_DATAGRAMS + 2);
    for (uint64_t sequence = 0; sequence < 200; sequence++)
        ck_assert_uint_eq(seen.sequences[sequence], sequence);
}
END_TEST

/* --- Faults. --------------------------------------------------------------------------------- */

START_TEST(a_short_answer_is_truncated)
{
    begin(64);
    ask(0, 64);
    ask(1, 64);
    answer_from(fd, came, 40);
    check_last(1, 1, FAULT_TRUNCATED);
    ck_assert_uint_eq(seen.faults[0].count, 24);
}
END_TEST

START_TEST(an_empty_answer_is_truncated)
{
    begin(64);
    ask(0, 64);
    answer_from(fd, came, 0);
    check_last(1, 0, FAULT_TRUNCATED);
}
END_TEST

START_TEST(a_changed_byte_is_found_with_its_place)
{
    begin(64);
    ask(0, 64);
    ask(1, 64);
    came[30] ^= 0x40;
    answer_from(fd, came, 64);
    check_last(1, 1, FAULT_CORRUPTED);
    ck_assert_uint_eq(seen.faults[0].offset, 30);
}
END_TEST

START_TEST(an_answer_from_elsewhere_is_misaddressed)
{
    struct target other = {0};
    int other_fd = peer_bind_udp(&other);

    begin(64);
    ask(0, 64);
    answer_from(other_fd, came, 64);
    check_last(1, 0, FAULT_MISADDRESSED);
    support_assert_matches(seen.faults[0].text, "^the answer comes from 127.0.0.1:[0-9]+$");
    support_close(&other_fd);
}
END_TEST

START_TEST(what_strangers_send_is_passed_over)
{
    struct target other = {0};
    int other_fd = peer_bind_udp(&other);

    begin(64);
    ask(0, 64);
    answer_from(other_fd, (const unsigned char *)"hello", 5);
    support_loop_settle();
    ck_assert_uint_eq(seen.count, 0);
    answer_from(fd, came, 64);
    check_last(1, 0, FAULT_NONE);
    support_close(&other_fd);
}
END_TEST

/* --- Identities. ----------------------------------------------------------------------------- */

#define IDENTITY "echod=1 host=web-1"

static void begin_identified(void)
{
    target.is_identified = true;
    begin(1024);
    for (uint64_t sequence = 0; sequence < 3; sequence++)
        ask(sequence, 1024);
}

static void answer_text(int from_fd, const char *text)
{
    answer_from(from_fd, (const unsigned char *)text, strlen(text));
}

START_TEST(an_identity_answers_the_oldest_that_is_not_settled)
{
    begin_identified();
    answer_text(fd, IDENTITY "\n");
    check_last(1, 0, FAULT_NONE);
    ck_assert_uint_eq(seen.identities, 1);
    ck_assert_str_eq(seen.identity, IDENTITY);
    datagram_settle(datagram, 2);
    answer_text(fd, "{\"echod\":\"1\"}\n");
    check_last(2, 2, FAULT_NONE);
    datagram_settle(datagram, 3);
    answer_text(fd, IDENTITY "\n"); /* one more than was asked for */
    check_last(3, 2, FAULT_NONE);
}
END_TEST

START_TEST(another_answer_is_no_identity)
{
    static const char *const answers[] = {
        "", "\n", IDENTITY, "host=web-1\n", "cut=yes\n", "{\"echod\":\"1\"\n", "{}\n"};

    begin_identified();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        answer_text(fd, answers[i]);
        check_last(i + 1, 0, FAULT_UNIDENTIFIED);
    }
    answer_from(fd, came, 1024);
    check_last(8, 0, FAULT_UNIDENTIFIED);
    ck_assert_str_eq(seen.faults[7].text,
                     "an answer of 1024 bytes is no identity: the service may echo");
    ck_assert_uint_eq(seen.identities, 0);
}
END_TEST

START_TEST(an_identity_from_elsewhere_is_misaddressed)
{
    struct target other = {0};
    int other_fd = peer_bind_udp(&other);

    begin_identified();
    answer_text(other_fd, "hello\n"); /* a stranger's */
    answer_text(other_fd, IDENTITY "\n");
    check_last(1, 0, FAULT_MISADDRESSED);
    support_close(&other_fd);
}
END_TEST

/* --- Errors. --------------------------------------------------------------------------------- */

#ifdef IP_RECVERR /* elsewhere a socket that is not connected hears of no error */
START_TEST(a_port_that_nobody_has_is_an_error)
{
    size_t one = 1;

    support_close(&fd);
    begin(64);
    datagram_send(datagram, 1);
    support_loop_until(has_seen, &one);
    ck_assert_uint_eq(seen.errors, 1);
    ck_assert_int_eq(seen.failure, ECONNREFUSED);
    support_loop_settle();
    ck_assert_uint_eq(seen.errors, 1);
}
END_TEST
#endif

#ifdef HAVE_LINUX_ERRQUEUE_H /* elsewhere the system does not say */
START_TEST(an_error_says_which_datagram_it_answers)
{
    size_t one = 1;

    begin(64);
    ask(0, 64);
    ask(1, 64);
    support_close(&fd);
    datagram_send(datagram, 3);
    support_loop_until(has_seen, &one);
    ck_assert_uint_eq(seen.error_sequence, 2);
    datagram_send(datagram, 4); /* is sent, though the socket has met an error */
    ck_assert_uint_eq(datagram_sent(datagram), 4);
    ck_assert_uint_eq(seen.unsent, 0);
}
END_TEST
#endif

START_TEST(what_the_system_refuses_is_reported_one_by_one)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&target.places[0].address;

    address->sin_addr.s_addr = htonl(INADDR_BROADCAST); /* EACCES without SO_BROADCAST */
    begin(64);
    datagram_send(datagram, 3);
    ck_assert_uint_eq(seen.unsent, 3);
    ck_assert_int_eq(seen.failure, EACCES);
    ck_assert_uint_eq(datagram_sent(datagram), 3);
}
END_TEST

START_TEST(what_is_settled_need_not_be_sent)
{
    begin(64);
    datagram_settle(datagram, 5);
    datagram_send(datagram, 6);
    receive(64);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, UINT64_C(5) << 16, came, 64), 64);
    ck_assert_int_lt(recv(fd, came, sizeof came, 0), 0);
}
END_TEST

START_TEST(without_memory_there_is_no_socket)
{
    bool was_made = false;

    (void)support_base();
    for (unsigned long i = 1; !was_made; i++) {
        support_memory_fail(i, 1);
        datagram =
            datagram_new(support_base(), &batch, &target, &pattern, NUMBER, 64, &events, &seen);
        was_made = !support_memory_has_failed();
        support_memory_fail(0, 0);
        ck_assert(was_made == (datagram != NULL));
        datagram_free(datagram);
        datagram = NULL;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datagram");
    TCase *answers = support_case(suite, "answers");
    TCase *faults = support_case(suite, "faults");
    TCase *identities = support_case(suite, "identities");
    TCase *errors = support_case(suite, "errors");

    tcase_add_checked_fixture(answers, set_up, tear_down);
    tcase_add_test(answers, an_answer_says_which_it_is);
    tcase_add_test(answers, an_answer_that_comes_twice_is_reported_twice);
    tcase_add_test(answers, the_largest_and_the_smallest_return);
    tcase_add_test(answers, what_does_not_say_which_it_is_is_the_oldest_that_is_not_settled);
    tcase_add_test(answers, a_small_answer_that_comes_twice_is_known_again);
    tcase_add_test(answers, a_burst_goes_and_comes_whole);
    tcase_add_checked_fixture(faults, set_up, tear_down);
    tcase_add_test(faults, a_short_answer_is_truncated);
    tcase_add_test(faults, an_empty_answer_is_truncated);
    tcase_add_test(faults, a_changed_byte_is_found_with_its_place);
    tcase_add_test(faults, an_answer_from_elsewhere_is_misaddressed);
    tcase_add_test(faults, what_strangers_send_is_passed_over);
    tcase_add_checked_fixture(identities, set_up, tear_down);
    tcase_add_test(identities, an_identity_answers_the_oldest_that_is_not_settled);
    tcase_add_test(identities, another_answer_is_no_identity);
    tcase_add_test(identities, an_identity_from_elsewhere_is_misaddressed);
    tcase_add_checked_fixture(errors, set_up, tear_down);
#ifdef IP_RECVERR
    tcase_add_test(errors, a_port_that_nobody_has_is_an_error);
#endif
#ifdef HAVE_LINUX_ERRQUEUE_H
    tcase_add_test(errors, an_error_says_which_datagram_it_answers);
#endif
    tcase_add_test(errors, what_the_system_refuses_is_reported_one_by_one);
    tcase_add_test(errors, what_is_settled_need_not_be_sent);
    tcase_add_test(errors, without_memory_there_is_no_socket);
    return support_run(suite);
}
