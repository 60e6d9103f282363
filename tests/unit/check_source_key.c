/*
 * check_source_key: addresses of one network are one source, and others are not.
 * How keys are spread is check_source_rate's.
 * Run by make check.
 */
#include <config.h>

#include "echod/source_key.h"

#include "support.h"

#include <arpa/inet.h>

static struct source_key key_of(const char *text, struct source_prefixes prefixes)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(5000)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(5000)};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return source_key_make((struct sockaddr *)&v4, prefixes);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return source_key_make((struct sockaddr *)&v6, prefixes);
}

static const struct pair {
    const char *one, *other;
    struct source_prefixes prefixes;
    bool is_same;
} pairs[] = {
    {"10.0.0.1", "10.0.0.1", {32, 64}, true},
    {"10.0.0.1", "10.0.0.2", {32, 64}, false},
    {"10.0.0.1", "10.0.0.254", {24, 64}, true},
    {"10.0.0.1", "10.0.1.1", {24, 64}, false},
    {"10.0.0.127", "10.0.0.128", {25, 64}, false},
    {"10.0.0.129", "10.0.0.128", {25, 64}, true},
    {"10.0.0.1", "127.0.0.1", {1, 64}, true},
    {"10.0.0.1", "128.0.0.1", {1, 64}, false},
    {"::ffff:10.0.0.1", "10.0.0.1", {32, 64}, true},
    {"::ffff:10.0.0.1", "::ffff:10.0.0.2", {32, 64}, false}, /* no /64 */
    {"::ffff:10.0.0.1", "10.0.0.99", {24, 128}, true},
    {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", {32, 64}, true},
    {"2001:db8::1", "2001:db8:0:1::1", {32, 64}, false},
    {"2001:db8::1", "2001:db8:0:ff::1", {32, 56}, true},
    {"2001:db8::1", "2001:db8::2", {32, 128}, false},
    {"2001:db8::1", "2001:db8::1", {32, 128}, true},
    {"2001:db8::", "2001:db8::1", {32, 127}, true},
    {"::1", "10.0.0.1", {1, 1}, false},
    {"0:0:1::ffff:10.0.0.1", "10.0.0.1", {32, 128}, false}, /* no IPv4, though it ends alike */
};

enum { PAIR_COUNT = sizeof pairs / sizeof pairs[0] };

START_TEST(the_prefix_tells_sources_apart)
{
    const struct pair *pair = &pairs[_i];
    const struct source_key one = key_of(pair->one, pair->prefixes);
    const struct source_key other = key_of(pair->other, pair->prefixes);

    ck_assert_msg(source_key_is_equal(&one, &other) == pair->is_same, "%s and %s", pair->one,
                  pair->other);
}
END_TEST

START_TEST(who_has_no_address_is_one_source)
{
    const struct source_prefixes prefixes = {SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};
    const struct sockaddr unix_socket = {.sa_family = AF_UNIX, .sa_data = "a"};
    const struct sockaddr other_socket = {.sa_family = AF_UNIX, .sa_data = "b"};
    const struct source_key one = source_key_make(&unix_socket, prefixes);
    const struct source_key other = source_key_make(&other_socket, prefixes);

    ck_assert(source_key_is_equal(&one, &other));
}
END_TEST

START_TEST(equal_keys_have_equal_hashes_under_one_seed)
{
    const struct source_seed seed = {{1, 2}}, other = {{1, 3}};
    const struct source_prefixes prefixes = {SOURCE_PREFIX_V4, SOURCE_PREFIX_V6};
    const struct source_key key = key_of("10.0.0.1", prefixes);
    const struct source_key same = key_of("::ffff:10.0.0.1", prefixes);

    ck_assert_uint_eq(source_key_hash(&key, &seed), source_key_hash(&same, &seed));
    ck_assert_uint_ne(source_key_hash(&key, &seed), source_key_hash(&key, &other));
}
END_TEST

/* A weaker one would spread keys as well, until somebody chooses them. The first is Python's. */
START_TEST(the_hash_is_siphash_1_3)
{
    const struct source_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    const struct source_seed zeros = {{0, 0}}, same = {{key.words[0], key.words[1]}};

    ck_assert_uint_eq(source_key_hash(&key, &zeros), UINT64_C(9904005486622393783));
    ck_assert_uint_eq(source_key_hash(&key, &same), UINT64_C(0xcc4fdd1a7d908b66));
}
END_TEST

static Suite *source_key_suite(void)
{
    Suite *suite = suite_create("source_key");
    TCase *tests = support_case(suite, "source_key");

    tcase_add_loop_test(tests, the_prefix_tells_sources_apart, 0, PAIR_COUNT);
    tcase_add_test(tests, who_has_no_address_is_one_source);
    tcase_add_test(tests, equal_keys_have_equal_hashes_under_one_seed);
    tcase_add_test(tests, the_hash_is_siphash_1_3);
    return suite;
}

int main(void)
{
    return support_run(source_key_suite());
}
