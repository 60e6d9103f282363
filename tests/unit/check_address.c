/*
 * check_address: addresses in text, there and back, and the names of peers.
 * Resolves no name and opens nothing; check_sockets does.
 * Run by make check.
 */
#include <config.h>

#include "base/address.h"

#include "support.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Parse into memory that holds something else, so that a member which is not set shows. */
static int parse(const char *text, struct address *address, struct error *error)
{
    memset(address, 0x5a, sizeof *address);
    memset(error, 0, sizeof *error);
    return address_parse(text, address, error);
}

static void check_equal(const struct address *left, const struct address *right)
{
    ck_assert_int_eq((int)left->scheme, (int)right->scheme);
    ck_assert_int_eq(left->is_tls, right->is_tls);
    switch (left->scheme) {
    case ADDRESS_TCP:
    case ADDRESS_UDP:
        ck_assert_str_eq(left->host, right->host);
        ck_assert_uint_eq(left->port, right->port);
        break;
    case ADDRESS_UNIX:
        ck_assert_str_eq(left->path, right->path);
        break;
    case ADDRESS_FD:
        ck_assert_int_eq(left->fd, right->fd);
        break;
    case ADDRESS_SYSTEMD:
        ck_assert_str_eq(left->name, right->name);
        break;
    case ADDRESS_STDIO:
        break;
    }
}

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"
#define NAME_253                                                                                   \
    LABEL_63 "." LABEL_63 "." LABEL_63 "."                                                         \
             "a234567890123456789012345678901234567890123456789012345678901"

static const struct {
    const char *text;
    struct address address;
    const char *formatted; /* NULL: the text itself */
} good[] = {
    {"tcp://127.0.0.1:13265", {.scheme = ADDRESS_TCP, .host = "127.0.0.1", .port = 13265}, NULL},
    {"127.0.0.1:7", {.scheme = ADDRESS_TCP, .host = "127.0.0.1", .port = 7}, "tcp://127.0.0.1:7"},
    {"tcp://0.0.0.0:0", {.scheme = ADDRESS_TCP, .host = "0.0.0.0", .port = 0}, NULL},
    {"tcp://localhost:65535", {.scheme = ADDRESS_TCP, .host = "localhost", .port = 65535}, NULL},
    {"echo.example.org:7",
     {.scheme = ADDRESS_TCP, .host = "echo.example.org", .port = 7},
     "tcp://echo.example.org:7"},
    {"udp://127.0.0.1:7", {.scheme = ADDRESS_UDP, .host = "127.0.0.1", .port = 7}, NULL},
    {"udp://[fe80::1%eth0]:0", {.scheme = ADDRESS_UDP, .host = "fe80::1%eth0"}, NULL},
    {"stdio:7", {.scheme = ADDRESS_TCP, .host = "stdio", .port = 7}, "tcp://stdio:7"},
    {"tcp:7", {.scheme = ADDRESS_TCP, .host = "tcp", .port = 7}, "tcp://tcp:7"},
    {"tcp://[::1]:7", {.scheme = ADDRESS_TCP, .host = "::1", .port = 7}, NULL},
    {"[::]:13265", {.scheme = ADDRESS_TCP, .host = "::", .port = 13265}, "tcp://[::]:13265"},
    {"tcp://[fe80::1%eth0]:7", {.scheme = ADDRESS_TCP, .host = "fe80::1%eth0", .port = 7}, NULL},
    {"tcp://[2001:db8::192.0.2.1]:80",
     {.scheme = ADDRESS_TCP, .host = "2001:db8::192.0.2.1", .port = 80},
     NULL},
    {"tcp://" NAME_253 ":65535", {.scheme = ADDRESS_TCP, .host = NAME_253, .port = 65535}, NULL},
    {"unix:///run/echod.sock", {.scheme = ADDRESS_UNIX, .path = "/run/echod.sock"}, NULL},
    {"unix:///a", {.scheme = ADDRESS_UNIX, .path = "/a"}, NULL},
    {"unix:///tmp/with space:7", {.scheme = ADDRESS_UNIX, .path = "/tmp/with space:7"}, NULL},
    {"unix:///tmp/a%2cb%25%2C",
     {.scheme = ADDRESS_UNIX, .path = "/tmp/a,b%,"},
     "unix:///tmp/a%2Cb%%2C"},
    {"unix:///100%", {.scheme = ADDRESS_UNIX, .path = "/100%"}, NULL},
    {"unix:///%252C", {.scheme = ADDRESS_UNIX, .path = "/%2C"}, NULL},
    {"unix://@echod", {.scheme = ADDRESS_UNIX, .path = "@echod"}, NULL},
    {"unix:///tmp/a://b", {.scheme = ADDRESS_UNIX, .path = "/tmp/a://b"}, NULL},
    {"fd://0", {.scheme = ADDRESS_FD, .fd = 0}, NULL},
    {"fd://3", {.scheme = ADDRESS_FD, .fd = 3}, NULL},
    {"fd://2147483647", {.scheme = ADDRESS_FD, .fd = INT32_MAX}, NULL},
    {"systemd://", {.scheme = ADDRESS_SYSTEMD}, NULL},
    {"systemd://echod.socket", {.scheme = ADDRESS_SYSTEMD, .name = "echod.socket"}, NULL},
    {"stdio:", {.scheme = ADDRESS_STDIO}, NULL},
    {"tls://[::1]:7", {.scheme = ADDRESS_TCP, .is_tls = true, .host = "::1", .port = 7}, NULL},
    {"unix:///a%2525", {.scheme = ADDRESS_UNIX, .path = "/a%25"}, NULL},
    {"tls+unix:///a", {.scheme = ADDRESS_UNIX, .is_tls = true, .path = "/a"}, NULL},
    {"tls+fd://0", {.scheme = ADDRESS_FD, .is_tls = true, .fd = 0}, NULL},
    {"tls+systemd://a", {.scheme = ADDRESS_SYSTEMD, .is_tls = true, .name = "a"}, NULL},
};

