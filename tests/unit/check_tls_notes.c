/*
 * check_tls_notes: what an operator is told of certificates that can be used.
 * Run by make check.
 */
#include <config.h>

#include "echod/tls_notes.h"

#include "base/certificate_facts.h"
#include "issuer.h"
#include "support.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>

enum { MAX_NOTES = 8, TEXT_SIZE = 1000 };

static struct {
    struct listener_options options;
    char notes[MAX_NOTES][TEXT_SIZE]; /* "warning: TEXT", and facts as "; NAME=VALUE" */
    int count;
    uint64_t first_end_s;
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    (void)issuer_begin();
}

static void on_note(const struct tls_note *note, void *argument)
{
    char *text = scene.notes[scene.count++];
    int length;

    ck_assert_ptr_eq(argument, &scene);
    length = snprintf(text, TEXT_SIZE, "%s: %s",
                      note->level == LOG_LEVEL_WARNING ? "warning" : "info", note->text);
    for (size_t i = 0; i < note->field_count; i++) {
        const struct log_field *field = &note->fields[i];

        length += snprintf(text + length, TEXT_SIZE - (size_t)length, "; %s=%s", field->name,
                           field->text != NULL ? field->text : "");
        if (field->text == NULL)
            length +=
                snprintf(text + length, TEXT_SIZE - (size_t)length, "%u", (unsigned)field->number);
    }
}

/* Tell what there is to know of a certificate in a file, and return the file's path. */
static const char *tell(const struct issued *issued, X509 *behind)
{
    const char *path = issuer_write("a.pem", issued->certificate, issued->key, behind);
    struct error error = {""};
    struct tls_context *context;

    (void)strcpy(scene.options.tls.cert, path);
    context = tls_context_new(&scene.options, &error);
    ck_assert_msg(context != NULL, "%s", error.text);
    scene.count = 0;
    tls_notes_tell(context, "tls://[::]:7", on_note, &scene);
    scene.first_end_s = tls_notes_first_end(context);
    tls_context_unref(context);
    return path;
}

START_TEST(whose_it_is_and_when_it_ends_is_told)
{
    struct issued issued =
        issuer_make((struct issuer_wish){.common_name = "a", .names = "DNS:*.b,IP:::1,URI:x:y"});

    (void)tell(&issued, NULL);
    ck_assert_int_eq(scene.count, 1);
    support_assert_matches(
        scene.notes[0],
        "^info: certificate of tls://\\[::\\]:7: /tmp/.*/a.pem: CN=a for \\*.b, ::1, x:y, ends "
        "[0-9-]{10}T[0-9:]{8}Z, in (99|100) days; address=tls://\\[::\\]:7; file=/tmp/.*/a.pem; "
        "subject=CN=a; names=\\*.b, ::1, x:y; ends=[0-9-]{10}T[0-9:]{8}Z; days_left=(99|100)$");
    issuer_free(&issued);
}
END_TEST

/* How long certificates last, in seconds, and what is said of it. */
static const struct {
    long end_s;
    const char *pattern;
} ends[] = {
    {30L * ISSUER_DAY + 100, "^info: .* CN=a, ends .*Z, in 30 days; address"},
    {30L * ISSUER_DAY - 1, "^warning: .* CN=a, ends .*Z, in 29 days; renew it; .*=29$"},
    {ISSUER_DAY + 100, "^warning: .* CN=a, ends .*Z, in 1 day; renew it; "},
    {1000, "^warning: .* CN=a, ends .*Z, within a day; renew it; .*=0$"},
};

START_TEST(an_end_that_is_near_is_a_warning)
{
    struct issued issued = issuer_make(
        (struct issuer_wish){.common_name = "a", .begin_s = -100, .end_s = ends[_i].end_s});

    (void)tell(&issued, NULL);
    ck_assert_int_eq(scene.count, 1);
    support_assert_matches(scene.notes[0], ends[_i].pattern);
    issuer_free(&issued);
}
END_TEST

