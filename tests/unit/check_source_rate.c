/*
 * check_source_rate: a source gets its rate and no more, and many sources no more than the table.
 * Opens no socket.
 * Run by make check.
 */
#include <config.h>

#include "echod/source_rate.h"

#include "support.h"

#include <arpa/inet.h>
#include <string.h>

enum { RATE = 10, SECOND_MS = 1000, BEGIN_MS = 5000 };

static const unsigned char SEED[SOURCE_KEY_SEED_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct source_rate *rate;

static void setup(void)
{
    rate = source_rate_new(RATE, SEED);
    ck_assert_ptr_nonnull(rate);
}

static void teardown(void)
{
    source_rate_free(rate);
    source_rate_free(NULL);
}

/* Let a source, "10.0.0.1" or "2001:db8::1", come; return how many may. */
static uint64_t take(const char *text, uint64_t wanted, uint64_t now_ms)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(5000)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(5000)};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return source_rate_take(rate, (struct sockaddr *)&v4, wanted, now_ms);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return source_rate_take(rate, (struct sockaddr *)&v6, wanted, now_ms);
}

START_TEST(a_source_has_one_seconds_worth_and_then_its_rate)
{
    for (int i = 0; i < RATE; i++)
        ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS), 1);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS), 0);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS + 99), 0);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS + 100), 1);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS + 100), 0);
}
END_TEST

START_TEST(over_a_long_time_the_rate_is_exact)
{
    uint64_t count = 0;

    for (uint64_t ms = 0; ms < 20 * SECOND_MS; ms++)
        count += take("10.0.0.1", 1, BEGIN_MS + ms);
    ck_assert_uint_eq(count, RATE + 20 * RATE - 1);
}
END_TEST

START_TEST(what_was_not_used_is_kept_for_one_second)
{
    ck_assert_uint_eq(take("10.0.0.1", 5, BEGIN_MS), 5);
    ck_assert_uint_eq(take("10.0.0.1", 100, BEGIN_MS + 3600 * SECOND_MS), RATE);
}
END_TEST

START_TEST(of_many_at_once_some_may)
{
    ck_assert_uint_eq(take("10.0.0.1", 4, BEGIN_MS), 4);
    ck_assert_uint_eq(take("10.0.0.1", 40, BEGIN_MS), RATE - 4);
    ck_assert_uint_eq(take("10.0.0.1", 40, BEGIN_MS + 200), 2);
    ck_assert_uint_eq(take("10.0.0.1", 0, BEGIN_MS + 200), 0);
}
END_TEST

START_TEST(a_source_may_come_less_than_once_a_second)
{
    source_rate_free(rate);
    rate = source_rate_new(0.5, SEED);
    ck_assert_ptr_nonnull(rate);
    ck_assert_uint_eq(take("10.0.0.1", 5, BEGIN_MS), 1);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS + 1999), 0);
    ck_assert_uint_eq(take("10.0.0.1", 1, BEGIN_MS + 2000), 1);
    ck_assert_uint_eq(take("10.0.0.1", 5, BEGIN_MS + 3600 * SECOND_MS), 1); /* it keeps one */
    ck_assert_uint_eq(take("10.0.0.2", 5, BEGIN_MS), 1);
}
END_TEST

