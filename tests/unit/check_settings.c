/*
 * check_settings: a table of options of the test's own, and what a command line makes of it.
 * Knows none of echod's options; check_options does.
 * Run by make check.
 */
#include <config.h>

#include "base/command_line.h"
#include "base/settings.h"
#include "echod/listen.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum { HELP_COLUMNS = 80 };

/* Between the members lies what no setting may touch. */
struct things {
    uint64_t guard_0;
    bool help;
    bool quiet;
    bool verbose;
    uint64_t guard_1;
    uint64_t count;
    uint64_t count_limit;
    uint64_t size;
    uint64_t duration;
    uint64_t guard_2;
    unsigned level;
    unsigned guard_3;
    struct listen_list listen;
    struct listen_list extra;
    uint64_t guard_4;
};

#define GUARD   UINT64_C(0xa5a5a5a5a5a5a5a5)
#define GUARD_3 0x5a5a5a5aU

static const struct setting_list listens = {
    .init = listen_list_init,
    .add = listen_list_add,
    .make_provisional = listen_list_make_provisional,
    .format = listen_list_format,
    .free = listen_list_free,
};

static const char *const levels[] = {"low", "middle", "high", NULL};

static const struct setting table[] = {
    {.name = "listen",
     .type = SETTING_LIST,
     .list = &listens,
     .offset = offsetof(struct things, listen),
     .argument = "ADDRESS",
     .fallback = "tcp://127.0.0.1:13265",
     .letter = 'l',
     .help = "Listen here; this sentence is long enough that it needs a second line and, "
             "since it goes on and on, even a third one with a few words."},
    {.name = "extra-addresses-with-a-long-name",
     .type = SETTING_LIST,
     .list = &listens,
     .offset = offsetof(struct things, extra),
     .argument = "ANOTHER-ADDRESS",
     .fallback = "unix:///extra",
     .help = "An option whose name leaves no room for its help beside it."},
    {.name = "count",
     .type = SETTING_COUNT,
     .offset = offsetof(struct things, count),
     .argument = "N",
     .fallback = "auto",
     .minimum = 2,
     .maximum = 1000,
     .has_auto = true,
     .letter = 'c',
     .other_letter = 'n',
     .help = "How many."},
    {.name = "count-limit",
     .type = SETTING_COUNT,
     .offset = offsetof(struct things, count_limit),
     .argument = "N",
     .fallback = "7",
     .maximum = UINT64_MAX - 1,
     .help = "How many at most."},
    {.name = "size",
     .type = SETTING_SIZE,
     .offset = offsetof(struct things, size),
     .argument = "SIZE",
     .fallback = "64KiB",
     .minimum = 1024,
     .maximum = 1024 * 1024,
     .has_auto = true,
     .help = "How large."},
    {.name = "duration",
     .type = SETTING_DURATION,
     .offset = offsetof(struct things, duration),
     .argument = "DURATION",
     .fallback = "1m30s",
     .minimum = 250,
     .maximum = 3600000,
     .letter = 'd',
     .help = "How long."},
    {.name = "level",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct things, level),
     .argument = "LEVEL",
     .fallback = "middle",
     .choices = levels,
     .help = "How high."},
    {.name = "quiet",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, quiet),
     .letter = 'q',
     .help = "Say nothing."},
    {.name = "verbose",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, verbose),
     .help = "Say all."},
    {.name = "help",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, help),
     .letter = 'h',
     .help = "Show this help."},
    {.name = NULL},
};

static struct things things;

static void set_defaults(void)
{
    struct error error;

    memset(&things, 0xa5, sizeof things);
    things.guard_3 = GUARD_3;
    ck_assert_int_eq(settings_set_defaults(table, &things, &error), 0);
}

static void free_things(void)
{
    ck_assert_uint_eq(things.guard_0, GUARD);
    ck_assert_uint_eq(things.guard_1, GUARD);
    ck_assert_uint_eq(things.guard_2, GUARD);
    ck_assert_uint_eq(things.guard_3, GUARD_3);
    ck_assert_uint_eq(things.guard_4, GUARD);
    settings_free(table, &things);
}

/* Read a command line, given behind the program's name, over what was read before. */
#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int parse_into(const struct setting *settings, void *options, const char *const arguments[],
                      struct error *error)
{
    int count = 0, status;
    char **argv;

