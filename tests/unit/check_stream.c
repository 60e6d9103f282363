/*
 * check_stream: a peer that splits, delays, loses, repeats, changes and mixes up bytes, closes and
 * resets; and places of a target that refuse.
 * Counts no messages; check_flow does. What stands before the first byte is check_stream_preface's.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/stream.h"

#include "peer.h"
#include "streaming.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Tell whether so much was right, though nothing is reported while what follows is wrong. */
static bool has_taken(void *argument)
{
    return stream_returned(stream) >= *(const uint64_t *)argument;
}

static bool has_fault(void *argument)
{
    (void)argument;
    return seen.fault_count > 0;
}

/* Connect, and send so much to the peer, which keeps it. */
static void begin_with(size_t length)
{
    streaming_begin_connected();
    stream_send(stream, length);
    peer_receive(peer_fd, came, length);
}

static void wait_for_right(uint64_t position)
{
    support_loop_until(has_taken, &position);
    support_loop_settle();
    ck_assert_uint_eq(stream_returned(stream), position);
}

/* --- Bytes. ---------------------------------------------------------------------------------- */

START_TEST(bytes_are_the_pattern_and_may_return_in_any_pieces)
{
    static const size_t pieces[] = {1, 7, 100, MESSAGE};
    size_t sent = 0;

    begin_with(MESSAGE);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, 0, came, MESSAGE), MESSAGE);
    for (size_t i = 0; sent < MESSAGE; i++) {
        const size_t piece = pieces[i % 4] < MESSAGE - sent ? pieces[i % 4] : MESSAGE - sent;

        peer_send(peer_fd, came + sent, piece);
        sent += piece;
        streaming_wait_for(sent);
        ck_assert_uint_eq(stream_returned(stream), sent);
    }
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(a_peer_that_reads_late_gets_all)
{
    listening_fd = peer_listen(&target);
    streaming_begin();
    peer_fd = peer_accept(listening_fd);
    support_loop_until(streaming_is_open, NULL);
    stream_send(stream, MUCH);
    support_loop_settle();
    ck_assert_uint_lt(stream_delivered(stream), MUCH);
    peer_receive(peer_fd, came, MUCH);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, 0, came, MUCH), MUCH);
    peer_send(peer_fd, came, MUCH);
    streaming_wait_for(MUCH);
    ck_assert_uint_eq(stream_delivered(stream), MUCH);
}
END_TEST

START_TEST(what_is_sent_before_the_connection_is_open_waits_for_it)
{
    listening_fd = peer_listen(&target);
    streaming_begin();
    stream_send(stream, 100);
    ck_assert(!stream_is_open(stream));
    peer_fd = peer_accept(listening_fd);
    support_loop_until(streaming_is_open, NULL);
    ck_assert(stream_is_open(stream));
    stream_send(stream, 100);
    peer_receive(peer_fd, came, 100);
}
END_TEST

START_TEST(fin_follows_the_last_byte)
{
    begin_with(100);
    stream_finish(stream);
    peer_receive_fin(peer_fd);
    peer_send(peer_fd, came, 100);
    streaming_wait_for(100);
    support_close(&peer_fd);
    streaming_check_end(FAULT_NONE, 0, 0);
}
END_TEST

/* --- Faults. --------------------------------------------------------------------------------- */

START_TEST(lost_bytes_end_it)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came, 100);
    peer_send(peer_fd, came + 150, MESSAGE - 150);
    wait_for_right(100);
    ck_assert(stream_judge(stream, 0));
    streaming_check_end(FAULT_LOST, 100, 50);
}
END_TEST

START_TEST(wrong_bytes_are_judged_when_all_that_was_sent_came)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came + 1000, 1000);
    peer_send(peer_fd, came, 1000);
    support_loop_settle();
    ck_assert_uint_eq(seen.ended, 0);
    peer_send(peer_fd, came + 2000, MESSAGE - 2000);
    streaming_check_end(FAULT_REORDERED, 0, 1000);
}
END_TEST

