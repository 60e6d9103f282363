/*
 * check_flow: messages on a connection or a socket that answers, is silent, breaks or is not there:
 * each is received, corrupted or lost, once, and the flow goes on.
 * Leaves bytes to check_stream and check_datagram, and the schedule to tests/system.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/batch.h"
#include "echoprobe/datagram.h"
#include "echoprobe/fault.h"
#include "echoprobe/flow.h"
#include "echoprobe/opening.h"
#include "echoprobe/pattern.h"
#include "echoprobe/stream.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"

#include "base/clock.h"
#include "peer.h"
#include "support.h"

#include <string.h>
#include <sys/socket.h>

enum { SIZE = 64, WINDOW = 4, MOST_FAULTS = 32 };

static const uint64_t timeout_ns = UINT64_C(3600000000000);

static struct target target;
static struct pattern pattern;
static struct stream_scratch scratch;
static struct batch batch;
static struct tally tally;
static _Atomic uint64_t next_number;
static struct flow_plan plan;
static struct flow *flow;
static int listening_fd, fd; /* the peer's */
static unsigned char came[WINDOW * SIZE];

/* What the flow reported. */
static struct {
    unsigned started, opened, connections, rooms, downs;
    uint64_t echoes, last_echo;
    unsigned fault_count;
    uint64_t numbers[MOST_FAULTS];
    struct fault faults[MOST_FAULTS];
    unsigned due; /* messages to skip when it is down */
} seen;

static const char *answering; /* the place that answers */

/* --- Events. --------------------------------------------------------------------------------- */

static void on_started(void *argument, struct flow *its_flow, bool is_open)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.started++;
    seen.opened += is_open;
    if (!is_open)
        flow_miss_first(its_flow);
}

static void on_open(void *argument, const struct opening *opening)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_str_eq(opening->peer, answering);
    seen.connections++;
}

static void on_echo(void *argument, struct flow *its_flow, uint64_t number, uint64_t rtt_ns)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert(its_flow == flow || flow == NULL);
    ck_assert_uint_lt(rtt_ns, timeout_ns);
    seen.echoes++;
    seen.last_echo = number;
}

static void on_fault(void *argument, struct flow *its_flow, uint64_t number,
                     const struct fault *fault)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_ptr_nonnull(its_flow);
    ck_assert_uint_lt(seen.fault_count, MOST_FAULTS);
    seen.numbers[seen.fault_count] = number;
    seen.faults[seen.fault_count++] = *fault;
}

static void on_down(void *argument, struct flow *its_flow, const char *reason)
{
    ck_assert_ptr_eq(argument, &seen);
    seen.downs++;
    for (; seen.due > 0; seen.due--)
        flow_skip(its_flow, clock_now_ns(), reason);
}

static void on_refused(void *argument, int failure)
{
    (void)argument;
    ck_abort_msg("refused: %s", strerror(failure));
}

static void on_room(void *argument, struct flow *its_flow)
{
    ck_assert_ptr_eq(argument, &seen);
    ck_assert_ptr_nonnull(its_flow);
    seen.rooms++;
}

static const struct flow_events events = {
    .on_started = on_started,
    .on_open = on_open,
    .on_echo = on_echo,
    .on_fault = on_fault,
    .on_down = on_down,
    .on_refused = on_refused,
    .on_room = on_room,
};

/* --- Fixture. -------------------------------------------------------------------------------- */

static void set_up(void)
{
    memset(&seen, 0, sizeof seen);
    memset(&target, 0, sizeof target);
    memset(&tally, 0, sizeof tally);
    pattern.origin = UINT64_C(0x0123456789abcdef);
    answering = "place 0";
    next_number = 1;
    flow = NULL;
    fd = listening_fd = -1;
    plan = (struct flow_plan){
        .target = &target,
        .pattern = &pattern,
        .size = SIZE,
        .window = WINDOW,
        .timeout_ns = timeout_ns,
        .retry_ms = 1,
        .base = support_base(),
        .scratch = &scratch,
        .batch = &batch,
        .tally = &tally,
        .next_number = &next_number,
        .events = &events,
        .argument = &seen,
    };
}

