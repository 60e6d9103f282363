/*
 * check_options: echod's own options, their defaults and what must fit together.
 * Leaves forms and errors that every table has to check_settings.
 * Run by make check.
 */
#include <config.h>

#include "echod/options.h"
#include "echod/options_help.h"
#include "echod/options_reader.h"

#include "base/log.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static struct options options;

static void keep_last(const struct error *error, void *argument)
{
    struct error *last = argument;

    *last = *error;
}

/* Read a command line, given behind the program's name, and no file but what it names. */
static int parse(const char *const arguments[], struct error *error)
{
    char program[] = "echod", no_config[] = "--no-config", texts[25][ERROR_TEXT_SIZE];
    char *argv[25] = {program, no_config};
    int count = 2;

    if (arguments[0] != NULL && strncmp(arguments[0], "--config", 8) == 0)
        count = 1;
    for (; *arguments != NULL; arguments++, count++) {
        ck_assert_int_lt(count, COUNT_OF(argv) - 1);
        argv[count] = texts[count];
        (void)snprintf(texts[count], sizeof texts[count], "%s", *arguments);
    }
    memset(&options, 0x5a, sizeof options);
    memset(error, 0, sizeof *error);
    return options_read(&options, count, argv, keep_last, error);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_parse(const char *const arguments[])
{
    struct error error;
    int status = parse(arguments, &error);

    ck_assert_msg(status == 0, "%s was refused: %s", arguments[0], error.text);
}

START_TEST(the_defaults_are_as_the_manual_says)
{
    char text[ADDRESS_TEXT_SIZE];

    check_parse(ARGUMENTS(NULL));
    ck_assert_uint_eq(options.help, HELP_NONE);
    ck_assert(!options.show_version);
    ck_assert_uint_eq(options.listen.count, 1);
    address_format(&options.listen.items[0].address, text);
    ck_assert_str_eq(text, "tcp://127.0.0.1:13265");
    ck_assert_uint_eq(options.backlog, 4096);
    ck_assert_uint_eq(options.workers, 1);
    ck_assert_uint_eq(options.max_connections, SETTING_AUTO);
    ck_assert_uint_eq(options.high_water_bytes, 256 * 1024);
    ck_assert_uint_eq(listener_options_low_water_bytes(&options.listen.items[0].options),
                      64 * 1024);
    ck_assert_uint_eq(options.max_queued_bytes, 256 * 1024 * 1024);
    ck_assert_uint_eq(options.write_timeout_ms, 30000);
    ck_assert_uint_eq(options.idle_timeout_ms, 0);
    ck_assert_uint_eq(options.lifetime_ms, 0);
    ck_assert_uint_eq(options.linger_timeout_ms, 2000);
    ck_assert_uint_eq(options.drain_timeout_ms, 5000);
    ck_assert(!options.user.is_given);
    ck_assert(!options.group.is_given);
    ck_assert_str_eq(options.pid_file, "");
    ck_assert_uint_eq(options.log_target, LOG_TARGET_STDERR);
    ck_assert_uint_eq(options.log_level, LOG_LEVEL_INFO);
    ck_assert_uint_eq(options.log_format, LOG_FORMAT_TEXT);
    options_free(&options);
}
END_TEST

START_TEST(every_option_has_its_member)
{
    check_parse(ARGUMENTS(
        "--backlog=1", "-w2", "--max-connections=3", "--high-water=7MiB", "--low-water=5KiB",
        "--max-queued=6GiB", "--write-timeout=7s", "--idle-timeout=8m", "--lifetime=9h",
        "--linger-timeout=0", "--drain-timeout=11ms", "--user=2000000123", "--group=12",
        "--pid-file=13", "--log-target=syslog", "--log-level=debug", "--log-format=json", "-h"));
    ck_assert_uint_eq(options.backlog, 1);
    ck_assert_uint_eq(options.workers, 2);
    ck_assert_uint_eq(options.max_connections, 3);
    ck_assert_uint_eq(options.high_water_bytes, 7 * 1024 * 1024);
    ck_assert_uint_eq(options.low_water_bytes, 5 * 1024);
    ck_assert_uint_eq(options.max_queued_bytes, UINT64_C(6) << 30);
    ck_assert_uint_eq(options.write_timeout_ms, 7000);
    ck_assert_uint_eq(options.idle_timeout_ms, 8 * 60000);
    ck_assert_uint_eq(options.lifetime_ms, 9 * 3600000);
    ck_assert_uint_eq(options.linger_timeout_ms, 0);
    ck_assert_uint_eq(options.drain_timeout_ms, 11);
    ck_assert_uint_eq(options.user.uid, 2000000123);
    ck_assert_uint_eq(options.group.gid, 12);
    ck_assert_str_eq(options.pid_file, "13");
    ck_assert_uint_eq(options.log_target, LOG_TARGET_SYSLOG);
    ck_assert_uint_eq(options.log_level, LOG_LEVEL_DEBUG);
    ck_assert_uint_eq(options.log_format, LOG_FORMAT_JSON);
    ck_assert_uint_eq(options.help, HELP_ALL);
    ck_assert(!options.show_version);
    options_free(&options);
}
END_TEST

static const struct {
    const char *name;
    unsigned level;
} levels[] = {
    {"--log-level=error", LOG_LEVEL_ERROR},
    {"--log-level=warning", LOG_LEVEL_WARNING},
    {"--log-level=info", LOG_LEVEL_INFO},
    {"--log-level=debug", LOG_LEVEL_DEBUG},
};

START_TEST(every_level_has_its_name)
{
    check_parse(ARGUMENTS(levels[_i].name, "--log-format=text", "-V"));
    ck_assert_uint_eq(options.log_level, levels[_i].level);
    ck_assert_uint_eq(options.log_format, LOG_FORMAT_TEXT);
    ck_assert(options.show_version);
    options_free(&options);
}
END_TEST

START_TEST(listen_may_be_given_often)
{
    check_parse(ARGUMENTS("-l", "[::1]:7", "-lunix:///run/echod.sock", "--listen=fd://3",
                          "--listen", "fd://4", "-l", "stdio:", "-l", "[::1]:0", "-l", "[::1]:0"));
    ck_assert_uint_eq(options.listen.count, 7);
    ck_assert_int_eq((int)options.listen.items[1].address.scheme, ADDRESS_UNIX);
    ck_assert_int_eq(options.listen.items[3].address.fd, 4);
    options_free(&options);
}
END_TEST

START_TEST(auto_is_kept_for_later_where_the_system_decides)
{
    check_parse(ARGUMENTS("--workers=auto", "--max-connections=auto", "--low-water=auto"));
    ck_assert_uint_eq(options.workers, SETTING_AUTO);
    ck_assert_uint_eq(options.max_connections, SETTING_AUTO);
    ck_assert_uint_eq(listener_options_low_water_bytes(&options.listen.items[0].options),
                      64 * 1024);
    options_free(&options);
}
END_TEST

/* A high mark, a low mark or NULL, and what the low mark becomes. */
static const struct {
    const char *high, *low;
    uint64_t expected;
} marks[] = {
    {"--high-water=1000", NULL, 250},
    {"--high-water=3", NULL, 0},
    {"--high-water=1", NULL, 0},
    {"--high-water=1000", "--low-water=1000", 1000},
    {"--high-water=1000", "--low-water=0", 0},
    {"--high-water=1000", "--low-water=999", 999},
};

START_TEST(the_low_mark_follows_the_high_one)
{
    check_parse(ARGUMENTS(marks[_i].high, marks[_i].low));
    ck_assert_uint_eq(listener_options_low_water_bytes(&options.listen.items[0].options),
                      marks[_i].expected);
    options_free(&options);
    if (marks[_i].low != NULL) {
        check_parse(ARGUMENTS(marks[_i].low, marks[_i].high));
        ck_assert_uint_eq(listener_options_low_water_bytes(&options.listen.items[0].options),
                          marks[_i].expected);
        options_free(&options);
    }
}
END_TEST

/* A wrong command line, and what its error must name. */
static const struct {
    const char *arguments[4];
    const char *needles[2];
} wrong[] = {
    {{"--low-water=257KiB"}, {"--low-water", "--high-water"}},
    {{"--low-water=1001", "--high-water=1000"}, {"--low-water", "--high-water"}},
    {{"--high-water=1000", "--low-water=1001"}, {"--low-water", "--high-water"}},
    {{"--high-water=0"}, {"--high-water", "\"0\""}},
    {{"--max-queued=0"}, {"--max-queued", "\"0\""}},
    {{"--workers=0"}, {"--workers", "\"0\""}},
    {{"-w", "many"}, {"--workers", "\"many\""}},
    {{"--max-connections=0"}, {"--max-connections", "\"0\""}},
    {{"--backlog=0"}, {"--backlog", "\"0\""}},
    {{"--backlog=99999999999"}, {"--backlog", "\"99999999999\""}},
    {{"--backlog=auto"}, {"--backlog", "\"auto\""}},
    {{"--high-water=12x"}, {"--high-water", "\"12x\""}},
    {{"--high-water=auto"}, {"--high-water", "\"auto\""}},
    {{"--write-timeout=auto"}, {"--write-timeout", "\"auto\""}},
    {{"--idle-timeout=-1"}, {"--idle-timeout", "\"-1\""}},
    {{"--lifetime=18446744073709551615"}, {"--lifetime", "\"18446744073709551615\""}},
    {{"--log-level=loud"}, {"--log-level", "warning"}},
    {{"--user=no such"}, {"--user", "\"no such\""}},
    {{"--user=2000000123"}, {"--user", "--group"}},
    {{"--group=no such"}, {"--group", "\"no such\""}},
    {{"--chroot=srv/echod"}, {"--chroot", "an absolute path"}},
    {{"--sandbox=yes"}, {"--sandbox", "one of auto, on, off"}},
    {{"--pid-file="}, {"--pid-file", "\"\""}},
    {{"--log-target=file"}, {"--log-target", "syslog"}},
    {{"--log-format=xml"}, {"--log-format", "json"}},
    {{"--listen=ssl://[::1]:7"}, {"--listen", "\"ssl://[::1]:7\""}},
#ifdef HAVE_OPENSSL
    {{"--listen=tls://[::1]:7"}, {"--listen: tls://[::1]:7: ", "add cert=FILE,key=FILE"}},
    {{"--listen=tls+fd://3,cert=a;b,key=c"}, {"tls+fd://3", "not as many keys"}},
    {{"--listen=tls://a:7,cert=a,client-auth=request"}, {"--listen", "add client-ca=FILE"}},
    {{"--listen=tls://a:7,cert=a", "--client-auth=require"}, {"--listen", "add client-ca=FILE"}},
#else
    {{"--listen=tls://[::1]:7,cert=a"}, {"--listen: tls://[::1]:7: ", "without OpenSSL"}},
#endif
    {{"--admin=udp://[::1]:7"}, {"--admin: \"udp://[::1]:7\": ", "tcp://HOST:PORT"}},
    {{"--admin=tls://[::1]:7"}, {"--admin: \"tls://[::1]:7\": ", "tcp://HOST:PORT"}},
    {{"--admin=fd://3"}, {"--admin: \"fd://3\": ", "tcp://HOST:PORT"}},
    {{"--admin=unix://@a"}, {"--admin: \"unix://@a\": ", "an abstract name has no permissions"}},
    {{"--admin=[::1]:7,name=a"}, {"--admin: \"[::1]:7,name=a\": ", "its options are: mode"}},
    {{"--admin=[::1]:7,mode=0600"}, {"--admin", "\"mode\" is no option of tcp://"}},
#ifdef HAVE_LIBMICROHTTPD
    {{"-l[::1]:7", "--admin=[::1]:7"}, {"--admin: ", "is served already by another --listen"}},
    {{"--admin=unix:///a", "--admin=unix:///a"}, {"--admin: ", "by another --admin"}},
#else
    {{"--admin=[::1]:7"}, {"--admin: ", "without libmicrohttpd"}},
#endif
    {{"--cert=a;"}, {"--cert", "a list of 1 to 64 files"}},
    {{"--alpn=;a"}, {"--alpn", "a list of protocols"}},
    {{"--ciphers="}, {"--ciphers", "a list of ciphers"}},
    {{"--client-ca="}, {"--client-ca", "a file"}},
    {{"--tls-min=1.1"}, {"--tls-min", "1.3"}},
    {{"-l[::1]:7,name=a", "-l[::1]:8,name=a"},
     {"--listen: name=a is another --listen's already; ", "choose another name"}},
    {{"-l[::1]:7,low-water=2KiB,high-water=1KiB"},
     {"--listen: tcp://[::1]:7: low-water, 2048 bytes, ", "above high-water, 1024 bytes"}},
    {{"-l[::1]:7,proxy-from=::1"},
     {"--listen: tcp://[::1]:7: proxy-from goes with ", "proxy=v1, proxy=v2 or proxy=any"}},
    {{"--listen=fd://3", "--listen=fd://3"}, {"--listen", "fd://3"}},
    {{"-lstdio:", "-l[::1]:7", "-lstdio:"}, {"--listen", "stdio:"}},
    {{"-lstdio:", "-lfd://0"}, {"--listen", "fd://0"}}, /* that is standard input */
    {{"-lfd://1", "-lstdio:"}, {"--listen", "stdio:"}},
    {{"-lsystemd://a", "-lsystemd://a"}, {"--listen", "systemd://a"}},
    {{"-lsystemd://", "-lsystemd://a"}, {"--listen", "systemd://a"}}, /* those are all */
#ifdef HAVE_OPENSSL
    {{"-ltcp://[::1]:7", "-ltls://[::1]:7,cert=a"}, {"--listen", "is served already"}},
    {{"-ltls+unix:///a,cert=a", "-lunix:///a"}, {"--listen", "is served already"}},
    {{"-ltls+systemd://a,cert=a", "-lsystemd://"}, {"--listen", "is served already"}},
#endif
    {{"--port=7"}, {"--port"}},
    {{"--help=some"}, {"--help", "all or listen"}},
    {{"7"}, {"\"7\""}},
};

START_TEST(a_wrong_line_is_refused_with_a_sentence_that_names_the_option)
{
    struct error error;

    ck_assert_int_eq(parse(wrong[_i].arguments, &error), EXIT_STATUS_USAGE);
    for (int i = 0; i < 2 && wrong[_i].needles[i] != NULL; i++) {
        ck_assert_msg(strstr(error.text, wrong[_i].needles[i]) != NULL, "no %s in: %s",
                      wrong[_i].needles[i], error.text);
    }
    ck_assert_ptr_null(strchr(error.text, '\n'));
    options_free(&options); /* in either case */
}
END_TEST

/* Write a configuration file of the test's own, and return its path. */
static const char *write_config(const char *text)
{
    static char path[] = "/tmp/echod-check-XXXXXX";
    int fd;

    memset(path + strlen(path) - 6, 'X', 6);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    ck_assert_int_eq(close(fd), 0);
    return path;
}

/* Read a file below one more argument, or NULL. */
static int parse_config(const char *text, const char *argument, struct error *error)
{
    char config[64];
    const char *path = write_config(text);
    int status;

    (void)snprintf(config, sizeof config, "--config=%s", path);
    status = parse(ARGUMENTS(config, argument), error);
    ck_assert_int_eq(unlink(path), 0);
    return status;
}

START_TEST(the_command_line_wins_over_the_file)
{
    struct error error;

    ck_assert_int_eq(parse_config("workers 2\nbacklog 7\n", "--workers=3", &error), 0);
    ck_assert_uint_eq(options.workers, 3);
    ck_assert_uint_eq(options.backlog, 7);
    ck_assert_ptr_eq(options.config_path, options.config);
    options_free(&options);
}
END_TEST

START_TEST(listeners_of_the_command_line_replace_those_of_the_file)
{
    struct error error;

    ck_assert_int_eq(parse_config("listen [::1]:7\nlisten [::1]:8\n", "-l[::1]:9", &error), 0);
    ck_assert_uint_eq(options.listen.count, 1);
    ck_assert_uint_eq(options.listen.items[0].address.port, 9);
    options_free(&options);
    ck_assert_int_eq(parse_config("listen [::1]:7\nlisten [::1]:8\n", NULL, &error), 0);
    ck_assert_uint_eq(options.listen.count, 2);
    options_free(&options);
}
END_TEST

/* A file, an argument, and what the last error must name. */
static const struct {
    const char *text, *argument, *needles[2];
    int status;
} wrong_files[] = {
    {"foo 1\n", NULL, {":1: ", "\"foo\""}, EXIT_STATUS_CONFIG},
    {"Workers 1\n", NULL, {":1: ", "\"Workers\""}, EXIT_STATUS_CONFIG},
    {"--workers 1\n", NULL, {":1: ", "\"--workers\""}, EXIT_STATUS_CONFIG},
    {"\nworkers\n", NULL, {":2: workers: ", "workers N"}, EXIT_STATUS_CONFIG},
    {"workers 0\n", NULL, {":1: workers: ", "\"0\""}, EXIT_STATUS_CONFIG},
    {"workers 0\n", "--workers=1", {":1: workers: ", "\"0\""}, EXIT_STATUS_CONFIG},
    {"workers \"\"\n", NULL, {":1: workers: ", "\"\""}, EXIT_STATUS_CONFIG},
    {"listen x\n", NULL, {":1: listen: ", "\"x\""}, EXIT_STATUS_CONFIG},
    {"help\n", NULL, {":1: help: ", "command line"}, EXIT_STATUS_CONFIG},
    {"version\n", NULL, {":1: version: ", "command line"}, EXIT_STATUS_CONFIG},
    {"config x\n", NULL, {":1: config: ", "command line"}, EXIT_STATUS_CONFIG},
    {"no-config\n", NULL, {":1: no-config: ", "command line"}, EXIT_STATUS_CONFIG},
    {"check\n", NULL, {":1: check: ", "command line"}, EXIT_STATUS_CONFIG},
    {"pin-workers maybe\n",
     NULL,
     {":1: pin-workers: ", "\"maybe\" is not yes or no"},
     EXIT_STATUS_CONFIG},
    {"low-water 2\nhigh-water 1\n",
     NULL,
     {":1: low-water: ", "high-water (/tmp/"},
     EXIT_STATUS_CONFIG},
    {"low-water 1M\n", NULL, {":1: low-water: ", "--high-water (default)"}, EXIT_STATUS_CONFIG},
    {"low-water 2\n",
     "--high-water=1",
     {":1: low-water: ", "above --high-water,"},
     EXIT_STATUS_CONFIG},
    {"high-water 1\n", "--low-water=2", {"--low-water: ", "high-water (/tmp/"}, EXIT_STATUS_CONFIG},
    {"listen fd://3\nlisten fd://3\n",
     NULL,
     {":2: listen: ", ":1); give it once"},
     EXIT_STATUS_CONFIG},
    {"workers 0\n", "--workers=x", {"--workers: ", "\"x\""}, EXIT_STATUS_USAGE},
};

START_TEST(a_wrong_file_is_refused_with_a_sentence_that_names_the_line)
{
    struct error error;

    ck_assert_int_eq(parse_config(wrong_files[_i].text, wrong_files[_i].argument, &error),
                     wrong_files[_i].status);
    for (int i = 0; i < COUNT_OF(wrong_files[_i].needles); i++)
        ck_assert_msg(strstr(error.text, wrong_files[_i].needles[i]) != NULL, "no %s in: %s",
                      wrong_files[_i].needles[i], error.text);
    options_free(&options);
}
END_TEST

START_TEST(a_mark_that_was_refused_is_not_compared)
{
    struct error error;

    ck_assert_int_eq(parse_config("low-water 1MiB\nhigh-water 2MiBB\n", NULL, &error),
                     EXIT_STATUS_CONFIG);
    ck_assert_ptr_nonnull(strstr(error.text, ":2: high-water: "));
    options_free(&options);
}
END_TEST

START_TEST(config_and_no_config_contradict_each_other)
{
    struct error error;

    ck_assert_int_eq(parse(ARGUMENTS("--config=/dev/null", "--no-config"), &error),
                     EXIT_STATUS_USAGE);
    ck_assert_ptr_nonnull(strstr(error.text, "--no-config"));
    ck_assert_ptr_nonnull(strstr(error.text, "--config;"));
    options_free(&options);
}
END_TEST

START_TEST(a_missing_file_is_an_error_only_where_options_serve)
{
    struct error error;

    ck_assert_int_eq(parse(ARGUMENTS("--config=/nowhere/x"), &error), EXIT_STATUS_CONFIG);
    ck_assert_ptr_eq(strstr(error.text, "/nowhere/x: "), error.text);
    options_free(&options);
    ck_assert_int_eq(parse(ARGUMENTS("--config=/nowhere/x", "--help"), &error), 0);
    options_free(&options);
}
END_TEST

/* What a stream gets; free it. */
static void print_help(FILE *stream)
{
    options_print_help(HELP_ALL, stream);
}

static char *read_output(void print(FILE *stream))
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    print(stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(help_names_every_option_and_where_to_write_to)
{
    static const char *const parts[] = {
        "Usage: echod [OPTION]",
        "-l, --listen ADDRESS",
        "--backlog N",
        "-w, --workers N",
        "--max-connections N",
        "--high-water SIZE",
        "--low-water SIZE",
        "--max-queued SIZE",
        "--write-timeout DURATION",
        "--idle-timeout DURATION",
        "--lifetime DURATION",
        "--linger-timeout DURATION",
        "--drain-timeout DURATION",
        "--user USER",
        "--group GROUP",
        "--chroot DIRECTORY",
        "--sandbox auto|on|off",
        "--pid-file PATH",
        "--log-target TARGET",
        "--log-level LEVEL",
        "--log-format FORMAT",
        "-h, --help[=TOPIC]",
        "-V, --version",
        PACKAGE_BUGREPORT,
        PACKAGE_URL,
    };
    char *help = read_output(print_help);

    for (int i = 0; i < COUNT_OF(parts); i++)
        ck_assert_msg(strstr(help, parts[i]) != NULL, "no \"%s\" in:\n%s", parts[i], help);
    for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (*line != '/') /* the default file, wherever that is */
            ck_assert_uint_le(strcspn(line, "\n"), 80);
    }
    free(help);
}
END_TEST

START_TEST(version_begins_with_name_and_number)
{
    char *version = read_output(options_print_version);

    /* GNU coding standards, 4.8.1: the program, the package in parentheses, the version. */
    ck_assert_ptr_eq(strstr(version, "echod (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"), version);
    ck_assert_ptr_nonnull(strstr(version, "Copyright (C) "));
    ck_assert_ptr_nonnull(strstr(version, "BSD-2-Clause"));
    free(version);
}
END_TEST

static Suite *options_suite(void)
{
    Suite *suite = suite_create("options");
    TCase *values = support_case(suite, "values");
    TCase *files = support_case(suite, "files");
    TCase *output = support_case(suite, "output");

    tcase_add_test(values, the_defaults_are_as_the_manual_says);
    tcase_add_test(values, every_option_has_its_member);
    tcase_add_loop_test(values, every_level_has_its_name, 0, COUNT_OF(levels));
    tcase_add_test(values, listen_may_be_given_often);
    tcase_add_test(values, auto_is_kept_for_later_where_the_system_decides);
    tcase_add_loop_test(values, the_low_mark_follows_the_high_one, 0, COUNT_OF(marks));
    tcase_add_loop_test(values, a_wrong_line_is_refused_with_a_sentence_that_names_the_option, 0,
                        COUNT_OF(wrong));
    tcase_add_test(files, the_command_line_wins_over_the_file);
    tcase_add_test(files, listeners_of_the_command_line_replace_those_of_the_file);
    tcase_add_loop_test(files, a_wrong_file_is_refused_with_a_sentence_that_names_the_line, 0,
                        COUNT_OF(wrong_files));
    tcase_add_test(files, a_mark_that_was_refused_is_not_compared);
    tcase_add_test(files, config_and_no_config_contradict_each_other);
    tcase_add_test(files, a_missing_file_is_an_error_only_where_options_serve);
    tcase_add_test(output, help_names_every_option_and_where_to_write_to);
    tcase_add_test(output, version_begins_with_name_and_number);
    return suite;
}

int main(void)
{
    return support_run_together(options_suite());
}
