/*
 * check_http_server: what the owner of a server sees of a request, what a client sees of an answer
 * that is given at once, later or never, and the bounds of what a client can take.
 * How HTTP itself is spoken is libmicrohttpd's, and tried from outside in tests/system.
 * Run by make check.
 */
#include <config.h>

#include "base/http_server.h"

#include "base/clock.h"
#include "base/descriptor.h"

#include "support.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 3, PATIENCE_MS = 5000, ANSWER_SIZE = 4096 };

static const struct http_limits patient = {
    .max_connections = MAX_CONNECTIONS,
    .max_header_bytes = 2048,
    .max_body_bytes = 100,
    .request_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
};

/* A server, and what its owner was asked last. */
struct fixture {
    struct http_server *server;
    int listen_fd;
    struct sockaddr_in address;
    bool answers_later;
    struct http_request *waiting;
    struct http_peer peer;
    unsigned asked;
    char seen[500];
};

static void on_request(struct http_request *request, void *owner)
{
    static const char *const known[] = {"a", "b", NULL};
    struct fixture *fixture = owner;
    const char *a = http_request_query(request, "a"), *other, *host;
    size_t size;

    fixture->asked++;
    http_request_peer(request, &fixture->peer);
    other = http_request_unknown_query(request, known);
    host = http_request_header(request, "hOST");
    (void)snprintf(fixture->seen, sizeof fixture->seen, "%s %s a=%s other=%s host=%s body=%s",
                   http_request_method(request), http_request_path(request), a == NULL ? "none" : a,
                   other == NULL ? "none" : other, host == NULL ? "none" : host,
                   http_request_body(request, &size));
    if (fixture->answers_later) {
        fixture->waiting = request;
        return;
    }
    http_request_add_header(request, "X-Extra", "extra");
    http_answer_text(request, 200, "text/plain", "hello\n");
}

static void start_at(struct fixture *fixture, int listen_fd, const struct http_limits *limits)
{
    *fixture = (struct fixture){.listen_fd = listen_fd};
    ck_assert_int_eq(descriptor_prepare(listen_fd), 0);
    ck_assert_int_eq(listen(listen_fd, 10), 0);
    fixture->server = http_server_new(listen_fd, limits, on_request, fixture);
    ck_assert_ptr_nonnull(fixture->server);
}

static void start(struct fixture *fixture, const struct http_limits *limits)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    start_at(fixture, fd, limits);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&fixture->address, &length), 0);
}

static void stop(struct fixture *fixture)
{
    http_server_free(fixture->server);
    (void)close(fixture->listen_fd);
}

/* Wait for the server's descriptor or time-out, and run it. */
static void turn(const struct fixture *fixture)
{
    struct pollfd polled = {.fd = http_server_fd(fixture->server), .events = POLLIN};
    const int timeout_ms = http_server_timeout_ms(fixture->server);

    (void)poll(&polled, 1, timeout_ms < 0 || timeout_ms > 20 ? 20 : timeout_ms);
    http_server_run(fixture->server);
}

static int connect_client(const struct fixture *fixture)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    (void)connect(fd, (const struct sockaddr *)&fixture->address, sizeof fixture->address);
    for (int i = 0; i < 5; i++)
        turn(fixture);
    return fd;
}

