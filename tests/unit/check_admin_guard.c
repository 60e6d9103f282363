/*
 * check_admin_guard: whose requests are answered: by the Host that they name, the page that they
 * come from, and the socket that they came by.
 * Requests and answers are stand-ins; check_http_server and test_admin.py have real ones.
 * Run by make check.
 */
#include <config.h>

#include "echod/admin_answer.h"
#include "echod/admin_guard.h"

#include "support.h"

#include <stdarg.h>
#include <string.h>

struct http_request {
    const char *host, *origin; /* NULL: it has none */
    bool is_local;
    unsigned status; /* of its answer, or 0 */
    char error[512];
};

/* --- Stand-ins ------------------------------------------------------------------------------- */

const char *http_request_header(const struct http_request *request, const char *name)
{
    if (strcmp(name, "Host") == 0)
        return request->host;
    ck_assert_str_eq(name, "Origin");
    return request->origin;
}

void http_request_peer(const struct http_request *request, struct http_peer *peer)
{
    *peer = (struct http_peer){.is_local = request->is_local};
}

void admin_answer_error(struct http_request *request, unsigned status, const char *format, ...)
{
    va_list arguments;

    ck_assert_uint_eq(request->status, 0); /* once */
    request->status = status;
    va_start(arguments, format);
    (void)vsnprintf(request->error, sizeof request->error, format, arguments);
    va_end(arguments);
}

/* --- Host ------------------------------------------------------------------------------------ */

START_TEST(addresses_and_names_of_ours_are_let_in)
{
    static const char *const headers[] = {
        "127.0.0.1",    "127.0.0.1:9265", "192.0.2.7:80",   "[::1]",       "[::1]:9265",
        "[2001:db8::]", "localhost",      "LocalHost:9265", "echo.lan:80", "ECHO.lan",
    };

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        ck_assert_msg(admin_guard_is_host_ours(headers[i], "echo.lan"), "%s", headers[i]);
}
END_TEST

/* A name that an attacker's name server lets stand for our address is what this is for. */
START_TEST(other_names_are_not)
{
    static const char *const headers[] = {
        "",
        ":9265",
        "[",
        "[]:9265",
        "evil.example",
        "evil.example:9265",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "echo.lan.evil.example",
        "notlocalhost",
        "echo",
        "[evil.example]:80",
        "evil.example@127.0.0.1",
        "0x7f000001",
        "127.1",
    };

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        ck_assert_msg(!admin_guard_is_host_ours(headers[i], "echo.lan"), "%s", headers[i]);
}
END_TEST

START_TEST(an_address_without_a_host_has_no_name)
{
    ck_assert(!admin_guard_is_host_ours("", ""));
    ck_assert(!admin_guard_is_host_ours(":80", ""));
    ck_assert(admin_guard_is_host_ours("localhost", ""));
}
END_TEST

START_TEST(a_name_too_long_is_none_of_ours)
{
    char header[1024];

    memset(header, 'a', sizeof header);
    header[sizeof header - 1] = '\0';
    ck_assert(!admin_guard_is_host_ours(header, header));
    header[255] = '\0';
    ck_assert(admin_guard_is_host_ours(header, header));
}
END_TEST

/* --- Origin ---------------------------------------------------------------------------------- */

START_TEST(a_page_may_ask_where_it_came_from)
{
    ck_assert(admin_guard_is_origin_ours("http://localhost:9265", "localhost:9265"));
    ck_assert(admin_guard_is_origin_ours("http://LOCALHOST:9265", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("http://localhost:9266", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("http://localhost", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("https://localhost:9265", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("localhost:9265", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("http://localhost:9265/", "localhost:9265"));
    ck_assert(!admin_guard_is_origin_ours("null", "null"));
    ck_assert(!admin_guard_is_origin_ours("", ""));
    ck_assert(!admin_guard_is_origin_ours("http://localhost:9265", NULL));
}
END_TEST

/* --- Requests -------------------------------------------------------------------------------- */

static bool passes(struct http_request request)
{
    const bool passed = admin_guard_check(&request, "echo.lan");

    ck_assert_uint_eq(request.status, passed ? 0 : 403);
    ck_assert(passed == (request.error[0] == '\0'));
    return passed;
}

START_TEST(a_request_needs_a_host_of_ours_and_no_page_of_others)
{
    ck_assert(passes((struct http_request){.host = "localhost"}));
    ck_assert(passes((struct http_request){.host = NULL})); /* HTTP/1.0 */
    ck_assert(passes((struct http_request){.host = "[::1]:80", .origin = "http://[::1]:80"}));
    ck_assert(!passes((struct http_request){.host = "evil.example"}));
    ck_assert(!passes((struct http_request){.host = ""}));
    ck_assert(!passes((struct http_request){.host = "localhost", .origin = "null"}));
    ck_assert(!passes((struct http_request){.host = "localhost", .origin = ""}));
    ck_assert(!passes((struct http_request){.host = NULL, .origin = "http://localhost"}));
    /* A name that was made to stand for our address has a page of the same name. */
    ck_assert(
        !passes((struct http_request){.host = "evil.example", .origin = "http://evil.example"}));
}
END_TEST

START_TEST(at_a_unix_socket_any_name_without_a_dot_will_do)
{
    ck_assert(passes((struct http_request){.host = "echod", .is_local = true}));
    ck_assert(passes((struct http_request){.host = "", .is_local = true}));
    ck_assert(!passes((struct http_request){.host = "echod"}));
    ck_assert(!passes((struct http_request){.host = "evil.example", .is_local = true}));
    ck_assert(
        !passes((struct http_request){.host = "echod", .origin = "http://a", .is_local = true}));
}
END_TEST

START_TEST(who_is_refused_hears_what_was_wrong)
{
    struct http_request named = {.host = "evil.example"};
    struct http_request led = {.host = "localhost", .origin = "http://evil.example"};

    ck_assert(!admin_guard_check(&named, ""));
    support_assert_matches(named.error, "^\"evil\\.example\" is no name of this host; ");
    ck_assert(!admin_guard_check(&led, ""));
    ck_assert_str_eq(led.error, "A page of http://evil.example may not ask here.");
}
END_TEST

START_TEST(who_comes_by_a_unix_socket_may_act)
{
    ck_assert(admin_guard_may_act(&(struct http_request){.is_local = true}));
    ck_assert(!admin_guard_may_act(&(struct http_request){.host = "localhost"}));
}
END_TEST

static Suite *admin_guard_suite(void)
{
    Suite *suite = suite_create("admin_guard");
    TCase *host = support_case(suite, "host");
    TCase *request = support_case(suite, "request");

    tcase_add_test(host, addresses_and_names_of_ours_are_let_in);
    tcase_add_test(host, other_names_are_not);
    tcase_add_test(host, an_address_without_a_host_has_no_name);
    tcase_add_test(host, a_name_too_long_is_none_of_ours);
    tcase_add_test(request, a_page_may_ask_where_it_came_from);
    tcase_add_test(request, a_request_needs_a_host_of_ours_and_no_page_of_others);
    tcase_add_test(request, at_a_unix_socket_any_name_without_a_dot_will_do);
    tcase_add_test(request, who_is_refused_hears_what_was_wrong);
    tcase_add_test(request, who_comes_by_a_unix_socket_may_act);
    return suite;
}

int main(void)
{
    return support_run(admin_guard_suite());
}
