/*
 * check_pattern: the bytes that echoprobe sends, and where they say they come from.
 * Judges no fault; check_fault does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/pattern.h"

#include "support.h"

#include <string.h>

enum { LENGTH = 4096 };

static struct pattern pattern;

static void draw(void)
{
    ck_assert_int_eq(pattern_init(&pattern), 0);
}

START_TEST(a_part_is_the_same_as_in_the_whole)
{
    unsigned char whole[LENGTH], part[LENGTH];

    pattern_fill(&pattern, 3, 1000, whole, sizeof whole);
    for (size_t begin = 0; begin < 40; begin++) {
        for (size_t length = 0; length < 40; length++) {
            memset(part, 0x5a, sizeof part);
            pattern_fill(&pattern, 3, 1000 + begin, part, length);
            support_assert(memcmp(part, whole + begin, length) == 0);
            support_assert(part[length] == 0x5a);
        }
    }
}
END_TEST

START_TEST(a_match_ends_at_the_first_wrong_byte)
{
    unsigned char bytes[64];

    for (size_t begin = 0; begin < 9; begin++) {
        for (size_t wrong = 0; wrong <= sizeof bytes; wrong++) {
            pattern_fill(&pattern, 7, begin, bytes, sizeof bytes);
            if (wrong < sizeof bytes)
                bytes[wrong] ^= 1;
            for (size_t length = 0; length <= sizeof bytes; length++)
                support_assert(pattern_match(&pattern, 7, begin, bytes, length) ==
                               (wrong < length ? wrong : length));
        }
    }
}
END_TEST

START_TEST(bytes_say_where_they_come_from)
{
    static const uint64_t positions[] = {0, 1, 7, 8, 65535, 65536, UINT64_C(1) << 42};
    static const uint64_t numbers[] = {0, 1, 2, 99999, (1 << PATTERN_NUMBER_BITS) - 1};
    unsigned char bytes[PATTERN_LOCATE_BYTES];
    uint64_t number, position;

    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++) {
            pattern_fill(&pattern, numbers[j], positions[i], bytes, sizeof bytes);
            ck_assert(pattern_locate(&pattern, bytes, sizeof bytes, &number, &position));
            ck_assert_uint_eq(number, numbers[j]);
            ck_assert_uint_eq(position, positions[i]);
        }
    }
}
END_TEST

START_TEST(other_bytes_come_from_nowhere)
{
    unsigned char bytes[LENGTH];
    uint64_t seed = 1, number, position;

    support_random_fill(&seed, bytes, sizeof bytes);
    for (size_t i = 0; i + PATTERN_LOCATE_BYTES <= sizeof bytes; i++)
        support_assert(
            !pattern_locate(&pattern, bytes + i, PATTERN_LOCATE_BYTES, &number, &position));
}
END_TEST

START_TEST(connections_and_runs_differ_in_their_first_bytes)
{
    struct pattern other;
    unsigned char here[256], there[256];
    unsigned differing = 0;

    ck_assert_int_eq(pattern_init(&other), 0);
    ck_assert(other.origin != pattern.origin);
    for (uint64_t number = 0; number < sizeof here; number++) {
        pattern_fill(&pattern, number, 0, &here[number], 1);
        pattern_fill(&pattern, number + 1, 0, &there[number], 1);
        differing += here[number] != there[number];
    }
    ck_assert_uint_gt(differing, 240);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pattern");
    TCase *bytes = support_case(suite, "bytes");

    tcase_add_checked_fixture(bytes, draw, NULL);
    tcase_add_test(bytes, a_part_is_the_same_as_in_the_whole);
    tcase_add_test(bytes, a_match_ends_at_the_first_wrong_byte);
    tcase_add_test(bytes, bytes_say_where_they_come_from);
    tcase_add_test(bytes, other_bytes_come_from_nowhere);
    tcase_add_test(bytes, connections_and_runs_differ_in_their_first_bytes);
    return support_run(suite);
}