START_TEST(a_right_address_is_read)
{
    struct address address;
    struct error error;

    ck_assert_msg(parse(good[_i].text, &address, &error) == 0, "\"%s\" was refused: %s",
                  good[_i].text, error.text);
    check_equal(&address, &good[_i].address);
}
END_TEST

/* What is read is written so that it is read again as the same: of texts made by chance, too. */
START_TEST(what_is_read_can_be_written_and_read_again)
{
    static const char *const pieces[] = {
        "tcp://", "udp://", "unix://", "/",   "fd://", "systemd://", "[",
        "]",      ":",      "::",      "1",   "7",     "a",          "%",
        "%2C",    ",",      "@",       "%25", "*",     ".",          "127.0.0.1"};
    uint64_t seed = (uint64_t)_i;
    unsigned count = 0;

    for (int round = 0; round < 20000; round++) {
        char text[256] = "", written[ADDRESS_TEXT_SIZE];
        struct address address, again;
        struct error error;

        for (uint64_t n = 1 + support_random(&seed) % 7; n > 0; n--)
            (void)strcat(text, pieces[support_random(&seed) % COUNT_OF(pieces)]);
        if (parse(text, &address, &error) < 0)
            continue;
        count++;
        address_format(&address, written);
        ck_assert_msg(parse(written, &again, &error) == 0, "%s became %s: %s", text, written,
                      error.text);
        ck_assert_msg(address_is_equal(&address, &again), "%s became %s", text, written);
    }
    ck_assert_uint_gt(count, 100);
}
END_TEST

START_TEST(an_address_is_written_with_its_scheme)
{
    char text[ADDRESS_TEXT_SIZE];

    address_format(&good[_i].address, text);
    ck_assert_str_eq(text, good[_i].formatted != NULL ? good[_i].formatted : good[_i].text);
}
END_TEST

