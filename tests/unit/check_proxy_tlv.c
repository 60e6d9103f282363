/*
 * check_proxy_tlv: what a header of version 2 says behind its addresses is found, or refused.
 * Addresses are check_proxy_header's.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_tlv.h"

#include "base/crc32c.h"
#include "proxy_samples.h"
#include "support.h"

#include <string.h>

enum {
    ALPN = 0x01,
    AUTHORITY = 0x02,
    CRC32C = 0x03,
    NOOP = 0x04,
    UNIQUE_ID = 0x05,
    SSL = 0x20,
    SSL_VERSION = 0x21,
    SSL_CN = 0x22,
    SSL_CIPHER = 0x23,
    SSL_SIG_ALG = 0x24,
    NETNS = 0x30,

    ADDRESSES_END = 16 + 12,
    CHECKSUM_OFFSET = ADDRESSES_END + 3, /* where it is the first TLV */
};

/* The header of the running test: TCP over IPv4, to which TLVs are added. */
static unsigned char header[4096];
static size_t header_length;
static struct proxy_parsed parsed;

static void write_length(void)
{
    header[14] = (unsigned char)((header_length - 16) >> 8);
    header[15] = (unsigned char)(header_length - 16);
}

static void add_bytes(const void *bytes, size_t length)
{
    ck_assert_uint_le(header_length + length, sizeof header);
    memcpy(header + header_length, bytes, length);
    header_length += length;
    write_length();
}

static void setup(void)
{
    header_length = 0;
    add_bytes(PROXY_V2_SIGNATURE "\x21\x11\0\0\x7f\0\0\1\x7f\0\0\2\0\7\0\x09", ADDRESSES_END);
}

static void add_head(unsigned type, size_t length)
{
    const unsigned char head[3] = {(unsigned char)type, (unsigned char)(length >> 8),
                                   (unsigned char)length};

    add_bytes(head, sizeof head);
}

static void add_tlv(unsigned type, const void *value, size_t length)
{
    add_head(type, length);
    add_bytes(value, length);
}

static void add_text(unsigned type, const char *text)
{
    add_tlv(type, text, strlen(text));
}

/* The checksum is made where the first TLV is one. */
static void write_checksum(void)
{
    uint32_t crc;

    memset(header + CHECKSUM_OFFSET, 0, 4);
    crc = crc32c_extend(0, header, header_length);
    for (int i = 0; i < 4; i++)
        header[CHECKSUM_OFFSET + i] = (unsigned char)(crc >> (24 - 8 * i));
}

static const struct proxy_tlvs *parse_right(void)
{
    struct proxy_parsed shorter;

    for (size_t length = 0; length < header_length; length++)
        ck_assert_int_eq((int)proxy_samples_judge(header, length, PROXY_V2, &shorter),
                         PROXY_INCOMPLETE);
    (void)proxy_samples_judge(header, header_length, PROXY_V2, &shorter);
    proxy_samples_parse(header, header_length, PROXY_V2, &parsed);
    ck_assert_msg(parsed.outcome == PROXY_COMPLETE, "%s", parsed.error.text);
    ck_assert_uint_eq(parsed.length, header_length);
    return &parsed.header.tlvs;
}

static void check_refused(const char *words)
{
    ck_assert_int_eq((int)proxy_samples_judge(header, header_length, PROXY_V2, &parsed),
                     PROXY_INVALID);
    ck_assert_msg(strstr(parsed.error.text, words) != NULL, "%s", parsed.error.text);
}

static void check_text(const struct proxy_text *text, const char *expected)
{
    ck_assert_ptr_nonnull(text->bytes);
    ck_assert_uint_eq(text->length, strlen(expected));
    ck_assert_mem_eq(text->bytes, expected, text->length);
}

START_TEST(what_is_not_there_has_no_bytes)
{
    const struct proxy_tlvs *tlvs = parse_right();

    ck_assert_ptr_null(tlvs->alpn.bytes);
    ck_assert_ptr_null(tlvs->authority.bytes);
    ck_assert_ptr_null(tlvs->unique_id.bytes);
    ck_assert_ptr_null(tlvs->netns.bytes);
    ck_assert(!tlvs->ssl.is_told);
}
END_TEST

START_TEST(each_text_is_found)
{
    const struct proxy_tlvs *tlvs;

    add_text(ALPN, "h2");
    add_text(AUTHORITY, "echo.example");
    add_text(UNIQUE_ID, "7F000001:1_7F000002:7_0001");
    add_text(NETNS, "blue");
    tlvs = parse_right();
    check_text(&tlvs->alpn, "h2");
    check_text(&tlvs->authority, "echo.example");
    check_text(&tlvs->unique_id, "7F000001:1_7F000002:7_0001");
    check_text(&tlvs->netns, "blue");
}
END_TEST

