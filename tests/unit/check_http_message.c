/*
 * check_http_message: requests as they are written, and heads of answers, whole, cut and wrong.
 * Opens no connection; test_echoctl_answers does.
 * Run by make check.
 */
#include <config.h>

#include "echoctl/http_message.h"

#include "support.h"

#include <string.h>

static enum http_head_state read_head(const char *text, struct http_head *head)
{
    return http_message_read_head(text, strlen(text), head);
}

START_TEST(a_request_has_all_that_it_needs)
{
    char text[HTTP_REQUEST_SIZE], target[HTTP_REQUEST_SIZE];
    const size_t length = http_message_write("PUT", "/log-level?a=b", "localhost", "debug", text);

    ck_assert_str_eq(text, "PUT /log-level?a=b HTTP/1.0\r\nHost: localhost\r\n"
                           "Connection: close\r\nContent-Length: 5\r\n\r\ndebug");
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_uint_gt(http_message_write("GET", "/", "[::1]:7", NULL, text), 0);
    ck_assert_ptr_nonnull(strstr(text, "\r\nHost: [::1]:7\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "\r\nContent-Length: 0\r\n\r\n"));
    memset(target, 'a', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    ck_assert_uint_eq(http_message_write("GET", target, "a", NULL, text), 0);
}
END_TEST

START_TEST(a_head_is_read_once_it_is_whole)
{
    static const char answer[] = "HTTP/1.1 404 Not Found\r\nServer: a\r\ncontent-LENGTH:\t 12 \r\n"
                                 "X: y\r\n\r\nbody";
    const size_t size = strlen(answer) - strlen("body");
    struct http_head head;

    for (size_t count = 0; count < size; count++)
        ck_assert_int_eq(http_message_read_head(answer, count, &head), HTTP_HEAD_PARTIAL);
    for (size_t count = size; count <= strlen(answer); count++) {
        ck_assert_int_eq(http_message_read_head(answer, count, &head), HTTP_HEAD_WHOLE);
        ck_assert_uint_eq(head.size, size);
    }
    ck_assert_uint_eq(head.status, 404);
    ck_assert(head.has_body_length);
    ck_assert_uint_eq(head.body_length, 12);
}
END_TEST

START_TEST(a_head_may_have_no_length_and_no_carriage_return)
{
    struct http_head head;

    ck_assert_int_eq(read_head("HTTP/1.0 200\n\n", &head), HTTP_HEAD_WHOLE);
    ck_assert(!head.has_body_length);
    ck_assert_int_eq(
        read_head("HTTP/1.0 200 \nContent-Lengthy: 5\nContent-Lengte: 5\nContent-Length: 7\n"
                  "Content-Length: 7\n\n",
                  &head),
        HTTP_HEAD_WHOLE);
    ck_assert_uint_eq(head.body_length, 7);
}
END_TEST

START_TEST(what_is_no_head_is_told_at_once)
{
    static const char *const wrong[] = {
        "G",
        "HTTP/2",
        "HTTP/1.x",
        "HTTP/1.0 20x",
        "HTTP/1.0 2\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 600 a\r\n\r\n",
        "HTTP/1.1 200 a\r\nTransfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 a\r\nContent-Length: 1x\r\n",
        "HTTP/1.1 200 a\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 a\r\nContent-Length:\r\n",
        "HTTP/1.1 200 a\r\nContent-Length: 99999999999999999999\r\n",
        "HTTP/1.1 200 a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    };
    struct http_head head;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(read_head(wrong[i], &head) == HTTP_HEAD_WRONG, "taken: %s", wrong[i]);
}
END_TEST

/* Put a text over others, without its NUL. */
static void put(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
}

START_TEST(a_head_is_not_longer_than_any_need_be)
{
    char text[HTTP_HEAD_SIZE + 3];
    struct http_head head;

    memset(text, 'a', sizeof text);
    put(text, "HTTP/1.0 200\n");
    ck_assert_int_eq(http_message_read_head(text, HTTP_HEAD_SIZE - 1, &head), HTTP_HEAD_PARTIAL);
    ck_assert_int_eq(http_message_read_head(text, HTTP_HEAD_SIZE, &head), HTTP_HEAD_WRONG);
    put(text + HTTP_HEAD_SIZE - 2, "\n\n");
    ck_assert_int_eq(http_message_read_head(text, HTTP_HEAD_SIZE, &head), HTTP_HEAD_WHOLE);
    put(text + HTTP_HEAD_SIZE - 2, "a\n\n");
    ck_assert_int_eq(http_message_read_head(text, HTTP_HEAD_SIZE + 1, &head), HTTP_HEAD_WRONG);
}
END_TEST

static Suite *http_message_suite(void)
{
    Suite *suite = suite_create("http_message");
    TCase *message = support_case(suite, "message");

    tcase_add_test(message, a_request_has_all_that_it_needs);
    tcase_add_test(message, a_head_is_read_once_it_is_whole);
    tcase_add_test(message, a_head_may_have_no_length_and_no_carriage_return);
    tcase_add_test(message, what_is_no_head_is_told_at_once);
    tcase_add_test(message, a_head_is_not_longer_than_any_need_be);
    return suite;
}

int main(void)
{
    return support_run(http_message_suite());
}