START_TEST(what_ends_soon_is_told_by_itself)
{
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    const char *path = issuer_write("a.key", NULL, issued.key, NULL);
    struct error error = {""};
    struct tls_context *context;

    ck_assert_int_eq(chmod(path, 0644), 0); /* which is no matter of time */
    (void)strcpy(scene.options.tls.key, path);
    (void)tell(&issued, NULL);
    context = tls_context_new(&scene.options, &error);
    scene.count = 0;
    tls_notes_tell_ends(context, "tls://[::]:7", time(NULL) + 69L * ISSUER_DAY, on_note, &scene);
    ck_assert_int_eq(scene.count, 0);
    tls_notes_tell_ends(context, "tls://[::]:7", time(NULL) + 71L * ISSUER_DAY, on_note, &scene);
    ck_assert_int_eq(scene.count, 1);
    support_assert_matches(scene.notes[0],
                           "^warning: .* CN=a, ends .*Z, in (28|29) days; renew it; ");
    tls_context_unref(context);
    issuer_free(&issued);
}
END_TEST

/* Two certificates, and whether the second is never shown. */
static const struct {
    struct issuer_wish first, second;
    bool is_double;
} doubles[] = {
    {{.names = "DNS:a.b"}, {.names = "DNS:a.b"}, true},
    {{.names = "DNS:a.b,DNS:c"}, {.names = "DNS:c"}, true},
    {{.names = "DNS:*.b.c"}, {.names = "DNS:a.b.c"}, true},
    {{.names = "DNS:a.b.c"}, {.names = "DNS:*.b.c"}, false},
    {{.names = "DNS:a.b"}, {.names = "DNS:a.b", .is_rsa = true}, false},
    {{.common_name = "a"}, {.common_name = "a"}, true},
    {{.common_name = "a"}, {.common_name = "b"}, false},
};

START_TEST(a_certificate_that_is_never_shown_is_a_warning)
{
    struct issued first = issuer_make(doubles[_i].first);
    struct issued second = issuer_make(doubles[_i].second);
    struct error error = {""};
    struct tls_context *context;

    (void)snprintf(scene.options.tls.cert, sizeof scene.options.tls.cert, "%s;",
                   issuer_write("a.pem", first.certificate, first.key, NULL));
    (void)strcat(scene.options.tls.cert,
                 issuer_write("b.pem", second.certificate, second.key, NULL));
    context = tls_context_new(&scene.options, &error);
    ck_assert_msg(context != NULL, "%s", error.text);
    tls_notes_tell(context, "tls://[::]:7", on_note, &scene);
    ck_assert_int_eq(scene.count, doubles[_i].is_double ? 3 : 2);
    if (doubles[_i].is_double)
        support_assert_matches(scene.notes[2],
                               "^warning: certificate of .*: /tmp/.*/b.pem is never "
                               "shown: /tmp/.*/a.pem before it is for the same ");
    tls_context_unref(context);
    issuer_free(&first);
    issuer_free(&second);
}
END_TEST

/* It is so many seconds from now, or was when the certificate was made. */
static void expect_first_end(uint64_t seconds)
{
    const uint64_t then_s = (uint64_t)time(NULL) + seconds;

    ck_assert_uint_le(scene.first_end_s, then_s);
    ck_assert_uint_ge(scene.first_end_s, then_s - 100);
}

START_TEST(the_first_end_is_that_of_the_certificate)
{
    struct issued by =
        issuer_make((struct issuer_wish){.common_name = "by", .end_s = 9000, .is_ca = true});
    struct issued issued =
        issuer_make((struct issuer_wish){.common_name = "a", .end_s = 8000, .issuer = &by});

    (void)tell(&issued, by.certificate);
    expect_first_end(8000);
    issuer_free(&issued);
    issuer_free(&by);
}
END_TEST

START_TEST(issuers_are_looked_at_as_well)
{
    struct issued by = issuer_make(
        (struct issuer_wish){.common_name = "by", .begin_s = -1, .end_s = 5000, .is_ca = true});
    struct issued past = issuer_make(
        (struct issuer_wish){.common_name = "past", .begin_s = -2, .end_s = -1, .is_ca = true});
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a", .issuer = &by});

    (void)strcpy(scene.options.tls.client_ca,
                 issuer_write("ca.pem", past.certificate, NULL, by.certificate));
    (void)tell(&issued, by.certificate);
    ck_assert_int_eq(scene.count, 4);
    expect_first_end(5000);
    support_assert_matches(scene.notes[1], "^warning: issuer in the chain of tls://\\[::\\]:7: "
                                           "CN=by ends .*Z, within a day; renew it; address=");
    support_assert_matches(scene.notes[2], "^warning: client CA of .*: CN=past ended .*Z; renew");
    support_assert_matches(scene.notes[3], "^warning: client CA of .*: CN=by ends .*Z, within a");
    issuer_free(&issued);
    issuer_free(&past);
    issuer_free(&by);
}
END_TEST

