/*
 * check_socket_plan: what --bind and --tos take, and what they say to the rest.
 * What reaches a packet is for the system tests.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/socket_plan.h"

#include "support.h"

#include <string.h>

static void check_tos(const char *text, int expected)
{
    struct socket_tos tos = {.is_set = false};
    struct error error = {""};

    if (expected < 0) {
        ck_assert_msg(socket_plan_parse_tos(text, &tos, &error) < 0, "%s", text);
        ck_assert_ptr_nonnull(strstr(error.text, "a number from 0 to 255"));
        return;
    }
    ck_assert_msg(socket_plan_parse_tos(text, &tos, &error) == 0, "%s", text);
    ck_assert(tos.is_set);
    ck_assert_int_eq(tos.value, expected);
}

START_TEST(a_type_of_service_is_a_number_or_a_name)
{
    static const char *const wrong[] = {"",
                                        "256",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "0x100",
                                        "0x",
                                        "ef ",
                                        "EF1",
                                        "08",
                                        "1k",
                                        "1.0",
                                        "18446744073709551616"};

    check_tos("0", 0);
    check_tos("255", 255);
    check_tos("0xb8", 0xb8);
    check_tos("010", 8);
    check_tos("cs0", 0);
    check_tos("cs7", 56 << 2);
    check_tos("af11", 10 << 2);
    check_tos("af43", 38 << 2);
    check_tos("ef", 46 << 2);
    check_tos("le", 1 << 2);
    check_tos("voice-admit", 44 << 2);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        check_tos(wrong[i], -1);
}
END_TEST

static int family_of(const char *text)
{
    struct socket_plan plan = {.ttl = 0};
    struct error error = {""};

    if (socket_plan_parse_source(text, &plan.source, &error) < 0) {
        ck_assert_ptr_nonnull(strstr(error.text, "a numeric address or an interface"));
        return -1;
    }
    ck_assert(socket_plan_is_set(&plan));
    ck_assert_str_eq(plan.source.text, text);
    return socket_plan_family(&plan);
}

START_TEST(a_source_is_an_address_or_an_interface)
{
    char longest[SOCKET_SOURCE_SIZE + 1];

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(family_of("192.0.2.1"), AF_INET);
    ck_assert_int_eq(family_of("2001:db8::1"), AF_INET6);
    ck_assert_int_eq(family_of("::ffff:192.0.2.1"), AF_INET6);
    ck_assert_int_eq(family_of("eth0"), AF_UNSPEC);
    ck_assert_int_eq(family_of("br-0123456789ab"), AF_UNSPEC);
    ck_assert_int_eq(family_of(""), -1);
    ck_assert_int_eq(family_of("br-0123456789abc"), -1);
    ck_assert_int_eq(family_of("[::1]"), -1);
    ck_assert_int_eq(family_of("192.0.2.1:7"), -1);
    ck_assert_int_eq(family_of("a b"), -1);
    ck_assert_int_eq(family_of(longest), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socket_plan");
    TCase *test_case = support_case(suite, "socket_plan");

    tcase_add_test(test_case, a_type_of_service_is_a_number_or_a_name);
    tcase_add_test(test_case, a_source_is_an_address_or_an_interface);
    return support_run(suite);
}