    while (arguments[count] != NULL)
        count++;
    argv = calloc((size_t)count + 2, sizeof *argv);
    ck_assert_ptr_nonnull(argv);
    argv[0] = strdup("program");
    for (int i = 0; i < count; i++)
        argv[i + 1] = strdup(arguments[i]);
    memset(error, 0, sizeof *error);
    status = command_line_parse(settings, options, NULL, count + 1, argv, error);
    for (int i = 0; i <= count; i++) /* in another order, perhaps */
        free(argv[i]);
    free(argv);
    return status;
}

static int parse(const char *const arguments[], struct error *error)
{
    return parse_into(table, &things, arguments, error);
}

static void check_parse(const char *const arguments[])
{
    struct error error;
    int status = parse(arguments, &error);

    ck_assert_msg(status == 0, "%s was refused: %s", arguments[0], error.text);
}

static void check_list(const struct listen_list *list, const char *const expected[])
{
    size_t count = 0;

    for (; expected[count] != NULL; count++) {
        char text[ADDRESS_TEXT_SIZE];

        ck_assert_uint_lt(count, list->count);
        address_format(&list->items[count].address, text);
        ck_assert_str_eq(text, expected[count]);
    }
    ck_assert_uint_eq(list->count, count);
}

static void check_defaults(void)
{
    check_list(&things.listen, ARGUMENTS("tcp://127.0.0.1:13265"));
    check_list(&things.extra, ARGUMENTS("unix:///extra"));
    ck_assert_uint_eq(things.count, SETTING_AUTO);
    ck_assert_uint_eq(things.count_limit, 7);
    ck_assert_uint_eq(things.size, 65536);
    ck_assert_uint_eq(things.duration, 90000);
    ck_assert_uint_eq(things.level, 1);
    ck_assert(!things.quiet);
    ck_assert(!things.verbose);
    ck_assert(!things.help);
}

START_TEST(defaults_are_set_and_an_empty_line_leaves_them)
{
    struct error error;

    check_defaults();
    check_parse(ARGUMENTS(NULL));
    check_defaults();
    ck_assert_int_eq(command_line_parse(table, &things, NULL, 0, (char *[]){NULL}, &error), 0);
    check_defaults();
}
END_TEST

START_TEST(each_type_is_read)
{
    check_parse(ARGUMENTS("--count", "3", "--size", "2KiB", "--duration", "2s", "--level", "high",
                          "--quiet", "--listen", "unix:///a"));
    ck_assert_uint_eq(things.count, 3);
    ck_assert_uint_eq(things.size, 2048);
    ck_assert_uint_eq(things.duration, 2000);
    ck_assert_uint_eq(things.level, 2);
    ck_assert(things.quiet);
    ck_assert(!things.verbose);
    check_list(&things.listen, ARGUMENTS("unix:///a"));
    check_list(&things.extra, ARGUMENTS("unix:///extra"));
}
END_TEST

/* One way to write the same command line. */
static const char *const spellings[][6] = {
    {"--count", "42", "--quiet"},
    {"--count=42", "--quiet"},
    {"-c", "42", "-q"},
    {"-c42", "-q"},
    {"-qc42"},
    {"-qc", "42"},
    {"-n", "42", "-q"},
    {"-qn42"},
    {"--quie", "--count", "42"},
    {"--qui", "--count=42", "--"},
    {"--count", "7", "--quiet", "--count", "42"},
    {"--count", "auto", "--quiet", "-c42"},
    {"-q", "-q", "--count=042"},
};

START_TEST(every_spelling_means_the_same)
{
    check_parse(spellings[_i]);
    ck_assert_uint_eq(things.count, 42);
    ck_assert(things.quiet);
    ck_assert(!things.verbose);
    ck_assert(!things.help);
}
END_TEST

START_TEST(bounds_are_allowed_themselves)
{
    check_parse(ARGUMENTS("--count=2", "--size=1024", "--duration=250ms", "--count-limit=0"));
    ck_assert_uint_eq(things.count, 2);
    ck_assert_uint_eq(things.size, 1024);
    ck_assert_uint_eq(things.duration, 250);
    ck_assert_uint_eq(things.count_limit, 0);
    check_parse(ARGUMENTS("--count=1000", "--size=1MiB", "--duration=1h",
                          "--count-limit=18446744073709551614"));
    ck_assert_uint_eq(things.count, 1000);
    ck_assert_uint_eq(things.size, 1024 * 1024);
    ck_assert_uint_eq(things.duration, 3600000);
    ck_assert_uint_eq(things.count_limit, UINT64_MAX - 1);
}
END_TEST