START_TEST(a_chain_out_of_order_is_a_warning)
{
    struct issued other = issuer_make((struct issuer_wish){.common_name = "o", .is_ca = true});
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});

    (void)tell(&issued, other.certificate);
    ck_assert_int_eq(scene.count, 2);
    support_assert_matches(scene.notes[1], "^warning: certificate of .*/a.pem: number 2 in it did "
                                           "not issue number 1; put behind each ");
    issuer_free(&issued);
    issuer_free(&other);
}
END_TEST

/* Permissions of a key's file, and whether a warning is due. */
static const struct {
    mode_t mode;
    bool is_warning;
} modes[] = {{0600, false}, {0640, false}, {0660, false}, {0604, true}, {0602, true}, {0644, true}};

START_TEST(a_key_that_others_may_read_is_a_warning)
{
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    const char *path = issuer_write("a.key", NULL, issued.key, NULL);

    (void)strcpy(scene.options.tls.key, path);
    ck_assert_int_eq(chmod(path, modes[_i].mode), 0);
    (void)tell(&issued, NULL);
    ck_assert_int_eq(scene.count, modes[_i].is_warning ? 2 : 1);
    if (modes[_i].is_warning)
        support_assert_matches(scene.notes[1], "^warning: key of tls://\\[::\\]:7: others than the "
                                               "owner of /tmp/.*/a.key .* chmod o= /tmp/.*/a.key");
    issuer_free(&issued);
}
END_TEST

START_TEST(long_and_strange_names_are_shown_as_far_as_they_fit)
{
    char names[400] = "DNS:";
    struct issued issued;
    char text[CERTIFICATE_TEXT_SIZE];

    memset(names + 4, 'x', 300);
    issued = issuer_make((struct issuer_wish){.names = names});
    certificate_subject(issued.certificate, text);
    ck_assert_str_eq(text, "");
    certificate_names(issued.certificate, text);
    ck_assert_uint_eq(strlen(text), CERTIFICATE_TEXT_SIZE - 1);
    ck_assert_str_eq(text + strlen(text) - 5, "xx...");
    issuer_free(&issued);
    issued = issuer_make((struct issuer_wish){.common_name = "a,\n\xc3\xa4"});
    certificate_subject(issued.certificate, text);
    ck_assert_str_eq(text, "CN=a\\,\\0A\xc3\xa4");
    issuer_free(&issued);
}
END_TEST

/* Give a certificate a name of a type whose bytes are any. */
static void add_name(GENERAL_NAMES *names, int type, const char *bytes, int length)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value =
        type == GEN_IPADD ? ASN1_OCTET_STRING_new() : (ASN1_STRING *)ASN1_IA5STRING_new();

    ck_assert_int_eq(ASN1_STRING_set(value, bytes, length), 1);
    GENERAL_NAME_set0_value(name, type, value);
    ck_assert_int_gt(sk_GENERAL_NAME_push(names, name), 0);
}

START_TEST(names_that_nobody_should_have_are_shown_without_harm)
{
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    char text[CERTIFICATE_TEXT_SIZE];

    add_name(names, GEN_DNS, "a\0b", 3);
    add_name(names, GEN_IPADD, "\x7f", 1);
    add_name(names, GEN_IPADD, "\x7f\0\0\1", 4);
    ck_assert_int_eq(
        X509_add1_ext_i2d(issued.certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE),
        1);
    certificate_names(issued.certificate, text);
    ck_assert_str_eq(text, "a?b, 127.0.0.1");
    GENERAL_NAMES_free(names);
    issuer_free(&issued);
}
END_TEST

