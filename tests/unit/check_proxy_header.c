/*
 * check_proxy_header: headers of the PROXY protocol are read to their last byte and no further.
 * TLVs are check_proxy_tlv's, and the way back is check_proxy_format's.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"

#include "base/address.h"
#include "proxy_samples.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void check_address(const struct sockaddr_storage *address, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE];

    address_format_socket((const struct sockaddr *)address, sizeof *address, text);
    ck_assert_str_eq(text, expected);
}

static void check_sample(const struct proxy_sample *sample, const struct proxy_parsed *parsed)
{
    ck_assert_msg(parsed->outcome == PROXY_COMPLETE, "%s: %s", sample->name, parsed->error.text);
    ck_assert_uint_eq(parsed->length, sample->length);
    ck_assert_int_eq((int)parsed->header.version, (int)sample->version);
    ck_assert_int_eq(parsed->header.has_addresses, sample->source != NULL);
    ck_assert_int_eq(parsed->header.is_datagram, sample->is_datagram);
    if (sample->source == NULL)
        return;
    check_address(&parsed->header.source, sample->source);
    check_address(&parsed->header.destination, sample->destination);
}

START_TEST(a_header_tells_its_addresses)
{
    const struct proxy_sample *sample = proxy_samples_get(_i);
    struct proxy_parsed parsed;

    (void)proxy_samples_judge(sample->bytes, sample->length, PROXY_ANY, &parsed);
    check_sample(sample, &parsed);
    (void)proxy_samples_judge(sample->bytes, sample->length, sample->version, &parsed);
    check_sample(sample, &parsed);
}
END_TEST

START_TEST(every_beginning_of_a_header_is_incomplete)
{
    const struct proxy_sample *sample = proxy_samples_get(_i);
    struct proxy_parsed parsed;

    for (size_t length = 0; length < sample->length; length++) {
        ck_assert_int_eq((int)proxy_samples_judge(sample->bytes, length, PROXY_ANY, &parsed),
                         PROXY_INCOMPLETE);
        ck_assert_int_eq((int)proxy_samples_judge(sample->bytes, length, sample->version, &parsed),
                         PROXY_INCOMPLETE);
    }
}
END_TEST

/* What a client says first may look like a header again, or like the rest of one. */
START_TEST(bytes_behind_a_header_are_the_clients)
{
    static const char *const others[] = {"\n", "\r\n", " ", "7", "GET / HTTP/1.1\r\n\r\n"};
    const struct proxy_sample *sample = proxy_samples_get(_i);
    unsigned char bytes[1024];
    struct proxy_parsed parsed;

    ck_assert_uint_le(2 * sample->length, sizeof bytes);
    memcpy(bytes, sample->bytes, sample->length);
    memcpy(bytes + sample->length, sample->bytes, sample->length);
    for (size_t length = sample->length + 1; length <= 2 * sample->length; length++) {
        (void)proxy_samples_judge(bytes, length, PROXY_ANY, &parsed);
        check_sample(sample, &parsed);
    }
    for (int i = 0; i < COUNT_OF(others); i++) {
        memcpy(bytes + sample->length, others[i], strlen(others[i]));
        (void)proxy_samples_judge(bytes, sample->length + strlen(others[i]), PROXY_ANY, &parsed);
        check_sample(sample, &parsed);
    }
}
END_TEST

/* More is waited for only where the length of version 2 has grown. */
START_TEST(a_changed_byte_makes_another_header_or_none)
{
    enum { LENGTH_OFFSET = 14, LENGTH_SIZE = 2 };
    const struct proxy_sample *sample = proxy_samples_get(_i);
    const unsigned step = support_is_under_valgrind() ? 17 : 1; /* all would take it minutes */
    unsigned char bytes[1024];
    struct proxy_parsed parsed;

    ck_assert_uint_le(sample->length, sizeof bytes);
    memcpy(bytes, sample->bytes, sample->length);
    for (size_t i = 0; i < sample->length; i++) {
        const bool is_length =
            sample->version == PROXY_V2 && i >= LENGTH_OFFSET && i < LENGTH_OFFSET + LENGTH_SIZE;

        for (unsigned change = 1; change <= UINT8_MAX; change += step) {
            bytes[i] = (unsigned char)(sample->bytes[i] ^ change);
            (void)proxy_samples_judge(bytes, sample->length, PROXY_ANY, &parsed);
            if (parsed.outcome == PROXY_COMPLETE)
                support_assert(parsed.length <= sample->length);
            else
                support_assert(parsed.outcome == PROXY_INVALID || is_length);
        }
        bytes[i] = sample->bytes[i];
    }
}
END_TEST

