/*
 * check_kept: under which names sockets are kept, and which of them an address takes.
 * Asks no service manager: tests/system/test_fdstore.py does.
 * Run by make check.
 */
#include <config.h>

#include "echod/kept.h"

#include "support.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct listen_list list;

static void setup(void)
{
    listen_list_init(&list);
}

static void teardown(void)
{
    listen_list_free(&list);
}

/* Add an address to the list, and return the name of what is kept for it. */
static const char *name_of(const char *text)
{
    static struct kept kept;
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    struct error error = {""};

    ck_assert_msg(listen_list_add(text, &origin, &list, &error) == 0, "%s", error.text);
    kept = kept_for(NULL, &list, list.count - 1);
    return kept.name;
}

START_TEST(a_name_has_no_colon)
{
    support_assert_matches(name_of("tcp://127.0.0.1:7"),
                           "^echod,tcp%3A//127\\.0\\.0\\.1%3A7,0,[0-9A-F]{8},0\\.0$");
    support_assert_matches(name_of("udp://[::1]:7"), "^echod,udp%3A//\\[%3A%3A1\\]%3A7,0,");
    support_assert_matches(name_of("unix:///a b/50%\n\xc3\xa4"),
                           "^echod,unix%3A///a%20b/50%25%0A%C3%A4,0,");
}
END_TEST

START_TEST(what_is_bound_otherwise_has_another_name)
{
    char plain[KEPT_NAME_SIZE];

    (void)strcpy(plain, name_of("tcp://[::]:7"));
    ck_assert_str_ne(name_of("tcp://[::]:7"), plain); /* the second of its kind */
    listen_list_free(&list);
    ck_assert_str_ne(name_of("tcp://[::]:7,v6only=on"), plain);
    listen_list_free(&list);
    ck_assert_str_ne(name_of("tcp://[::]:7,device=lo"), plain);
    listen_list_free(&list);
    ck_assert_str_eq(name_of("tcp://[::]:7,idle-timeout=1h,name=public"), plain);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_none)
{
    char text[300] = "tcp://";

    memset(text + strlen(text), 'a', 250);
    (void)strcat(text, ":7");
    ck_assert_str_eq(name_of(text), "");
}
END_TEST

/* Bind a socket to the loopback address and a port that the system chooses. */
static int bind_somewhere(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)address, length), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

START_TEST(a_socket_is_taken_once_and_by_its_address)
{
    struct sockaddr_in address, other;
    struct kept kept = {.name = "echod,x"};
    struct passed_socket sockets[] = {
        {.fd = bind_somewhere(&address), .name = "unit"},
        {.fd = bind_somewhere(&address), .name = kept.name, .is_kept = true},
    };
    const struct passed passed = {.sockets = sockets, .count = 2};

    kept.passed = &passed;
    other = address;
    other.sin_port = htons((uint16_t)(ntohs(address.sin_port) ^ 1));
    ck_assert(!kept_has(&kept, (struct sockaddr *)&other, sizeof other));
    other.sin_port = 0; /* any */
    ck_assert(kept_has(&kept, (struct sockaddr *)&other, sizeof other));
    other.sin_addr.s_addr = htonl(INADDR_ANY);
    ck_assert_int_eq(kept_take(&kept, (struct sockaddr *)&other, sizeof other), -1);
    ck_assert_int_eq(kept_take(&kept, (struct sockaddr *)&address, sizeof address), sockets[1].fd);
    ck_assert(sockets[1].is_taken);
    ck_assert_int_eq(kept_take(&kept, (struct sockaddr *)&address, sizeof address), -1);
    support_close(&sockets[0].fd);
    support_close(&sockets[1].fd);
}
END_TEST

/* "localhost" may be addresses of both, all kept under one name. */
START_TEST(a_socket_is_not_taken_by_an_address_of_another_family)
{
    struct sockaddr_in address;
    const struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct kept kept = {.name = "echod,x"};
    struct passed_socket socket = {
        .fd = bind_somewhere(&address), .name = kept.name, .is_kept = true};
    const struct passed passed = {.sockets = &socket, .count = 1};

    kept.passed = &passed;
    ck_assert(!kept_has(&kept, (const struct sockaddr *)&other, sizeof other));
    ck_assert_int_eq(kept_take(&kept, (const struct sockaddr *)&other, sizeof other), -1);
    ck_assert(!socket.is_taken);
    support_close(&socket.fd);
}
END_TEST

static Suite *kept_suite(void)
{
    Suite *suite = suite_create("kept");
    TCase *names = support_case(suite, "names");

    tcase_add_checked_fixture(names, setup, teardown);
    tcase_add_test(names, a_name_has_no_colon);
    tcase_add_test(names, what_is_bound_otherwise_has_another_name);
    tcase_add_test(names, a_name_that_is_too_long_is_none);
    tcase_add_test(names, a_socket_is_taken_once_and_by_its_address);
    tcase_add_test(names, a_socket_is_not_taken_by_an_address_of_another_family);
    return suite;
}

int main(void)
{
    return support_run(kept_suite());
}