static void send_text(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Return the descriptor of a client that has sent a request. */
static int ask(const struct fixture *fixture, const char *text)
{
    const int fd = connect_client(fixture);

    send_text(fd, text);
    return fd;
}

/*
 * Receive until `end` has come or the connection ends. Return what came, which is "reset" if that
 * is how it ended.
 */
static const char *receive(const struct fixture *fixture, int fd, const char *end)
{
    static char answer[ANSWER_SIZE + 1];
    const uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    size_t length = 0;

    answer[0] = '\0';
    while (strstr(answer, end) == NULL && length < ANSWER_SIZE) {
        const ssize_t count = recv(fd, answer + length, ANSWER_SIZE - length, MSG_DONTWAIT);

        ck_assert_msg(clock_now_ms() < deadline_ms, "nothing came behind: %s", answer);
        if (count == 0)
            break;
        if (count < 0 && errno != EAGAIN)
            return "reset";
        length += count < 0 ? 0 : (size_t)count;
        answer[length] = '\0';
        turn(fixture);
    }
    return answer;
}

/* Check what a client is answered first. */
static void check_answer(const struct fixture *fixture, int fd, const char *begin, const char *end)
{
    const char *answer = receive(fixture, fd, end);

    ck_assert_msg(strncmp(answer, begin, strlen(begin)) == 0, "not %s: %s", begin, answer);
    ck_assert_msg(strstr(answer, end) != NULL, "no %s: %s", end, answer);
}

/* Check that a connection ends without a byte, in whatever way. */
static void check_ended(const struct fixture *fixture, int fd)
{
    const char *answer = receive(fixture, fd, "\n");

    ck_assert_msg(answer[0] == '\0' || strcmp(answer, "reset") == 0, "it got %s", answer);
}

static void wait_for_request(const struct fixture *fixture, unsigned number)
{
    const uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;

    while (fixture->asked < number) {
        ck_assert_msg(clock_now_ms() < deadline_ms, "no request came");
        turn(fixture);
    }
}

/* --- Requests and answers -------------------------------------------------------------------- */

START_TEST(a_request_is_answered_at_once)
{
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, "GET /p%61th?b=x&a=1%2c2 HTTP/1.1\r\nHost: h:1\r\n\r\n");
    check_answer(&fixture, fd, "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n");
    ck_assert_str_eq(fixture.seen, "GET /path a=1,2 other=none host=h:1 body=");
    send_text(fd, "PUT /?c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    check_answer(&fixture, fd, "HTTP/1.1 200 OK\r\n", "\r\n\r\nhello\n");
    ck_assert_str_eq(fixture.seen, "PUT / a=none other=c host=h body=body");
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(a_parameter_without_a_value_is_empty)
{
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, "GET /?a HTTP/1.1\r\nHost: h\r\n\r\n");
    check_answer(&fixture, fd, "HTTP/1.1 200 OK\r\n", "hello\n");
    ck_assert_str_eq(fixture.seen, "GET / a= other=none host=h body=");
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(who_asks_while_the_server_ends_is_not_answered)
{
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); /* which the server has not read */
    stop(&fixture);
    ck_assert_uint_eq(fixture.asked, 0);
    ck_assert_int_le(recv(fd, fixture.seen, 1, 0), 0);
    (void)close(fd);
}
END_TEST

START_TEST(an_answer_has_the_headers_that_it_was_given_and_those_of_all)
{
    static const char *const headers[] = {
        "\r\nContent-Type: text/plain\r\n", "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nCache-Control: no-store\r\n", "\r\nX-Extra: extra\r\n"};
    struct fixture fixture;
    const char *answer;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    answer = receive(&fixture, fd, "nobody says this");
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        ck_assert_msg(strstr(answer, headers[i]) != NULL, "%s is not in %s", headers[i], answer);
    ck_assert_ptr_null(strstr(answer, "hello"));
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(a_request_may_be_answered_later)
{
    struct fixture fixture;
    int fd, other_fd;

    start(&fixture, &patient);
    fixture.answers_later = true;
    fd = ask(&fixture, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 1);
    fixture.answers_later = false;
    other_fd = ask(&fixture, "GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n");
    check_answer(&fixture, other_fd, "HTTP/1.1 200 OK\r\n", "hello\n");
    http_answer_text(fixture.waiting, 503, "text/plain", "late\n");
    check_answer(&fixture, fd, "HTTP/1.1 503 ", "\r\n\r\nlate\n");
    (void)close(fd);
    (void)close(other_fd);
    stop(&fixture);
}
END_TEST

START_TEST(an_answer_comes_too_late_for_a_client_or_a_server_that_is_gone)
{
    struct http_limits limits = patient;
    struct fixture fixture;
    struct http_request *first;
    int fd;

    limits.request_timeout_ms = 200;
    start(&fixture, &limits);
    fixture.answers_later = true;
    fd = ask(&fixture, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 1);
    first = fixture.waiting;
    check_ended(&fixture, fd); /* by its deadline */
    (void)close(fd);
    fd = ask(&fixture, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 2);
    http_answer_text(first, 200, "text/plain", "nobody gets this\n");
    stop(&fixture);
    http_answer_text(fixture.waiting, 200, "text/plain", "nor this\n");
    (void)close(fd);
}
END_TEST

START_TEST(a_client_that_said_all_gets_its_answers_and_the_end)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHo", ""};
    struct fixture fixture;

    start(&fixture, &patient);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const int fd = connect_client(&fixture);
        const char *answer;

        send_text(fd, requests[i]);
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        answer = receive(&fixture, fd, "nobody says this");
        ck_assert_uint_eq(support_count(answer, "\r\n\r\nhello\n"), i == 0 ? 2 : 0);
        (void)close(fd);
    }
    stop(&fixture);
}
END_TEST

