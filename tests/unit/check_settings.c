/*
 * check_settings: a table of settings: its defaults, its help, lines of a file, what is in effect.
 * Knows none of the programs' settings; check_options does.
 * Run by make check.
 */
#include <config.h>

#include "base/settings.h"

#include "base/command_line.h"
#include "support.h"
#include "things.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELP_COLUMNS = 80 };

START_TEST(a_default_that_its_setting_refuses_aborts)
{
    static const struct setting faulty[][2] = {
        {{.name = "count", .type = SETTING_COUNT, .argument = "N", .fallback = "5", .maximum = 4}},
        {{.name = "size", .type = SETTING_SIZE, .argument = "N", .fallback = "x", .maximum = 4}},
        {{.name = "level",
          .type = SETTING_CHOICE,
          .argument = "N",
          .fallback = "none",
          .choices = things_levels}},
        {{.name = "listen",
          .type = SETTING_LIST,
          .list = &things_listens,
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

START_TEST(help_shows_every_option_with_its_letter_argument_and_default)
{
    char *help = things_read_help(things_table);

    for (const struct setting *setting = things_table; setting->name != NULL; setting++) {
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
    char *help = things_read_help(things_table);

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
    help = things_read_help(settings);
    check_lines(help);
    free(help);
}
END_TEST

START_TEST(help_breaks_lines_between_words_and_loses_none)
{
    char *help = things_read_help(things_table);

    for (const struct setting *setting = things_table; setting->name != NULL; setting++) {
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
/* A configuration file. */

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
     .list = &things_listens,
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
     .choices = things_levels,
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
     .parse = things_parse_mark,
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
    TCase *defaults = support_case(suite, "defaults");
    TCase *help = support_case(suite, "help");
    TCase *files = support_case(suite, "files");

    tcase_add_checked_fixture(defaults, things_set_defaults, things_free);
    tcase_add_loop_test(defaults, a_default_that_its_setting_refuses_aborts, 0, 4);

    tcase_add_test(help, help_shows_every_option_with_its_letter_argument_and_default);
    tcase_add_test(help, help_fits_the_screen);
    tcase_add_loop_test(help, help_fits_the_screen_whatever_its_words, 1, 20);
    tcase_add_test(help, help_breaks_lines_between_words_and_loses_none);

    tcase_add_checked_fixture(files, set_written_defaults, free_written);
    tcase_add_test(files, defaults_are_printed_as_lines_of_a_file);
    tcase_add_test(files, what_is_printed_says_where_it_came_from);
    tcase_add_loop_test(files, a_flag_in_a_file_is_yes_or_no, 0, COUNT_OF(flags));
    tcase_add_test(files, errors_of_a_line_name_the_setting_without_dashes);
    tcase_add_test(files, what_is_fixed_keeps_its_value);
    return suite;
}

int main(void)
{
    return support_run_together(settings_suite());
}
