/*
 * check_targets: a file of targets: names, addresses, options of their own, and each error with its
 * line.
 * Leaves how words and comments are written to check_config_file.
 * Run by make check.
 */
#include <config.h>

#include "echoprobe/targets.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/check_targets.XXXXXX";
static struct targets targets;
static struct error error;

/* Read a file that says this, behind a command line with these two words. Return as targets_read.
 */
static int read_text(const char *text, const char *option, const char *value)
{
    char program[] = "echoprobe", words[2][64], *arguments[] = {program, words[0], words[1], NULL};
    char name[] = "/tmp/check_targets.XXXXXX";
    const int fd = mkstemp(name);
    int status;

    (void)snprintf(words[0], sizeof words[0], "%s", option);
    (void)snprintf(words[1], sizeof words[1], "%s", value);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
    memcpy(path, name, sizeof path);
    targets = (struct targets){0};
    error = (struct error){""};
    status = targets_read(&targets, path, 3, arguments, &error);
    (void)unlink(path);
    return status;
}

static void check_refused(const char *text, const char *sentence)
{
    char place[sizeof path + 16];

    ck_assert_int_eq(read_text(text, "-c", "1"), -1);
    (void)snprintf(place, sizeof place, "%s:", path);
    ck_assert_msg(strncmp(error.text, place, strlen(place)) == 0, "%s", error.text);
    ck_assert_msg(strstr(error.text, sentence) != NULL, "\"%s\" lacks \"%s\"", error.text,
                  sentence);
    targets_free(&targets);
}

START_TEST(each_line_is_a_target)
{
    const struct options *options;

    ck_assert_int_eq(read_text("# those of the north\n\nweb tcp://192.0.2.1:7\n  \"dns-1\"\tudp://"
                               "dns.example # a comment\n192.0.2.2:77\nsock unix:///run/echo\n",
                               "-i", "3s"),
                     0);
    ck_assert_uint_eq(targets.count, 4);
    ck_assert_str_eq(targets.items[0].name, "web");
    ck_assert_str_eq(targets.items[0].options.target.host, "192.0.2.1");
    ck_assert_str_eq(targets.items[1].name, "dns-1");
    options = &targets.items[1].options;
    ck_assert_int_eq(options->target.scheme, ADDRESS_UDP);
    ck_assert_uint_eq(options->target.port, 7);
    ck_assert_uint_eq(options->interval_us, 3000000);
    ck_assert(options->is_lasting);
    ck_assert_str_eq(targets.items[2].name, "192.0.2.2:77");
    ck_assert_uint_eq(targets.items[2].options.target.port, 77);
    ck_assert_int_eq(targets.items[3].options.target.scheme, ADDRESS_UNIX);
    targets_free(&targets);
}
END_TEST

START_TEST(options_of_its_own_stand_behind_an_address)
{
    ck_assert_int_eq(read_text("a 192.0.2.1,interval=5s,size=1KiB,tos=ef\nb 192.0.2.1\n"
                               "c tls://192.0.2.1:7,sni=other,insecure\n",
                               "-i", "3s"),
                     0);
    ck_assert_uint_eq(targets.items[0].options.interval_us, 5000000);
    ck_assert_uint_eq(targets.items[0].options.size_bytes, 1024);
    ck_assert_uint_eq(targets.items[0].options.sockets.tos.value, 46 << 2);
    ck_assert_uint_eq(targets.items[1].options.interval_us, 3000000);
    ck_assert_str_eq(targets.items[2].options.tls.server_name, "other");
    ck_assert(targets.items[2].options.tls.insecure);
    targets_free(&targets);
}
END_TEST

