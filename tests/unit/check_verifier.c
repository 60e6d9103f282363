/*
 * check_verifier: right bytes are counted at once, wrong ones kept until they can be judged; what
 * was changed in place is told, and the stream goes on.
 * Opens no socket. What is judged a lost, repeated or foreign byte, check_fault shows.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/verifier.h"

#include "support.h"

#include <string.h>

enum { NUMBER = 5, SIZE = 1024 };

static const struct pattern pattern = {UINT64_C(0x0123456789abcdef)};

static struct {
    struct verifier verifier;
    unsigned char bytes[SIZE]; /* of the pattern, from position 0 on */
    struct fault fault;
    unsigned corrupted; /* times that it was told */
    uint64_t offset, extent;
} scene;

static void on_corrupted(void *argument, const struct fault *fault)
{
    ck_assert_ptr_eq(argument, &scene);
    ck_assert_int_eq(fault->kind, FAULT_CORRUPTED);
    scene.corrupted++;
    scene.offset = fault->offset;
    scene.extent = fault->extent;
}

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.verifier = (struct verifier){
        .pattern = &pattern,
        .number = NUMBER,
        .on_corrupted = on_corrupted,
        .argument = &scene,
        .sent = SIZE,
    };
    pattern_fill(&pattern, NUMBER, 0, scene.bytes, SIZE);
}

static void teardown(void)
{
    verifier_fini(&scene.verifier);
}

static enum verifier_outcome take(size_t position, size_t length)
{
    return verifier_take(&scene.verifier, scene.bytes + position, length, &scene.fault);
}

static void expect_returned(uint64_t position)
{
    ck_assert_uint_eq(scene.verifier.returned, position);
}

START_TEST(right_bytes_count_in_any_pieces)
{
    size_t position = 0;

    for (size_t length = 1; position + length <= SIZE; length += 3) {
        ck_assert_int_eq(take(position, length), VERIFIER_AGREES);
        position += length;
        expect_returned(position);
    }
    ck_assert(!verifier_is_waiting(&scene.verifier));
}
END_TEST

START_TEST(what_was_changed_is_told_when_all_that_was_sent_came)
{
    scene.bytes[100] ^= 1;
    ck_assert_int_eq(take(0, 600), VERIFIER_WAITS);
    expect_returned(100);
    ck_assert(verifier_is_waiting(&scene.verifier));
    ck_assert_uint_eq(scene.corrupted, 0);
    ck_assert_int_eq(take(600, SIZE - 600), VERIFIER_AGREES);
    ck_assert_uint_eq(scene.corrupted, 1);
    ck_assert_uint_eq(scene.offset, 100);
    ck_assert_uint_eq(scene.extent, 1);
    expect_returned(SIZE);
    ck_assert(!verifier_is_waiting(&scene.verifier));
}
END_TEST

START_TEST(what_is_kept_is_judged_when_nothing_follows)
{
    scene.bytes[100] ^= 1;
    ck_assert_int_eq(take(0, 600), VERIFIER_WAITS);
    ck_assert_int_eq(verifier_judge(&scene.verifier, &scene.fault), VERIFIER_AGREES);
    ck_assert_uint_eq(scene.corrupted, 1);
    expect_returned(600);
    ck_assert_int_eq(take(600, SIZE - 600), VERIFIER_AGREES);
    ck_assert_int_eq(verifier_judge(&scene.verifier, &scene.fault), VERIFIER_AGREES);
    expect_returned(SIZE);
}
END_TEST

START_TEST(what_does_not_go_on_in_place_is_an_objection)
{
    ck_assert_int_eq(take(0, 64), VERIFIER_AGREES);
    ck_assert_int_eq(take(128, SIZE - 128), VERIFIER_WAITS); /* 64 may come yet */
    ck_assert_int_eq(verifier_judge(&scene.verifier, &scene.fault), VERIFIER_OBJECTS);
    ck_assert_int_eq(scene.fault.kind, FAULT_LOST);
    ck_assert_uint_eq(scene.fault.offset, 64);
    expect_returned(64);
    ck_assert(!verifier_is_waiting(&scene.verifier));
}
END_TEST

START_TEST(more_than_was_sent_is_an_objection_at_once)
{
    scene.verifier.sent = 64;
    ck_assert_int_eq(take(0, 65), VERIFIER_OBJECTS);
    expect_returned(64);
}
END_TEST

START_TEST(a_header_that_comes_back_is_known_whatever_pieces_it_comes_in)
{
    struct preface preface = {.length = 28};

    memcpy(preface.bytes, "PROXY TCP4 1.2.3.4 5.6.7.8\r\n", preface.length);
    scene.verifier.preface = &preface;
    scene.verifier.sent = 4; /* less than the header, so that its end says nothing */
    memcpy(scene.bytes, preface.bytes, preface.length);
    ck_assert(!verifier_suspects_preface(&scene.verifier));
    ck_assert_int_eq(take(0, 6), VERIFIER_WAITS);
    ck_assert(verifier_suspects_preface(&scene.verifier));
    ck_assert_int_eq(take(6, preface.length - 6), VERIFIER_OBJECTS);
    ck_assert_int_eq(scene.fault.kind, FAULT_INSERTED);
    ck_assert_ptr_nonnull(strstr(scene.fault.text, "PROXY header"));
}
END_TEST

