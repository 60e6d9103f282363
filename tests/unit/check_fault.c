/*
 * check_fault: each fault, made at every place of a stream and a datagram, is called by its name.
 * Opens no socket; test_echoprobe_faults does.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/fault.h"

#include "support.h"

#include <string.h>

enum { SENT = 512, NUMBER = 5 };

static struct pattern pattern;
static unsigned char sent[SENT], came[2 * SENT];
static struct fault fault;

static void draw(void)
{
    pattern.origin = UINT64_C(0x0123456789abcdef);
    pattern_fill(&pattern, NUMBER, 0, sent, SENT);
    memset(came, 0, sizeof came);
}

/* Let this much of `came` come, and judge it from the first wrong byte on. */
static void judge(size_t length)
{
    const size_t right = pattern_match(&pattern, NUMBER, 0, came, length < SENT ? length : SENT);

    ck_assert_uint_lt(right, length);
    fault_judge_stream(&pattern, NUMBER, right, SENT, came + right, length - right, &fault);
}

static void check_fault(enum fault_kind kind, uint64_t offset, uint64_t count)
{
    ck_assert_msg(fault.kind == kind, "%s, not %s: %s", fault_name(fault.kind), fault_name(kind),
                  fault.text);
    ck_assert_uint_eq(fault.offset, offset);
    ck_assert_uint_eq(fault.count, count);
}

START_TEST(missing_bytes_are_lost)
{
    for (size_t place = 1; place < 400; place++) {
        for (size_t count = 1; count < 80; count += 13) {
            memcpy(came, sent, place);
            memcpy(came + place, sent + place + count, SENT - place - count);
            if (sent[place] == sent[place + count])
                continue; /* it shows later */
            judge(SENT - count);
            check_fault(FAULT_LOST, place, count);
        }
    }
}
END_TEST

START_TEST(changed_bytes_are_corrupted)
{
    for (size_t place = 0; place < SENT; place++) {
        memcpy(came, sent, SENT);
        came[place] ^= 0x80;
        judge(SENT);
        check_fault(FAULT_CORRUPTED, place, 1);
        ck_assert_uint_eq(fault.extent, 1);
    }
}
END_TEST

START_TEST(changed_bytes_far_from_each_other_are_two_faults)
{
    memcpy(came, sent, SENT);
    came[100] ^= 1;
    came[103] ^= 1;
    came[164] ^= 1;
    judge(SENT);
    check_fault(FAULT_CORRUPTED, 100, 2);
    ck_assert_uint_eq(fault.extent, 4);
}
END_TEST

START_TEST(all_bytes_may_be_changed)
{
    for (size_t i = 0; i < SENT; i++)
        came[i] = sent[i] ^ 0x20;
    judge(SENT);
    check_fault(FAULT_CORRUPTED, 0, SENT);
}
END_TEST

START_TEST(bytes_in_between_are_inserted)
{
    for (size_t place = 0; place < 400; place++) {
        memcpy(came, sent, place);
        memset(came + place, sent[place] ^ 0xff, 6);
        memcpy(came + place + 6, sent + place, SENT - place);
        judge(SENT + 6);
        check_fault(FAULT_INSERTED, place, 6);
    }
}
END_TEST

START_TEST(a_banner_may_end_with_what_stands_before_the_stream)
{
    memset(came, sent[0] ^ 0xff, 6);
    pattern_fill(&pattern, NUMBER, UINT64_MAX, came + 5, 1);
    memcpy(came + 6, sent, SENT);
    judge(SENT + 6);
    check_fault(FAULT_INSERTED, 0, 6);
}
END_TEST

START_TEST(bytes_that_come_again_are_duplicated)
{
    for (size_t place = 64; place < 400; place++) {
        memcpy(came, sent, place);
        memcpy(came + place, sent + place - 64, SENT - place + 64);
        if (sent[place] == sent[place - 64])
            continue;
        judge(SENT + 64);
        check_fault(FAULT_DUPLICATED, place, 64);
    }
}
END_TEST

START_TEST(more_than_was_sent_is_duplicated_or_inserted)
{
    memcpy(came, sent, SENT);
    memcpy(came + SENT, sent + SENT - 2, 2);
    judge(SENT + 2);
    check_fault(FAULT_DUPLICATED, SENT, 2);
    came[SENT] ^= 1;
    judge(SENT + 2);
    check_fault(FAULT_INSERTED, SENT, 2);
}
END_TEST

