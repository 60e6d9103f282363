/*
 * check_impair: what is decided follows from the seed, the ordinal and the place alone, comes as
 * often as it was asked for, and is told as it is written.
 * Moves no byte.
 * Run by make check.
 */
#include <config.h>

#include "echod/impair.h"

#include "support.h"

#include <string.h>

#define MS UINT64_C(1000)

enum { BYTES = 1 << 20, ANSWERS = 100000, PER_CENT = 10000 };

static const struct impair nothing = {.seed = IMPAIR_ANY_SEED};

/* Tell whether a count lies where 99.9999% of them do: five standard deviations around its mean. */
static bool is_near(uint64_t count, uint64_t cases, double share)
{
    const double mean = (double)cases * share, variance = mean * (1 - share);
    const double distance = (double)count - mean;

    return distance * distance <= 25 * variance;
}

/* --- Numbers --------------------------------------------------------------------------------- */

/* The first numbers of SplitMix64 with the seed 0, as everybody publishes them. */
START_TEST(the_numbers_are_those_of_splitmix64)
{
    ck_assert_uint_eq(impair_key(0, 0), UINT64_C(0xe220a8397b1dcdaf));
    ck_assert_uint_eq(impair_key(0, 1), UINT64_C(0x6e789e6aa1b965f4));
    ck_assert_uint_eq(impair_key(0, 2), UINT64_C(0x06c45d188009454f));
}
END_TEST

START_TEST(a_seed_that_was_given_stays_and_another_is_chosen_where_none_was)
{
    struct impair given = {.seed = 7}, one = nothing, other = nothing;

    impair_choose_seed(&given);
    ck_assert_uint_eq(given.seed, 7);
    impair_choose_seed(&one);
    impair_choose_seed(&other);
    ck_assert_uint_le(one.seed, UINT32_MAX);
    ck_assert_uint_ne(one.seed, other.seed); /* but once in four thousand million runs */
}
END_TEST

/* --- Bytes ----------------------------------------------------------------------------------- */

static unsigned char before[BYTES], after[BYTES];

static void fill(void)
{
    uint64_t seed = 1;

    support_random_fill(&seed, before, sizeof before);
    memcpy(after, before, sizeof after);
}

static size_t count_differences(void)
{
    size_t count = 0;

    for (size_t i = 0; i < BYTES; i++)
        count += before[i] != after[i];
    return count;
}

START_TEST(as_many_bytes_differ_as_were_changed_and_as_were_asked_for)
{
    static const uint64_t shares[] = {0, 100, PER_CENT, 50 * PER_CENT, 100 * PER_CENT};
    const struct impair impair = {.corrupt = shares[_i]};
    size_t count;

    fill();
    count = impair_corrupt(&impair, impair_key(3, 1), 0, after, BYTES);
    ck_assert_uint_eq(count_differences(), count);
    ck_assert(is_near(count, BYTES, (double)shares[_i] / 1e6));
}
END_TEST

START_TEST(the_same_bytes_are_changed_however_they_are_split)
{
    const struct impair impair = {.corrupt = PER_CENT};
    static unsigned char pieces[BYTES];
    const uint64_t key = impair_key(3, 1);
    size_t length;
    uint64_t seed = 5;

    fill();
    memcpy(pieces, before, sizeof pieces);
    (void)impair_corrupt(&impair, key, 0, after, BYTES);
    for (size_t done = 0; done < BYTES; done += length) {
        length = (size_t)(support_random(&seed) % 5000);
        length = length < BYTES - done ? length : BYTES - done;
        (void)impair_corrupt(&impair, key, done, pieces + done, length);
    }
    ck_assert_mem_eq(pieces, after, BYTES);
}
END_TEST

/* Return where the first byte is changed with this seed, by the connection with this ordinal. */
static size_t first_change(uint64_t seed, uint64_t ordinal)
{
    const struct impair impair = {.corrupt = 100};
    size_t first = 0;

    fill();
    (void)impair_corrupt(&impair, impair_key(seed, ordinal), 0, after, BYTES);
    while (first < BYTES && before[first] == after[first])
        first++;
    return first;
}

