/*
 * check_preface: what may be asked for, and whom the header of a connection names: TCP and Unix
 * sockets, given sources of either family, nobody.
 * Leaves the forms of a header to check_proxy_header, and their way to check_stream.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/preface.h"

#include "support.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum { PATH_SIZE = 108, HEAD_SIZE = 16 }; /* of version 2, as the specification has it (2.2) */

static struct preface_plan plan;
static struct preface preface;
static int fds[2];

static void set_up(void)
{
    memset(&plan, 0, sizeof plan);
    fds[0] = fds[1] = -1;
}

static void tear_down(void)
{
    support_close(&fds[0]);
    support_close(&fds[1]);
}

/* --- What is asked for. ---------------------------------------------------------------------- */

START_TEST(versions_have_their_names)
{
    struct error error = {""};
    enum proxy_version version = 0;

    ck_assert_int_eq(preface_parse_version("v1", &version, &error), 0);
    ck_assert_int_eq((int)version, PROXY_V1);
    ck_assert_int_eq(preface_parse_version("v2", &version, &error), 0);
    ck_assert_int_eq((int)version, PROXY_V2);
}
END_TEST

static const char *const wrong_versions[] = {"", "1", "v3", "V1", "any", "v1 "};

START_TEST(another_version_is_refused)
{
    struct error error = {""};
    enum proxy_version version = 0;

    ck_assert_int_lt(preface_parse_version(wrong_versions[_i], &version, &error), 0);
    ck_assert_str_eq(error.text, "v1 or v2");
}
END_TEST

static const char *const sources[] = {
    "192.0.2.1:5678",
    "192.0.2.1",
    "[2001:db8::1]:5678",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "[::]:1",
    "local",
    "255.255.255.255:65535",
    "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
};

START_TEST(a_source_is_a_numeric_address_or_local)
{
    struct preface_source source;
    struct error error = {""};

    ck_assert_int_eq(preface_parse_source(sources[_i], &source, &error), 0);
    ck_assert_str_eq(source.text, sources[_i]);
    ck_assert_int_eq((int)source.kind,
                     strcmp(sources[_i], "local") == 0 ? PREFACE_LOCAL : PREFACE_GIVEN);
}
END_TEST

static const char *const wrong_sources[] = {
    "",
    "localhost:7",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "192.0.2:7",
    "192.0.2.256:7",
    "[192.0.2.1]:7",
    "2001:db8::1:zz",
    "[fe80::1]:",
    "fe80::1%lo",
    "unix:///run/x",
    "tcp://192.0.2.1:7",
    "udp://a",
    "192.0.2.1:00000000000000000000000000000000000000000000000000000000007",
    "Local",
    "192.0.2.1:5678 ",
};

START_TEST(another_source_is_refused)
{
    struct preface_source source;
    struct error error = {""};

    ck_assert_int_lt(preface_parse_source(wrong_sources[_i], &source, &error), 0);
    ck_assert_ptr_nonnull(strstr(error.text, "192.0.2.1:5678"));
}
END_TEST

/* --- Whom it names. -------------------------------------------------------------------------- */

/* Write the preface of the pair's first socket, with a source unless it is NULL. */
static void make(enum proxy_version version, const char *source)
{
    struct error error = {""};

    plan.version = version;
    if (source != NULL)
        ck_assert_int_eq(preface_parse_source(source, &plan.source, &error), 0);
    ck_assert_int_eq(preface_write(&plan, fds[0], &preface), 0);
}

/* Check that it is this line, printf-style. */
static void check_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void check_line(const char *format, ...)
{
    char expected[128];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    ck_assert_uint_eq(preface.length, strlen(expected));
    ck_assert_mem_eq(preface.bytes, expected, preface.length);
}

/* Check the head of version 2: command, family and transport, and how many bytes follow. */
static void check_head(unsigned command, unsigned family, unsigned length)
{
    const unsigned char head[] = {0x0d,
                                  0x0a,
                                  0x0d,
                                  0x0a,
                                  0x00,
                                  0x0d,
                                  0x0a,
                                  0x51,
                                  0x55,
                                  0x49,
                                  0x54,
                                  0x0a,
                                  (unsigned char)(0x20 | command),
                                  (unsigned char)family,
                                  0,
                                  (unsigned char)length};

    ck_assert_uint_eq(preface.length, HEAD_SIZE + length);
    ck_assert_mem_eq(preface.bytes, head, HEAD_SIZE);
}