START_TEST(an_empty_text_is_there)
{
    add_text(UNIQUE_ID, "");
    add_text(AUTHORITY, "");
    check_text(&parse_right()->unique_id, "");
    check_text(&parse_right()->authority, "");
}
END_TEST

START_TEST(of_several_of_a_type_the_first_counts)
{
    static const unsigned char no_tls[5] = {0}, tls[5] = {1};
    const struct proxy_tlvs *tlvs;

    for (int i = 0; i < 2; i++) {
        add_text(ALPN, i == 0 ? "first" : "second");
        add_text(AUTHORITY, i == 0 ? "first" : "");
        add_text(UNIQUE_ID, i == 0 ? "" : "second");
        add_text(NETNS, i == 0 ? "first" : "second");
        add_tlv(SSL, i == 0 ? no_tls : tls, sizeof tls);
    }
    tlvs = parse_right();
    check_text(&tlvs->alpn, "first");
    check_text(&tlvs->authority, "first");
    check_text(&tlvs->unique_id, "");
    check_text(&tlvs->netns, "first");
    ck_assert(tlvs->ssl.is_told);
    ck_assert(!tlvs->ssl.is_tls);
}
END_TEST

START_TEST(any_other_type_is_skipped)
{
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        setup();
        if (type == ALPN || type == AUTHORITY || type == CRC32C || type == UNIQUE_ID ||
            type == SSL || type == NETNS)
            continue;
        add_tlv(type, "\0\1\2", 0);
        add_tlv(type, "\5\0\1x", 4); /* looks like one that is known */
        add_text(UNIQUE_ID, "mine");
        add_tlv(type, "\0\1\2", 3);
        check_text(&parse_right()->unique_id, "mine");
    }
}
END_TEST

START_TEST(a_unique_id_has_a_longest_length)
{
    static const unsigned char id[PROXY_UNIQUE_ID_MAX_LENGTH + 1] = {'i'};

    add_tlv(UNIQUE_ID, id, PROXY_UNIQUE_ID_MAX_LENGTH);
    ck_assert_uint_eq(parse_right()->unique_id.length, 128);
    add_tlv(UNIQUE_ID, id, PROXY_UNIQUE_ID_MAX_LENGTH + 1);
    check_refused("a unique id of 129 bytes, which may have 128");
}
END_TEST

/* The protocol knows no limit for it: a server's name in TLS may have 65,535 bytes (RFC 6066, 3).
 */
START_TEST(an_authority_may_be_long)
{
    static const unsigned char name[3000] = {'n'};

    add_tlv(AUTHORITY, name, sizeof name);
    ck_assert_uint_eq(parse_right()->authority.length, sizeof name);
}
END_TEST

START_TEST(a_tlv_that_leaves_the_header_is_refused)
{
    static const unsigned types[] = {0, ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS, 0xff};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        setup();
        add_head(types[i], 1);
        check_refused("and 1 bytes where 0 are left");
        setup();
        add_text(ALPN, "h2");
        add_head(types[i], 0xffff);
        add_bytes("12345", 5);
        check_refused("and 65535 bytes where 5 are left");
    }
}
END_TEST

START_TEST(bytes_that_are_no_tlv_are_refused)
{
    for (size_t length = 1; length < 3; length++) {
        setup();
        add_bytes("\4\0\0", length);
        check_refused("ends inside the type and length of a TLV");
        setup();
        add_text(UNIQUE_ID, "mine");
        add_bytes("\4\0\0", length);
        check_refused("ends inside the type and length of a TLV");
    }
}
END_TEST

START_TEST(a_right_checksum_is_accepted)
{
    add_tlv(CRC32C, "\0\0\0", 4);
    write_checksum();
    (void)parse_right();
    add_text(UNIQUE_ID, "mine");
    write_checksum();
    check_text(&parse_right()->unique_id, "mine");
}
END_TEST

/* No byte that it guards can change, but those that say that there is one, or how much follows. */
START_TEST(a_wrong_checksum_is_refused)
{
    add_tlv(CRC32C, "\0\0\0", 4);
    add_text(UNIQUE_ID, "mine");
    write_checksum();
    for (size_t i = 16; i < header_length; i++) {
        if (i == ADDRESSES_END)
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            header[i] ^= (unsigned char)(1U << bit);
            ck_assert_int_eq((int)proxy_samples_judge(header, header_length, PROXY_V2, &parsed),
                             PROXY_INVALID);
            header[i] ^= (unsigned char)(1U << bit);
        }
    }
    header[header_length - 1] ^= 1;
    check_refused("a checksum that is not that of its bytes");
}
END_TEST