START_TEST(each_seed_and_each_connection_has_faults_of_its_own)
{
    ck_assert_uint_eq(first_change(3, 1), first_change(3, 1));
    ck_assert_uint_ne(first_change(3, 1), first_change(3, 2));
    ck_assert_uint_ne(first_change(3, 1), first_change(4, 1));
    ck_assert_uint_ne(first_change(3, 2), first_change(4, 1));
}
END_TEST

/* --- Delays ---------------------------------------------------------------------------------- */

START_TEST(a_delay_without_jitter_is_always_the_same)
{
    const struct impair impair = {.delay_ms = 50};

    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(impair_delay_us(&impair, impair_key(1, 1), i), 50 * MS);
}
END_TEST

START_TEST(jitter_is_spread_evenly_around_the_delay)
{
    const struct impair impair = {.delay_ms = 50, .jitter_ms = 20};
    unsigned quarters[4] = {0};

    for (uint64_t i = 0; i < ANSWERS; i++) {
        const uint64_t delay_us = impair_delay_us(&impair, impair_key(1, 1), i);

        support_assert(delay_us >= 30 * MS && delay_us <= 70 * MS);
        quarters[delay_us < 70 * MS ? (delay_us - 30 * MS) / (10 * MS) : 3]++;
    }
    for (int i = 0; i < 4; i++)
        ck_assert(is_near(quarters[i], ANSWERS, 0.25));
}
END_TEST

START_TEST(jitter_may_be_as_long_as_the_delay)
{
    const struct impair impair = {.delay_ms = 1, .jitter_ms = 1};

    for (uint64_t i = 0; i < ANSWERS; i++)
        support_assert(impair_delay_us(&impair, impair_key(1, 1), i) <= 2 * MS);
}
END_TEST

/* --- Connections ----------------------------------------------------------------------------- */

START_TEST(a_share_of_the_connections_is_refused)
{
    const struct impair impair = {.refuse = 10 * PER_CENT}, all = {.refuse = 100 * PER_CENT};
    unsigned count = 0;

    for (uint64_t i = 0; i < ANSWERS; i++) {
        count += impair_refuses(&impair, impair_key(9, i));
        support_assert(impair_refuses(&all, impair_key(9, i)));
        support_assert(!impair_refuses(&nothing, impair_key(9, i)));
    }
    ck_assert(is_near(count, ANSWERS, 0.1));
}
END_TEST

/* --- Datagrams ------------------------------------------------------------------------------- */

START_TEST(each_answer_is_judged_on_its_own)
{
    const struct impair impair = {.drop = PER_CENT,
                                  .duplicate = 2 * PER_CENT,
                                  .reorder = 3 * PER_CENT,
                                  .truncate = 4 * PER_CENT};
    unsigned dropped = 0, duplicated = 0, reordered = 0, cut = 0, both = 0;
    uint64_t left = 0;

    for (uint64_t i = 0; i < ANSWERS; i++) {
        const struct impair_answer answer = impair_judge_answer(&impair, impair_key(1, 0), i, 1000);

        dropped += answer.is_dropped;
        duplicated += answer.is_duplicated;
        reordered += answer.is_reordered;
        cut += answer.length < 1000;
        both += answer.is_duplicated && answer.is_reordered;
        left += answer.length < 1000 ? answer.length : 0;
    }
    ck_assert(is_near(dropped, ANSWERS, 0.01));
    ck_assert(is_near(duplicated, ANSWERS, 0.02));
    ck_assert(is_near(reordered, ANSWERS, 0.03));
    ck_assert(is_near(cut, ANSWERS, 0.04));
    ck_assert(is_near(both, ANSWERS, 0.02 * 0.03));
    ck_assert(left / cut > 450 && left / cut < 550); /* cut anywhere */
}
END_TEST

START_TEST(nothing_happens_to_answers_where_nothing_was_asked_for)
{
    for (size_t i = 0; i < 1000; i++) {
        const struct impair_answer answer = impair_judge_answer(&nothing, impair_key(1, 0), i, i);

        support_assert(!answer.is_dropped && !answer.is_duplicated && !answer.is_reordered &&
                       answer.length == i);
    }
}
END_TEST