static const char *const bad[] = {
    "",
    " ",
    ":",
    "7",
    "localhost",
    "127.0.0.1",
    "localhost:",
    ":7",
    "tcp://",
    "tcp://:7",
    "tcp://[]:7",
    "tcp://localhost",
    "tcp://localhost:",
    "tcp://localhost:65536",
    "tcp://localhost:99999",
    "tcp://localhost:4294967303",
    "tcp://localhost:18446744073709551623",
    "tcp://localhost:99999999999999999999999",
    "tcp://localhost:-1",
    "tcp://localhost:+7",
    "tcp://localhost: 7",
    "tcp://localhost:7 ",
    "tcp://localhost:7x",
    "tcp://localhost:0x7",
    "tcp://localhost:echo",
    "tcp://localhost:7/",
    "tcp://localhost:7:8",
    "tcp://localhost::7",
    "tcp://::1:7",
    "::1:7",
    "::1",
    "[::1]",
    "[::1]7",
    "[::1]:",
    "[::1]x:7",
    "[::1:7",
    "tcp://::1]:7",
    "[[::1]]:7",
    "[[]:7",
    "[localhost]:7",
    "[127.0.0.1]:7",
    "[::1%]:7",
    "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:7",
    "*:7",
    "tcp://*:7",
    "udp://*:7",
    "unix://@",
    "tcp://[::1]",
    "tcp://[::1]:65536",
    "tcp://[::1]:7x",
    "tcp://" NAME_253 "." LABEL_63 ":7",
    "unix:",
    "unix://",
    "unix://run/echod.sock",
    "unix://./echod.sock",
    "fd://",
    "fd://-1",
    "fd://+1",
    "fd:// 1",
    "fd://1 ",
    "fd://x",
    "fd://3x",
    "fd://0x3",
    "fd://2147483648",
    "fd://4294967296",
    "fd://99999999999",
    "fd://99999999999999999999999",
    "systemd:",
    "systemd://a:b",
    "systemd://\xc3\xa9",
    "stdio:x",
    "stdio://x",
    "stdio",
    "http://localhost:80",
    "udp://localhost",
    "tls+tcp://localhost:7",
    "tls+udp://localhost:7",
    "tls://localhost",
    "tls+unix://run",
    "tls+stdio:",
    "://localhost:7",
    "tcp:///localhost:7",
};

START_TEST(a_wrong_address_is_refused_with_a_sentence_that_quotes_it)
{
    char quoted[ADDRESS_TEXT_SIZE + 300];
    struct address address;
    struct error error;

    ck_assert_msg(parse(bad[_i], &address, &error) == -1, "\"%s\" was read", bad[_i]);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", bad[_i]);
    ck_assert_msg(strstr(error.text, quoted) != NULL, "\"%s\" is not quoted: %s", bad[_i],
                  error.text);
    ck_assert_msg(strlen(error.text) > strlen(quoted) + 10, "no sentence: %s", error.text);
    ck_assert_ptr_null(strchr(error.text, '\n'));
}
END_TEST

/* Write unix:// and a path of so many bytes. */
static void write_path(char *text, size_t length)
{
    (void)sprintf(text, "unix:///");
    memset(text + strlen(text), 'p', length - 1);
    text[strlen("unix://") + length] = '\0';
}

START_TEST(only_an_address_that_is_written_alike_is_equal)
{
    struct error error;
    struct address address, other;

    ck_assert_int_eq(parse(good[_i].text, &address, &error), 0);
    for (int i = 0; i < COUNT_OF(good); i++) {
        char text[ADDRESS_TEXT_SIZE], other_text[ADDRESS_TEXT_SIZE];

        ck_assert_int_eq(parse(good[i].text, &other, &error), 0);
        address_format(&address, text);
        address_format(&other, other_text);
        ck_assert_int_eq(address_is_equal(&address, &other), strcmp(text, other_text) == 0);
    }
}
END_TEST

START_TEST(the_longest_path_is_one_byte_shorter_than_a_socket_address_has_room)
{
    char text[sizeof "unix://" + ADDRESS_PATH_SIZE], formatted[ADDRESS_TEXT_SIZE];
    struct address address;
    struct error error;

    write_path(text, ADDRESS_PATH_SIZE - 1);
    ck_assert_int_eq(parse(text, &address, &error), 0);
    ck_assert_str_eq(address.path, text + strlen("unix://"));
    address_format(&address, formatted);
    ck_assert_str_eq(formatted, text);
    write_path(text, ADDRESS_PATH_SIZE);
    ck_assert_int_eq(parse(text, &address, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, text));
}
END_TEST