START_TEST(auto_is_read_where_it_is_allowed)
{
    check_parse(ARGUMENTS("--count=3", "--size=2KiB"));
    check_parse(ARGUMENTS("--count=auto", "--size", "auto"));
    ck_assert_uint_eq(things.count, SETTING_AUTO);
    ck_assert_uint_eq(things.size, SETTING_AUTO);
}
END_TEST

START_TEST(the_first_value_of_a_list_replaces_its_default_and_others_join)
{
    check_parse(ARGUMENTS("-l", "[::1]:1", "--listen=fd://3", "--extra=stdio:", "-lunix:///a"));
    check_list(&things.listen, ARGUMENTS("tcp://[::1]:1", "fd://3", "unix:///a"));
    check_list(&things.extra, ARGUMENTS("stdio:"));
}
END_TEST

START_TEST(a_list_that_is_given_its_default_keeps_it)
{
    check_parse(ARGUMENTS("--listen=tcp://127.0.0.1:13265", "--listen=fd://3"));
    check_list(&things.listen, ARGUMENTS("tcp://127.0.0.1:13265", "fd://3"));
}
END_TEST

START_TEST(a_long_list_is_kept_whole)
{
    enum { COUNT = 500 };
    char texts[COUNT][32];
    const char *arguments[COUNT + 1];

    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "-lfd://%d", i);
        arguments[i] = texts[i];
    }
    arguments[COUNT] = NULL;
    check_parse(arguments);
    ck_assert_uint_eq(things.listen.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(things.listen.items[i].address.fd, i);
}
END_TEST

/* A wrong command line, and what its error must name. */
static const struct {
    const char *arguments[4];
    const char *needles[3];
} wrong[] = {
    {{"--count=1"}, {"--count", "2", "1000"}},
    {{"--count=1001"}, {"--count", "\"1001\"", "1000"}},
    {{"--count=0"}, {"--count", "\"0\""}},
    {{"-c", "1"}, {"count", "\"1\""}},
    {{"--count="}, {"--count", "\"\""}},
    {{"--count", ""}, {"--count", "\"\""}},
    {{"--count", "-5"}, {"--count", "\"-5\""}},
    {{"--count", "--quiet"}, {"--count", "\"--quiet\""}},
    {{"--count=3x"}, {"--count", "\"3x\""}},
    {{"--count= 3"}, {"--count", "\" 3\""}},
    {{"--count=AUTO"}, {"--count", "\"AUTO\""}},
    {{"--count=autos"}, {"--count", "\"autos\""}},
    {{"--count=18446744073709551615"}, {"--count", "\"18446744073709551615\""}},
    {{"--count=18446744073709551616"}, {"--count", "\"18446744073709551616\""}},
    {{"--count=18446744073709551618"}, {"--count", "\"18446744073709551618\""}},
    {{"--count-limit=18446744073709551615"}, {"--count-limit", "18446744073709551614"}},
    {{"--count-limit=auto"}, {"--count-limit", "\"auto\""}},
    {{"--count=3KiB"}, {"--count", "\"3KiB\""}},
    {{"--size=1023"}, {"--size", "\"1023\"", "1KiB"}},
    {{"--size=1MiBB"}, {"--size", "\"1MiBB\"", "KiB"}},
    {{"--size=2MiB"}, {"--size", "\"2MiB\"", "1MiB"}},
    {{"--size=16777216TiB"}, {"--size", "\"16777216TiB\"", "1MiB"}},
    {{"--duration=249ms"}, {"--duration", "\"249ms\"", "250ms"}},
    {{"--duration=0"}, {"--duration", "\"0\"", "250ms"}},
    {{"--duration=3601"}, {"--duration", "\"3601\"", "1h"}},
    {{"--duration=5x"}, {"--duration", "\"5x\"", "30s"}},
    {{"--duration=auto"}, {"--duration", "\"auto\""}},
    {{"--level=lowest"}, {"--level", "\"lowest\"", "low"}},
    {{"--level=none"}, {"--level", "low", "high"}},
    {{"--level="}, {"--level", "\"\"", "middle"}},
    {{"--level=Low"}, {"--level", "\"Low\"", "low"}},
    {{"--level=1"}, {"--level", "\"1\"", "middle"}},
    {{"--listen=nowhere"}, {"--listen", "\"nowhere\"", "tcp://"}},
    {{"--listen=[::1]:1", "--listen", "fd://x"}, {"--listen", "\"fd://x\""}},
    {{"--listen="}, {"--listen", "\"\""}},
    {{"--quiet=yes"}, {"--quiet"}},
    {{"--quiet="}, {"--quiet"}},
    {{"--quie=1"}, {"--quie"}},
    {{"--count"}, {"--count", "missing"}},
    {{"-q", "--listen"}, {"--listen", "missing"}},
    {{"-c"}, {"--count", "missing"}},
    {{"-qc"}, {"--count", "missing"}},
    {{"--bogus"}, {"--bogus"}},
    {{"--bogus=5"}, {"--bogus"}},
    {{"--counts=5"}, {"--counts"}},
    {{"--cou=5"}, {"--cou"}},
    {{"--=5"}, {"--=5"}},
    {{"-z"}, {"-z"}},
    {{"-qz"}, {"-z"}},
    {{"-zq"}, {"-z"}},
    {{"-:"}, {"-:"}},
    {{"-?"}, {"-?"}},
    {{"-W", "help"}, {"-W"}},
    {{"surplus"}, {"\"surplus\""}},
    {{"--quiet", "surplus"}, {"\"surplus\""}},
    {{"surplus", "--quiet"}, {"\"surplus\""}},
    {{"--", "--quiet"}, {"\"--quiet\""}},
    {{"-"}, {"\"-\""}},
    {{""}, {"\"\""}},
};