static void tear_down(void)
{
    if (flow != NULL)
        flow_end(flow, clock_now_ns());
    flow_free(flow);
    support_close(&fd);
    support_close(&listening_fd);
    ck_assert_uint_eq(tally.sent, tally.received + tally.lost + tally.corrupted);
    ck_assert_uint_eq(tally.received, seen.echoes);
    ck_assert_uint_eq(tally.connects, seen.connections);
}

static bool has_started(void *argument)
{
    (void)argument;
    return seen.started > 0;
}

static bool has_room(void *argument)
{
    (void)argument;
    return flow_has_room(flow);
}

static bool has_echoes(void *argument)
{
    return seen.echoes >= *(const uint64_t *)argument;
}

static bool has_faults(void *argument)
{
    return seen.fault_count >= *(const unsigned *)argument;
}

static bool is_down(void *argument)
{
    (void)argument;
    return seen.downs > 0;
}

static void begin(void)
{
    flow = flow_new(&plan, 7);
    ck_assert_ptr_nonnull(flow);
    ck_assert_uint_eq(flow_index(flow), 7);
}

static void begin_stream(void)
{
    listening_fd = peer_listen(&target);
    begin();
    fd = peer_accept(listening_fd);
    support_loop_until(has_started, NULL);
    ck_assert_uint_eq(seen.opened, 1);
}

/* Send so many messages, which the peer keeps. */
static void ask(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert(flow_has_room(flow));
        flow_queue(flow, clock_now_ns());
    }
    flow_send(flow);
    if (!target.is_datagram)
        peer_receive(fd, came, (size_t)count * SIZE);
}

static void wait_for_echoes(uint64_t count)
{
    support_loop_until(has_echoes, &count);
    ck_assert_uint_eq(seen.echoes, count);
}

/* Wait for so many faults, of which the last is this. */
static void check_fault(unsigned count, uint64_t number, enum fault_kind kind)
{
    const unsigned last = count - 1;

    support_loop_until(has_faults, &count);
    ck_assert_uint_eq(seen.fault_count, count);
    ck_assert_uint_eq(seen.numbers[last], number);
    ck_assert_msg(seen.faults[last].kind == kind, "%s, not %s: %s",
                  fault_name(seen.faults[last].kind), fault_name(kind), seen.faults[last].text);
}

static void expire(void)
{
    flow_expire(flow, clock_now_ns() + timeout_ns);
}

/* --- Streams. -------------------------------------------------------------------------------- */

START_TEST(messages_return_in_any_pieces)
{
    begin_stream();
    ask(WINDOW);
    ck_assert(!flow_has_room(flow));
    peer_send(fd, came, SIZE + 1);
    wait_for_echoes(1);
    ck_assert(flow_has_room(flow));
    peer_send(fd, came + SIZE + 1, (WINDOW - 1) * SIZE - 1);
    wait_for_echoes(WINDOW);
    ck_assert_uint_eq(seen.last_echo, WINDOW - 1);
    ck_assert_uint_eq(tally.outages, 0);
}
END_TEST

START_TEST(a_lost_message_is_told_with_its_number_and_may_come_late)
{
    begin_stream();
    ask(2);
    peer_send(fd, came, SIZE);
    wait_for_echoes(1);
    expire();
    check_fault(1, 1, FAULT_LOST);
    support_assert_matches(seen.faults[0].text, "^no answer within 1h$");
    peer_send(fd, came + SIZE, SIZE);
    ask(1);
    peer_send(fd, came, SIZE);
    wait_for_echoes(2);
    ck_assert_uint_eq(tally.late, 1);
    ck_assert_uint_eq(tally.lost, 1);
    ck_assert_uint_eq(tally.outages, 1);
}
END_TEST

START_TEST(a_window_of_lost_messages_is_given_up_with_its_connection)
{
    int given_up;

    begin_stream();
    ask(WINDOW);
    peer_send(fd, came, 10);
    support_loop_settle();
    expire();
    ck_assert_uint_eq(seen.fault_count, WINDOW);
    support_assert_matches(seen.faults[0].text, "^only 10 of 64 bytes came back within 1h$");
    ck_assert(!flow_has_room(flow));
    given_up = fd;
    fd = peer_accept(listening_fd); /* though the peer closed nothing */
    support_close(&given_up);
    support_loop_until(has_room, NULL);
    ask(1);
    peer_send(fd, came, SIZE);
    wait_for_echoes(1);
    ck_assert_uint_eq(seen.last_echo, WINDOW);
    ck_assert_uint_eq(tally.connects, 2);
}
END_TEST