START_TEST(a_host_has_a_longest_length_too)
{
    char text[ADDRESS_HOST_SIZE + 10];
    struct address address;
    struct error error;

    memset(text, 'h', sizeof text);
    (void)strcpy(text + ADDRESS_HOST_SIZE - 1, ":7");
    ck_assert_int_eq(parse(text, &address, &error), 0);
    ck_assert_uint_eq(strlen(address.host), ADDRESS_HOST_SIZE - 1);
    ck_assert_uint_eq(address.port, 7);
    memset(text, 'h', sizeof text);
    (void)strcpy(text + ADDRESS_HOST_SIZE, ":7");
    ck_assert_int_eq(parse(text, &address, &error), -1);
}
END_TEST

/* A mistake, and what its sentence says would be right. */
static const struct {
    const char *text, *advice;
} mistakes[] = {
    {"http://localhost:80", "unix://"}, {"nothing", "tcp://"},
    {"2001:db8::1", "brackets"},        {"localhost:", "65535"},
    {"localhost:65536", "65535"},       {"unix://run/socket", "unix:///"},
    {"fd://stdin", "fd://0"},           {"tcp://:7", "0.0.0.0"},
    {"systemd://a\x7f", "ASCII"},
};

START_TEST(a_sentence_says_what_would_be_right)
{
    struct address address;
    struct error error;

    ck_assert_int_eq(parse(mistakes[_i].text, &address, &error), -1);
    ck_assert_msg(strstr(error.text, mistakes[_i].advice) != NULL, "no \"%s\" in: %s",
                  mistakes[_i].advice, error.text);
}
END_TEST

START_TEST(a_text_of_any_length_is_refused_without_harm)
{
    enum { LENGTH = 100000 };
    static const char *const starts[] = {"tcp://",     "tcp://[", "unix:///", "fd://",
                                         "systemd://", "stdio:",  ""};
    char *text = malloc(LENGTH + 16);

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < COUNT_OF(starts); i++) {
        struct address address;
        struct error error;

        (void)strcpy(text, starts[i]);
        memset(text + strlen(starts[i]), '1', LENGTH);
        (void)strcpy(text + strlen(starts[i]) + LENGTH, "]:7");
        ck_assert_int_eq(parse(text, &address, &error), -1);
        ck_assert_uint_lt(strlen(error.text), sizeof error.text);
    }
    free(text);
}
END_TEST

START_TEST(what_is_written_is_read_as_the_same_address)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address address;
    struct error error;

    address_format(&good[_i].address, text);
    ck_assert_msg(parse(text, &address, &error) == 0, "%s", error.text);
    check_equal(&address, &good[_i].address);
}
END_TEST

static void check_socket(const void *socket_address, size_t length, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE];

    memset(text, 0x5a, sizeof text);
    address_format_socket(socket_address, (socklen_t)length, text);
    ck_assert_str_eq(text, expected);
}

START_TEST(an_ipv4_peer_is_shown_with_its_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5001)};

    ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    check_socket(&address, sizeof address, "127.0.0.1:5001");
    ck_assert_int_eq(inet_pton(AF_INET, "255.255.255.255", &address.sin_addr), 1);
    address.sin_port = htons(65535);
    check_socket(&address, sizeof address, "255.255.255.255:65535");
}
END_TEST

static const struct {
    const char *host;
    uint32_t scope;
    const char *text;
} ipv6_peers[] = {
    {"::1", 0, "[::1]:5001"},
    {"fe80::1", UINT32_MAX, "[fe80::1%4294967295]:5001"}, /* there is no such interface */
    {"2001:db8::192.0.2.1", 0, "[2001:db8::c000:201]:5001"},
    {"::ffff:192.0.2.1", 0, "192.0.2.1:5001"},
    {"::1:1:0:ffff:192.0.2.1", 0, "[::1:1:0:ffff:c000:201]:5001"}, /* no IPv4: it only ends alike */
    {"1111:2222:3333:4444:5555:6666:7777:8888", 0,
     "[1111:2222:3333:4444:5555:6666:7777:8888]:5001"},
};

START_TEST(an_ipv6_peer_is_shown_in_brackets_with_its_scope)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(5001), .sin6_scope_id = ipv6_peers[_i].scope};

    ck_assert_int_eq(inet_pton(AF_INET6, ipv6_peers[_i].host, &address.sin6_addr), 1);
    check_socket(&address, sizeof address, ipv6_peers[_i].text);
}
END_TEST