static unsigned port_of(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;

    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

START_TEST(a_connection_names_its_ends)
{
    support_tcp_pair(fds);
    make(PROXY_V1, NULL);
    check_line("PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n", port_of(fds[0]), port_of(fds[1]));
    make(PROXY_V2, NULL);
    check_head(1, 0x11, 12);
    ck_assert_mem_eq(preface.bytes + HEAD_SIZE, "\x7f\0\0\x01\x7f\0\0\x01", 8);
    ck_assert_uint_eq(preface.bytes[24] * 256U + preface.bytes[25], port_of(fds[0]));
    ck_assert_uint_eq(preface.bytes[26] * 256U + preface.bytes[27], port_of(fds[1]));
}
END_TEST

START_TEST(a_source_that_is_given_stands_in_place_of_this_end)
{
    support_tcp_pair(fds);
    make(PROXY_V1, "192.0.2.1:5678");
    check_line("PROXY TCP4 192.0.2.1 127.0.0.1 5678 %u\r\n", port_of(fds[1]));
    make(PROXY_V1, "192.0.2.1");
    check_line("PROXY TCP4 192.0.2.1 127.0.0.1 %u %u\r\n", port_of(fds[0]), port_of(fds[1]));
}
END_TEST

START_TEST(two_families_become_ipv6)
{
    static const unsigned char ends[] = {0x20, 1, 0x0d, 0xb8, 0,    0,    0,    0, 0, 0, 0,
                                         0,    0, 0,    0,    1,    0,    0,    0, 0, 0, 0,
                                         0,    0, 0,    0,    0xff, 0xff, 0x7f, 0, 0, 1};

    support_tcp_pair(fds);
    make(PROXY_V2, "[2001:db8::1]:5678");
    check_head(1, 0x21, 36);
    ck_assert_mem_eq(preface.bytes + HEAD_SIZE, ends, sizeof ends);
    make(PROXY_V1, "[2001:db8::1]:5678");
    check_line("PROXY TCP6 2001:db8::1 ::ffff:7f00:1 5678 %u\r\n", port_of(fds[1]));
}
END_TEST

START_TEST(nobody_is_named_if_that_is_asked_for)
{
    support_tcp_pair(fds);
    make(PROXY_V1, "local");
    check_line("PROXY UNKNOWN\r\n");
    make(PROXY_V2, "local");
    check_head(0, 0, 0);
}
END_TEST

/* Make a pair of which the second socket has a path or an abstract name. */
static void make_unix_pair(const char *name, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    int listening_fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, name, length);
    fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listening_fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listening_fd, 1), 0);
    ck_assert_int_eq(connect(fds[0], (const struct sockaddr *)&address, size), 0);
    support_close(&listening_fd);
}

START_TEST(version_2_has_the_names_of_unix_sockets)
{
    static const char name[] = "\0echoprobe check_preface";
    unsigned char paths[2 * PATH_SIZE] = "";

    make_unix_pair(name, sizeof name - 1);
    memcpy(paths + PATH_SIZE, name, sizeof name - 1);
    make(PROXY_V2, NULL);
    check_head(1, 0x31, 2 * PATH_SIZE);
    ck_assert_mem_eq(preface.bytes + HEAD_SIZE, paths, sizeof paths);
}
END_TEST

START_TEST(version_1_does_not_know_unix_sockets)
{
    support_unix_pair(fds);
    make(PROXY_V1, NULL);
    check_line("PROXY UNKNOWN\r\n");
}
END_TEST

START_TEST(where_a_client_of_a_unix_socket_connected_to_nobody_knows)
{
    support_unix_pair(fds);
    make(PROXY_V1, "192.0.2.1:5678");
    check_line("PROXY TCP4 192.0.2.1 0.0.0.0 5678 0\r\n");
    make(PROXY_V1, "2001:db8::1");
    check_line("PROXY TCP6 2001:db8::1 :: 0 0\r\n");
}
END_TEST

START_TEST(a_socket_that_is_not_connected_has_none)
{
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    plan.version = PROXY_V1;
    ck_assert_int_lt(preface_write(&plan, fds[0], &preface), 0);
}
END_TEST

/* --- What came back. ------------------------------------------------------------------------- */

START_TEST(bytes_match_as_far_as_it_goes)
{
    const unsigned char *line = preface.bytes;

    support_unix_pair(fds);
    make(PROXY_V1, NULL); /* 15 bytes */
    ck_assert(preface_matches(&preface, 0, line, 15));
    ck_assert(preface_matches(&preface, 0, line, 1));
    ck_assert(preface_matches(&preface, 14, line + 14, 1));
    ck_assert(preface_matches(&preface, 6, (const unsigned char *)"UNKNOWN\r\nand more", 17));
    ck_assert(!preface_matches(&preface, 1, line, 1));
    ck_assert(!preface_matches(&preface, 0, (const unsigned char *)"PROXY TCP4", 10));
    ck_assert(!preface_matches(&preface, 15, line, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preface");
    TCase *plans = support_case(suite, "plans");
    TCase *names = support_case(suite, "names");

    tcase_add_checked_fixture(plans, set_up, tear_down);
    tcase_add_test(plans, versions_have_their_names);
    tcase_add_loop_test(plans, another_version_is_refused, 0, COUNT_OF(wrong_versions));
    tcase_add_loop_test(plans, a_source_is_a_numeric_address_or_local, 0, COUNT_OF(sources));
    tcase_add_loop_test(plans, another_source_is_refused, 0, COUNT_OF(wrong_sources));
    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_test(names, a_connection_names_its_ends);
    tcase_add_test(names, a_source_that_is_given_stands_in_place_of_this_end);
    tcase_add_test(names, two_families_become_ipv6);
    tcase_add_test(names, nobody_is_named_if_that_is_asked_for);
    tcase_add_test(names, version_2_has_the_names_of_unix_sockets);
    tcase_add_test(names, version_1_does_not_know_unix_sockets);
    tcase_add_test(names, where_a_client_of_a_unix_socket_connected_to_nobody_knows);
    tcase_add_test(names, a_socket_that_is_not_connected_has_none);
    tcase_add_test(names, bytes_match_as_far_as_it_goes);
    return support_run(suite);
}
