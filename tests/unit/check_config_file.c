/*
 * check_config_file: lines, quotes, includes, and everything that may be wrong with a file.
 * Knows no setting; check_options does.
 * Run by make check.
 */
#include <config.h>

#include "base/config_file.h"

#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* --- A directory of the test's own, which is the current one. -------------------------------- */

static char home[] = "/tmp/echod-check-XXXXXX";

static void enter_directory(void)
{
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(chdir(home), 0);
}

static void leave_directory(void)
{
    char command[sizeof home + 16];

    ck_assert_int_eq(chdir("/"), 0);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", home);
    ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): nothing of it is from outside */
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_file(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

/* --- What came of it: "name=value\n" for each line, "place: ...\n" for each error. ----------- */

enum { SEEN_SIZE = 1 << 16 };

static char seen[SEEN_SIZE];
static unsigned line_count, error_count;

static void note(const char *text)
{
    if (strlen(seen) + strlen(text) < sizeof seen)
        (void)strcat(seen, text); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
}

static int on_line(const struct config_line *line, void *argument, struct error *error)
{
    ck_assert_ptr_eq(argument, seen);
    ck_assert_ptr_nonnull(strchr(line->place, ':'));
    line_count++;
    if (strcmp(line->name, "wrong") == 0) {
        error_set(error, "this is wrong");
        return -1;
    }
    note(line->name);
    note(line->value == NULL ? "" : "=");
    note(line->value == NULL ? "" : line->value);
    note("\n");
    return 0;
}

static void on_error(const struct error *error, void *argument)
{
    ck_assert_ptr_eq(argument, seen);
    error_count++;
    note(error->text);
    note("\n");
}

static int read_by(const struct config_reader *reader, const char *path)
{
    int status;

    seen[0] = '\0';
    line_count = error_count = 0;
    status = config_file_read(path, reader);
    ck_assert_int_eq(status, error_count == 0 ? 0 : -1);
    return status;
}

static int read_path(const char *path)
{
    return read_by(&(const struct config_reader){on_line, on_error, seen, NULL}, path);
}

static void on_path(const char *path, void *argument)
{
    ck_assert_ptr_eq(argument, seen);
    note("path ");
    note(path);
    note("\n");
}

/* --- Lines. ---------------------------------------------------------------------------------- */

static const struct {
    const char *text, *expected;
} right[] = {
    {"", ""},
    {"\n\n \t\n", ""},
    {"a b\n", "a=b\n"},
    {"a b", "a=b\n"},
    {"a b\r\nc d\r\n", "a=b\nc=d\n"},
    {"a b\r", "a=b\n"},
    {"a\n", "a\n"},
    {"  a \t b \t \n", "a=b\n"},
    {"# a b\na b # c\n#\n", "a=b\n"},
    {"a b#c\n", "a=b#c\n"},
    {"a #b\n", "a\n"},
    {"a \"b c\"\n", "a=b c\n"},
    {"a \"\"\n", "a=\n"},
    {"a \"# b\" # c\n", "a=# b\n"},
    {"a \"x\\\"y\\\\z\\n\"\n", "a=x\"y\\z\n\n"},
    {"a \"\\t\"\n", "a=\\t\n"},
    {"a \"\\\\b\"\n", "a=\\b\n"},
    {"a \"\\b\\\\\"\n", "a=\\b\\\n"},
    {"include none/*.conf\na b\n", "a=b\n"},
    {"include /proc/sys/kernel/ostype\n", "Linux\n"}, /* of another file system */
    {"a b\"c\"\n", "a=b\"c\"\n"},
    {"a C:\\n\n", "a=C:\\n\n"},
    {"\"a\" b\n", "a=b\n"},
    {"a \xc3\xa4\n", "a=\xc3\xa4\n"},
    {"\xef\xbb\xbfx y\nc d\n", "x=y\nc=d\n"},
    {"\xef\xbb\xbf# a b\n", ""},
    {"\xef\xbb\xbf", ""},
};

START_TEST(a_line_is_a_name_and_a_value)
{
    write_file("a.conf", right[_i].text);
    ck_assert_int_eq(read_path("a.conf"), 0);
    ck_assert_str_eq(seen, right[_i].expected);
}
END_TEST

static const struct {
    const char *text, *expected;
} wrong[] = {
    {"wrong\n", "a.conf:1: this is wrong\n"},
    {"a b c\n", "a.conf:1: \"c\" is one too many; "},
    {"a \"b\n", "a.conf:1: a quote is not closed; "},
    {"a \"b\\\"\n", "a.conf:1: a quote is not closed; "},
    {"a \"b\"c\n", "a.conf:1: \"c\" follows a closing quote; "},
    {"a b \"c\n", "a.conf:1: a quote is not closed; "},
    {"\n\nwrong", "a.conf:3: this is wrong\n"},
    {"wrong\r\n\r\nwrong\r\n", "a.conf:1: this is wrong\na.conf:3: this is wrong\n"},
    {"a 1\nwrong\nb 2\n", "a=1\na.conf:2: this is wrong\nb=2\n"},
    {"include\n", "a.conf:1: include: a value is missing; "},
    {"include \"\"\n", "a.conf:1: include: a value is missing; "},
    {"include none\n", "a.conf:1: include: none: No such file or directory; "},
    {"include .\n", "a.conf:1: include: .: it is no regular file, "},
    {"include /proc/self/mem\n",
     "a.conf:1: include: /proc/self/mem: I"}, /* "Input/output error", or musl's "I/O error" */
};

START_TEST(what_is_wrong_is_reported_and_the_rest_is_read)
{
    write_file("a.conf", wrong[_i].text);
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_msg(strstr(seen, wrong[_i].expected) != NULL, "%s", seen);
}
END_TEST

START_TEST(nul_bytes_are_refused_line_by_line)
{
    static const char bytes[] = "a 1\nb\0c 2\n\0\nd 3\n\0";

    write_bytes("a.conf", bytes, sizeof bytes - 1);
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_uint_eq(error_count, 3);
    ck_assert_uint_eq(line_count, 2);
    ck_assert_ptr_nonnull(strstr(seen, "a.conf:2: the line holds a NUL byte; "));
    ck_assert_ptr_nonnull(strstr(seen, "a.conf:5: the line holds a NUL byte; "));
}
END_TEST

START_TEST(a_line_may_be_long_and_not_longer)
{
    static char text[2 * CONFIG_FILE_LINE + 16];

    memset(text, 'x', sizeof text);
    text[CONFIG_FILE_LINE] = '\r';
    text[CONFIG_FILE_LINE + 1] = '\n';
    text[2 * CONFIG_FILE_LINE + 3] = '\n';
    write_bytes("a.conf", text, 2 * CONFIG_FILE_LINE + 4);
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_uint_eq(line_count, 1);
    ck_assert_uint_eq(error_count, 1);
    ck_assert_ptr_nonnull(strstr(seen, "a.conf:2: the line has 4097 bytes; "));
}
END_TEST

START_TEST(a_file_may_be_large_and_not_larger)
{
    static const char last[] = {'a', ' ', '1'};
    char *text = malloc(CONFIG_FILE_BYTES + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, '\n', CONFIG_FILE_BYTES + 1);
    memcpy(text + CONFIG_FILE_BYTES - sizeof last, last, sizeof last);
    write_bytes("a.conf", text, CONFIG_FILE_BYTES);
    ck_assert_int_eq(read_path("a.conf"), 0);
    ck_assert_str_eq(seen, "a=1\n");
    write_bytes("a.conf", text, CONFIG_FILE_BYTES + 1);
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_str_eq(seen, "a.conf: it is larger than 1MiB; write less\n");
    free(text);
}
END_TEST

/* --- Files. ---------------------------------------------------------------------------------- */

START_TEST(what_is_no_file_is_refused_and_blocks_nobody)
{
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    ck_assert_int_eq(read_path("fifo"), -1);
    ck_assert_str_eq(seen,
                     "fifo: it is no regular file, which a reload could read again; name one\n");
    ck_assert_int_eq(read_path("."), -1);
    ck_assert_int_eq(read_path("none"), -1);
    ck_assert_str_eq(seen, "none: No such file or directory; name a file that can be read\n");
    ck_assert_int_eq(read_path("/dev/zero"), -1);
    ck_assert_uint_eq(error_count, 1);
}
END_TEST

START_TEST(includes_begin_at_the_file_that_they_stand_in)
{
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    ck_assert_int_eq(mkdir("sub/conf.d", 0700), 0);
    write_file("sub/main.conf", "a 1\ninclude conf.d/*.conf\ninclude other.conf\nz 9\n");
    write_file("sub/other.conf", "b 2\n");
    write_file("sub/conf.d/20.conf", "d 4\ninclude ../last.conf");
    write_file("sub/conf.d/10.conf", "c 3\n");
    write_file("sub/conf.d/.hidden.conf", "wrong");
    write_file("sub/conf.d/backup.conf~", "wrong");
    write_file("sub/last.conf", "e 5\n");
    ck_assert_int_eq(read_path("sub/main.conf"), 0);
    ck_assert_str_eq(seen, "a=1\nc=3\nd=4\ne=5\nb=2\nz=9\n");
    ck_assert_int_eq(chdir("sub"), 0);
    ck_assert_int_eq(read_path("main.conf"), 0);
    ck_assert_str_eq(seen, "a=1\nc=3\nd=4\ne=5\nb=2\nz=9\n");
}
END_TEST

START_TEST(a_pattern_may_stand_for_nothing)
{
    write_file("a.conf", "include *.none\na 1\n");
    ck_assert_int_eq(read_path("a.conf"), 0);
    ck_assert_str_eq(seen, "a=1\n");
}
END_TEST

START_TEST(a_pattern_in_a_directory_that_cannot_be_read_is_refused)
{
    ck_assert_int_eq(symlink("loop", "loop"), 0);
    write_file("a.conf", "a 1\ninclude loop/*.conf\n");
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_str_eq(seen,
                     "a=1\na.conf:2: include: loop/*.conf: the directory cannot be read; name "
                     "one that can be\n");
}
END_TEST

START_TEST(who_asks_is_told_every_path_that_is_looked_at)
{
    const struct config_reader reader = {on_line, on_error, seen, on_path};

    write_file("a.conf", "include [b]*.conf\ninclude c.conf\n");
    write_file("b1.conf", "b 1\n");
    ck_assert_int_eq(read_by(&reader, "a.conf"), -1);
    ck_assert_str_eq(seen, "path a.conf\npath [b]*.conf\npath b1.conf\nb=1\npath c.conf\n"
                           "a.conf:2: include: c.conf: No such file or directory; name a file that "
                           "can be read\n");
}
END_TEST

START_TEST(a_directory_whose_name_looks_like_a_pattern_stands_for_itself)
{
    ck_assert_int_eq(mkdir("[ab]*", 0700), 0);
    ck_assert_int_eq(mkdir("a", 0700), 0);
    write_file("[ab]*/main.conf", "include x*.conf\ninclude y.conf\n");
    write_file("[ab]*/x1.conf", "a 1\n");
    write_file("[ab]*/y.conf", "b 2\n");
    write_file("a/x1.conf", "wrong\n");
    ck_assert_int_eq(read_path("[ab]*/main.conf"), 0);
    ck_assert_str_eq(seen, "a=1\nb=2\n");
}
END_TEST

START_TEST(an_absolute_include_is_taken_as_it_is)
{
    char text[sizeof home + 64];

    ck_assert_int_eq(mkdir("sub", 0700), 0);
    write_file("b.conf", "b 2\n");
    (void)snprintf(text, sizeof text, "include %s/b.conf\ninclude %s/[b].conf\n", home, home);
    write_file("sub/a.conf", text);
    ck_assert_int_eq(read_path("sub/a.conf"), 0);
    ck_assert_str_eq(seen, "b=2\nb=2\n");
}
END_TEST

START_TEST(errors_in_included_files_name_these)
{
    write_file("a.conf", "include b.conf\nwrong\n");
    write_file("b.conf", "\nwrong\n");
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_str_eq(seen, "b.conf:2: this is wrong\na.conf:2: this is wrong\n");
}
END_TEST

START_TEST(a_loop_names_both_files_and_ends)
{
    write_file("a.conf", "a 1\ninclude b.conf\na 2\n");
    write_file("b.conf", "b 1\ninclude a.conf\nb 2\n");
    ck_assert_int_eq(symlink("a.conf", "link.conf"), 0);
    ck_assert_int_eq(read_path("a.conf"), -1);
    support_assert_matches(seen, "b.conf:2: include: a.conf: this file is being read already; ");
    ck_assert_uint_eq(error_count, 1);
    ck_assert_uint_eq(line_count, 4);
    write_file("a.conf", "include link.conf\n");
    ck_assert_int_eq(read_path("a.conf"), -1);
    support_assert_matches(seen, "a.conf:1: include: link.conf: this file is being read already; ");
}
END_TEST

/* A file that includes another one so often. */
static void write_includes(const char *path, const char *other, int count)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < count; i++)
        ck_assert_int_gt(fprintf(file, "include %s\n", other), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* A file that includes the next, until the last one, which is wrong. */
static void write_chain(int length)
{
    for (int i = 0; i <= length; i++) {
        char name[32], text[64];

        (void)snprintf(name, sizeof name, "%d.conf", i);
        (void)snprintf(text, sizeof text, "include %d.conf\n", i + 1);
        write_file(name, i == length ? "a 1\n" : text);
    }
}

START_TEST(includes_are_nested_so_deep_and_not_deeper)
{
    write_chain(CONFIG_FILE_DEPTH);
    ck_assert_int_eq(read_path("0.conf"), 0);
    ck_assert_str_eq(seen, "a=1\n");
    write_chain(CONFIG_FILE_DEPTH + 1);
    ck_assert_int_eq(read_path("0.conf"), -1);
    support_assert_matches(seen, "^8.conf:1: include: 9.conf: it lies too deep; ");
}
END_TEST

START_TEST(so_many_files_and_no_more_are_read)
{
    write_includes("a.conf", "b.conf", 1100);
    write_file("b.conf", "a 1\n");
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_uint_eq(line_count, CONFIG_FILE_COUNT - 1);
    ck_assert_uint_eq(error_count, 1);
    support_assert_matches(seen, "a.conf:1000: include: b.conf: there are more than 1000 files; ");
}
END_TEST

START_TEST(too_many_files_are_told_of_once)
{
    write_file("a.conf", "include c*.conf\n");
    write_includes("c1.conf", "b.conf", 500);
    write_includes("c2.conf", "b.conf", 500);
    write_file("c3.conf", "wrong\n");
    write_file("b.conf", "a 1\n");
    ck_assert_int_eq(read_path("a.conf"), -1);
    ck_assert_uint_eq(error_count, 1);
    support_assert_matches(seen, "c2.conf:[0-9]+: include: b.conf: there are more than 1000 files");
}
END_TEST

START_TEST(a_hostile_name_stays_on_one_line)
{
    write_file("a\n\x1b.conf", "wrong\n");
    ck_assert_int_eq(read_path("a\n\x1b.conf"), -1);
    ck_assert_str_eq(seen, "a\?\?.conf:1: this is wrong\n");
}
END_TEST

static Suite *config_file_suite(void)
{
    Suite *suite = suite_create("config_file");
    TCase *lines = support_case(suite, "lines");
    TCase *files = support_case(suite, "files");

    tcase_add_checked_fixture(lines, enter_directory, leave_directory);
    tcase_add_loop_test(lines, a_line_is_a_name_and_a_value, 0, COUNT_OF(right));
    tcase_add_loop_test(lines, what_is_wrong_is_reported_and_the_rest_is_read, 0, COUNT_OF(wrong));
    tcase_add_test(lines, nul_bytes_are_refused_line_by_line);
    tcase_add_test(lines, a_line_may_be_long_and_not_longer);
    tcase_add_test(lines, a_file_may_be_large_and_not_larger);

    tcase_add_checked_fixture(files, enter_directory, leave_directory);
    tcase_add_test(files, what_is_no_file_is_refused_and_blocks_nobody);
    tcase_add_test(files, includes_begin_at_the_file_that_they_stand_in);
    tcase_add_test(files, a_pattern_may_stand_for_nothing);
    tcase_add_test(files, a_pattern_in_a_directory_that_cannot_be_read_is_refused);
    tcase_add_test(files, who_asks_is_told_every_path_that_is_looked_at);
    tcase_add_test(files, a_directory_whose_name_looks_like_a_pattern_stands_for_itself);
    tcase_add_test(files, an_absolute_include_is_taken_as_it_is);
    tcase_add_test(files, errors_in_included_files_name_these);
    tcase_add_test(files, a_loop_names_both_files_and_ends);
    tcase_add_test(files, includes_are_nested_so_deep_and_not_deeper);
    tcase_add_test(files, so_many_files_and_no_more_are_read);
    tcase_add_test(files, too_many_files_are_told_of_once);
    tcase_add_test(files, a_hostile_name_stays_on_one_line);
    return suite;
}

int main(void)
{
    return support_run(config_file_suite());
}