START_TEST(repeated_bytes_end_it)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came, 1000);
    peer_send(peer_fd, came + 900, MESSAGE - 900);
    streaming_check_end(FAULT_DUPLICATED, 1000, 100);
}
END_TEST

START_TEST(more_than_was_sent_ends_it)
{
    begin_with(100);
    peer_send(peer_fd, came, 100);
    streaming_wait_for(100);
    peer_send(peer_fd, (const unsigned char *)"thanks", 6);
    streaming_check_end(FAULT_INSERTED, 100, 6);
}
END_TEST

START_TEST(bytes_of_others_end_it)
{
    begin_with(MESSAGE);
    pattern_fill(&pattern, NUMBER + 1, 0, came, MESSAGE);
    peer_send(peer_fd, came, MESSAGE);
    streaming_check_end(FAULT_FOREIGN, 0, MESSAGE);
}
END_TEST

START_TEST(changed_bytes_are_told_and_the_stream_goes_on)
{
    begin_with(MESSAGE);
    came[50] ^= 1;
    came[3000] ^= 1;
    peer_send(peer_fd, came, MESSAGE);
    streaming_wait_for(MESSAGE);
    ck_assert_uint_eq(seen.fault_count, 2);
    ck_assert_int_eq((int)seen.faults[0].kind, FAULT_CORRUPTED);
    ck_assert_uint_eq(seen.faults[0].offset, 50);
    ck_assert_uint_eq(seen.faults[1].offset, 3000);
    ck_assert_uint_eq(seen.ended, 0);
    stream_send(stream, MESSAGE + 10);
    peer_receive(peer_fd, came, 10);
    peer_send(peer_fd, came, 10);
    streaming_wait_for(MESSAGE + 10);
}
END_TEST

START_TEST(a_changed_byte_that_nothing_follows_is_judged_when_asked)
{
    begin_with(MESSAGE);
    came[9] ^= 1;
    peer_send(peer_fd, came, 60);
    wait_for_right(9);
    ck_assert(!has_fault(NULL));
    ck_assert(stream_judge(stream, 0));
    ck_assert(has_fault(NULL));
    ck_assert_uint_eq(seen.returned, 60);
    ck_assert(!stream_judge(stream, 0));
}
END_TEST

START_TEST(what_waits_for_a_judgement_is_sent_after_it)
{
    begin_with(MESSAGE);
    came[9] ^= 1;
    peer_send(peer_fd, came, 60);
    wait_for_right(9);
    stream_send(stream, 2 * MESSAGE);
    support_loop_settle();
    ck_assert_int_lt(recv(peer_fd, came, 1, MSG_PEEK), 0);
    ck_assert(stream_judge(stream, 0));
    peer_receive(peer_fd, came, MESSAGE);
}
END_TEST

START_TEST(an_early_fin_truncates)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came, 10);
    streaming_wait_for(10);
    support_close(&peer_fd);
    streaming_check_end(FAULT_TRUNCATED, 10, MESSAGE - 10);
}
END_TEST

START_TEST(wrong_bytes_before_a_fin_are_judged_first)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came + 1000, 100);
    support_close(&peer_fd);
    streaming_check_end(FAULT_LOST, 0, 1000);
}
END_TEST

START_TEST(a_reset_is_one)
{
    begin_with(MESSAGE);
    peer_send(peer_fd, came, 10);
    streaming_wait_for(10);
    peer_reset(&peer_fd);
    streaming_check_end(FAULT_RESET, 10, MESSAGE - 10);
    support_assert_matches(seen.end.text, "after 10 of 4096 bytes$");
}
END_TEST

/* --- Connecting. ----------------------------------------------------------------------------- */

START_TEST(the_place_that_answers_is_named)
{
    peer_add_nobody(&target);
    listening_fd = peer_listen(&target);
    streaming_begin();
    peer_fd = peer_accept(listening_fd);
    support_loop_until(streaming_is_open, NULL);
    ck_assert_str_eq(seen.peer, "place 1");
}
END_TEST

