/*
 * check_connection_tls: a connection with TLS at a moment that no client can choose. All others
 * check_connection_paths walks through, and tests/system/test_tls.py sees from outside.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"
#include "echod/connection.h"
#include "echod/handshake.h"
#include "scene.h"
#include "secure.h"
#include "support.h"

#include <errno.h>
#include <unistd.h>

enum { FEW_TURNS = 10, VERSION_COUNT = 2 };

static void setup(void)
{
    scene_setup();
    scene_use_tls(secure_begin(), LISTENER_IDENTIFY_OFF, 0, &scene_usual_limits);
}

static void teardown(void)
{
    scene_teardown();
    secure_end();
}

/* Leave no room in a socket for what its owner wants to send. Return how many bytes that took. */
static size_t fill(int fd)
{
    static const unsigned char junk[4096];
    size_t filled = 0;
    ssize_t count;

    while ((count = write(fd, junk, sizeof junk)) > 0)
        filled += (size_t)count;
    return filled;
}

/* Make room again: the system brings bit by bit what was held back. */
static void drain(int fd, size_t left)
{
    unsigned char junk[4096];

    while (left > 0) {
        const ssize_t count = read(fd, junk, left < sizeof junk ? left : sizeof junk);

        ck_assert(count > 0 || (count < 0 && errno == EAGAIN));
        left -= count > 0 ? (size_t)count : 0;
    }
}

static bool is_ready(void *argument)
{
    (void)argument;
    secure_shake(false);
    return secure_is_ready();
}

/* Our last flight is tickets in TLS 1.3, and before that our Finished (RFC 8446, 4.6.1; 5077). */
START_TEST(the_end_of_a_handshake_waits_for_room)
{
    const enum transport transport = scene_socket_of(_i / VERSION_COUNT);
    const struct pair pair = pair_make(transport);
    struct client *client = client_meet_over(&pair, transport);
    size_t filled;

    secure_join(client, _i % VERSION_COUNT == 0);
    client_start(client);
    secure_shake(false);
    support_loop_settle();
    secure_shake(false); /* the client's last flight */
    filled = fill(pair.output);
    ck_assert_uint_lt(support_loop_for(SHORT_MS), FEW_TURNS);
    drain(client->from_fd, filled);
    support_loop_until(is_ready, client);
    client_exchange(client, HALF_BYTES);
    client_finish(client);
    client_receive_all(client);
    client_await_end(client, CLOSE_CLIENT);
}
END_TEST

/* Such as one that came after the loop had looked. What follows would have no end. */
START_TEST(a_header_at_the_deadline_begins_no_handshake)
{
    static const char header[] = "PROXY UNKNOWN\r\n";
    struct connection_limits limits = scene_usual_limits;
    struct timeout *deadline;
    struct client *client;

    limits.handshake_timeout_ms = LONG_MS;
    scene_use_tls(scene.group.tls, LISTENER_IDENTIFY_OFF, PROXY_ANY, &limits);
    client = client_join(scene_socket_of(_i));
    ck_assert_int_eq(write(client->to_fd, header, sizeof header - 1), (ssize_t)sizeof header - 1);
    deadline = TAILQ_FIRST(&scene.group.handshake.armed);
    timeout_cancel(&scene.group.handshake, deadline);
    handshake_on_overdue(deadline);
    ck_assert_uint_eq(client->ends, 1);
    ck_assert_int_eq(client->reason, CLOSE_HANDSHAKE);
}
END_TEST

START_TEST(a_handshake_that_fails_gives_an_end_that_has_begun_no_more_time)
{
    struct client *client = client_join(scene_socket_of(_i));
    uint64_t due_ms;

    ck_assert_int_eq(write(client->to_fd, "no handshake", 12), 12);
    connection_close(client->connection, CLOSE_DRAIN);
    due_ms = --TAILQ_FIRST(&scene.group.closing.armed)->due_ms; /* not what it would be now */
    support_loop_settle();
    ck_assert_uint_eq(scene_count_of(COUNTER_TLS_FAILED), 1);
    ck_assert_uint_eq(TAILQ_FIRST(&scene.group.closing.armed)->due_ms, due_ms);
    client_hang_up(client);
    client_await_end(client, CLOSE_TLS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection_tls");
    TCase *tests = support_case(suite, "handshake");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, the_end_of_a_handshake_waits_for_room, 0,
                        SOCKET_COUNT * VERSION_COUNT);
    tcase_add_loop_test(tests, a_header_at_the_deadline_begins_no_handshake, 0, SOCKET_COUNT);
    tcase_add_loop_test(tests, a_handshake_that_fails_gives_an_end_that_has_begun_no_more_time, 0,
                        SOCKET_COUNT);
    return support_run_together(suite);
}