#define V4_LINE             "PROXY TCP4 192.0.2.1 192.0.2.2 "
#define NO_BEGIN            "no PROXY header of version 1 or 2"
#define NO_PROTOCOL         "neither TCP4 nor TCP6 nor UNKNOWN"
#define NO_SOURCE           "no source address"
#define NO_DESTINATION      "no destination address"
#define NO_SOURCE_PORT      "no source port"
#define NO_DESTINATION_PORT "no destination port"
#define NO_END              "does not end with CR and LF"

/* The last byte of each is the first one that is wrong. */
static const struct {
    const unsigned char *bytes;
    size_t length;
    const char *words; /* of the sentence */
} wrong[] = {
    {PROXY_BYTES("G"), NO_BEGIN},
    {PROXY_BYTES("\0"), NO_BEGIN},
    {PROXY_BYTES("\x16"), NO_BEGIN},
    {PROXY_BYTES("\n"), NO_BEGIN},
    {PROXY_BYTES(" "), NO_BEGIN},
    {PROXY_BYTES("PROXy"), NO_BEGIN},
    {PROXY_BYTES("PROXY\r"), NO_BEGIN},
    {PROXY_BYTES("PROXY\t"), NO_BEGIN},
    {PROXY_BYTES("PROXY  "), NO_PROTOCOL},
    {PROXY_BYTES("PROXY \r"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY t"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY TCP5"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY TCP4\r"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY TCP4\t"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY TCP46"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY UNI"), NO_PROTOCOL},
    {PROXY_BYTES("PROXY UNKNOWN:"), "no space behind UNKNOWN"},
    {PROXY_BYTES("PROXY UNKNOWN\n"), NO_END},
    {PROXY_BYTES("PROXY UNKNOWN\r\r"), NO_END},
    {PROXY_BYTES("PROXY UNKNOWN\rG"), NO_END},
    {PROXY_BYTES("PROXY UNKNOWN 1\n"), NO_END},
    {PROXY_BYTES("PROXY UNKNOWN 1\r2"), NO_END},

    {PROXY_BYTES("PROXY TCP4 a"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 :"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 -"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4  "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 \r"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 \n"), NO_END},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4\0"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4\t"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4,"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4/"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3. "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4. "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4.5 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 .1.2.3.4 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1..2.3 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 16909060 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.256 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.04 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 01.2.3.4 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.00 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4294967300 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 000000000000000000000000000000000000000000000 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 0000000000000000000000000000000000000000000000 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 000000000000000000000000000000000000000000000000000 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4\r"), NO_SOURCE},

    {PROXY_BYTES("PROXY TCP4 1.2.3.4  "), NO_DESTINATION},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4 5.6.7 "), NO_DESTINATION},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4 :"), NO_DESTINATION},
    {PROXY_BYTES("PROXY TCP4 1.2.3.4 5.6.7.8\r"), NO_DESTINATION},
    {PROXY_BYTES(V4_LINE " "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "+"), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "0x"), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "1."), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "00 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "01 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "65536 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "4294967297 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "18446744073709551617 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "340282366920938463463374607431768211457 "), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "1\r"), NO_SOURCE_PORT},
    {PROXY_BYTES(V4_LINE "1  "), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 2 "), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 2\t"), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 \r"), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 02\r"), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 65536\r"), NO_DESTINATION_PORT},
    {PROXY_BYTES(V4_LINE "1 2\n"), NO_END},
    {PROXY_BYTES(V4_LINE "1 2\r\r"), NO_END},
    {PROXY_BYTES(V4_LINE "1 2\r "), NO_END},

    {PROXY_BYTES("PROXY TCP6 g"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 ["), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 fe80::1%"), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 1.2.3.4 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 : "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 ::: "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 1::2::3 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 1:2:3:4:5:6:7 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 1:2:3:4:5:6:7:8:9 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 12345::1 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 ::ffff:1.2.3.256 "), NO_SOURCE},
    {PROXY_BYTES("PROXY TCP6 ::1 1.2.3.4 "), NO_DESTINATION},

    {PROXY_BYTES("\r\r"), NO_BEGIN},
    {PROXY_BYTES("\r\n\r\n\0\r\nQUIT\r"), NO_BEGIN},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x11"), "but version 1"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x01"), "but version 0"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\xf1"), "but version 15"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x22"), "the command 2"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x2f"), "the command 15"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x41"), "protocol 0x41"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\xf1"), "protocol 0xf1"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x13"), "protocol 0x13"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x03"), "protocol 0x03"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x40"), "protocol 0x40"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x11\0\0"), "16 bytes, and 28 with its addresses"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x12\0\x0b"), "27 bytes, and 28 with its addresses"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x21\0\x23"), "51 bytes, and 52 with its addresses"},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x31\0\xd7"), "231 bytes, and 232 with its addresses"},
};