START_TEST(a_missing_body_ends_the_connection)
{
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fixture.answers_later = true;
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 1);
    http_answer(fixture.waiting, 200, "text/plain", NULL, 1);
    check_ended(&fixture, fd);
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(who_comes_by_a_unix_socket_is_known)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sockaddr_un bound;
    socklen_t length = sizeof bound;
    struct fixture fixture;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    start_at(&fixture, fd, &patient);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&bound, length), 0);
    send_text(fd, "GET / HTTP/1.0\r\n\r\n");
    check_answer(&fixture, fd, "HTTP/1.", "hello\n");
    ck_assert(fixture.peer.is_local);
    ck_assert_uint_eq(fixture.peer.uid, geteuid());
    ck_assert_int_eq(fixture.peer.pid, getpid());
    (void)close(fd);
    stop(&fixture);
}
END_TEST

/* --- Bounds ---------------------------------------------------------------------------------- */

static const struct {
    const char *request, *answer;
} refused[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "HTTP/1.1 400 "},
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
    {"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
    {"GET /?a=%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505 "},
    {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", "HTTP/1.1 505 "},
    {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 "},
    {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n",
     "HTTP/1.1 413 "},
    {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     "HTTP/1.1 400 "},
    {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
     "HTTP/1.1 411 "},
    {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n",
     "HTTP/1.1 413 "},
};

START_TEST(what_no_client_should_ask_is_refused_and_the_connection_ends)
{
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, refused[_i].request);
    check_answer(&fixture, fd, refused[_i].answer, "\r\n\r\n");
    (void)receive(&fixture, fd, "nobody says this");
    ck_assert_uint_eq(fixture.asked, 0);
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(headers_have_a_bound)
{
    char line[5000];
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    memset(line, 'x', sizeof line);
    (void)send(fd, line, sizeof line, MSG_NOSIGNAL);
    (void)receive(&fixture, fd, "nobody says this");
    ck_assert_uint_eq(fixture.asked, 0);
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(a_client_that_says_nothing_gives_way_to_one_that_asks)
{
    struct fixture fixture;
    int fds[MAX_CONNECTIONS], fd;

    start(&fixture, &patient);
    for (int i = 0; i < MAX_CONNECTIONS; i++) {
        fds[i] = connect_client(&fixture);
        (void)usleep(20000); /* so that the coarse clock tells them apart */
    }
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    check_answer(&fixture, fd, "HTTP/1.1 200 OK\r\n", "hello\n");
    check_ended(&fixture, fds[0]);
    for (int i = 1; i < MAX_CONNECTIONS; i++) {
        send_text(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        check_answer(&fixture, fds[i], "HTTP/1.1 200 OK\r\n", "hello\n");
    }
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        (void)close(fds[i]);
    (void)close(fd);
    stop(&fixture);
}
END_TEST

START_TEST(a_client_waits_while_all_others_are_being_answered)
{
    struct http_request *requests[MAX_CONNECTIONS];
    struct fixture fixture;
    int fds[MAX_CONNECTIONS + 1];

    start(&fixture, &patient);
    fixture.answers_later = true;
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
        fds[i] = ask(&fixture, "GET / HTTP/1.0\r\n\r\n");
        wait_for_request(&fixture, i + 1);
        requests[i] = fixture.waiting;
    }
    fds[MAX_CONNECTIONS] = ask(&fixture, "GET / HTTP/1.0\r\n\r\n");
    for (int i = 0; i < 20; i++)
        turn(&fixture);
    ck_assert_uint_eq(fixture.asked, MAX_CONNECTIONS);
    fixture.answers_later = false;
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
        http_answer_text(requests[i], 200, "text/plain", "hello\n");
    for (unsigned i = 0; i <= MAX_CONNECTIONS; i++) {
        check_answer(&fixture, fds[i], "HTTP/1.", "hello\n");
        (void)close(fds[i]);
    }
    stop(&fixture);
}
END_TEST

/* Send a byte now and then until the connection ends. */
static void drip(const struct fixture *fixture, int fd)
{
    const uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    char byte;

    while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        ck_assert_msg(clock_now_ms() < deadline_ms, "it lives on");
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        turn(fixture);
        (void)usleep(10000);
    }
}

/* Begin with this, which may be too late already where the machine is slow. */
static void drip_behind(const struct fixture *fixture, const char *text)
{
    const int fd = connect_client(fixture);

    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    drip(fixture, fd);
    (void)close(fd);
}

START_TEST(a_client_that_drips_meets_its_deadline)
{
    struct http_limits limits = patient;
    struct fixture fixture;

    limits.request_timeout_ms = 200;
    start(&fixture, &limits);
    drip_behind(&fixture, "GET /");
    drip_behind(&fixture, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    drip_behind(&fixture, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\n");
    ck_assert_uint_eq(fixture.asked, 0);
    stop(&fixture);
}
END_TEST

START_TEST(a_kept_connection_that_drips_or_says_nothing_meets_the_idle_timeout)
{
    struct http_limits limits = patient;
    struct fixture fixture;
    int fd;

    limits.idle_timeout_ms = 200;
    start(&fixture, &limits);
    for (int i = 0; i < 2; i++) {
        fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        check_answer(&fixture, fd, "HTTP/1.1 200 OK\r\n", "hello\n");
        if (i == 0)
            check_ended(&fixture, fd);
        else
            drip(&fixture, fd);
        (void)close(fd);
    }
    stop(&fixture);
}
END_TEST

START_TEST(a_client_that_never_reads_meets_its_deadline)
{
    enum { HUGE = 64 << 20 };
    struct http_limits limits = patient;
    const uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    struct fixture fixture;
    int fd;

    limits.request_timeout_ms = 200;
    start(&fixture, &limits);
    fixture.answers_later = true;
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 1);
    http_answer(fixture.waiting, 200, "text/plain", calloc(1, HUGE), HUGE);
    while (http_server_timeout_ms(fixture.server) != -1) { /* while there is a connection */
        ck_assert_msg(clock_now_ms() < deadline_ms, "it lives on");
        turn(&fixture);
    }
    (void)close(fd);
    stop(&fixture);
}
END_TEST

/* Return how much of what the server has sent was not read by now. */
static size_t count_unread(int fd)
{
    char bytes[65536];
    size_t unread = 0;
    ssize_t count;

    while ((count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        unread += (size_t)count;
    return unread;
}

START_TEST(what_a_client_does_not_read_is_little)
{
    enum { HUGE = 64 << 20, LITTLE = 1 << 20, TURNS = 100 };
    struct fixture fixture;
    int fd;

    start(&fixture, &patient);
    fixture.answers_later = true;
    fd = ask(&fixture, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_request(&fixture, 1);
    http_answer(fixture.waiting, 200, "text/plain", calloc(1, HUGE), HUGE);
    for (int i = 0; i < TURNS; i++)
        turn(&fixture);
    ck_assert_uint_le(count_unread(fd), LITTLE);
    (void)close(fd);
    stop(&fixture);
}
END_TEST

static Suite *http_server_suite(void)
{
    Suite *suite = suite_create("http_server");
    TCase *requests = support_case(suite, "requests");
    TCase *bounds = support_case(suite, "bounds");

    tcase_add_test(requests, a_request_is_answered_at_once);
    tcase_add_test(requests, a_parameter_without_a_value_is_empty);
    tcase_add_test(requests, who_asks_while_the_server_ends_is_not_answered);
    tcase_add_test(requests, an_answer_has_the_headers_that_it_was_given_and_those_of_all);
    tcase_add_test(requests, a_request_may_be_answered_later);
    tcase_add_test(requests, an_answer_comes_too_late_for_a_client_or_a_server_that_is_gone);
    tcase_add_test(requests, a_client_that_said_all_gets_its_answers_and_the_end);
    tcase_add_test(requests, a_missing_body_ends_the_connection);
    tcase_add_test(requests, who_comes_by_a_unix_socket_is_known);
    tcase_add_loop_test(bounds, what_no_client_should_ask_is_refused_and_the_connection_ends, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(bounds, headers_have_a_bound);
    tcase_add_test(bounds, a_client_that_says_nothing_gives_way_to_one_that_asks);
    tcase_add_test(bounds, a_client_waits_while_all_others_are_being_answered);
    tcase_add_test(bounds, a_client_that_drips_meets_its_deadline);
    tcase_add_test(bounds, a_kept_connection_that_drips_or_says_nothing_meets_the_idle_timeout);
    tcase_add_test(bounds, a_client_that_never_reads_meets_its_deadline);
    tcase_add_test(bounds, what_a_client_does_not_read_is_little);
    return suite;
}

int main(void)
{
    return support_run(http_server_suite());
}
