/*
 * check_stream_identity: streams of a target that says who it is before its echo: in which pieces
 * it may come, and how a peer is told that says something else or nothing. What an identity may be
 * is for check_identity. Run by make check.
 */
#include <config.h>

#include "echoprobe/greeting.h"

#include "peer.h"
#include "streaming.h"
#include "support.h"

#include <errno.h>
#include <string.h>

static const char line[] = "echod=1 host=web-1 local=192.0.2.7:7";
static const char object[] = "{\"echod\":\"1\",\"host\":\"web-1\"}";

static void set_up(void)
{
    streaming_set_up();
    target.is_identified = true;
}

static void say(const char *text, size_t length)
{
    peer_send(peer_fd, (const unsigned char *)text, length);
}

/* Connect, and let the peer have a message. */
static void begin(size_t length)
{
    streaming_begin_connected();
    stream_send(stream, length);
    peer_receive(peer_fd, came, length);
}

START_TEST(positions_begin_behind_the_identity)
{
    const char *const identity = _i == 0 ? line : object;

    begin(MESSAGE);
    say(identity, strlen(identity));
    say("\n", 1);
    peer_send(peer_fd, came, MESSAGE);
    streaming_wait_for(MESSAGE);
    ck_assert_str_eq(seen.identity, identity);
    ck_assert_uint_eq(seen.identities, 1);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(it_comes_though_nothing_is_asked)
{
    streaming_begin_connected();
    say(line, strlen(line));
    say("\n", 1);
    support_loop_settle();
    ck_assert_uint_eq(seen.identities, 1);
    ck_assert_uint_eq(seen.returned, 0);
}
END_TEST

START_TEST(it_may_come_in_two_pieces_split_anywhere)
{
    unsigned char all[sizeof line + 10];
    const size_t length = sizeof all, first = (size_t)_i;

    begin(10);
    memcpy(all, line, sizeof line);
    all[sizeof line - 1] = '\n';
    memcpy(all + sizeof line, came, 10);
    peer_send(peer_fd, all, first);
    support_loop_settle();
    peer_send(peer_fd, all + first, length - first);
    streaming_wait_for(10);
    ck_assert_str_eq(seen.identity, line);
    ck_assert_uint_eq(seen.fault_count + seen.ended, 0);
}
END_TEST

START_TEST(the_longest_is_taken)
{
    static char identity[IDENTITY_SIZE] = "echod=";

    memset(identity + strlen(identity), 'x', sizeof identity - strlen("echod="));
    identity[sizeof identity - 1] = '\n';
    begin(10);
    say(identity, sizeof identity);
    peer_send(peer_fd, came, 10);
    streaming_wait_for(10);
    ck_assert_uint_eq(seen.identities, 1);
}
END_TEST

START_TEST(a_longer_one_is_a_fault)
{
    static char identity[IDENTITY_SIZE] = "echod=";

    memset(identity + strlen(identity), 'x', sizeof identity - strlen("echod="));
    begin(10);
    say(identity, sizeof identity);
    streaming_check_end(FAULT_UNIDENTIFIED, 0, 0);
    ck_assert_str_eq(seen.end.text, "the identity is longer than 8192 bytes");
    ck_assert_uint_eq(seen.identities, 0);
}
END_TEST

START_TEST(an_echo_alone_is_a_fault)
{
    begin(MESSAGE);
    peer_send(peer_fd, came, MESSAGE);
    streaming_check_end(FAULT_UNIDENTIFIED, 0, 0);
    ck_assert_str_eq(seen.end.text, "the service echoes, and does not say who it is");
}
END_TEST

/* Wherever a line feed stands among them, also as the first. */
START_TEST(an_echo_is_told_from_an_identity_by_whatever_bytes)
{
    unsigned char bytes[MESSAGE];
    size_t taken;

    pattern.origin = 1;
    for (uint64_t number = 0; number < 1000; number++) {
        struct greeting greeting = {0};
        struct fault fault = {0};

        pattern_fill(&pattern, number, 0, bytes, sizeof bytes);
        ck_assert_int_eq(greeting_take(&greeting, bytes, sizeof bytes, &taken), GREETING_STRANGE);
        greeting_judge(&greeting, &pattern, number, &fault);
        ck_assert_str_eq(fault.text, "the service echoes, and does not say who it is");
    }
}
END_TEST

static const char *const strangers[] = {
    "SSH-2.0-OpenSSH_9.2\r\n", "220 ",        "\n", "echo\n", "echod\n", "{}\n",
    "{\"echod\":\"1\"\n",      "echod=1\0x\n"};

START_TEST(something_else_is_a_fault)
{
    begin(10);
    say(strangers[_i], _i == 7 ? 10 : strlen(strangers[_i]));
    streaming_check_end(FAULT_UNIDENTIFIED, 0, 0);
    ck_assert_ptr_nonnull(strstr(seen.end.text, "begins with something else than an identity: "));
}
END_TEST

START_TEST(an_end_before_it_is_whole_is_a_fault)
{
    begin(10);
    say(line, 7);
    support_close(&peer_fd);
    streaming_check_end(FAULT_UNIDENTIFIED, 0, 0);
    ck_assert_str_eq(seen.end.text, "the connection ended after 7 bytes of its identity");
}
END_TEST

START_TEST(an_end_behind_it_says_that_nothing_is_echoed)
{
    begin(10);
    say(line, strlen(line));
    say("\n", 1);
    support_close(&peer_fd);
    streaming_check_end(FAULT_TRUNCATED, 0, 10);
    ck_assert_ptr_nonnull(strstr(seen.end.text, "the service does not echo"));
}
END_TEST

START_TEST(silence_is_a_fault)
{
    begin(10);
    say(line, (size_t)_i);
    support_loop_settle();
    ck_assert(stream_judge(stream, ETIMEDOUT));
    streaming_check_end(FAULT_UNIDENTIFIED, 0, 0);
}
END_TEST

START_TEST(bytes_behind_it_are_verified)
{
    begin(MESSAGE);
    say(line, strlen(line));
    say("\n", 1);
    came[100] ^= 1;
    peer_send(peer_fd, came, MESSAGE);
    streaming_wait_for(MESSAGE);
    ck_assert_uint_eq(seen.fault_count, 1);
    ck_assert_int_eq((int)seen.faults[0].kind, FAULT_CORRUPTED);
    ck_assert_uint_eq(seen.faults[0].offset, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_identity");
    TCase *identities = support_case(suite, "identities");

    tcase_add_checked_fixture(identities, set_up, streaming_tear_down);
    tcase_add_loop_test(identities, positions_begin_behind_the_identity, 0, 2);
    tcase_add_test(identities, it_comes_though_nothing_is_asked);
    tcase_add_loop_test(identities, it_may_come_in_two_pieces_split_anywhere, 1, sizeof line + 10);
    tcase_add_test(identities, the_longest_is_taken);
    tcase_add_test(identities, a_longer_one_is_a_fault);
    tcase_add_test(identities, an_echo_alone_is_a_fault);
    tcase_add_test(identities, an_echo_is_told_from_an_identity_by_whatever_bytes);
    tcase_add_loop_test(identities, something_else_is_a_fault, 0, 8);
    tcase_add_test(identities, an_end_before_it_is_whole_is_a_fault);
    tcase_add_test(identities, an_end_behind_it_says_that_nothing_is_echoed);
    tcase_add_loop_test(identities, silence_is_a_fault, 0, 2);
    tcase_add_test(identities, bytes_behind_it_are_verified);
    return support_run(suite);
}