/* What is right so far is the beginning of a header, too, or is not. */
START_TEST(a_header_may_begin_as_what_was_sent)
{
    struct preface preface = {.length = 28};

    memcpy(preface.bytes, "PROXY TCP4 1.2.3.4 5.6.7.8\r\n", preface.length);
    if (_i == 0)
        memcpy(preface.bytes, scene.bytes, 2);
    scene.verifier.preface = &preface;
    memcpy(scene.bytes + 2, preface.bytes + 2, preface.length - 2);
    ck_assert_int_eq(take(0, SIZE), _i == 0 ? VERIFIER_OBJECTS : VERIFIER_AGREES);
    ck_assert_int_eq(scene.fault.kind, _i == 0 ? FAULT_INSERTED : FAULT_CORRUPTED);
}
END_TEST

/* Where the header would be, and behind it. */
START_TEST(what_is_wrong_and_no_header_was_changed)
{
    struct preface preface = {.length = 28};
    const size_t offset = _i == 0 ? 10 : 100;

    scene.verifier.preface = &preface;
    scene.bytes[offset] ^= 1;
    ck_assert_int_eq(take(0, SIZE), VERIFIER_AGREES);
    ck_assert_uint_eq(scene.offset, offset);
}
END_TEST

START_TEST(so_much_that_is_wrong_is_judged_though_more_may_come)
{
    enum { MOST = 262144 };

    scene.verifier.sent = 2 * MOST;
    memset(scene.bytes, 0, SIZE);
    for (size_t kept = SIZE; kept < MOST; kept += SIZE) {
        ck_assert_int_eq(take(0, SIZE), VERIFIER_WAITS);
        ck_assert(!verifier_suspects_preface(&scene.verifier));
    }
    ck_assert_int_eq(take(0, SIZE), VERIFIER_AGREES);
    ck_assert_uint_eq(scene.extent, MOST);
}
END_TEST

START_TEST(an_alert_of_tls_is_known_outside_tls_only)
{
    static const unsigned char alert[] = {21, 3, 3, 0, 2, 2, 22};

    scene.verifier.sent = sizeof alert;
    memcpy(scene.bytes, alert, sizeof alert);
    ck_assert_int_eq(take(0, sizeof alert), VERIFIER_OBJECTS);
    ck_assert_ptr_nonnull(strstr(scene.fault.text, "speaks TLS"));
    scene.verifier.has_tls = true;
    (void)take(0, sizeof alert);
    ck_assert_ptr_null(strstr(scene.fault.text, "speaks TLS"));
}
END_TEST

START_TEST(what_resembles_an_alert_is_none)
{
    static const unsigned char others[][7] = {
        {20, 3, 3, 0, 2, 2, 22}, {21, 2, 3, 0, 2, 2, 22}, {21, 3, 5, 0, 2, 2, 22},
        {21, 3, 3, 1, 2, 2, 22}, {21, 3, 3, 0, 3, 2, 22}, {21, 3, 3, 0, 2, 3, 22},
    };

    scene.verifier.sent = sizeof others[0];
    memcpy(scene.bytes, others[_i], sizeof others[0]);
    (void)take(0, sizeof others[0]);
    ck_assert_ptr_null(strstr(scene.fault.text, "speaks TLS"));
}
END_TEST

START_TEST(a_warning_of_tls_is_an_alert)
{
    static const unsigned char alert[] = {21, 3, 3, 0, 2, 1, 0};

    scene.verifier.sent = sizeof alert;
    memcpy(scene.bytes, alert, sizeof alert);
    ck_assert_int_eq(take(0, sizeof alert), VERIFIER_OBJECTS);
    ck_assert_ptr_nonnull(strstr(scene.fault.text, "speaks TLS"));
}
END_TEST

START_TEST(an_identity_that_nobody_asked_for_is_known_by_its_first_word)
{
    memcpy(scene.bytes, "echod=1 host=a\n", 15);
    scene.verifier.sent = _i == 0 ? 5 : 6;
    ck_assert_int_eq(take(0, (size_t)scene.verifier.sent),
                     _i == 0 ? VERIFIER_AGREES : VERIFIER_OBJECTS);
    ck_assert((strstr(scene.fault.text, "ask with --identify") != NULL) == (_i == 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verifier");
    TCase *bytes = support_case(suite, "bytes");

    tcase_add_checked_fixture(bytes, setup, teardown);
    tcase_add_test(bytes, right_bytes_count_in_any_pieces);
    tcase_add_test(bytes, what_was_changed_is_told_when_all_that_was_sent_came);
    tcase_add_test(bytes, what_is_kept_is_judged_when_nothing_follows);
    tcase_add_test(bytes, what_does_not_go_on_in_place_is_an_objection);
    tcase_add_test(bytes, more_than_was_sent_is_an_objection_at_once);
    tcase_add_test(bytes, a_header_that_comes_back_is_known_whatever_pieces_it_comes_in);
    tcase_add_loop_test(bytes, a_header_may_begin_as_what_was_sent, 0, 2);
    tcase_add_loop_test(bytes, what_is_wrong_and_no_header_was_changed, 0, 2);
    tcase_add_test(bytes, so_much_that_is_wrong_is_judged_though_more_may_come);
    tcase_add_test(bytes, an_alert_of_tls_is_known_outside_tls_only);
    tcase_add_loop_test(bytes, what_resembles_an_alert_is_none, 0, 6);
    tcase_add_test(bytes, a_warning_of_tls_is_an_alert);
    tcase_add_loop_test(bytes, an_identity_that_nobody_asked_for_is_known_by_its_first_word, 0, 2);
    return support_run(suite);
}