START_TEST(an_empty_answer_cannot_be_cut)
{
    const struct impair impair = {.truncate = 100 * PER_CENT};

    ck_assert_uint_eq(impair_judge_answer(&impair, 1, 1, 0).length, 0);
    ck_assert_uint_eq(impair_judge_answer(&impair, 1, 1, 1).length, 0);
}
END_TEST

START_TEST(datagrams_are_changed_in_places_of_their_own)
{
    const struct impair impair = {.corrupt = PER_CENT};
    unsigned char one[65507] = {0}, next[65507] = {0};

    ck_assert_uint_gt(impair_corrupt_answer(&impair, 1, 1, one, sizeof one), 0);
    ck_assert_uint_gt(impair_corrupt_answer(&impair, 1, 2, next, sizeof next), 0);
    ck_assert_mem_ne(one, next, sizeof one);
    memset(next, 0, sizeof next);
    (void)impair_corrupt_answer(&impair, 1, 1, next, sizeof next);
    ck_assert_mem_eq(one, next, sizeof one);
}
END_TEST

/* --- What is told ---------------------------------------------------------------------------- */

static const struct impair everything = {
    .seed = 7,
    .delay_ms = 50,
    .jitter_ms = 1500,
    .corrupt = 100,
    .bandwidth = 1 << 20,
    .chunk_bytes = 3,
    .stall = {.bytes = 65536, .ms = 30 * 1000},
    .close_after = {.bytes = 1000},
    .reset_after = {.ms = 90 * 1000},
    .is_fin_withheld = true,
    .accept_delay_ms = 1000,
    .refuse = 10 * PER_CENT,
    .drop = 1,
    .duplicate = 100 * PER_CENT,
    .reorder = 12345,
    .truncate = 5000,
};

START_TEST(what_is_wrong_is_told_as_it_is_written)
{
    char text[IMPAIR_TEXT_SIZE];

    impair_describe(&everything, text, sizeof text);
    ck_assert_str_eq(text, "delay=50ms,jitter=1s500ms,bandwidth=1MiB/s,chunk=3,"
                           "stall-after=64KiB:30s,close-after=1000,reset-after=1m30s,truncate-fin,"
                           "accept-delay=1s,refuse=10%,drop=0.0001%,duplicate=100%,"
                           "reorder=1.2345%,truncate=0.5%,corrupt=0.01%,seed=7");
}
END_TEST

START_TEST(what_has_no_room_is_cut)
{
    char text[12];

    impair_describe(&everything, text, sizeof text);
    ck_assert_str_eq(text, "delay=50ms,");
}
END_TEST