START_TEST(changed_messages_are_corrupted_and_the_others_received)
{
    begin_stream();
    ask(WINDOW);
    came[SIZE + 9] ^= 1;
    peer_send(fd, came, sizeof came);
    wait_for_echoes(WINDOW - 1);
    check_fault(1, 1, FAULT_CORRUPTED);
    ck_assert_uint_eq(tally.corrupted, 1);
}
END_TEST

START_TEST(what_is_under_way_when_it_breaks_is_lost)
{
    begin_stream();
    ask(3);
    peer_send(fd, came, SIZE);
    wait_for_echoes(1);
    peer_reset(&fd);
    check_fault(1, 1, FAULT_RESET);
    ck_assert_uint_eq(tally.lost, 2);
    ck_assert_uint_eq(tally.unsent, 0);
    fd = peer_accept(listening_fd);
    support_loop_until(has_room, NULL);
    ask(1);
    peer_send(fd, came, SIZE);
    wait_for_echoes(2);
    ck_assert_uint_eq(tally.jitter_count, 0); /* not from one connection to the next */
}
END_TEST

START_TEST(foreign_bytes_corrupt_the_message_where_they_stand)
{
    begin_stream();
    ask(2);
    pattern_fill(&pattern, 99, 0, came, sizeof came);
    peer_send(fd, came, sizeof came);
    check_fault(1, 0, FAULT_FOREIGN);
    ck_assert_uint_eq(tally.corrupted, 1);
    ck_assert_uint_eq(tally.lost, 1);
}
END_TEST

START_TEST(what_is_due_while_nobody_is_there_is_lost_and_unsent)
{
    unsigned faults = 3;

    begin_stream();
    ask(1);
    peer_send(fd, came, SIZE);
    wait_for_echoes(1);
    support_close(&listening_fd);
    seen.due = 3;
    support_close(&fd);
    support_loop_until(is_down, NULL);
    check_fault(faults, 3, FAULT_UNSENT);
    support_assert_matches(seen.faults[0].text, "Connection refused$");
    ck_assert_uint_eq(seen.numbers[0], 1);
    ck_assert_uint_eq(tally.unsent, 3);
    ck_assert_uint_eq(tally.outages, 1);
}
END_TEST

static bool has_tried_often(void *argument)
{
    (void)argument;
    return tally.connects_failed >= 5;
}

START_TEST(connections_that_the_other_end_closed_are_counted)
{
    begin_stream();
    for (unsigned i = 0; i < 2; i++) {
        ask(i + 1);
        peer_send(fd, came, (i + 1) * SIZE);
        wait_for_echoes(i == 0 ? 1 : 3);
        support_close(&fd);
        fd = peer_accept(listening_fd);
        support_loop_until(has_room, NULL);
    }
    ck_assert_uint_eq(tally.closed, 2);
    ck_assert_uint_eq(tally.closed_after_bytes, SIZE); /* the first */
    ck_assert_uint_eq(tally.connects, 3);
    ck_assert_uint_eq(seen.fault_count, 0);
    peer_reset(&fd);
    check_fault(1, 3, FAULT_RESET);
    ck_assert_uint_eq(tally.closed, 2);
}
END_TEST

START_TEST(attempts_that_no_message_was_due_for_are_only_counted)
{
    begin_stream();
    support_close(&listening_fd);
    support_close(&fd);
    support_loop_until(has_tried_often, NULL);
    ck_assert_uint_eq(seen.fault_count, 0);
    ck_assert_uint_eq(tally.faults[FAULT_CONNECT], tally.connects_failed);
    ck_assert_uint_eq(tally.sent, 0);
}
END_TEST