START_TEST(places_that_refuse_are_all_named)
{
    peer_add_nobody(&target);
    peer_add_nobody(&target);
    streaming_begin();
    streaming_check_end(FAULT_CONNECT, 0, 0);
    ck_assert_str_eq(seen.end.text, "place 0: Connection refused; place 1: Connection refused");
    ck_assert_uint_eq(seen.opened, 0);
}
END_TEST

START_TEST(an_attempt_may_be_given_up_for_the_next_place)
{
    listening_fd = peer_listen(&target);
    peer_add_nobody(&target);
    streaming_begin();
    ck_assert(stream_judge(stream, ETIMEDOUT)); /* before the loop saw that it is open */
    streaming_check_end(FAULT_CONNECT, 0, 0);
    ck_assert_str_eq(seen.end.text, support_format("place 0: %s; place 1: Connection refused",
                                                   strerror(ETIMEDOUT)));
}
END_TEST

START_TEST(a_place_that_fails_at_once_is_reported_from_the_loop)
{
    peer_add_nobody(&target);
    target.places[0].length = 1; /* EINVAL */
    streaming_begin();
    ck_assert_uint_eq(seen.ended, 0);
    streaming_check_end(FAULT_CONNECT, 0, 0);
    support_assert_matches(seen.end.text, "^place 0: Invalid argument$");
}
END_TEST

START_TEST(without_memory_there_is_no_stream)
{
    bool was_made = false;

    listening_fd = peer_listen(&target);
    (void)support_base();
    for (unsigned long i = 1; !was_made; i++) {
        support_memory_fail(i, 1);
        errno = 0;
        stream = stream_new(support_base(), &scratch, &target, &pattern, NUMBER, &streaming_events,
                            &seen);
        was_made = !support_memory_has_failed();
        support_memory_fail(0, 0);
        if (stream == NULL)
            ck_assert_int_eq(errno, ENOMEM);
        ck_assert(!was_made || stream != NULL);
        stream_free(stream);
        stream = NULL;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *bytes = support_case(suite, "bytes");
    TCase *faults = support_case(suite, "faults");
    TCase *connecting = support_case(suite, "connecting");

    tcase_add_checked_fixture(bytes, streaming_set_up, streaming_tear_down);
    tcase_add_test(bytes, bytes_are_the_pattern_and_may_return_in_any_pieces);
    tcase_add_test(bytes, a_peer_that_reads_late_gets_all);
    tcase_add_test(bytes, what_is_sent_before_the_connection_is_open_waits_for_it);
    tcase_add_test(bytes, fin_follows_the_last_byte);
    tcase_add_checked_fixture(faults, streaming_set_up, streaming_tear_down);
    tcase_add_test(faults, lost_bytes_end_it);
    tcase_add_test(faults, wrong_bytes_are_judged_when_all_that_was_sent_came);
    tcase_add_test(faults, repeated_bytes_end_it);
    tcase_add_test(faults, more_than_was_sent_ends_it);
    tcase_add_test(faults, bytes_of_others_end_it);
    tcase_add_test(faults, changed_bytes_are_told_and_the_stream_goes_on);
    tcase_add_test(faults, a_changed_byte_that_nothing_follows_is_judged_when_asked);
    tcase_add_test(faults, what_waits_for_a_judgement_is_sent_after_it);
    tcase_add_test(faults, an_early_fin_truncates);
    tcase_add_test(faults, wrong_bytes_before_a_fin_are_judged_first);
    tcase_add_test(faults, a_reset_is_one);
    tcase_add_checked_fixture(connecting, streaming_set_up, streaming_tear_down);
    tcase_add_test(connecting, the_place_that_answers_is_named);
    tcase_add_test(connecting, places_that_refuse_are_all_named);
    tcase_add_test(connecting, an_attempt_may_be_given_up_for_the_next_place);
    tcase_add_test(connecting, a_place_that_fails_at_once_is_reported_from_the_loop);
    tcase_add_test(connecting, without_memory_there_is_no_stream);
    return support_run(suite);
}