START_TEST(what_is_of_no_use_to_a_target_does_not_concern_it)
{
    ck_assert_int_eq(read_text("a 192.0.2.1\nb tls://192.0.2.1\n", "--ca", "/etc/ca.pem"), 0);
    ck_assert_ptr_null(targets.items[0].options.tls.ca);
    ck_assert_str_eq(targets.items[1].options.tls.ca, "/etc/ca.pem");
    targets_free(&targets);
    ck_assert_int_eq(read_text("a unix:///run/echo\nb 192.0.2.1\n", "--ttl", "3"), 0);
    ck_assert_uint_eq(targets.items[0].options.sockets.ttl, 0);
    ck_assert_uint_eq(targets.items[1].options.sockets.ttl, 3);
    targets_free(&targets);
}
END_TEST

#define NAME_64 "a123456789b123456789c123456789d123456789e123456789f123456789g123"

START_TEST(what_is_wrong_is_told_with_its_line)
{
    check_refused("a 192.0.2.1\nb 192.0.2.1:x\n", ":2: ");
    check_refused("a 192.0.2.1\na 192.0.2.2\n", ":2: a: stands there twice");
    check_refused("a,b 192.0.2.1\n", ":1: \"a,b\" is no name");
    check_refused("\"a b\" 192.0.2.1\n", ":1: \"a b\" is no name");
    check_refused("\"\" 192.0.2.1\n", ":1: a name has 0 characters");
    check_refused("a\x7f 192.0.2.1\n", "is no name of a target");
    check_refused(NAME_64 NAME_64 " 192.0.2.1\n", ":1: a name has 128 characters; write 1 to 127");
    check_refused("a,b 192.0.2.1\n\nc 192.0.2.1 d\ne 192.0.2.1\n", ":1: \"a,b\" is no name");
    check_refused("a 192.0.2.1 5s\n", ":1: \"5s\" is one too many");
    check_refused("\n\na 192.0.2.1,count=3\n", ":3: \"count\" is no option of a target");
    check_refused("a 192.0.2.1,pace=3\n", ":1: \"pace\" is no option of a target");
    check_refused("a 192.0.2.1,interval\n", ":1: interval: a value is missing");
    check_refused("a udp://192.0.2.1,size=1MiB\n", ":1: --size: a datagram carries at most");
    check_refused("a 192.0.2.1,ca=x\n", ":1: --ca: is for TLS");
    check_refused("# none\n", " names no target");
}
END_TEST

START_TEST(one_is_taken_out_and_the_others_stay)
{
    ck_assert_int_eq(
        read_text("a 192.0.2.1,interval=5s\nb tls://192.0.2.2,sni=x\n192.0.2.3\n", "-c", "1"), 0);
    ck_assert_str_eq(targets.items[0].text, "192.0.2.1,interval=5s");
    targets_remove(&targets, 1);
    ck_assert_uint_eq(targets.count, 2);
    ck_assert_str_eq(targets.items[0].name, "a");
    ck_assert_str_eq(targets.items[1].name, "192.0.2.3");
    ck_assert_str_eq(targets.items[1].text, "192.0.2.3");
    targets_free(&targets);
}
END_TEST

START_TEST(there_may_be_a_thousand)
{
    static char text[(TARGETS_MAX + 1) * 24];
    size_t length = 0;

    for (int i = 0; i < TARGETS_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "t%d 192.0.2.1\n", i);
    ck_assert_int_eq(read_text(text, "-c", "1"), 0);
    ck_assert_uint_eq(targets.count, TARGETS_MAX);
    targets_free(&targets);
    (void)snprintf(text + length, sizeof text - length, "more 192.0.2.1\n");
    check_refused(text, ":1001: this is one more than 1000 targets");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("targets");
    TCase *lines = support_case(suite, "lines");

    tcase_add_test(lines, each_line_is_a_target);
    tcase_add_test(lines, options_of_its_own_stand_behind_an_address);
    tcase_add_test(lines, what_is_of_no_use_to_a_target_does_not_concern_it);
    tcase_add_test(lines, what_is_wrong_is_told_with_its_line);
    tcase_add_test(lines, one_is_taken_out_and_the_others_stay);
    tcase_add_test(lines, there_may_be_a_thousand);
    return support_run(suite);
}
