/*
 * check_sandbox_paths: which paths a running echod needs follows from its options; off is nothing.
 * What that lets it do is in tests/system/test_sandbox.py.
 * Run by make check.
 */
#include <config.h>

#include "echod/sandbox_paths.h"

#include "echod/options_reader.h"
#include "echod/sandbox.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTED_SIZE 8192

static struct {
    char directory[32];
    char listed[LISTED_SIZE]; /* lines such as "read /etc" */
} scene;

static void list(const char *path, enum sandbox_use use, void *argument)
{
    static const char *const words[] = {"read", "sockets", "remove"};
    const size_t length = strlen(scene.listed);

    ck_assert_ptr_eq(argument, &scene);
    (void)snprintf(scene.listed + length, sizeof scene.listed - length, "%s %s\n", words[use],
                   path);
}

static void on_error(const struct error *error, void *argument)
{
    (void)argument;
    ck_abort_msg("%s", error->text);
}

/* List the paths of a command line. */
static void list_options(const char *name, const char *value)
{
    char program[] = "echod", no_config[] = "--no-config", option[32], text[512];
    char *with_file[] = {program, option, text, NULL};
    char *without_file[] = {program, no_config, option, text, NULL};
    const bool is_file = strcmp(name, "--config") == 0;
    static struct options options;

    (void)snprintf(option, sizeof option, "%s", name);
    (void)snprintf(text, sizeof text, "%s", value);
    ck_assert_int_eq(
        options_read(&options, is_file ? 3 : 4, is_file ? with_file : without_file, on_error, NULL),
        0);
    scene.listed[0] = '\0';
    sandbox_paths_of_options(&options, list, &scene);
    options_free(&options);
}

/* Write a file into the directory of the test, and its path into `path`. */
static void write_file(const char *name, const char *content, char path[128])
{
    FILE *file;

    (void)snprintf(path, 128, "%s/%s", scene.directory, name);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs(content, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    (void)strcpy(scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene.directory));
}

static const struct {
    const char *name, *value, *expected;
} cases[] = {
    {"--listen", "tcp://127.0.0.1:7", ""},
    {"--listen", "unix:///run/echod/a.sock", "sockets /run/echod\n"},
    {"--listen", "unix://@echod", ""},
#ifdef HAVE_LIBMICROHTTPD
    {"--admin", "unix:///run/echod/admin.sock", "sockets /run/echod\n"},
#endif
    {"--pid-file", "/run/echod.pid", "remove /run\n"},
    {"--pid-file", "echod.pid", "remove .\n"},
#ifdef HAVE_OPENSSL
    {"--listen", "tls://[::1]:7,cert=/a/c.pem;/b/d.pem,key=/k/c.key;d.key,client-ca=/ca.pem",
     "read /a\nread /b\nread /k\nread .\nread /ca.pem\n"},
    {"--listen", "tls+unix:///s/x,cert=/a/c.pem", "sockets /s\nread /a\n"},
#endif
};

START_TEST(each_option_has_its_directories)
{
    list_options(cases[_i].name, cases[_i].value);
    ck_assert_str_eq(scene.listed, cases[_i].expected);
}
END_TEST

START_TEST(a_configuration_has_those_of_its_includes)
{
    char path[128], expected[512];

    write_file("more.conf", "# nothing\n", path);
    write_file("echod.conf", "include more.conf\ninclude conf.d/*.conf\ninclude /gone/*\n", path);
    list_options("--config", path);
    (void)snprintf(expected, sizeof expected, "read %s\nread %s\nread %s/conf.d\nread /gone\n",
                   scene.directory, scene.directory, scene.directory);
    ck_assert_str_eq(scene.listed, expected);
}
END_TEST

START_TEST(links_lead_to_further_directories)
{
    char path[128], link[128], expected[256];

    (void)snprintf(path, sizeof path, "%s/live", scene.directory);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_file("echod.conf", "", path);
    (void)snprintf(link, sizeof link, "%s/live/echod.conf", scene.directory);
    ck_assert_int_eq(symlink("../echod.conf", link), 0);
    list_options("--config", link);
    (void)snprintf(expected, sizeof expected, "read %s/live\nread %s\n", scene.directory,
                   scene.directory);
    ck_assert_str_eq(scene.listed, expected);
}
END_TEST

START_TEST(a_manager_has_directories_for_sockets)
{
    scene.listed[0] = '\0';
    (void)unsetenv("RUNTIME_DIRECTORY");
    sandbox_paths_of_manager(list, &scene);
    ck_assert_str_eq(scene.listed, "");
    (void)setenv("RUNTIME_DIRECTORY", "/run/echod:/run/more", 1);
    sandbox_paths_of_manager(list, &scene);
    ck_assert_str_eq(scene.listed, "sockets /run/echod\nsockets /run/more\n");
}
END_TEST

START_TEST(root_has_no_more_of_etc_than_single_files)
{
    scene.listed[0] = '\0';
    sandbox_paths_of_system(true, list, &scene);
    ck_assert_ptr_null(strstr(scene.listed, "read /etc\n"));
    ck_assert_ptr_nonnull(strstr(scene.listed, "read /etc/resolv.conf\n"));
    scene.listed[0] = '\0';
    sandbox_paths_of_system(false, list, &scene);
    ck_assert_ptr_nonnull(strstr(scene.listed, "read /etc\n"));
    ck_assert_ptr_null(strstr(scene.listed, "sockets"));
    ck_assert_ptr_null(strstr(scene.listed, "remove"));
}
END_TEST

START_TEST(a_sandbox_that_is_off_closes_no_descriptor_of_others)
{
    const struct options options = {.sandbox = SANDBOX_OFF};
    struct error error = {""};
    struct sandbox sandbox;
    struct log *log = support_log(LOG_FORMAT_TEXT);
    const unsigned descriptors = support_descriptor_count();

    ck_assert_int_eq(sandbox_enter(&sandbox, &options, log, &error), 0);
    sandbox_fini(&sandbox);
    sandbox_fini(&sandbox);
    ck_assert_uint_eq(support_descriptor_count(), descriptors);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

static Suite *sandbox_paths_suite(void)
{
    Suite *suite = suite_create("sandbox_paths");
    TCase *paths = support_case(suite, "paths");

    tcase_add_checked_fixture(paths, setup, NULL);
    tcase_add_loop_test(paths, each_option_has_its_directories, 0, sizeof cases / sizeof cases[0]);
    tcase_add_test(paths, a_configuration_has_those_of_its_includes);
    tcase_add_test(paths, links_lead_to_further_directories);
    tcase_add_test(paths, a_manager_has_directories_for_sockets);
    tcase_add_test(paths, root_has_no_more_of_etc_than_single_files);
    tcase_add_test(paths, a_sandbox_that_is_off_closes_no_descriptor_of_others);
    return suite;
}

int main(void)
{
    return support_run(sandbox_paths_suite());
}