START_TEST(each_place_has_the_whole_time_to_answer)
{
    uint64_t over_ns;

    listening_fd = peer_listen(&target);
    fd = peer_listen(&target);
    answering = "place 1";
    begin();
    over_ns = clock_now_ns() + timeout_ns;
    flow_expire(flow, over_ns); /* before the loop saw that place 0 answers */
    flow_expire(flow, over_ns);
    support_loop_until(has_started, NULL);
    ck_assert_uint_eq(seen.opened, 1);
    ck_assert_uint_eq(tally.connects_failed, 0);
}
END_TEST

START_TEST(a_first_attempt_that_fails_is_announced)
{
    peer_add_nobody(&target);
    begin();
    support_loop_until(has_started, NULL);
    ck_assert_uint_eq(seen.started, 1);
    ck_assert_uint_eq(seen.opened, 0);
    ck_assert_uint_eq(seen.downs, 0);
    check_fault(1, 0, FAULT_CONNECT);
    ck_assert_uint_eq(tally.sent, 1);
    ck_assert_uint_eq(tally.unsent, 1);
    ck_assert_uint_eq(tally.outages, 1);
}
END_TEST

START_TEST(churn_connects_for_each_message)
{
    plan.is_churn = true;
    listening_fd = peer_listen(&target);
    begin();
    for (uint64_t i = 0; i < 3; i++) {
        flow_queue(flow, clock_now_ns());
        flow_send(flow);
        fd = peer_accept(listening_fd);
        peer_receive(fd, came, SIZE);
        peer_send(fd, came, SIZE);
        wait_for_echoes(i + 1);
        support_close(&fd);
    }
    ck_assert_uint_eq(tally.connects, 3);
}
END_TEST

START_TEST(churn_that_finds_nobody_loses_its_message)
{
    plan.is_churn = true;
    peer_add_nobody(&target);
    begin();
    flow_queue(flow, clock_now_ns());
    flow_send(flow);
    check_fault(1, 0, FAULT_UNSENT);
    ck_assert_uint_eq(tally.unsent, 1);
    ck_assert_uint_eq(tally.connects_failed, 1);
}
END_TEST

/* --- Datagrams. ------------------------------------------------------------------------------ */

static struct sockaddr_in client;

static void begin_datagrams(void)
{
    fd = peer_bind_udp(&target);
    begin();
}

static void receive_datagram(unsigned char *bytes)
{
    socklen_t length = sizeof client;

    ck_assert_int_eq(recvfrom(fd, bytes, SIZE, 0, (struct sockaddr *)&client, &length), SIZE);
}

static void answer(const unsigned char *bytes, size_t length)
{
    ck_assert_int_eq(sendto(fd, bytes, length, 0, (const struct sockaddr *)&client, sizeof client),
                     (ssize_t)length);
}

/* Send so many datagrams, which the peer keeps. */
static void ask_datagrams(unsigned count)
{
    ask(count);
    for (unsigned i = 0; i < count; i++)
        receive_datagram(came + (size_t)i * SIZE);
}

START_TEST(datagrams_may_come_in_any_order_and_twice)
{
    begin_datagrams();
    ask_datagrams(3);
    answer(came + 2 * SIZE, SIZE);
    answer(came, SIZE);
    answer(came, SIZE);
    answer(came + SIZE, SIZE);
    wait_for_echoes(3);
    ck_assert_uint_eq(tally.reordered, 2);
    ck_assert_uint_eq(tally.duplicated, 1);
    ck_assert_uint_eq(tally.outages, 0);
}
END_TEST

static bool has_late(void *argument)
{
    (void)argument;
    return tally.late > 0;
}

START_TEST(a_lost_datagram_may_come_late)
{
    begin_datagrams();
    ask_datagrams(2);
    answer(came + SIZE, SIZE);
    wait_for_echoes(1);
    expire();
    check_fault(1, 0, FAULT_LOST);
    answer(came, SIZE);
    support_loop_until(has_late, NULL);
    ck_assert_uint_eq(tally.lost, 1);
    ck_assert_uint_eq(tally.duplicated, 0);
}
END_TEST

START_TEST(a_changed_datagram_is_corrupted_alone)
{
    begin_datagrams();
    ask_datagrams(2);
    came[30] ^= 1;
    answer(came, SIZE);
    answer(came + SIZE, SIZE - 1);
    check_fault(2, 1, FAULT_TRUNCATED);
    ck_assert_int_eq((int)seen.faults[0].kind, FAULT_CORRUPTED);
    ck_assert_uint_eq(tally.corrupted, 2);
}
END_TEST

