/*
 * check_stream_preface: what stands before the first byte of a stream: when it leaves, in which
 * parts, and how a peer is told that returns it.
 * Leaves its bytes to check_preface.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/preface.h"

#include "peer.h"
#include "streaming.h"
#include "support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct preface_plan plan = {.version = PROXY_V1, .source.kind = PREFACE_LOCAL};
static const unsigned char header[] = "PROXY UNKNOWN\r\n"; /* what it asks for, and a NUL */
enum { HEADER_SIZE = sizeof header - 1 };

/* What the system takes of what is sent: so many bytes at a time, and nothing in between. */
static struct {
    size_t most; /* 0: all */
    bool is_full;
    unsigned sends; /* how often it was asked */
} room;

/* --- The system. ----------------------------------------------------------------------------- */

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    room.sends++;
    if (room.most == 0)
        return sendto(fd, buf, n, flags, NULL, 0);
    room.is_full = !room.is_full;
    if (!room.is_full)
        return sendto(fd, buf, n < room.most ? n : room.most, flags, NULL, 0);
    errno = EAGAIN;
    return -1;
}

/* --- Fixture. -------------------------------------------------------------------------------- */

static void set_up(void)
{
    streaming_set_up();
    memset(&room, 0, sizeof room);
    target.preface = plan;
}

/* Connect with a preface, and send so much behind it. */
static void begin_behind_preface(size_t length)
{
    streaming_begin_connected();
    stream_send(stream, length);
}

/* Let the peer take the preface and what follows, which it keeps. */
static void receive_behind_preface(size_t length)
{
    unsigned char first[HEADER_SIZE];

    peer_receive(peer_fd, first, HEADER_SIZE);
    ck_assert_mem_eq(first, header, HEADER_SIZE);
    peer_receive(peer_fd, came, length);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, 0, came, length), length);
}

/* --- Sending. -------------------------------------------------------------------------------- */

START_TEST(positions_begin_behind_the_preface)
{
    begin_behind_preface(MESSAGE);
    receive_behind_preface(MESSAGE);
    peer_send(peer_fd, came, MESSAGE);
    streaming_wait_for(MESSAGE);
    ck_assert_uint_eq(stream_delivered(stream), MESSAGE);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(the_preface_leaves_together_with_the_first_bytes)
{
    listening_fd = peer_listen(&target);
    streaming_begin();
    stream_send(stream, MESSAGE);
    peer_fd = peer_accept(listening_fd);
    receive_behind_preface(MESSAGE);
    ck_assert_uint_eq(room.sends, 1);
}
END_TEST

START_TEST(the_preface_leaves_though_nothing_is_due)
{
    streaming_begin_connected();
    receive_behind_preface(0);
    stream_send(stream, 10);
    peer_receive(peer_fd, came, 10);
    ck_assert_uint_eq(pattern_match(&pattern, NUMBER, 0, came, 10), 10);
}
END_TEST

START_TEST(fin_follows_the_preface)
{
    room.most = 1;
    streaming_begin_connected();
    stream_finish(stream);
    receive_behind_preface(0);
    peer_receive_fin(peer_fd);
}
END_TEST

START_TEST(a_preface_that_is_taken_in_parts_is_sent_on)
{
    room.most = (size_t)_i;
    begin_behind_preface(100);
    receive_behind_preface(100);
    room.most = 0;
    peer_send(peer_fd, came, 100);
    streaming_wait_for(100);
}
END_TEST

START_TEST(the_next_place_gets_it_whole)
{
    peer_add_nobody(&target);
    begin_behind_preface(100);
    receive_behind_preface(100);
}
END_TEST

/* --- Its echo. ------------------------------------------------------------------------------- */

/* Its echo may come in any pieces, and a message may be shorter than it. */
START_TEST(a_preface_that_comes_back_is_named)
{
    static const size_t sizes[] = {1, 14, 15, 16, MESSAGE};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        begin_behind_preface(sizes[i]);
        receive_behind_preface(sizes[i]);
        peer_send(peer_fd, header, (size_t)_i);
        support_loop_settle();
        peer_send(peer_fd, header + _i, (size_t)(HEADER_SIZE - _i));
        peer_send(peer_fd, came, sizes[i]);
        streaming_check_end(FAULT_INSERTED, 0, HEADER_SIZE);
        ck_assert_str_eq(seen.end.text,
                         "the PROXY header came back: the service does not expect one");
        streaming_tear_down();
        set_up();
    }
}
END_TEST