START_TEST(parts_that_change_places_are_reordered)
{
    for (size_t size = 16; size <= 256; size *= 2) {
        memcpy(came, sent + size, size);
        memcpy(came + size, sent, size);
        memcpy(came + 2 * size, sent + 2 * size, SENT - 2 * size);
        judge(SENT);
        check_fault(FAULT_REORDERED, 0, size);
    }
}
END_TEST

START_TEST(bytes_of_others_are_foreign)
{
    struct pattern other = {.origin = UINT64_C(0xfedcba9876543210)};

    memcpy(came, sent, 100);
    pattern_fill(&pattern, NUMBER + 2, 100, came + 100, SENT - 100);
    judge(SENT);
    ck_assert_int_eq((int)fault.kind, FAULT_FOREIGN);
    ck_assert_ptr_nonnull(strstr(fault.text, "bytes of connection 7 at offset 100"));
    pattern_fill(&other, NUMBER, 100, came + 100, SENT - 100);
    judge(SENT);
    ck_assert_int_eq((int)fault.kind, FAULT_FOREIGN);
    ck_assert_ptr_nonnull(strstr(fault.text, "another echoprobe"));
    /* The number is by chance one of this run's, but nobody has got so far. */
    pattern_fill(&pattern, NUMBER + 2, UINT64_C(1) << 42, came + 100, SENT - 100);
    judge(SENT);
    ck_assert_int_eq((int)fault.kind, FAULT_FOREIGN);
    ck_assert_ptr_nonnull(strstr(fault.text, "another echoprobe"));
}
END_TEST

START_TEST(a_datagram_is_judged_by_itself)
{
    const uint64_t position = 3 << 16;

    pattern_fill(&pattern, NUMBER, position, came, 64);
    fault_judge_datagram(&pattern, NUMBER, position, 64, came, 64, &fault);
    check_fault(FAULT_NONE, 0, 0);
    fault_judge_datagram(&pattern, NUMBER, position, 64, came, 40, &fault);
    check_fault(FAULT_TRUNCATED, 40, 24);
    fault_judge_datagram(&pattern, NUMBER, position, 64, came, 0, &fault);
    check_fault(FAULT_TRUNCATED, 0, 64);
    memset(came + 64, came[63] ^ 0xff, 4);
    fault_judge_datagram(&pattern, NUMBER, position, 64, came, 68, &fault);
    check_fault(FAULT_INSERTED, 64, 4);
    came[9] ^= 1;
    fault_judge_datagram(&pattern, NUMBER, position, 64, came, 64, &fault);
    check_fault(FAULT_CORRUPTED, 9, 1);
}
END_TEST

START_TEST(any_bytes_are_judged_without_harm)
{
    uint64_t seed = 1;

    for (int i = 0; i < 20000; i++) {
        const size_t length = 1 + support_random(&seed) % sizeof came;

        support_random_fill(&seed, came, length);
        fault_judge_stream(&pattern, NUMBER, support_random(&seed) % SENT, SENT, came,
                           length % 50 + 1, &fault);
        support_assert(fault.kind != FAULT_NONE);
        fault_judge_datagram(&pattern, NUMBER, 0, 64, came, length, &fault);
        support_assert(fault.kind != FAULT_NONE);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault");
    TCase *faults = support_case(suite, "faults");

    tcase_add_checked_fixture(faults, draw, NULL);
    tcase_add_test(faults, missing_bytes_are_lost);
    tcase_add_test(faults, changed_bytes_are_corrupted);
    tcase_add_test(faults, changed_bytes_far_from_each_other_are_two_faults);
    tcase_add_test(faults, all_bytes_may_be_changed);
    tcase_add_test(faults, bytes_in_between_are_inserted);
    tcase_add_test(faults, a_banner_may_end_with_what_stands_before_the_stream);
    tcase_add_test(faults, bytes_that_come_again_are_duplicated);
    tcase_add_test(faults, more_than_was_sent_is_duplicated_or_inserted);
    tcase_add_test(faults, parts_that_change_places_are_reordered);
    tcase_add_test(faults, bytes_of_others_are_foreign);
    tcase_add_test(faults, a_datagram_is_judged_by_itself);
    tcase_add_test(faults, any_bytes_are_judged_without_harm);
    return support_run(suite);
}
