/*
 * check_network: networks in text, there and back, and which addresses are in them.
 * Opens no socket.
 * Run by make check.
 */
#include <config.h>

#include "base/network.h"

#include "support.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const struct {
    const char *text, *formatted;
    unsigned prefix_length;
} right[] = {
    {"10.0.0.0/8", "10.0.0.0/8", 104},
    {"0.0.0.0/0", "0.0.0.0/0", 96},
    {"127.0.0.1", "127.0.0.1", 128},
    {"127.0.0.1/32", "127.0.0.1", 128},
    {"192.0.2.128/25", "192.0.2.128/25", 121},
    {"255.255.255.254/31", "255.255.255.254/31", 127},
    {"128.0.0.0/1", "128.0.0.0/1", 97},
    {"::/0", "::/0", 0},
    {"::1", "::1", 128},
    {"::1/128", "::1", 128},
    {"2001:db8::/32", "2001:db8::/32", 32},
    {"2001:DB8:0:0::/33", "2001:db8::/33", 33},
    {"fe80::/10", "fe80::/10", 10},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
     127},
    {"::ffff:10.0.0.0/104", "10.0.0.0/8", 104},
    {"::ffff:0:0/96", "0.0.0.0/0", 96},
    {"::ffff:127.0.0.1", "127.0.0.1", 128},
};