START_TEST(a_part_of_it_is_named_when_nothing_more_comes)
{
    begin_behind_preface(MESSAGE);
    receive_behind_preface(MESSAGE);
    peer_send(peer_fd, header, HEADER_SIZE - 1);
    support_loop_settle();
    ck_assert(stream_judge(stream, ETIMEDOUT));
    streaming_check_end(FAULT_INSERTED, 0, HEADER_SIZE);
}
END_TEST

START_TEST(what_only_begins_like_it_is_no_preface)
{
    begin_behind_preface(1);
    receive_behind_preface(1);
    peer_send(peer_fd, header, 1);
    support_loop_settle();
    ck_assert_uint_eq(seen.fault_count, 0);
    ck_assert(stream_judge(stream, ETIMEDOUT));
    ck_assert_uint_eq(seen.fault_count, 1);
    ck_assert_int_eq((int)seen.faults[0].kind, FAULT_CORRUPTED);
}
END_TEST

START_TEST(what_is_right_in_it_by_chance_is_no_echo)
{
    unsigned char first;

    do {
        pattern.origin++;
        pattern_fill(&pattern, NUMBER, 0, &first, 1);
    } while (first != header[0]);
    begin_behind_preface(1);
    receive_behind_preface(1);
    peer_send(peer_fd, header, 3);
    support_loop_settle();
    ck_assert_uint_eq(seen.returned, 0);
    peer_send(peer_fd, header + 3, HEADER_SIZE - 3);
    streaming_check_end(FAULT_INSERTED, 0, HEADER_SIZE);
    ck_assert_uint_eq(seen.returned, 0);
}
END_TEST

START_TEST(bytes_that_others_insert_are_no_preface)
{
    begin_behind_preface(MESSAGE);
    receive_behind_preface(MESSAGE);
    peer_send(peer_fd, (const unsigned char *)"PROXY TCP4 ", 11);
    peer_send(peer_fd, came, MESSAGE);
    streaming_check_end(FAULT_INSERTED, 0, 11);
    ck_assert_ptr_null(strstr(seen.end.text, "PROXY"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_preface");
    TCase *prefaces = support_case(suite, "prefaces");

    tcase_add_checked_fixture(prefaces, set_up, streaming_tear_down);
    tcase_add_test(prefaces, positions_begin_behind_the_preface);
    tcase_add_test(prefaces, the_preface_leaves_together_with_the_first_bytes);
    tcase_add_test(prefaces, the_preface_leaves_though_nothing_is_due);
    tcase_add_test(prefaces, fin_follows_the_preface);
    tcase_add_loop_test(prefaces, a_preface_that_is_taken_in_parts_is_sent_on, 1, HEADER_SIZE + 2);
    tcase_add_test(prefaces, the_next_place_gets_it_whole);
    tcase_add_loop_test(prefaces, a_preface_that_comes_back_is_named, 0, HEADER_SIZE + 1);
    tcase_add_test(prefaces, a_part_of_it_is_named_when_nothing_more_comes);
    tcase_add_test(prefaces, what_only_begins_like_it_is_no_preface);
    tcase_add_test(prefaces, what_is_right_in_it_by_chance_is_no_echo);
    tcase_add_test(prefaces, bytes_that_others_insert_are_no_preface);
    return support_run(suite);
}