START_TEST(what_is_wrong_is_seen_at_once)
{
    const size_t length = wrong[_i].length;
    unsigned char bytes[256];
    struct proxy_parsed parsed;

    ck_assert_int_eq((int)proxy_samples_judge(wrong[_i].bytes, length - 1, PROXY_ANY, &parsed),
                     PROXY_INCOMPLETE);
    ck_assert_int_eq((int)proxy_samples_judge(wrong[_i].bytes, length, PROXY_ANY, &parsed),
                     PROXY_INVALID);
    ck_assert_msg(strstr(parsed.error.text, wrong[_i].words) != NULL, "%s", parsed.error.text);

    memcpy(bytes, wrong[_i].bytes, length);
    memset(bytes + length, '\n', sizeof bytes - length);
    ck_assert_int_eq((int)proxy_samples_judge(bytes, sizeof bytes, PROXY_ANY, &parsed),
                     PROXY_INVALID);
}
END_TEST

/* Whoever reads the log must not be shown what anybody may have sent. */
START_TEST(a_sentence_quotes_nothing)
{
    static const char marker[] = {'Z', 'Y', 'X', '\x1b', '[', '2', 'J'};
    const struct proxy_sample *sample = proxy_samples_get(_i);
    unsigned char bytes[1024];
    struct proxy_parsed parsed;

    for (size_t i = 0; i <= sample->length; i++) {
        memcpy(bytes, sample->bytes, i);
        memcpy(bytes + i, marker, sizeof marker);
        memset(bytes + i + sizeof marker, '\n', 200);
        (void)proxy_samples_judge(bytes, i + sizeof marker + 200, PROXY_ANY, &parsed);
        ck_assert_ptr_null(strstr(parsed.error.text, "ZYX"));
        ck_assert_ptr_null(strchr(parsed.error.text, '?'));
    }
}
END_TEST

START_TEST(a_line_has_a_longest_length)
{
    unsigned char bytes[PROXY_V1_MAX_SIZE + 2] = "PROXY UNKNOWN ";
    struct proxy_parsed parsed;

    memset(bytes + strlen((const char *)bytes), 'x', sizeof bytes - strlen((const char *)bytes));
    for (size_t length = 0; length <= PROXY_V1_MAX_SIZE - 2; length++)
        ck_assert_int_eq((int)proxy_samples_judge(bytes, length, PROXY_V1, &parsed),
                         PROXY_INCOMPLETE);
    ck_assert_int_eq((int)proxy_samples_judge(bytes, PROXY_V1_MAX_SIZE - 1, PROXY_V1, &parsed),
                     PROXY_INVALID);
    ck_assert_ptr_nonnull(strstr(parsed.error.text, "more than 107 bytes"));

    bytes[PROXY_V1_MAX_SIZE - 2] = '\r';
    bytes[PROXY_V1_MAX_SIZE - 1] = '\n';
    ck_assert_int_eq((int)proxy_samples_judge(bytes, PROXY_V1_MAX_SIZE, PROXY_V1, &parsed),
                     PROXY_COMPLETE);
    ck_assert_uint_eq(parsed.length, PROXY_V1_MAX_SIZE);

    bytes[PROXY_V1_MAX_SIZE - 2] = 'x';
    bytes[PROXY_V1_MAX_SIZE - 1] = '\r';
    bytes[PROXY_V1_MAX_SIZE] = '\n';
    ck_assert_int_eq((int)proxy_samples_judge(bytes, PROXY_V1_MAX_SIZE + 1, PROXY_V1, &parsed),
                     PROXY_INVALID);
}
END_TEST

