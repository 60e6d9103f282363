/*
 * check_proxy_format: headers of the PROXY protocol are written as others write and read them.
 * What is read is check_proxy_header's.
 * Run by make check.
 */
#include <config.h>

#include "base/proxy_header.h"

#include "proxy_samples.h"
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

static unsigned char bytes[PROXY_FORMAT_SIZE];

static size_t format(const struct proxy_header *header)
{
    memset(bytes, 0x5a, sizeof bytes);
    return proxy_header_format(header, bytes);
}

static void check_bytes(size_t length, const unsigned char *expected, size_t expected_length)
{
    ck_assert_uint_eq(length, expected_length);
    ck_assert_mem_eq(bytes, expected, expected_length);
}

static void set_v4(struct sockaddr_storage *storage, const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    ck_assert_int_eq(inet_pton(AF_INET, host, &address.sin_addr), 1);
    memcpy(storage, &address, sizeof address);
}

static void set_v6(struct sockaddr_storage *storage, const char *host, uint16_t port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = 3};

    ck_assert_int_eq(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    memcpy(storage, &address, sizeof address);
}

static void set_unix(struct sockaddr_storage *storage, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path));
    memcpy(storage, &address, sizeof address);
}

static void parse(size_t length, struct proxy_parsed *parsed)
{
    (void)proxy_samples_judge(bytes, length, PROXY_ANY, parsed);
    ck_assert_msg(parsed->outcome == PROXY_COMPLETE, "%s", parsed->error.text);
    ck_assert_uint_eq(parsed->length, length);
}

START_TEST(what_was_read_is_written_alike)
{
    const struct proxy_sample *sample = proxy_samples_get(_i);
    struct proxy_parsed parsed;

    (void)proxy_samples_judge(sample->bytes, sample->length, PROXY_ANY, &parsed);
    if (sample->is_plain)
        check_bytes(format(&parsed.header), sample->bytes, sample->length);
}
END_TEST

/* Version 1 has no form for what is neither IPv4 nor IPv6, nor for datagrams. */
START_TEST(what_is_written_is_read_as_the_same)
{
    static const enum proxy_version versions[] = {PROXY_V1, PROXY_V2};
    const struct proxy_sample *sample = proxy_samples_get(_i);
    struct proxy_parsed first, second;

    (void)proxy_samples_judge(sample->bytes, sample->length, PROXY_ANY, &first);
    for (int i = 0; i < 2; i++) {
        const bool is_lost = versions[i] == PROXY_V1 &&
                             (first.header.is_datagram || first.header.source.ss_family == AF_UNIX);

        first.header.version = versions[i];
        parse(format(&first.header), &second);
        ck_assert_int_eq((int)second.header.version, (int)versions[i]);
        ck_assert_int_eq(second.header.has_addresses, first.header.has_addresses && !is_lost);
        if (!second.header.has_addresses)
            continue;
        ck_assert_int_eq(second.header.is_datagram, first.header.is_datagram);
        ck_assert_mem_eq(&second.header.source, &first.header.source, sizeof first.header.source);
        ck_assert_mem_eq(&second.header.destination, &first.header.destination,
                         sizeof first.header.destination);
    }
}
END_TEST

START_TEST(addresses_of_both_kinds_are_written_as_ipv6)
{
    static const char mapped[] = PROXY_V2_SIGNATURE "\x21\x21\0\x24"
                                                    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
                                                    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                                                    "\x13\x89\0\7";
    struct proxy_header header = {.version = PROXY_V1, .has_addresses = true};

    set_v4(&header.source, "192.0.2.1", 5001);
    set_v6(&header.destination, "::1", 7);
    check_bytes(format(&header), PROXY_BYTES("PROXY TCP6 ::ffff:c000:201 ::1 5001 7\r\n"));
    header.version = PROXY_V2;
    check_bytes(format(&header), PROXY_BYTES(mapped));

    header.version = PROXY_V1;
    set_v6(&header.source, "fe80::1", 5001);
    set_v4(&header.destination, "192.0.2.1", 7);
    check_bytes(format(&header), PROXY_BYTES("PROXY TCP6 fe80::1 ::ffff:c000:201 5001 7\r\n"));
    set_v6(&header.source, "::192.0.2.1", 1);
    set_v6(&header.destination, "::ffff:0.1.0.0", 2);
    check_bytes(format(&header), PROXY_BYTES("PROXY TCP6 ::c000:201 ::ffff:1:0 1 2\r\n"));
}
END_TEST