START_TEST(an_address_is_covered_by_whoever_is_for_it)
{
    static const struct {
        const char *names, *others;
        bool is_covered;
    } pairs[] = {
        {"DNS:a.example", "IP:127.0.0.1", false},
        {"IP:127.0.0.1", "IP:127.0.0.1", true},
        {"IP:127.0.0.2", "IP:127.0.0.1", false},
        {"IP:::1,DNS:a.example", "DNS:a.example,IP:::1,URI:x:y", true},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct issued one = issuer_make((struct issuer_wish){.names = pairs[i].names});
        struct issued other = issuer_make((struct issuer_wish){.names = pairs[i].others});

        ck_assert_int_eq(certificate_covers(one.certificate, other.certificate),
                         pairs[i].is_covered);
        issuer_free(&one);
        issuer_free(&other);
    }
}
END_TEST

START_TEST(a_time_far_away_is_written)
{
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    char text[CERTIFICATE_TIME_SIZE];

    ck_assert_int_eq(
        ASN1_TIME_set_string(X509_getm_notAfter(issued.certificate), "99991231235959Z"), 1);
    certificate_format_end(issued.certificate, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
    ck_assert_ptr_null(certificate_fault(issued.certificate, time(NULL)));
    ck_assert_str_eq(certificate_fault(issued.certificate, 0), "certificate is not yet valid");
    issuer_free(&issued);
}
END_TEST

START_TEST(a_time_that_is_none_is_told)
{
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});
    char text[CERTIFICATE_TIME_SIZE];

    ck_assert_int_eq(ASN1_STRING_set(X509_getm_notAfter(issued.certificate), "tomorrow", -1), 1);
    certificate_format_end(issued.certificate, text);
    ck_assert_str_eq(text, "at no time");
    issuer_free(&issued);
}
END_TEST

START_TEST(seconds_are_counted_in_every_year)
{
    static const struct {
        const char *end;
        int64_t seconds;
    } cases[] = {{"19700101000000Z", 0},           {"20000229000000Z", 951782400},
                 {"20380119031407Z", 2147483647},  {"20380119031408Z", 2147483648},
                 {"21000301000000Z", 4107542400},  {"24000229000000Z", 13574563200},
                 {"99991231235959Z", 253402300799}};
    struct issued issued = issuer_make((struct issuer_wish){.common_name = "a"});

    ck_assert_int_eq(ASN1_TIME_set_string(X509_getm_notAfter(issued.certificate), cases[_i].end),
                     1);
    ck_assert_int_eq(certificate_seconds_left(issued.certificate, 0), cases[_i].seconds);
    issuer_free(&issued);
}
END_TEST

static Suite *tls_notes_suite(void)
{
    Suite *suite = suite_create("tls_notes");
    TCase *notes = support_case(suite, "notes");
    TCase *facts = support_case(suite, "facts");

    tcase_add_checked_fixture(notes, setup, issuer_end);
    tcase_add_test(notes, whose_it_is_and_when_it_ends_is_told);
    tcase_add_loop_test(notes, an_end_that_is_near_is_a_warning, 0,
                        (int)(sizeof ends / sizeof ends[0]));
    tcase_add_test(notes, what_ends_soon_is_told_by_itself);
    tcase_add_loop_test(notes, a_certificate_that_is_never_shown_is_a_warning, 0,
                        (int)(sizeof doubles / sizeof doubles[0]));
    tcase_add_test(notes, issuers_are_looked_at_as_well);
    tcase_add_test(notes, the_first_end_is_that_of_the_certificate);
    tcase_add_test(notes, a_chain_out_of_order_is_a_warning);
    tcase_add_loop_test(notes, a_key_that_others_may_read_is_a_warning, 0,
                        (int)(sizeof modes / sizeof modes[0]));
    tcase_add_test(facts, long_and_strange_names_are_shown_as_far_as_they_fit);
    tcase_add_test(facts, names_that_nobody_should_have_are_shown_without_harm);
    tcase_add_test(facts, an_address_is_covered_by_whoever_is_for_it);
    tcase_add_test(facts, a_time_far_away_is_written);
    tcase_add_test(facts, a_time_that_is_none_is_told);
    tcase_add_loop_test(facts, seconds_are_counted_in_every_year, 0, 7);
    return suite;
}

int main(void)
{
    return support_run(tls_notes_suite());
}
