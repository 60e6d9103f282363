/*
 * check_datagram_full: a socket that takes no datagram, or met an error before. Stands in for
 * batch, since no socket of the loopback does that when a test wants it. What goes through real
 * sockets is check_datagram's. Run by make check.
 */
#include <config.h>

#include "echoprobe/datagram.h"

#include "peer.h"
#include "support.h"

#include <errno.h>
#include <string.h>

static struct target target;
static struct pattern pattern;
static struct batch batch;
static struct datagram *datagram;
static int fd;

static struct {
    int failure;       /* errno of the next calls; 0: they send */
    unsigned failures; /* so many of them fail */
    unsigned calls;
    size_t sent, unsent, turns;
} scene;

/* --- batch. ---------------------------------------------------------------------------------- */

int batch_send(int its_fd, struct batch *its_batch, size_t count, const struct sockaddr *to,
               socklen_t to_length)
{
    (void)its_fd;
    (void)to;
    (void)to_length;
    ck_assert_ptr_eq(its_batch, &batch);
    scene.calls++;
    if (scene.failures > 0) {
        scene.failures--;
        errno = scene.failure;
        return -1;
    }
    scene.sent += count;
    return (int)count;
}

int batch_receive(int its_fd, struct batch *its_batch)
{
    (void)its_fd;
    (void)its_batch;
    errno = EAGAIN;
    return -1;
}

/* --- Events. --------------------------------------------------------------------------------- */

static void on_returned(void *argument, uint64_t sequence, const struct fault *fault)
{
    (void)argument;
    (void)sequence;
    ck_abort_msg("something returned: %s", fault->text);
}

static void on_error(void *argument, uint64_t sequence, int failure)
{
    (void)argument;
    (void)sequence;
    ck_abort_msg("an error: %s", strerror(failure));
}

static void on_unsent(void *argument, uint64_t sequence, int failure)
{
    (void)argument;
    ck_assert_uint_eq(sequence, scene.unsent++);
    ck_assert_int_eq(failure, scene.failure);
}

static void on_turn(void *argument)
{
    (void)argument;
    scene.turns++;
}

static const struct datagram_events events = {
    .on_returned = on_returned,
    .on_error = on_error,
    .on_unsent = on_unsent,
    .on_turn = on_turn,
};

static void set_up(void)
{
    memset(&scene, 0, sizeof scene);
    memset(&target, 0, sizeof target);
    fd = peer_bind_udp(&target);
    datagram = datagram_new(support_base(), &batch, &target, &pattern, 1, 64, &events, NULL);
    ck_assert_ptr_nonnull(datagram);
}

static void tear_down(void)
{
    datagram_free(datagram);
    support_close(&fd);
}

static void fail_with(int failure, unsigned count)
{
    scene.failure = failure;
    scene.failures = count;
}

/* --- Tests. ---------------------------------------------------------------------------------- */

START_TEST(a_full_socket_is_waited_for)
{
    fail_with(EAGAIN, 2);
    datagram_send(datagram, 3);
    datagram_send(datagram, 5); /* does not even try */
    ck_assert_uint_eq(scene.calls, 1);
    ck_assert_uint_eq(datagram_sent(datagram), 0);
    support_loop_settle();
    ck_assert_uint_eq(scene.sent, 5);
    ck_assert_uint_eq(datagram_sent(datagram), 5);
    ck_assert_uint_eq(scene.unsent, 0);
    ck_assert_uint_ge(scene.turns, 1);
}
END_TEST

START_TEST(what_is_settled_while_the_socket_is_full_is_not_sent)
{
    fail_with(EAGAIN, 1);
    datagram_send(datagram, 3);
    datagram_settle(datagram, 2);
    support_loop_settle();
    ck_assert_uint_eq(scene.sent, 1);
}
END_TEST

START_TEST(an_error_of_an_earlier_datagram_costs_no_other)
{
    fail_with(ECONNREFUSED, 1);
    datagram_send(datagram, 3);
    ck_assert_uint_eq(scene.sent, 3);
    ck_assert_uint_eq(scene.unsent, 0);
}
END_TEST

START_TEST(an_error_that_stays_is_that_of_each)
{
    fail_with(EPERM, 4); /* the first two datagrams, twice */
    datagram_send(datagram, 3);
    ck_assert_uint_eq(scene.unsent, 2);
    ck_assert_uint_eq(scene.sent, 1);
}
END_TEST

START_TEST(more_than_a_batch_goes_in_several)
{
    datagram_send(datagram, 2 * BATCH_DATAGRAMS + 1);
    ck_assert_uint_eq(scene.calls, 3);
    ck_assert_uint_eq(scene.sent, 2 * BATCH_DATAGRAMS + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datagram_full");
    TCase *sending = support_case(suite, "sending");

    tcase_add_checked_fixture(sending, set_up, tear_down);
    tcase_add_test(sending, a_full_socket_is_waited_for);
    tcase_add_test(sending, what_is_settled_while_the_socket_is_full_is_not_sent);
    tcase_add_test(sending, an_error_of_an_earlier_datagram_costs_no_other);
    tcase_add_test(sending, an_error_that_stays_is_that_of_each);
    tcase_add_test(sending, more_than_a_batch_goes_in_several);
    return support_run(suite);
}