START_TEST(where_nothing_is_wrong_there_is_nothing_to_tell)
{
    const struct impair only_a_seed = {.seed = 7};
    char text[IMPAIR_TEXT_SIZE] = "?";

    ck_assert(!impair_is_on(&nothing));
    ck_assert(!impair_is_on(&only_a_seed));
    impair_describe(&only_a_seed, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

/* Each by itself, and whose it is. */
static const struct {
    struct impair impair;
    bool is_of_streams, is_of_datagrams;
} faults[] = {
    {{.delay_ms = 1}, false, false},
    {{.corrupt = 1}, false, false},
    {{.bandwidth = 1}, true, false},
    {{.chunk_bytes = 1}, true, false},
    {{.stall.bytes = 1}, true, false},
    {{.close_after.bytes = 1}, true, false},
    {{.close_after.ms = 1}, true, false},
    {{.reset_after.bytes = 1}, true, false},
    {{.reset_after.ms = 1}, true, false},
    {{.is_fin_withheld = true}, true, false},
    {{.accept_delay_ms = 1}, true, false},
    {{.refuse = 1}, true, false},
    {{.drop = 1}, false, true},
    {{.duplicate = 1}, false, true},
    {{.reorder = 1}, false, true},
    {{.truncate = 1}, false, true},
};

START_TEST(each_fault_is_known_by_itself)
{
    ck_assert(impair_is_on(&faults[_i].impair));
    ck_assert_int_eq(impair_has_stream_faults(&faults[_i].impair), faults[_i].is_of_streams);
    ck_assert_int_eq(impair_has_datagram_faults(&faults[_i].impair), faults[_i].is_of_datagrams);
}
END_TEST

/* What does not fit, and how the sentence begins; NULL: it fits. */
static const struct {
    struct impair impair;
    bool is_endless;
    const char *begin;
} conflicts[] = {
    {{.delay_ms = 5, .jitter_ms = 5}, true, NULL},
    {{.delay_ms = 5, .jitter_ms = 6}, true, "jitter goes with a delay"},
    {{.jitter_ms = 1}, true, "jitter goes with a delay"},
    {{.close_after.bytes = 1, .reset_after.ms = 1}, true, "close-after and reset-after"},
    {{.close_after.ms = 1, .is_fin_withheld = true}, false, "truncate-fin sends no FIN"},
    {{.is_fin_withheld = true}, true, "truncate-fin leaves connections open"},
    {{.is_fin_withheld = true}, false, NULL},
    {{.stall = {.bytes = 1}}, true, "stall-after without a duration"},
    {{.stall = {.bytes = 1}}, false, NULL},
    {{.stall = {.bytes = 1, .ms = 1}}, true, NULL},
    {{.reset_after.bytes = 1, .is_fin_withheld = true}, false, NULL},
    {{.reset_after.bytes = 1, .is_fin_withheld = true}, true, "truncate-fin leaves"},
    {{.reset_after.ms = 1, .is_fin_withheld = true}, true, NULL},
    {{.stall = {.bytes = 1}, .reset_after.ms = 1}, true, NULL},
    {{.stall = {.bytes = 1}, .close_after.ms = 1}, true, NULL},
    {{.stall = {.bytes = 1}, .close_after.bytes = 1}, true, "stall-after without a duration"},
};

START_TEST(what_does_not_fit_is_a_sentence)
{
    const char *conflict = impair_find_conflict(&conflicts[_i].impair, conflicts[_i].is_endless);

    if (conflicts[_i].begin == NULL)
        ck_assert_ptr_null(conflict);
    else
        ck_assert_int_eq(strncmp(conflict, conflicts[_i].begin, strlen(conflicts[_i].begin)), 0);
}
END_TEST

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("impair");
    TCase *decisions = support_case(suite, "decisions");
    TCase *words = support_case(suite, "words");

    tcase_add_test(decisions, the_numbers_are_those_of_splitmix64);
    tcase_add_test(decisions, a_seed_that_was_given_stays_and_another_is_chosen_where_none_was);
    tcase_add_loop_test(decisions, as_many_bytes_differ_as_were_changed_and_as_were_asked_for, 0,
                        5);
    tcase_add_test(decisions, the_same_bytes_are_changed_however_they_are_split);
    tcase_add_test(decisions, each_seed_and_each_connection_has_faults_of_its_own);
    tcase_add_test(decisions, a_delay_without_jitter_is_always_the_same);
    tcase_add_test(decisions, jitter_is_spread_evenly_around_the_delay);
    tcase_add_test(decisions, jitter_may_be_as_long_as_the_delay);
    tcase_add_test(decisions, a_share_of_the_connections_is_refused);
    tcase_add_test(decisions, each_answer_is_judged_on_its_own);
    tcase_add_test(decisions, nothing_happens_to_answers_where_nothing_was_asked_for);
    tcase_add_test(decisions, an_empty_answer_cannot_be_cut);
    tcase_add_test(decisions, datagrams_are_changed_in_places_of_their_own);
    tcase_add_test(words, what_is_wrong_is_told_as_it_is_written);
    tcase_add_test(words, what_has_no_room_is_cut);
    tcase_add_test(words, where_nothing_is_wrong_there_is_nothing_to_tell);
    tcase_add_loop_test(words, each_fault_is_known_by_itself, 0, COUNT_OF(faults));
    tcase_add_loop_test(words, what_does_not_fit_is_a_sentence, 0, COUNT_OF(conflicts));
    return support_run(suite);
}