START_TEST(a_wrong_line_is_refused_with_a_sentence_that_names_the_option)
{
    struct error error;

    ck_assert_int_eq(parse(wrong[_i].arguments, &error), -1);
    for (int i = 0; i < 3 && wrong[_i].needles[i] != NULL; i++) {
        ck_assert_msg(strstr(error.text, wrong[_i].needles[i]) != NULL, "no %s in: %s",
                      wrong[_i].needles[i], error.text);
    }
    ck_assert_ptr_null(strchr(error.text, '\n'));
    ck_assert_msg(strchr(error.text, ' ') != NULL, "no sentence: %s", error.text);
}
END_TEST

START_TEST(nothing_is_printed_about_a_wrong_line)
{
    int file_fd = support_open_file(), saved_fd = dup(STDERR_FILENO);
    struct error error;
    off_t size;

    ck_assert_int_ge(saved_fd, 0);
    (void)fflush(stderr);
    ck_assert_int_eq(dup2(file_fd, STDERR_FILENO), STDERR_FILENO);
    for (int i = 0; i < COUNT_OF(wrong); i++)
        (void)parse(wrong[i].arguments, &error);
    (void)fflush(stderr);
    ck_assert_int_eq(dup2(saved_fd, STDERR_FILENO), STDERR_FILENO);
    size = lseek(file_fd, 0, SEEK_END);
    support_close(&saved_fd);
    support_close(&file_fd);
    ck_assert_int_eq(size, 0);
}
END_TEST

START_TEST(a_parse_does_not_depend_on_the_one_before)
{
    struct error error;

    for (int i = 0; i < COUNT_OF(wrong); i++) {
        (void)parse(wrong[i].arguments, &error);
        settings_free(table, &things);
        set_defaults();
        check_parse(ARGUMENTS("-qc", "5"));
        ck_assert_uint_eq(things.count, 5);
        ck_assert(things.quiet);
        ck_assert(!things.help);
    }
}
END_TEST

START_TEST(freed_settings_may_be_set_again)
{
    check_parse(ARGUMENTS("--listen=fd://3"));
    settings_free(table, &things);
    set_defaults();
    check_defaults();
}
END_TEST