START_TEST(a_checksum_has_four_bytes)
{
    for (size_t length = 0; length <= 5; length++) {
        setup();
        add_tlv(CRC32C, "\0\0\0\0\0", length);
        check_refused(length == 4 ? "not that of its bytes" : "which has to have 4");
    }
}
END_TEST

/* As for other types, the first counts; it guards the second, which is not zeroed for it. */
START_TEST(of_two_checksums_the_first_is_verified)
{
    add_tlv(CRC32C, "\0\0\0", 4);
    add_tlv(CRC32C, "\1\2\3\4", 4);
    write_checksum();
    (void)parse_right();
    header[header_length - 1] ^= 1;
    check_refused("a checksum that is not that of its bytes");
}
END_TEST

START_TEST(a_checksum_does_not_guard_what_the_client_says)
{
    struct proxy_parsed with_more;

    add_tlv(CRC32C, "\0\0\0", 4);
    write_checksum();
    memset(header + header_length, 'x', 5);
    ck_assert_int_eq((int)proxy_samples_judge(header, header_length + 5, PROXY_V2, &with_more),
                     PROXY_COMPLETE);
    ck_assert_uint_eq(with_more.length, header_length);
}
END_TEST

/* Client, verify; what that means. haproxy sends 0 where no certificate was shown. */
static const struct {
    unsigned char head[5];
    bool is_tls, has_certificate, is_verified;
} ssl_heads[] = {
    {{0, 0, 0, 0, 0}, false, false, false},    {{1, 0, 0, 0, 0}, true, false, false},
    {{3, 0, 0, 0, 0}, true, true, true},       {{5, 0, 0, 0, 0}, true, true, true},
    {{7, 0, 0, 0, 0}, true, true, true},       {{7, 0, 0, 0, 1}, true, true, false},
    {{7, 1, 0, 0, 0}, true, true, false},      {{1, 0, 0, 0, 20}, true, false, false},
    {{0xf8, 0, 0, 0, 0}, false, false, false}, {{0xff, 0xff, 0xff, 0xff, 0xff}, true, true, false},
};

START_TEST(tls_is_told)
{
    const struct proxy_ssl *ssl;

    add_tlv(SSL, ssl_heads[_i].head, sizeof ssl_heads[_i].head);
    ssl = &parse_right()->ssl;
    ck_assert(ssl->is_told);
    ck_assert_int_eq(ssl->is_tls, ssl_heads[_i].is_tls);
    ck_assert_int_eq(ssl->has_certificate, ssl_heads[_i].has_certificate);
    ck_assert_int_eq(ssl->is_verified, ssl_heads[_i].is_verified);
    ck_assert_ptr_null(ssl->version.bytes);
    ck_assert_ptr_null(ssl->cipher.bytes);
    ck_assert_ptr_null(ssl->common_name.bytes);
}
END_TEST

START_TEST(the_texts_of_tls_are_found)
{
    static const char value[] = "\7\0\0\0\0"
                                "\x21\0\7TLSv1.3"
                                "\x24\0\3RSA"
                                "\x22\0\4anna"
                                "\x22\0\4otto"
                                "\x23\0\3AES"
                                "\xff\0\0";
    const struct proxy_ssl *ssl;

    add_tlv(SSL, value, sizeof value - 1);
    add_text(UNIQUE_ID, "mine");
    ssl = &parse_right()->ssl;
    check_text(&ssl->version, "TLSv1.3");
    check_text(&ssl->common_name, "anna");
    check_text(&ssl->cipher, "AES");
    check_text(&parsed.header.tlvs.unique_id, "mine");
}
END_TEST

/* Types of the list inside are none of the list outside. */
START_TEST(a_text_of_tls_outside_is_skipped)
{
    static const unsigned char head[5] = {1};

    add_text(SSL_VERSION, "TLSv1.3");
    add_text(SSL_CN, "anna");
    add_text(SSL_CIPHER, "AES");
    add_text(SSL_SIG_ALG, "RSA");
    add_tlv(SSL, head, sizeof head);
    ck_assert_ptr_null(parse_right()->ssl.version.bytes);
    ck_assert_ptr_null(parse_right()->ssl.common_name.bytes);
    ck_assert_ptr_null(parse_right()->ssl.cipher.bytes);
}
END_TEST