START_TEST(an_empty_answer_behind_a_whole_one_is_that_of_the_next)
{
    begin_datagrams();
    ask_datagrams(2);
    answer(came, SIZE);
    answer(came, 0);
    check_fault(1, 1, FAULT_TRUNCATED);
    ck_assert_uint_eq(tally.received, 1);
    ck_assert_uint_eq(tally.corrupted, 1);
}
END_TEST

#ifdef HAVE_LINUX_ERRQUEUE_H /* elsewhere the system does not say */
START_TEST(an_error_of_the_network_loses_the_datagram_that_it_answers)
{
    plan.has_schedule = true;
    begin_datagrams();
    ask_datagrams(1);
    support_close(&fd);
    ask(1);
    check_fault(1, 1, FAULT_REFUSED);
    ck_assert_uint_eq(tally.lost, 1);
    ck_assert(flow_has_room(flow));
}
END_TEST
#endif

#ifdef IP_RECVERR /* elsewhere a socket that is not connected hears of no error */
START_TEST(without_a_schedule_a_refused_datagram_is_followed_by_a_pause)
{
    plan.retry_ms = 60000;
    fd = peer_bind_udp(&target);
    support_close(&fd);
    begin();
    ask(1);
    check_fault(1, 0, FAULT_REFUSED);
    ck_assert(!flow_has_room(flow));
}
END_TEST
#endif

START_TEST(what_the_system_refuses_is_unsent)
{
    fd = peer_bind_udp(&target);
    ((struct sockaddr_in *)&target.places[0].address)->sin_addr.s_addr = htonl(INADDR_BROADCAST);
    plan.has_schedule = true;
    begin();
    ask(2);
    check_fault(2, 1, FAULT_UNSENT);
    ck_assert_uint_eq(tally.unsent, 2);
    ck_assert(flow_has_room(flow));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flow");
    TCase *streams = support_case(suite, "streams");
    TCase *datagrams = support_case(suite, "datagrams");

    tcase_add_checked_fixture(streams, set_up, tear_down);
    tcase_add_test(streams, messages_return_in_any_pieces);
    tcase_add_test(streams, a_lost_message_is_told_with_its_number_and_may_come_late);
    tcase_add_test(streams, a_window_of_lost_messages_is_given_up_with_its_connection);
    tcase_add_test(streams, changed_messages_are_corrupted_and_the_others_received);
    tcase_add_test(streams, what_is_under_way_when_it_breaks_is_lost);
    tcase_add_test(streams, foreign_bytes_corrupt_the_message_where_they_stand);
    tcase_add_test(streams, what_is_due_while_nobody_is_there_is_lost_and_unsent);
    tcase_add_test(streams, connections_that_the_other_end_closed_are_counted);
    tcase_add_test(streams, attempts_that_no_message_was_due_for_are_only_counted);
    tcase_add_test(streams, each_place_has_the_whole_time_to_answer);
    tcase_add_test(streams, a_first_attempt_that_fails_is_announced);
    tcase_add_test(streams, churn_connects_for_each_message);
    tcase_add_test(streams, churn_that_finds_nobody_loses_its_message);
    tcase_add_checked_fixture(datagrams, set_up, tear_down);
    tcase_add_test(datagrams, datagrams_may_come_in_any_order_and_twice);
    tcase_add_test(datagrams, a_lost_datagram_may_come_late);
    tcase_add_test(datagrams, a_changed_datagram_is_corrupted_alone);
    tcase_add_test(datagrams, an_empty_answer_behind_a_whole_one_is_that_of_the_next);
#ifdef HAVE_LINUX_ERRQUEUE_H
    tcase_add_test(datagrams, an_error_of_the_network_loses_the_datagram_that_it_answers);
#endif
#ifdef IP_RECVERR
    tcase_add_test(datagrams, without_a_schedule_a_refused_datagram_is_followed_by_a_pause);
#endif
    tcase_add_test(datagrams, what_the_system_refuses_is_unsent);
    return support_run(suite);
}
