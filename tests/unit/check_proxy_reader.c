/*
 * check_proxy_reader: the header is taken from its socket, whatever pieces it comes in, and no byte
 * more. Tests nothing of what a header says; check_proxy_header does. Run by make check.
 */
#include <config.h>

#include "echod/proxy_reader.h"

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_SIZE = 28, REST_SIZE = PROXY_HEADER_MAX_SIZE - HEADER_SIZE };

static int fds[2];
static struct proxy_reader reader;
static struct proxy_header header;
static struct error error;

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    reader = (struct proxy_reader){0};
}

static void teardown(void)
{
    proxy_reader_fini(&reader);
    ck_assert_ptr_null(reader.bytes);
    close(fds[0]);
    close(fds[1]);
}

static void put(const void *bytes, size_t length)
{
    ck_assert_int_eq((int)send(fds[1], bytes, length, 0), (int)length);
}

static enum proxy_reading read_header(void)
{
    return proxy_reader_read(&reader, fds[0], PROXY_ANY, &header, &error);
}

START_TEST(a_short_header_takes_little_memory_and_no_byte_more)
{
    static const char text[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nx";
    char rest[2];

    put(text, 10);
    ck_assert_int_eq(read_header(), PROXY_READING_INCOMPLETE);
    ck_assert_int_eq(read_header(), PROXY_READING_INCOMPLETE); /* there was nothing */
    put(text + 10, strlen(text) - 10);
    ck_assert_int_eq(read_header(), PROXY_READING_DONE);
    ck_assert_uint_eq(reader.size, PROXY_READER_LEAST_SIZE);
    ck_assert_int_eq((int)recv(fds[0], rest, sizeof rest, 0), 1);
    ck_assert_int_eq(rest[0], 'x');
}
END_TEST

/* Make a header of version 2 with one long extension that means nothing (2.2.7: PP2_TYPE_NOOP). */
static unsigned char *make_long(void)
{
    static const unsigned char begin[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11";
    unsigned char *bytes = calloc(1, HEADER_SIZE + REST_SIZE);
    const size_t length = HEADER_SIZE - 16 + REST_SIZE;

    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, begin, sizeof begin - 1);
    bytes[14] = (unsigned char)(length >> 8);
    bytes[15] = (unsigned char)length;
    bytes[HEADER_SIZE] = 4;
    bytes[HEADER_SIZE + 1] = (unsigned char)((REST_SIZE - 3) >> 8);
    bytes[HEADER_SIZE + 2] = (unsigned char)(REST_SIZE - 3);
    return bytes;
}

START_TEST(memory_grows_with_a_header_up_to_the_longest)
{
    unsigned char *bytes = make_long();

    put(bytes, 300);
    ck_assert_int_eq(read_header(), PROXY_READING_INCOMPLETE);
    ck_assert_uint_eq(reader.size, 2 * PROXY_READER_LEAST_SIZE);
    put(bytes + 300, HEADER_SIZE + REST_SIZE - 300);
    ck_assert_int_eq(read_header(), PROXY_READING_DONE);
    ck_assert_uint_eq(reader.length, HEADER_SIZE + REST_SIZE);
    ck_assert_uint_eq(reader.size, PROXY_HEADER_MAX_SIZE);
    free(bytes);
}
END_TEST

START_TEST(what_is_no_header_is_told)
{
    put("GET /", 5);
    ck_assert_int_eq(read_header(), PROXY_READING_INVALID);
    ck_assert_str_eq(error.text, "the first bytes are no PROXY header of version 1 or 2");
}
END_TEST

START_TEST(an_end_and_an_error_are_told_apart)
{
    ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
    ck_assert_int_eq(read_header(), PROXY_READING_ENDED);
    close(fds[0]);
    fds[0] = support_open_file();
    ck_assert_int_eq(read_header(), PROXY_READING_FAILED);
    ck_assert_int_eq(errno, ENOTSOCK);
}
END_TEST

static Suite *proxy_reader_suite(void)
{
    Suite *suite = suite_create("proxy_reader");
    TCase *header_case = support_case(suite, "header");

    tcase_add_checked_fixture(header_case, setup, teardown);
    tcase_add_test(header_case, a_short_header_takes_little_memory_and_no_byte_more);
    tcase_add_test(header_case, memory_grows_with_a_header_up_to_the_longest);
    tcase_add_test(header_case, what_is_no_header_is_told);
    tcase_add_test(header_case, an_end_and_an_error_are_told_apart);
    return suite;
}

int main(void)
{
    return support_run(proxy_reader_suite());
}
