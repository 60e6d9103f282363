/*
 * check_datagram_identity: what stands in the place of a datagram that is answered by an identity.
 * What an identity looks like is in check_identity; that it is sent, in test_identity.
 * Run by make check.
 */
#include <config.h>

#include "echod/datagram_identity.h"

#include "support.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST = 65507 };

static struct {
    struct datagram_batch *batch;
    int ends[2];
    struct datagram_home home;
} scene;

static const struct self self = {.host = "h", .pid = 7};
static const struct identify_plan plan = {
    .mode = LISTENER_IDENTIFY_LINE, .self = &self, .listener = "public"};

static void setup(void)
{
    scene.batch = datagram_batch_new();
    ck_assert_ptr_nonnull(scene.batch);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, scene.ends), 0);
    scene.home = (struct datagram_home){.port = 7, .name = "192.0.2.7:7"};
}

static void teardown(void)
{
    datagram_batch_free(scene.batch);
    support_close(&scene.ends[0]);
    support_close(&scene.ends[1]);
}

/* Let a datagram of so many bytes come, as a train of segments unless these are 0. */
static struct datagram *come(size_t length, uint16_t segment_bytes)
{
    static const char zeros[LARGEST];
    const struct datagram *received;
    struct datagram *datagram;

    ck_assert_int_eq(send(scene.ends[1], zeros, length, 0), (ssize_t)length);
    ck_assert_int_eq(datagram_batch_receive(scene.batch, scene.ends[0], 1), 1);
    received = datagram_batch_at(scene.batch, 0);
    memcpy(&datagram, &received, sizeof(void *)); /* only here may it be changed */
    memset(&datagram->source, 0, sizeof datagram->source);
    datagram->source.any.sa_family = AF_INET;
    datagram_batch_set_segment(scene.batch, 0, segment_bytes);
    return datagram;
}

static size_t put(size_t length)
{
    return datagram_identity_put(&plan, &scene.home, scene.batch, 0, length);
}

static const char *text(size_t length)
{
    datagram_batch_bytes(scene.batch, 0)[length] = '\0';
    return datagram_batch_bytes(scene.batch, 0);
}

START_TEST(it_has_no_connection)
{
    (void)come(1000, 0);
    ck_assert_str_eq(text(put(1000)),
                     "echod=" PACKAGE_VERSION
                     " host=h local=192.0.2.7:7 client=0.0.0.0:0 listener=public pid=7 worker=0\n");
}
END_TEST

START_TEST(the_address_that_was_asked_is_told)
{
    struct datagram *datagram = come(1000, 0);

    datagram->arrival.asked_family = AF_INET;
    ck_assert_int_eq(inet_pton(AF_INET, "198.51.100.1", &datagram->arrival.asked_v4), 1);
    ck_assert_ptr_nonnull(strstr(text(put(1000)), " local=198.51.100.1:7 "));
    datagram = come(1000, 0);
    datagram->arrival.asked_family = AF_INET6;
    ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8::1", &datagram->arrival.asked_v6), 1);
    ck_assert_ptr_nonnull(strstr(text(put(1000)), " local=[2001:db8::1]:7 "));
}
END_TEST

START_TEST(it_is_never_larger_than_the_question)
{
    for (size_t length = 0; length < 300; length++) {
        size_t answered;

        (void)come(length, 0);
        answered = put(length);
        ck_assert_uint_le(answered, length);
        ck_assert(length == 0 || text(answered)[answered - 1] == '\n');
    }
}
END_TEST

START_TEST(a_train_becomes_a_train)
{
    static const struct {
        size_t length;
        uint16_t segment_bytes;
    } trains[] = {{2001, 1000}, {2000, 1000}, {60, 20}, {61, 20}, {7, 1}, {65000, 1400}, {99, 50}};
    const uint16_t asked = trains[_i].segment_bytes;
    const size_t count = (trains[_i].length + asked - 1) / asked;
    const size_t last = trains[_i].length - (count - 1) * asked;
    struct datagram *datagram = come(trains[_i].length, asked);
    const size_t length = put(trains[_i].length), answered = datagram->arrival.segment_bytes;
    const char *bytes = datagram_batch_bytes(scene.batch, 0);

    ck_assert_uint_le(answered, asked);
    ck_assert_uint_gt(length, (count - 1) * answered);
    ck_assert_uint_le(length - (count - 1) * answered, last);
    ck_assert_uint_le(length - (count - 1) * answered, answered);
    for (size_t i = 1; i < count; i++) {
        ck_assert_int_eq(memcmp(bytes, bytes + (i - 1) * answered, answered), 0);
        ck_assert_int_eq(bytes[i * answered - 1], '\n');
    }
    ck_assert_int_eq(bytes[length - 1], '\n');
}
END_TEST

START_TEST(what_is_left_of_a_train_may_be_one)
{
    const struct datagram *datagram = come(2001, 1000);
    const size_t length = put(1000);

    ck_assert_uint_lt(length, 200);
    ck_assert_uint_eq(datagram->arrival.segment_bytes, 1000);
}
END_TEST

static Suite *datagram_identity_suite(void)
{
    Suite *suite = suite_create("datagram_identity");
    TCase *test_case = support_case(suite, "answers");

    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, it_has_no_connection);
    tcase_add_test(test_case, the_address_that_was_asked_is_told);
    tcase_add_test(test_case, it_is_never_larger_than_the_question);
    tcase_add_loop_test(test_case, a_train_becomes_a_train, 0, 7);
    tcase_add_test(test_case, what_is_left_of_a_train_may_be_one);
    return suite;
}

int main(void)
{
    return support_run(datagram_identity_suite());
}