START_TEST(a_default_that_its_setting_refuses_aborts)
{
    static const struct setting faulty[][2] = {
        {{.name = "count", .type = SETTING_COUNT, .argument = "N", .fallback = "5", .maximum = 4}},
        {{.name = "size", .type = SETTING_SIZE, .argument = "N", .fallback = "x", .maximum = 4}},
        {{.name = "level",
          .type = SETTING_CHOICE,
          .argument = "N",
          .fallback = "none",
          .choices = levels}},
        {{.name = "listen",
          .type = SETTING_LIST,
          .list = &listens,
          .argument = "N",
          .fallback = "x"}},
    };
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        struct error error;

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* what is said on the way out is of no interest */
        _exit(settings_set_defaults(faulty[_i], &things, &error));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

/* Return what --help shows of a table; free it. */
static char *read_help(const struct setting *shown)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    settings_print_help(shown, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(help_shows_every_option_with_its_letter_argument_and_default)
{
    char *help = read_help(table);

    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        char option[80], letter[] = {'-', setting->letter, ',', '\0'};
        const char *entry, *next;

        if (setting->argument != NULL)
            (void)snprintf(option, sizeof option, "--%s %s", setting->name, setting->argument);
        else
            (void)snprintf(option, sizeof option, "--%s", setting->name);
        entry = strstr(help, option);
        ck_assert_msg(entry != NULL, "no %s in:\n%s", option, help);
        if (setting->letter != 0) {
            while (entry > help && entry[-1] != '\n')
                entry--;
            next = strstr(entry, letter);
            ck_assert_msg(next != NULL && next < strstr(entry, option), "no %s in:\n%s", letter,
                          entry);
        }
        if (setting->fallback != NULL)
            ck_assert_msg(strstr(entry, setting->fallback) != NULL, "no %s in:\n%s",
                          setting->fallback, entry);
    }
    free(help);
}
END_TEST

static void check_lines(const char *help)
{
    ck_assert_ptr_null(strchr(help, '\t'));
    ck_assert_int_eq(help[strlen(help) - 1], '\n');
    for (const char *line = help; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, "\n");

        ck_assert_msg(length <= HELP_COLUMNS, "too long: %.*s", (int)length, line);
        ck_assert_msg(length == 0 || line[length - 1] != ' ', "ends in a space: %.*s", (int)length,
                      line);
    }
}

START_TEST(help_fits_the_screen)
{
    char *help = read_help(table);

    check_lines(help);
    free(help);
}
END_TEST

START_TEST(help_fits_the_screen_whatever_its_words)
{
    char words[400] = "", *help;
    const struct setting settings[] = {
        {.name = "quiet", .type = SETTING_FLAG, .letter = 'q', .help = words},
        {.name = NULL},
    };

    for (size_t i = 0; i < sizeof words - 1; i++)
        words[i] = i % ((size_t)_i + 1) == (size_t)_i ? ' ' : 'w';
    if (words[sizeof words - 2] == ' ')
        words[sizeof words - 2] = '.';
    help = read_help(settings);
    check_lines(help);
    free(help);
}
END_TEST

START_TEST(help_breaks_lines_between_words_and_loses_none)
{
    char *help = read_help(table);

    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        char option[80];
        const char *place, *word = setting->help;

        (void)snprintf(option, sizeof option, "--%s", setting->name);
        place = strstr(help, option);
        ck_assert_ptr_nonnull(place);
        place += strlen(option);
        while (*word != '\0') {
            size_t length = strcspn(word, " .");

            while (*place != '\0' && strncmp(place, word, length) != 0)
                place++;
            ck_assert_msg(*place != '\0', "no \"%.*s\" in the help of %s", (int)length, word,
                          setting->name);
            place += length;
            word += length;
            word += strspn(word, " .");
        }
    }
    free(help);
}
END_TEST

/* A table with an operand; port 7 unless it says another. */

struct probe {
    struct address target;
    bool quiet;
    uint64_t interval, rate, wait;
    char mark;
};

static int parse_mark(const char *text, void *member, struct error *error)
{
    if (strlen(text) == 1) {
        *(char *)member = text[0];
        return 0;
    }
    error_set(error, "one letter");
    return -1;
}

static const struct setting probe_table[] = {
    {.name = "ADDRESS",
     .type = SETTING_TARGET,
     .offset = offsetof(struct probe, target),
     .minimum = 7,
     .help = "where to"},
    {.name = "quiet",
     .letter = 'q',
     .type = SETTING_FLAG,
     .offset = offsetof(struct probe, quiet),
     .help = "less"},
    {.name = "interval",
     .type = SETTING_INTERVAL,
     .offset = offsetof(struct probe, interval),
     .argument = "DURATION",
     .fallback = "1s",
     .maximum = 2000000,
     .help = "how often"},
    {.name = "rate",
     .type = SETTING_RATE,
     .offset = offsetof(struct probe, rate),
     .argument = "N/s",
     .fallback = "0",
     .maximum = 1000,
     .help = "how many"},
    {.name = "wait",
     .letter = 'w',
     .type = SETTING_DURATION,
     .offset = offsetof(struct probe, wait),
     .argument = "DURATION",
     .implied = "5s",
     .maximum = 9000,
     .help = "wait"},
    {.name = "mark",
     .type = SETTING_PARSED,
     .offset = offsetof(struct probe, mark),
     .argument = "LETTER",
     .parse = parse_mark,
     .help = "mark"},
    {.name = NULL},
};