START_TEST(a_scope_is_shown_by_the_name_of_its_interface)
{
    struct if_nameindex *interfaces = if_nameindex();
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(5001)};

    ck_assert_ptr_nonnull(interfaces);
    ck_assert_int_eq(inet_pton(AF_INET6, "fe80::1", &address.sin6_addr), 1);
    for (const struct if_nameindex *interface = interfaces; interface->if_index != 0; interface++) {
        char text[ADDRESS_TEXT_SIZE];

        (void)snprintf(text, sizeof text, "[fe80::1%%%s]:5001", interface->if_name);
        address.sin6_scope_id = interface->if_index;
        check_socket(&address, sizeof address, text);
    }
    if_freenameindex(interfaces);
}
END_TEST

START_TEST(a_unix_peer_is_shown_by_its_path_or_as_unix)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/client.sock"};
    char longest[ADDRESS_PATH_SIZE + 1];

    check_socket(&address, sizeof address, "/run/client.sock");
    check_socket(&address, head + strlen("/run/client.sock") + 1, "/run/client.sock");
    check_socket(&address, head, "unix");
    (void)memcpy(address.sun_path, "\0abstract", sizeof "\0abstract");
    check_socket(&address, head + sizeof "\0abstract" - 1, "@abstract");

    /* The system neither ends such a path with NUL nor looks beyond the length (unix(7)). */
    memset(longest, 'p', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    (void)memcpy(address.sun_path, longest, sizeof address.sun_path);
    check_socket(&address, sizeof address, longest);
    check_socket(&address, head + 2, "/p");
}
END_TEST

START_TEST(another_family_is_unknown)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};

    check_socket(&address, sizeof address, "unknown");
    address.ss_family = AF_NETLINK;
    check_socket(&address, sizeof address, "unknown");
}
END_TEST

START_TEST(an_address_that_is_cut_is_unknown)
{
    struct sockaddr_storage address = {.ss_family = AF_INET};

    check_socket(&address, sizeof(struct sockaddr_in) - 1, "unknown");
    address.ss_family = AF_INET6;
    check_socket(&address, sizeof(struct sockaddr_in) - 1, "unknown");
}
END_TEST

START_TEST(a_path_is_the_address_of_a_socket)
{
    struct address address = {.scheme = ADDRESS_UNIX, .path = "/run/echod"};
    struct sockaddr_un socket_address;

    ck_assert_uint_eq(address_unix_socket(&address, &socket_address), sizeof socket_address);
    ck_assert_str_eq(socket_address.sun_path, "/run/echod");
    address.path[0] = '@';
    check_socket(&socket_address, address_unix_socket(&address, &socket_address), "@run/echod");
}
END_TEST

/* With the address before it, one more than a host has room for. */
#define ZONE_31   "a123456789b123456789c123456789d"
#define LONG_ZONE ZONE_31 ZONE_31 ZONE_31 ZONE_31 ZONE_31 ZONE_31 ZONE_31 ZONE_31

static const struct {
    const char *text;
    const char *formatted; /* NULL: refused */
} targets[] = {
    {"localhost", "tcp://localhost:7"},
    {"localhost:13265", "tcp://localhost:13265"},
    {"tcp://127.0.0.1", "tcp://127.0.0.1:7"},
    {"udp://127.0.0.1", "udp://127.0.0.1:7"},
    {"udp://[::1]:13265", "udp://[::1]:13265"},
    {"::1", "tcp://[::1]:7"},
    {"fe80::1%", NULL},
    {"fe80::1%a]", NULL}, /* what is written would not be read again */
    {"fe80::1%a/b", NULL},
    {"fe80::1%" LONG_ZONE, NULL},
    {"udp://::1", "udp://[::1]:7"},
    {"[::1]", "tcp://[::1]:7"},
    {"[::1]:8", "tcp://[::1]:8"},
    {"unix:///run/echod.sock", "unix:///run/echod.sock"},
    {"", NULL},
    {"localhost:", NULL},
    {"localhost:0", NULL},
    {"localhost:65536", NULL},
    {"[::1]8", NULL},
    {"[::1", NULL},
    {"::1:g", NULL},
    {"fd://0", NULL},
    {"systemd://", NULL},
    {"stdio:", NULL},
    {"http://localhost", NULL},
    {"unix://run", NULL},
};