/* Commands and families: LOCAL, UNSPEC, and IPv4 with one TLV of all that is left. */
static const struct {
    const unsigned char *bytes;
    size_t length;
} longest[] = {
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\xff\xff")},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\0\xff\xff")},
    {PROXY_BYTES(PROXY_V2_SIGNATURE "\x21\x11\xff\xff\x7f\0\0\1\x7f\0\0\1\0\7\0\7\4\xff\xf0")},
};

START_TEST(a_header_may_have_all_that_its_length_can_say)
{
    unsigned char *bytes = calloc(1, PROXY_HEADER_MAX_SIZE);
    struct proxy_parsed parsed;

    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, longest[_i].bytes, longest[_i].length);
    ck_assert_int_eq((int)proxy_samples_judge(bytes, PROXY_HEADER_MAX_SIZE - 1, PROXY_V2, &parsed),
                     PROXY_INCOMPLETE);
    ck_assert_int_eq((int)proxy_samples_judge(bytes, PROXY_HEADER_MAX_SIZE, PROXY_V2, &parsed),
                     PROXY_COMPLETE);
    ck_assert_uint_eq(parsed.length, PROXY_HEADER_MAX_SIZE);
    free(bytes);
}
END_TEST

START_TEST(only_the_versions_that_are_wanted_are_accepted)
{
    const struct proxy_sample *sample = proxy_samples_get(_i);
    const enum proxy_version other = sample->version == PROXY_V1 ? PROXY_V2 : PROXY_V1;
    struct proxy_parsed parsed = {.length = 0};

    for (size_t length = 1; length <= sample->length; length++)
        ck_assert_int_eq((int)proxy_samples_judge(sample->bytes, length, other, &parsed),
                         PROXY_INVALID);
    support_assert_matches(
        parsed.error.text,
        other == PROXY_V1 ? "^the PROXY header is of version 2, and only version 1 is accepted$"
                          : "^the PROXY header is of version 1, and only version 2 is accepted$");
    ck_assert_int_eq(
        (int)proxy_samples_judge((const unsigned char *)"GET / HTTP/1.1", 14, other, &parsed),
        PROXY_INVALID);
    support_assert_matches(parsed.error.text, "no PROXY header of version [12]$");
}
END_TEST

static Suite *proxy_header_suite(void)
{
    Suite *suite = suite_create("proxy_header");
    TCase *right = support_case(suite, "right");
    TCase *refused = support_case(suite, "wrong");
    const int count = proxy_samples_count();

    tcase_add_loop_test(right, a_header_tells_its_addresses, 0, count);
    tcase_add_loop_test(right, every_beginning_of_a_header_is_incomplete, 0, count);
    tcase_add_loop_test(right, bytes_behind_a_header_are_the_clients, 0, count);
    tcase_add_loop_test(right, a_changed_byte_makes_another_header_or_none, 0, count);
    tcase_add_test(right, a_line_has_a_longest_length);
    tcase_add_loop_test(right, a_header_may_have_all_that_its_length_can_say, 0, COUNT_OF(longest));
    tcase_add_loop_test(refused, what_is_wrong_is_seen_at_once, 0, COUNT_OF(wrong));
    tcase_add_loop_test(refused, a_sentence_quotes_nothing, 0, count);
    tcase_add_loop_test(refused, only_the_versions_that_are_wanted_are_accepted, 0, count);
    return suite;
}

int main(void)
{
    return support_run_together(proxy_header_suite());
}