START_TEST(a_wrong_list_of_tls_is_refused)
{
    for (size_t length = 0; length < 5; length++) {
        setup();
        add_tlv(SSL, "\1\0\0\0\0", length);
        check_refused("SSL in fewer than 5 bytes");
    }
    setup();
    add_tlv(SSL, "\1\0\0\0\0\x21", 6);
    check_refused("ends inside the type and length of a TLV");
    setup();
    add_tlv(SSL, "\1\0\0\0\0\x21\0\1", 8);
    add_text(UNIQUE_ID, "what is behind it is not its own");
    check_refused("and 1 bytes where 0 are left");
    setup();
    add_tlv(SSL, "\1\0\0\0\0", 5);
    add_tlv(SSL, "\1", 1);
    check_refused("SSL in fewer than 5 bytes");
}
END_TEST

/* haproxy sends TLVs with LOCAL, too; the block is discarded (proxy-protocol.txt, 2.2). */
START_TEST(nothing_is_kept_of_a_header_without_addresses)
{
    static const struct {
        unsigned char command, protocol;
    } heads[] = {{0x20, 0x00}, {0x20, 0x11}, {0x21, 0x00}, {0x21, 0x10}, {0x21, 0x01}};

    add_text(UNIQUE_ID, "mine");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        header[12] = heads[i].command;
        header[13] = heads[i].protocol;
        ck_assert_ptr_null(parse_right()->unique_id.bytes);
    }
}
END_TEST

START_TEST(what_haproxy_sends_is_understood)
{
    const struct proxy_tlvs *tlvs;

    header_length = 0;
    add_bytes(PROXY_BYTES(PROXY_SAMPLE_OF_TLS));
    tlvs = parse_right();
    check_text(&tlvs->alpn, "echo");
    check_text(&tlvs->authority, "echo.example");
    check_text(&tlvs->unique_id, "7F000001:AB34_7F000001:59E3_6B0C3BEF_000A");
    check_text(&tlvs->ssl.version, "TLSv1.3");
    check_text(&tlvs->ssl.cipher, "TLS_AES_256_GCM_SHA384");
    check_text(&tlvs->ssl.common_name, "anna");
    ck_assert(tlvs->ssl.is_tls);
    ck_assert(tlvs->ssl.has_certificate);
    ck_assert(tlvs->ssl.is_verified);
}
END_TEST

static Suite *proxy_tlv_suite(void)
{
    Suite *suite = suite_create("proxy_tlv");
    TCase *texts = support_case(suite, "texts");
    TCase *checksum = support_case(suite, "checksum");
    TCase *tls = support_case(suite, "tls");

    tcase_add_checked_fixture(texts, setup, NULL);
    tcase_add_test(texts, what_is_not_there_has_no_bytes);
    tcase_add_test(texts, each_text_is_found);
    tcase_add_test(texts, an_empty_text_is_there);
    tcase_add_test(texts, of_several_of_a_type_the_first_counts);
    tcase_add_test(texts, any_other_type_is_skipped);
    tcase_add_test(texts, a_unique_id_has_a_longest_length);
    tcase_add_test(texts, an_authority_may_be_long);
    tcase_add_test(texts, a_tlv_that_leaves_the_header_is_refused);
    tcase_add_test(texts, bytes_that_are_no_tlv_are_refused);
    tcase_add_test(texts, nothing_is_kept_of_a_header_without_addresses);

    tcase_add_checked_fixture(checksum, setup, NULL);
    tcase_add_test(checksum, a_right_checksum_is_accepted);
    tcase_add_test(checksum, a_wrong_checksum_is_refused);
    tcase_add_test(checksum, a_checksum_has_four_bytes);
    tcase_add_test(checksum, of_two_checksums_the_first_is_verified);
    tcase_add_test(checksum, a_checksum_does_not_guard_what_the_client_says);

    tcase_add_checked_fixture(tls, setup, NULL);
    tcase_add_loop_test(tls, tls_is_told, 0, (int)(sizeof ssl_heads / sizeof ssl_heads[0]));
    tcase_add_test(tls, the_texts_of_tls_are_found);
    tcase_add_test(tls, a_text_of_tls_outside_is_skipped);
    tcase_add_test(tls, a_wrong_list_of_tls_is_refused);
    tcase_add_test(tls, what_haproxy_sends_is_understood);
    return suite;
}

int main(void)
{
    return support_run_together(proxy_tlv_suite());
}