START_TEST(a_target_is_read_or_refused)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address address;
    struct error error = {""};
    int status = address_parse_target(targets[_i].text, 7, &address, &error);

    if (targets[_i].formatted == NULL) {
        ck_assert_msg(status == -1, "%s was read", targets[_i].text);
        ck_assert_ptr_nonnull(strstr(error.text, targets[_i].text));
        return;
    }
    ck_assert_msg(status == 0, "%s", error.text);
    address_format(&address, text);
    ck_assert_str_eq(text, targets[_i].formatted);
}
END_TEST

/* What would be right for a client: no address of all, and no port that the system chooses. */
static const struct {
    const char *text;
    const char *words;
} target_mistakes[] = {
    {"*:7", "no host; write whom to connect to, for example localhost"},
    {":7", "no host of 1 to 255 characters without a slash; write for example tcp://127.0.0.1:"},
    {"tcp://",
     "no host of 1 to 255 characters without a slash; write for example tcp://127.0.0.1:"},
    {"host:65536", "no port from 1 to 65535 at its end; write for example tcp://127.0.0.1:13265"},
    {"host:", "no port from 1 to 65535 at its end; write for example tcp://127.0.0.1:13265"},
    {"host:0", "no port from 1 to 65535 at its end; write for example tcp://127.0.0.1:13265"},
};

START_TEST(a_sentence_about_a_target_says_what_would_be_right)
{
    struct address address;
    struct error error = {""};

    ck_assert_int_eq(address_parse_target(target_mistakes[_i].text, 7, &address, &error), -1);
    ck_assert_msg(strstr(error.text, target_mistakes[_i].words) != NULL, "%s", error.text);
}
END_TEST

static Suite *address_suite(void)
{
    Suite *suite = suite_create("address");
    TCase *text = support_case(suite, "text");
    TCase *peers = support_case(suite, "peers");

    tcase_add_loop_test(text, a_right_address_is_read, 0, COUNT_OF(good));
    tcase_add_loop_test(text, an_address_is_written_with_its_scheme, 0, COUNT_OF(good));
    tcase_add_loop_test(text, what_is_written_is_read_as_the_same_address, 0, COUNT_OF(good));
    tcase_add_loop_test(text, what_is_read_can_be_written_and_read_again, 1, 4);
    tcase_add_loop_test(text, a_wrong_address_is_refused_with_a_sentence_that_quotes_it, 0,
                        COUNT_OF(bad));
    tcase_add_loop_test(text, only_an_address_that_is_written_alike_is_equal, 0, COUNT_OF(good));
    tcase_add_test(text, the_longest_path_is_one_byte_shorter_than_a_socket_address_has_room);
    tcase_add_test(text, a_host_has_a_longest_length_too);
    tcase_add_loop_test(text, a_sentence_says_what_would_be_right, 0, COUNT_OF(mistakes));
    tcase_add_test(text, a_text_of_any_length_is_refused_without_harm);
    tcase_add_loop_test(text, a_target_is_read_or_refused, 0, COUNT_OF(targets));
    tcase_add_loop_test(text, a_sentence_about_a_target_says_what_would_be_right, 0,
                        COUNT_OF(target_mistakes));
    tcase_add_test(peers, an_ipv4_peer_is_shown_with_its_port);
    tcase_add_loop_test(peers, an_ipv6_peer_is_shown_in_brackets_with_its_scope, 0,
                        COUNT_OF(ipv6_peers));
    tcase_add_test(peers, a_scope_is_shown_by_the_name_of_its_interface);
    tcase_add_test(peers, a_unix_peer_is_shown_by_its_path_or_as_unix);
    tcase_add_test(peers, another_family_is_unknown);
    tcase_add_test(peers, an_address_that_is_cut_is_unknown);
    tcase_add_test(peers, a_path_is_the_address_of_a_socket);
    return suite;
}

int main(void)
{
    return support_run_together(address_suite());
}