START_TEST(without_addresses_the_header_says_so)
{
    struct proxy_header header = {.version = PROXY_V1};

    set_v4(&header.source, "192.0.2.1", 5001); /* not told: has_addresses is false */
    set_v4(&header.destination, "192.0.2.2", 7);
    check_bytes(format(&header), PROXY_BYTES("PROXY UNKNOWN\r\n"));
    header.version = PROXY_V2;
    check_bytes(format(&header), PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"));
    header.is_datagram = true;
    check_bytes(format(&header), PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"));
}
END_TEST

START_TEST(addresses_that_no_header_can_tell_are_left_out)
{
    struct proxy_header header = {.version = PROXY_V1, .has_addresses = true};

    set_unix(&header.source, "/run/client");
    set_v4(&header.destination, "192.0.2.2", 7);
    check_bytes(format(&header), PROXY_BYTES("PROXY UNKNOWN\r\n"));
    header.version = PROXY_V2;
    check_bytes(format(&header), PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"));
    header.source.ss_family = header.destination.ss_family = AF_UNSPEC;
    check_bytes(format(&header), PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"));
    set_v6(&header.source, "::1", 5001);
    set_unix(&header.destination, "/run/echod");
    check_bytes(format(&header), PROXY_BYTES(PROXY_V2_SIGNATURE "\x20\0\0\0"));
}
END_TEST

START_TEST(version_1_tells_no_datagrams)
{
    struct proxy_header header = {.version = PROXY_V1, .has_addresses = true, .is_datagram = true};

    set_v4(&header.source, "192.0.2.1", 5001);
    set_v4(&header.destination, "192.0.2.2", 7);
    check_bytes(format(&header), PROXY_BYTES("PROXY UNKNOWN\r\n"));
}
END_TEST

/* A path may fill all of its place, without a NUL (unix(7)). */
START_TEST(the_longest_path_has_its_room)
{
    struct sockaddr_un source = {.sun_family = AF_UNIX};
    struct proxy_header header = {.version = PROXY_V2, .has_addresses = true};
    struct proxy_parsed parsed;

    memset(source.sun_path, 'p', sizeof source.sun_path);
    memcpy(&header.source, &source, sizeof source);
    set_unix(&header.destination, "/run/server");
    ck_assert_uint_eq(format(&header), PROXY_FORMAT_SIZE);
    parse(PROXY_FORMAT_SIZE, &parsed);
    ck_assert(memcmp(&parsed.header.source, &source, sizeof source) == 0);
}
END_TEST

static Suite *proxy_format_suite(void)
{
    Suite *suite = suite_create("proxy_format");
    TCase *core = support_case(suite, "core");
    const int count = proxy_samples_count();

    tcase_add_loop_test(core, what_was_read_is_written_alike, 0, count);
    tcase_add_loop_test(core, what_is_written_is_read_as_the_same, 0, count);
    tcase_add_test(core, addresses_of_both_kinds_are_written_as_ipv6);
    tcase_add_test(core, without_addresses_the_header_says_so);
    tcase_add_test(core, addresses_that_no_header_can_tell_are_left_out);
    tcase_add_test(core, version_1_tells_no_datagrams);
    tcase_add_test(core, the_longest_path_has_its_room);
    return suite;
}

int main(void)
{
    return support_run_together(proxy_format_suite());
}