START_TEST(a_network_is_read_and_written)
{
    char text[NETWORK_TEXT_SIZE];
    struct network network, again;
    struct error error = {""};

    memset(&network, 0x5a, sizeof network);
    ck_assert_msg(network_parse(right[_i].text, &network, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(network.prefix_length, right[_i].prefix_length);
    network_format(&network, text);
    ck_assert_str_eq(text, right[_i].formatted);
    ck_assert_int_eq(network_parse(text, &again, &error), 0);
    ck_assert_mem_eq(&again, &network, sizeof network);
}
END_TEST

#define NO_NETWORK "is no network; write for example 10.0.0.0/8"
#define NO_BITS_V4 "no number of bits from 0 to 32 behind its slash; write for example 10.0.0.0/8"
#define NO_BITS_V6 "no number of bits from 0 to 128 behind its slash; write for example 2001:db8::"

static const struct {
    const char *text, *words;
} wrong[] = {
    {"", NO_NETWORK},
    {"/", NO_NETWORK},
    {"/8", NO_NETWORK},
    {"localhost", NO_NETWORK},
    {"10/8", NO_NETWORK},
    {"10.0.0/8", NO_NETWORK},
    {"10.0.0.0.0/8", NO_NETWORK},
    {"010.0.0.0/8", NO_NETWORK},
    {"256.0.0.0/8", NO_NETWORK},
    {" 10.0.0.0/8", NO_NETWORK},
    {"10.0.0.0 /8", NO_NETWORK},
    {"[::1]", NO_NETWORK},
    {"[::]/0", NO_NETWORK},
    {"::1::/8", NO_NETWORK},
    {"fe80::1%lo", NO_NETWORK},
    {"2001:db8:/32", NO_NETWORK},
    {"1111:1111:1111:1111:1111:1111:111.111.111.1111", NO_NETWORK},
    {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NO_NETWORK},
    {"unix:///run/echod.sock", NO_NETWORK},
    {"10.0.0.0/", NO_BITS_V4},
    {"10.0.0.0/33", NO_BITS_V4},
    {"10.0.0.0/-1", NO_BITS_V4},
    {"10.0.0.0/ 8", NO_BITS_V4},
    {"10.0.0.0/8/", NO_BITS_V4},
    {"10.0.0.0/8 ", NO_BITS_V4},
    {"10.0.0.0/255.0.0.0", NO_BITS_V4},
    {"10.0.0.0/18446744073709551624", NO_BITS_V4},
    {"::/", NO_BITS_V6},
    {"::/129", NO_BITS_V6},
    {"::/256", NO_BITS_V6},
    {"10.1.2.3/8", "write 10.0.0.0/8 for the network, or 10.1.2.3 for the address"},
    {"10.0.0.1/31", "write 10.0.0.0/31 for the network, or 10.0.0.1 for the address"},
    {"127.0.0.1/0", "write 0.0.0.0/0 for the network, or 127.0.0.1 for the address"},
    {"2001:db8::1/64", "write 2001:db8::/64 for the network, or 2001:db8::1 for the address"},
    {"::1/0", "write ::/0 for the network, or ::1 for the address"},
    {"::ffff:10.0.0.0/95", "write ::fffe:0:0/95 for the network, or 10.0.0.0 for the address"},
};

START_TEST(a_wrong_network_is_refused_with_what_would_be_right)
{
    struct network network;
    struct error error = {""};

    ck_assert_int_eq(network_parse(wrong[_i].text, &network, &error), -1);
    ck_assert_msg(strstr(error.text, wrong[_i].words) != NULL, "%s", error.text);
    ck_assert_ptr_nonnull(strstr(error.text, wrong[_i].text));
}
END_TEST

static bool contains(const char *network_text, const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(7)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_scope_id = 1, .sin6_flowinfo = 9};
    struct network network;
    struct error error = {""};

    ck_assert_msg(network_parse(network_text, &network, &error) == 0, "%s", error.text);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return network_contains(&network, (const struct sockaddr *)&v4);
    ck_assert_int_eq(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
    return network_contains(&network, (const struct sockaddr *)&v6);
}

static const struct {
    const char *network, *inside[4], *outside[6];
} members[] = {
    {"10.0.0.0/8",
     {"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"},
     {"9.255.255.255", "11.0.0.0", "::10.1.2.3", "a00::", "::ffff:11.0.0.0"}},
    {"0.0.0.0/0",
     {"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"},
     {"::", "::1", "::1.2.3.4", "2001:db8::1", "::fffe:1.2.3.4"}},
    {"::/0", {"::", "::1", "ffff::", "::1.2.3.4"}, {"0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1"}},
    {"127.0.0.1", {"127.0.0.1", "::ffff:127.0.0.1"}, {"127.0.0.0", "127.0.0.2", "::1"}},
    {"192.0.2.128/25", {"192.0.2.128", "192.0.2.255"}, {"192.0.2.127", "192.0.3.128", "192.0.2.0"}},
    {"192.0.2.254/31", {"192.0.2.254", "192.0.2.255"}, {"192.0.2.253", "192.0.3.0"}},
    {"::1", {"::1"}, {"::", "::2", "0.0.0.1", "127.0.0.1"}},
    {"2001:db8::/33",
     {"2001:db8::1", "2001:db8:7fff:ffff::"},
     {"2001:db8:8000::", "2001:db7:ffff::", "2001:db9::"}},
    {"fe80::/10", {"fe80::1", "febf::1"}, {"fec0::1", "fe7f::1"}},
    {"::ffff:10.0.0.0/104", {"10.1.2.3", "::ffff:10.1.2.3"}, {"11.1.2.3", "::10.1.2.3"}},
    {"::fffe:0:0/95", {"::fffe:1.2.3.4"}, {"1.2.3.4", "::ffff:1.2.3.4"}},
};

START_TEST(a_network_contains_its_own_addresses)
{
    for (int i = 0; i < COUNT_OF(members[_i].inside) && members[_i].inside[i] != NULL; i++)
        ck_assert_msg(contains(members[_i].network, members[_i].inside[i]), "%s has no %s",
                      members[_i].network, members[_i].inside[i]);
    for (int i = 0; i < COUNT_OF(members[_i].outside) && members[_i].outside[i] != NULL; i++)
        ck_assert_msg(!contains(members[_i].network, members[_i].outside[i]), "%s has %s",
                      members[_i].network, members[_i].outside[i]);
}
END_TEST

/* Of an address the first bits count, and each of them. */
START_TEST(each_bit_of_the_prefix_counts)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    struct network network;
    struct error error = {""};
    char text[NETWORK_TEXT_SIZE];

    for (unsigned length = 0; length <= 128; length++) {
        (void)snprintf(text, sizeof text, "::/%u", length);
        ck_assert_int_eq(network_parse(text, &network, &error), 0);
        for (unsigned bit = 0; bit < 128; bit++) {
            memset(&address.sin6_addr, 0, sizeof address.sin6_addr);
            address.sin6_addr.s6_addr[bit / 8] = (unsigned char)(0x80 >> bit % 8);
            ck_assert_int_eq(network_contains(&network, (const struct sockaddr *)&address),
                             bit >= length);
        }
    }
}
END_TEST

START_TEST(other_families_are_in_no_network)
{
    static const char *const all[] = {"0.0.0.0/0", "::/0"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct network network;
    struct error error = {""};

    for (int i = 0; i < COUNT_OF(all); i++) {
        ck_assert_int_eq(network_parse(all[i], &network, &error), 0);
        ck_assert(!network_contains(&network, (const struct sockaddr *)&address));
        ck_assert(!network_contains(&network, &none));
    }
}
END_TEST

START_TEST(a_list_has_the_addresses_of_each_of_its_networks)
{
    struct network_list list = {.count = 2};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct error error = {""};

    ck_assert_int_eq(network_parse("192.0.2.0/24", &list.items[0], &error), 0);
    ck_assert_int_eq(network_parse("10.0.0.0/8", &list.items[1], &error), 0);
    ck_assert_int_eq(inet_pton(AF_INET, "10.1.2.3", &address.sin_addr), 1);
    ck_assert(network_list_contains(&list, (const struct sockaddr *)&address));
    list.count = 1;
    ck_assert(!network_list_contains(&list, (const struct sockaddr *)&address));
}
END_TEST

static Suite *network_suite(void)
{
    Suite *suite = suite_create("network");
    TCase *text = support_case(suite, "text");
    TCase *addresses = support_case(suite, "addresses");

    tcase_add_loop_test(text, a_network_is_read_and_written, 0, COUNT_OF(right));
    tcase_add_loop_test(text, a_wrong_network_is_refused_with_what_would_be_right, 0,
                        COUNT_OF(wrong));
    tcase_add_loop_test(addresses, a_network_contains_its_own_addresses, 0, COUNT_OF(members));
    tcase_add_test(addresses, each_bit_of_the_prefix_counts);
    tcase_add_test(addresses, a_list_has_the_addresses_of_each_of_its_networks);
    tcase_add_test(addresses, other_families_are_in_no_network);
    return suite;
}

int main(void)
{
    return support_run_together(network_suite());
}