static int parse_probe(struct probe *probe, const char *const arguments[], struct error *error)
{
    *probe = (struct probe){0};
    ck_assert_int_eq(settings_set_defaults(probe_table, probe, error), 0);
    return parse_into(probe_table, probe, arguments, error);
}

START_TEST(an_operand_may_stand_anywhere_or_be_missing)
{
    struct error error = {""};
    struct probe probe;
    char text[ADDRESS_TEXT_SIZE];

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS(NULL), &error), 0);
    ck_assert_str_eq(probe.target.host, "");
    ck_assert_uint_eq(probe.interval, 1000000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("::1", "-q", "--interval", "0.2"), &error), 0);
    address_format(&probe.target, text);
    ck_assert_str_eq(text, "tcp://[::1]:7");
    ck_assert(probe.quiet);
    ck_assert_uint_eq(probe.interval, 200000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--rate", "9/s", "--", "a"), &error), 0);
    ck_assert_uint_eq(probe.rate, 9);
    ck_assert_str_eq(probe.target.host, "a");
}
END_TEST

START_TEST(a_second_operand_and_a_wrong_one_are_refused)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "b"), &error), -1);
    ck_assert_str_eq(
        error.text,
        "\"b\" is one too many; give one ADDRESS, and the value of --wait behind \"=\"");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("fd://0"), &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "fd://0"));
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--ADDRESS", "a"), &error), -1);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--interval", "2s1us"), &error), -1);
    ck_assert_str_eq(error.text, "--interval: \"2s1us\" is out of range; it may be 0 to 2s");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--rate", "9/h"), &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "1000/s"));
}
END_TEST

START_TEST(a_value_that_may_be_missing_stands_behind_an_equals_sign)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 0);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 5000);
    ck_assert_str_eq(probe.target.host, "a");
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("-w", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 5000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait=9s", "a"), &error), 0);
    ck_assert_uint_eq(probe.wait, 9000);
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("--wait=10s", "a"), &error), -1);
    ck_assert_str_eq(error.text, "--wait: \"10s\" is out of range; it may be 0 to 9s");
}
END_TEST

START_TEST(a_program_parses_a_type_of_its_own)
{
    struct error error = {""};
    struct probe probe;

    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "--mark", "x"), &error), 0);
    ck_assert_int_eq(probe.mark, 'x');
    ck_assert_int_eq(parse_probe(&probe, ARGUMENTS("a", "--mark", "xy"), &error), -1);
    ck_assert_str_eq(error.text, "--mark: \"xy\" is not one letter");
}
END_TEST

START_TEST(help_shows_that_a_value_may_be_missing)
{
    char *help = read_help(probe_table);

    ck_assert_ptr_nonnull(strstr(help, "\n  -w, --wait[=DURATION]        wait\n"));
    ck_assert_ptr_nonnull(strstr(help, "\n      --mark LETTER            mark\n"));
    free(help);
}
END_TEST

/* --- A configuration file. ------------------------------------------------------------------- */

static bool format_mark(const void *member, char text[SETTING_VALUE_SIZE])
{
    const char *mark = member;

    (void)snprintf(text, SETTING_VALUE_SIZE, "%c", *mark);
    return *mark != '\0';
}

/* What a file may set, and cannot change later where it is fixed. */
struct written {
    struct listen_list listen;
    uint64_t count, size, interval;
    unsigned level;
    bool quiet, help;
    char *path;
    char mark;
};

static const struct setting written_table[] = {
    {.name = "listen",
     .type = SETTING_LIST,
     .list = &listens,
     .offset = offsetof(struct written, listen),
     .argument = "ADDRESS",
     .fallback = "[::1]:7",
     .help = "listen"},
    {.name = "count",
     .type = SETTING_COUNT,
     .offset = offsetof(struct written, count),
     .argument = "N",
     .fallback = "auto",
     .maximum = 9,
     .has_auto = true,
     .is_fixed = true,
     .help = "count"},
    {.name = "size",
     .type = SETTING_SIZE,
     .offset = offsetof(struct written, size),
     .argument = "SIZE",
     .fallback = "64KiB",
     .maximum = 1 << 20,
     .help = "size"},
    {.name = "interval",
     .type = SETTING_INTERVAL,
     .offset = offsetof(struct written, interval),
     .argument = "DURATION",
     .fallback = "0.5",
     .implied = "3s",
     .maximum = 9000000,
     .help = "interval"},
    {.name = "level",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct written, level),
     .argument = "LEVEL",
     .fallback = "low",
     .choices = levels,
     .is_fixed = true,
     .help = "level"},
    {.name = "quiet",
     .type = SETTING_FLAG,
     .offset = offsetof(struct written, quiet),
     .is_fixed = true,
     .help = "quiet"},
    {.name = "path",
     .type = SETTING_TEXT,
     .offset = offsetof(struct written, path),
     .argument = "PATH",
     .is_fixed = true,
     .help = "path"},
    {.name = "mark",
     .type = SETTING_PARSED,
     .offset = offsetof(struct written, mark),
     .argument = "LETTER",
     .parse = parse_mark,
     .format = format_mark,
     .size = sizeof(char),
     .is_fixed = true,
     .help = "mark"},
    {.name = "help",
     .type = SETTING_FLAG,
     .offset = offsetof(struct written, help),
     .is_command = true,
     .help = "help"},
    {.name = NULL},
};

