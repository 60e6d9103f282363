/*
 * check_pidfile: the file holds our number while we run, and is nobody else's.
 * Two processes that race for it are in tests/system.
 * Run by make check.
 */
#include <config.h>

#include "echod/pidfile.h"

#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    struct pidfile pidfile;
    struct error error;
    char directory[32];
    char path[64];
} scene;

static void setup(void)
{
    memset(&scene, 0, sizeof scene);
    scene.pidfile.fd = -1;
    (void)strcpy(scene.directory, "/tmp/check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene.directory));
    (void)snprintf(scene.path, sizeof scene.path, "%s/pid", scene.directory);
}

static void teardown(void)
{
    pidfile_close(&scene.pidfile);
    (void)unlink(scene.path);
    ck_assert_int_eq(rmdir(scene.directory), 0);
}

static void open_pidfile(void)
{
    ck_assert_msg(pidfile_open(&scene.pidfile, scene.path, &scene.error) == 0, "%s",
                  scene.error.text);
}

static void check_refused(const char *pattern)
{
    struct pidfile pidfile;

    ck_assert_int_eq(pidfile_open(&pidfile, scene.path, &scene.error), -1);
    ck_assert_int_eq(pidfile.fd, -1);
    support_assert_matches(scene.error.text, "^--pid-file /tmp/check-[^ ]+/pid: ");
    support_assert_matches(scene.error.text, pattern);
}

/* Make the file with a text in it. */
static void write_file(const char *text)
{
    int fd = open(scene.path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    support_close(&fd);
}

static void check_content(const char *expected)
{
    int fd = dup(scene.pidfile.fd);
    char *content = support_read_file(fd);

    ck_assert_str_eq(content, expected);
    free(content);
    support_close(&fd);
}

/* The same by its path. */
static void check_file(const char *expected)
{
    int fd = open(scene.path, O_RDONLY);
    char *content = support_read_file(fd);

    ck_assert_str_eq(content, expected);
    free(content);
    support_close(&fd);
}

/* The number of this process as the file has it. */
static const char *own_line(void)
{
    static char line[16];

    (void)snprintf(line, sizeof line, "%d\n", (int)getpid());
    return line;
}

START_TEST(the_file_holds_our_number_and_goes_in_the_end)
{
    struct stat status;

    open_pidfile();
    check_content(own_line());
    ck_assert_int_eq(stat(scene.path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0133, 0);
    ck_assert(support_is_close_on_exec(scene.pidfile.fd));
    pidfile_close(&scene.pidfile);
    ck_assert_int_eq(access(scene.path, F_OK), -1);
    pidfile_close(&scene.pidfile);
}
END_TEST

START_TEST(without_a_path_there_is_no_file)
{
    ck_assert_int_eq(pidfile_open(&scene.pidfile, "", &scene.error), 0);
    ck_assert_int_eq(scene.pidfile.fd, -1);
    pidfile_close(&scene.pidfile);
}
END_TEST

START_TEST(a_stale_file_is_taken_over)
{
    static const char *const contents[] = {"", "1\n", "1", "99999999999999\n"};

    write_file(contents[_i]);
    open_pidfile();
    check_content(own_line());
}
END_TEST

START_TEST(what_holds_something_else_is_left_alone)
{
    static const char *const contents[] = {"precious\n", "1\n2\n", " 1\n", "\n\n",
                                           "12345678901234567890123456789012345678901234567890"};

    write_file(contents[_i]);
    check_refused("holds something else than a number; choose");
    check_file(contents[_i]);
}
END_TEST

START_TEST(what_is_no_plain_file_is_refused)
{
    ck_assert_int_eq(mkfifo(scene.path, 0600), 0);
    check_refused("not a plain file; choose");
    ck_assert_int_eq(unlink(scene.path), 0);
    ck_assert_int_eq(symlink("/tmp", scene.path), 0);
    check_refused("not a plain file; choose");
    ck_assert_int_eq(unlink(scene.path), 0);
    ck_assert_int_eq(mkdir(scene.path, 0700), 0);
    check_refused("not a plain file; choose");
    ck_assert_int_eq(rmdir(scene.path), 0);
}
END_TEST

START_TEST(a_link_to_another_file_is_refused)
{
    char other[80];

    (void)snprintf(other, sizeof other, "%s/other", scene.directory);
    write_file("1\n");
    ck_assert_int_eq(link(scene.path, other), 0);
    check_refused("a hard link, which has another name too; choose");
    check_file("1\n");
    ck_assert_int_eq(unlink(scene.path), 0);
    ck_assert_int_eq(symlink(other, scene.path), 0);
    check_refused("not a plain file; choose");
    check_file("1\n");
    ck_assert_int_eq(unlink(other), 0);
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
    if (getuid() != 0)
        support_skip("it needs root");
    write_file("1\n");
    ck_assert_int_eq(chown(scene.path, 2000000123, (gid_t)-1), 0);
    check_refused("belongs to user 2000000123; remove it, or");
    check_file("1\n");
}
END_TEST

START_TEST(a_path_without_directory_is_refused)
{
    struct pidfile pidfile;

    ck_assert_int_eq(pidfile_open(&pidfile, "/tmp/no/such/pid", &scene.error), -1);
    support_assert_matches(scene.error.text, "^--pid-file /tmp/no/such/pid: .*; choose a path in");
}
END_TEST

START_TEST(the_file_of_another_process_is_refused_with_its_number)
{
    char pattern[80];
    int ready[2];
    char byte;
    pid_t other;

    ck_assert_int_eq(pipe(ready), 0);
    other = fork();
    if (other == 0) {
        open_pidfile();
        ck_assert_int_eq(write(ready[1], "", 1), 1);
        (void)pause();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    (void)snprintf(pattern, sizeof pattern, ": process %d has it, by what it holds; stop that",
                   (int)other);
    check_refused(pattern);
    ck_assert_int_eq(kill(other, SIGKILL), 0);
    ck_assert_int_eq(waitpid(other, NULL, 0), other);
    open_pidfile(); /* what it left is stale */
    check_content(own_line());
    support_close(&ready[0]);
    support_close(&ready[1]);
}
END_TEST

START_TEST(what_this_process_opens_elsewhere_does_not_unlock_it)
{
    char pattern[80];
    int fd;

    open_pidfile();
    fd = open(scene.path, O_RDONLY);
    support_close(&fd);
    (void)snprintf(pattern, sizeof pattern, ": process %d has it, by", (int)getpid());
    check_refused(pattern);
}
END_TEST

START_TEST(who_has_it_may_be_unknown)
{
    static const char *const contents[] = {"", "0\n", "x"};

    open_pidfile();
    write_file(contents[_i]);
    check_refused(": another process has it; stop that one, or choose another path");
    check_file(contents[_i]);
}
END_TEST

START_TEST(what_cannot_be_written_is_not_left_behind)
{
    static const char *const reasons[] = {"File too large", "No space left on device"};
    struct rlimit limit, full;
    char pattern[80];
    int status;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    full = (struct rlimit){.rlim_cur = (rlim_t)_i, .rlim_max = limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0); /* as a disk that is full */
    status = pidfile_open(&scene.pidfile, scene.path, &scene.error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(status, -1);
    (void)snprintf(pattern, sizeof pattern, "^--pid-file .*/pid: %s; choose a path in",
                   reasons[_i]);
    support_assert_matches(scene.error.text, pattern);
    ck_assert_int_eq(access(scene.path, F_OK), -1);
}
END_TEST

START_TEST(a_file_that_took_its_place_is_left_alone)
{
    open_pidfile();
    ck_assert_int_eq(unlink(scene.path), 0);
    write_file("1\n");
    pidfile_close(&scene.pidfile);
    ck_assert_int_eq(access(scene.path, F_OK), 0);
}
END_TEST

START_TEST(a_path_is_written_and_checked)
{
    char text[SETTING_VALUE_SIZE] = "x";

    ck_assert(!pidfile_format("", text));
    ck_assert_str_eq(text, "");
    ck_assert(pidfile_format(scene.path, text));
    ck_assert_str_eq(text, scene.path);
    ck_assert_int_eq(pidfile_check("", &scene.error), 0);
    ck_assert_int_eq(pidfile_check(scene.path, &scene.error), 0);
    ck_assert_int_eq(pidfile_check("/nowhere/pid", &scene.error), -1);
    ck_assert_str_eq(scene.error.text,
                     "there is no directory /nowhere; make it, or choose another");
    ck_assert_int_eq(pidfile_check("/dev/null/pid", &scene.error), -1);
}
END_TEST

START_TEST(a_path_is_read)
{
    char path[PIDFILE_PATH_SIZE], text[PIDFILE_PATH_SIZE + 1];

    memset(path, 'x', sizeof path);
    ck_assert_int_eq(pidfile_parse("/run/echod.pid", path, &scene.error), 0);
    ck_assert_str_eq(path, "/run/echod.pid");
    ck_assert_int_eq(pidfile_parse("", path, &scene.error), -1);
    support_assert_matches(scene.error.text, "^a path of 1 to 1023 bytes; write for example ");
    memset(text, 'x', sizeof text);
    text[PIDFILE_PATH_SIZE] = '\0';
    ck_assert_int_eq(pidfile_parse(text, path, &scene.error), -1);
    text[PIDFILE_PATH_SIZE - 1] = '\0';
    ck_assert_int_eq(pidfile_parse(text, path, &scene.error), 0);
}
END_TEST

static Suite *pidfile_suite(void)
{
    Suite *suite = suite_create("pidfile");
    TCase *file = support_case(suite, "file");

    tcase_add_checked_fixture(file, setup, teardown);
    tcase_add_test(file, the_file_holds_our_number_and_goes_in_the_end);
    tcase_add_test(file, without_a_path_there_is_no_file);
    tcase_add_loop_test(file, a_stale_file_is_taken_over, 0, 4);
    tcase_add_loop_test(file, what_holds_something_else_is_left_alone, 0, 5);
    tcase_add_test(file, what_is_no_plain_file_is_refused);
    tcase_add_test(file, a_link_to_another_file_is_refused);
    tcase_add_test(file, a_file_of_another_user_is_refused);
    tcase_add_test(file, a_path_without_directory_is_refused);
    tcase_add_test(file, the_file_of_another_process_is_refused_with_its_number);
    tcase_add_test(file, what_this_process_opens_elsewhere_does_not_unlock_it);
    tcase_add_loop_test(file, who_has_it_may_be_unknown, 0, 3);
    tcase_add_loop_test(file, what_cannot_be_written_is_not_left_behind, 0, 2);
    tcase_add_test(file, a_file_that_took_its_place_is_left_alone);
    tcase_add_test(file, a_path_is_read);
    tcase_add_test(file, a_path_is_written_and_checked);
    return suite;
}

int main(void)
{
    return support_run(pidfile_suite());
}