START_TEST(sources_do_not_disturb_each_other)
{
    ck_assert_uint_eq(take("10.0.0.1", 100, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("10.0.0.2", 100, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("2001:db8::1", 100, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("2001:db8:0:1::1", 100, BEGIN_MS), RATE);
}
END_TEST

START_TEST(a_network_of_64_bits_is_one_source)
{
    ck_assert_uint_eq(take("2001:db8::1", 4, BEGIN_MS), 4);
    ck_assert_uint_eq(take("2001:db8::ffff:ffff:ffff:ffff", 100, BEGIN_MS), RATE - 4);
    ck_assert_uint_eq(take("2001:db8::2", 100, BEGIN_MS), 0);
}
END_TEST

START_TEST(an_ipv4_address_is_the_same_on_a_socket_of_both_families)
{
    ck_assert_uint_eq(take("::ffff:10.0.0.1", 100, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("10.0.0.1", 100, BEGIN_MS), 0);
    ck_assert_uint_eq(take("::ffff:10.0.0.2", 100, BEGIN_MS), RATE); /* no /64 */
}
END_TEST

START_TEST(what_is_no_ip_address_is_one_source)
{
    struct sockaddr unnamed = {.sa_family = AF_UNIX};

    ck_assert_uint_eq(source_rate_take(rate, &unnamed, 100, BEGIN_MS), RATE);
    ck_assert_uint_eq(source_rate_take(rate, &unnamed, 100, BEGIN_MS), 0);
}
END_TEST

static uint64_t take_number(uint32_t number, uint64_t wanted, uint64_t now_ms)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(number)}};

    return source_rate_take(rate, (struct sockaddr *)&v4, wanted, now_ms);
}

START_TEST(a_flood_of_forged_sources_gets_no_more_than_the_table_holds)
{
    const uint64_t most = (uint64_t)SOURCE_RATE_SOURCES * RATE;
    uint64_t count = 0;

    for (uint32_t i = 1; i <= 40 * SOURCE_RATE_SOURCES; i++)
        count += take_number(i, 1, BEGIN_MS);
    support_assert(count <= most);
    support_assert(count > most / 2); /* it is spread over the whole table */
    for (uint32_t i = 1; i <= SOURCE_RATE_SOURCES; i++)
        count += take_number(i, RATE, BEGIN_MS);
    ck_assert_uint_le(count, most);
}
END_TEST

START_TEST(places_are_free_again_after_a_second)
{
    for (uint32_t i = 1; i <= 20 * SOURCE_RATE_SOURCES; i++)
        (void)take_number(i, RATE, BEGIN_MS);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_uint_eq(take_number(UINT32_C(0xc0000200) + i, RATE, BEGIN_MS + SECOND_MS), RATE);
}
END_TEST

/* With another seed other sources share a place: count how many of some are refused after a flood.
 */
static uint64_t refused_pattern(const unsigned char seed[SOURCE_KEY_SEED_SIZE])
{
    uint64_t pattern = 0;

    source_rate_free(rate);
    rate = source_rate_new(RATE, seed);
    ck_assert_ptr_nonnull(rate);
    for (uint32_t i = 1; i <= SOURCE_RATE_SOURCES; i++)
        (void)take_number(i, RATE, BEGIN_MS);
    for (uint32_t i = 0; i < 64; i++)
        pattern = pattern << 1 | (take_number(UINT32_C(0xc0000200) + i, 1, BEGIN_MS) == 0);
    return pattern;
}

START_TEST(the_seed_decides_who_shares_a_place)
{
    unsigned char other[SOURCE_KEY_SEED_SIZE];
    const uint64_t pattern = refused_pattern(SEED);

    ck_assert_uint_eq(refused_pattern(SEED), pattern);
    for (size_t i = 0; i < sizeof other; i++) { /* each byte of it counts */
        memcpy(other, SEED, sizeof other);
        other[i] ^= 0x80;
        ck_assert_uint_ne(refused_pattern(other), pattern);
    }
}
END_TEST

/*
 * Five sources that share a place by SipHash-1-3, as OpenSSL computes it of their 16 bytes on a
 * little-endian machine. Of any other hash the five would be spread.
 */
START_TEST(who_shares_a_place_is_hard_to_tell_without_the_seed)
{
#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static const unsigned char seed[SOURCE_KEY_SEED_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                             8, 9, 10, 11, 12, 13, 14, 15};
    static const char *const sources[] = {"10.0.1.121", "10.0.2.61", "10.0.3.119", "10.0.5.108"};

    source_rate_free(rate);
    rate = source_rate_new(RATE, seed);
    ck_assert_ptr_nonnull(rate);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(take(sources[i], RATE, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("10.0.5.216", RATE, BEGIN_MS), 0);
    ck_assert_uint_eq(take("10.0.5.217", RATE, BEGIN_MS), RATE);
    /* These two share one as well, but it has room for both. */
    ck_assert_uint_eq(take("2001:db8:0:20::1", RATE, BEGIN_MS), RATE);
    ck_assert_uint_eq(take("2001:db8:0:3f::1", RATE, BEGIN_MS), RATE);
#else
    support_skip("this machine hashes the bytes in another order");
#endif
}
END_TEST

static Suite *source_rate_suite(void)
{
    Suite *suite = suite_create("source_rate");
    TCase *tests = support_case(suite, "source_rate");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_source_has_one_seconds_worth_and_then_its_rate);
    tcase_add_test(tests, over_a_long_time_the_rate_is_exact);
    tcase_add_test(tests, what_was_not_used_is_kept_for_one_second);
    tcase_add_test(tests, of_many_at_once_some_may);
    tcase_add_test(tests, a_source_may_come_less_than_once_a_second);
    tcase_add_test(tests, sources_do_not_disturb_each_other);
    tcase_add_test(tests, a_network_of_64_bits_is_one_source);
    tcase_add_test(tests, an_ipv4_address_is_the_same_on_a_socket_of_both_families);
    tcase_add_test(tests, what_is_no_ip_address_is_one_source);
    tcase_add_test(tests, a_flood_of_forged_sources_gets_no_more_than_the_table_holds);
    tcase_add_test(tests, places_are_free_again_after_a_second);
    tcase_add_test(tests, the_seed_decides_who_shares_a_place);
    tcase_add_test(tests, who_shares_a_place_is_hard_to_tell_without_the_seed);
    return suite;
}

int main(void)
{
    return support_run(source_rate_suite());
}