static struct written written;
static struct origin origins[COUNT_OF(written_table)];

static void set_written_defaults(void)
{
    struct error error;

    memset(&written, 0, sizeof written);
    memset(origins, 0, sizeof origins);
    ck_assert_int_eq(settings_set_defaults(written_table, &written, &error), 0);
}

static void free_written(void)
{
    settings_free(written_table, &written);
}

static int set_line(const char *name, const char *value, struct error *error)
{
    const struct setting *setting = settings_find(written_table, name);
    const struct origin origin = {.kind = ORIGIN_FILE, .place = "file:1"};

    ck_assert_ptr_nonnull(setting);
    return settings_set(written_table, setting, &written, origins, value, &origin, error);
}

/* Return what is printed of the settings; free it. */
static char *read_print(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    settings_print(written_table, &written, origins, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(defaults_are_printed_as_lines_of_a_file)
{
    char *text = read_print();

    ck_assert_str_eq(text, "listen tcp://[::1]:7 # default\ncount auto # default\n"
                           "size 64KiB # default\ninterval 500ms # default\n"
                           "level low # default\nquiet no # default\n# path is not set\n"
                           "# mark is not set\n");
    free(text);
}
END_TEST

START_TEST(what_is_printed_says_where_it_came_from)
{
    char program[] = "program", level[] = "--level=high", size[] = "--size=3";
    char *arguments[] = {program, level, size, NULL};
    struct error error;
    char *text;

    ck_assert_int_eq(set_line("listen", "[::1]:8", &error), 0);
    ck_assert_int_eq(set_line("listen", "unix:///a b", &error), 0);
    ck_assert_int_eq(set_line("size", "2KiB", &error), 0);
    ck_assert_int_eq(set_line("quiet", NULL, &error), 0);
    ck_assert_int_eq(set_line("interval", NULL, &error), 0);
    ck_assert_int_eq(set_line("path", "a\"\\\n#", &error), 0);
    ck_assert_int_eq(set_line("mark", "#", &error), 0);
    ck_assert_int_eq(command_line_parse(written_table, &written, origins, 3, arguments, &error), 0);
    text = read_print();
    ck_assert_str_eq(text, "listen tcp://[::1]:8 # file:1\nlisten \"unix:///a b\" # file:1\n"
                           "count auto # default\nsize 3 # command line\ninterval 3s # file:1\n"
                           "level high # command line\nquiet yes # file:1\n"
                           "path \"a\\\"\\\\\\n#\" # file:1\nmark \"#\" # file:1\n");
    free(text);
}
END_TEST

/* A flag's value in a file, and what it becomes. */
static const struct {
    const char *value;
    int status;
    bool is_set;
} flags[] = {
    {NULL, 0, true}, {"yes", 0, true}, {"no", 0, false}, {"YES", -1, true}, {"", -1, true},
};

START_TEST(a_flag_in_a_file_is_yes_or_no)
{
    struct error error;

    written.quiet = true;
    ck_assert_int_eq(set_line("quiet", flags[_i].value, &error), flags[_i].status);
    ck_assert_int_eq(written.quiet, flags[_i].is_set);
    ck_assert_int_eq(origins[5].is_refused, flags[_i].status < 0);
}
END_TEST

START_TEST(errors_of_a_line_name_the_setting_without_dashes)
{
    struct error error;

    ck_assert_int_eq(set_line("count", "10", &error), -1);
    ck_assert_str_eq(error.text, "count: \"10\" is out of range; it may be 0 to 9, or auto");
    ck_assert_int_eq(set_line("count", NULL, &error), -1);
    ck_assert_str_eq(error.text, "count: a value is missing; write count N");
    ck_assert_int_eq(set_line("path", "", &error), -1);
    ck_assert_str_eq(error.text, "path: \"\" is empty; write what it should be");
    ck_assert_ptr_null(settings_find(written_table, "none"));
    ck_assert_ptr_null(settings_find(probe_table, "ADDRESS"));
}
END_TEST

static void note_kept(const struct setting *setting, const char *wanted, const char *kept,
                      void *argument)
{
    char *text = argument;
    const size_t length = strlen(text);

    (void)snprintf(text + length, 256 - length, "%s %s %s\n", setting->name, wanted, kept);
}

START_TEST(what_is_fixed_keeps_its_value)
{
    struct written current = {.count = 4, .size = 5, .level = 1, .path = strdup("/a"), .mark = 'x'};
    struct error error;
    char text[256] = "";

    ck_assert_int_eq(set_line("quiet", "yes", &error), 0);
    ck_assert_int_eq(set_line("size", "7", &error), 0);
    ck_assert_int_eq(settings_keep_fixed(written_table, &written, &current, note_kept, text), 0);
    ck_assert_str_eq(text,
                     "count auto 4\nlevel low middle\nquiet yes no\npath none /a\nmark none x\n");
    ck_assert_uint_eq(written.count, 4);
    ck_assert_uint_eq(written.size, 7);
    ck_assert_uint_eq(written.level, 1);
    ck_assert(!written.quiet);
    ck_assert_str_eq(written.path, "/a");
    ck_assert_int_eq(written.mark, 'x');
    text[0] = '\0';
    ck_assert_int_eq(settings_keep_fixed(written_table, &written, &current, note_kept, text), 0);
    ck_assert_str_eq(text, "");
    free(current.path);
}
END_TEST

static Suite *settings_suite(void)
{
    Suite *suite = suite_create("settings");
    TCase *right = support_case(suite, "right");
    TCase *refused = support_case(suite, "wrong");
    TCase *help = support_case(suite, "help");
    TCase *files = support_case(suite, "files");

    tcase_add_checked_fixture(files, set_written_defaults, free_written);
    tcase_add_test(files, defaults_are_printed_as_lines_of_a_file);
    tcase_add_test(files, what_is_printed_says_where_it_came_from);
    tcase_add_loop_test(files, a_flag_in_a_file_is_yes_or_no, 0, COUNT_OF(flags));
    tcase_add_test(files, errors_of_a_line_name_the_setting_without_dashes);
    tcase_add_test(files, what_is_fixed_keeps_its_value);
    tcase_add_test(help, an_operand_may_stand_anywhere_or_be_missing);
    tcase_add_test(help, a_second_operand_and_a_wrong_one_are_refused);
    tcase_add_test(help, a_value_that_may_be_missing_stands_behind_an_equals_sign);
    tcase_add_test(help, a_program_parses_a_type_of_its_own);
    tcase_add_test(help, help_shows_that_a_value_may_be_missing);
    tcase_add_checked_fixture(right, set_defaults, free_things);
    tcase_add_test(right, defaults_are_set_and_an_empty_line_leaves_them);
    tcase_add_test(right, each_type_is_read);
    tcase_add_loop_test(right, every_spelling_means_the_same, 0, COUNT_OF(spellings));
    tcase_add_test(right, bounds_are_allowed_themselves);
    tcase_add_test(right, auto_is_read_where_it_is_allowed);
    tcase_add_test(right, the_first_value_of_a_list_replaces_its_default_and_others_join);
    tcase_add_test(right, a_list_that_is_given_its_default_keeps_it);
    tcase_add_test(right, a_long_list_is_kept_whole);
    tcase_add_test(right, freed_settings_may_be_set_again);

    tcase_add_checked_fixture(refused, set_defaults, free_things);
    tcase_add_loop_test(refused, a_wrong_line_is_refused_with_a_sentence_that_names_the_option, 0,
                        COUNT_OF(wrong));
    tcase_add_test(refused, nothing_is_printed_about_a_wrong_line);
    tcase_add_test(refused, a_parse_does_not_depend_on_the_one_before);
    tcase_add_loop_test(refused, a_default_that_its_setting_refuses_aborts, 0, 4);

    tcase_add_test(help, help_shows_every_option_with_its_letter_argument_and_default);
    tcase_add_test(help, help_fits_the_screen);
    tcase_add_loop_test(help, help_fits_the_screen_whatever_its_words, 1, 20);
    tcase_add_test(help, help_breaks_lines_between_words_and_loses_none);
    return suite;
}

int main(void)
{
    return support_run(settings_suite());
}
