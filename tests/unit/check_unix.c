/*
 * check_unix: paths that are bound, left to others, handed over and removed.
 * Writes only into a directory of its own.
 * Run by make check.
 */
#include <config.h>

#include "echod/unix.h"

#include "base/clock.h"
#include "opening.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OTHER_ID = 2000000123 };

START_TEST(a_unix_socket_is_bound_and_removed)
{
    const unsigned descriptors = support_descriptor_count();
    int client;

    opening_open(3, TEXTS(opening.url));
    ck_assert_uint_eq(opening.sockets.endpoints.count, 1);
    ck_assert_str_eq(opening.sockets.endpoints.items[0].name, opening.url);
    opening_check_listener(&opening.sockets.endpoints.items[0], 3);
    client = opening_connect_path();
    ck_assert_uint_eq(opening_accept(opening.sockets.endpoints.items[0].worker_fds[_i]), 1);
    support_close(&client);
    opening_close(descriptors);
    ck_assert_int_eq(access(opening.path, F_OK), -1);
}
END_TEST

START_TEST(a_path_that_nobody_listens_on_is_taken)
{
    int fd = opening_bind_path(_i == 0), client;

    support_close(&fd); /* as after a crash */
    opening_open(1, TEXTS(opening.url));
    client = opening_connect_path();
    ck_assert_uint_eq(opening_accept(opening.sockets.endpoints.items[0].worker_fds[0]), 1);
    support_close(&client);
}
END_TEST

START_TEST(a_path_that_somebody_listens_on_is_refused)
{
    int fd = opening_bind_path(true), client;

    opening_check_refused(1, TEXTS(opening.url), opening.url);
    ck_assert_ptr_nonnull(strstr(opening.error.text, strerror(EADDRINUSE)));
    client = opening_connect_path(); /* it is there still */
    ck_assert_uint_ge(opening_accept(fd), 1);
    support_close(&client);
    support_close(&fd);
}
END_TEST

START_TEST(without_descriptors_no_path_is_taken_from_a_listener)
{
    struct rlimit before, limit;
    int fd, client;

    if (support_is_under_valgrind())
        support_skip("valgrind keeps the limit itself, and closes what exceeds it");
    fd = opening_bind_path(true);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (unsigned allowed = 0; allowed < 8; allowed++) {
        limit = before;
        limit.rlim_cur = (rlim_t)fd + 1 + allowed;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(opening_open_into(&opening.sockets, 1, TEXTS(opening.url)), -1);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
    client = opening_connect_path();
    ck_assert_uint_ge(opening_accept(fd), 1);
    support_close(&client);
    support_close(&fd);
}
END_TEST

START_TEST(a_directory_that_stays_locked_is_waited_for_but_not_for_ever)
{
    const uint64_t begin_ms = clock_now_ms();
    int directory = open(opening.directory, O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(flock(directory, LOCK_EX), 0);
    opening_open(1, TEXTS(opening.url));
    ck_assert_uint_ge(clock_now_ms() - begin_ms, 400);
    support_close(&directory);
}
END_TEST

/* Say whose the Unix socket's path is. */
static uid_t owner_of_path(void)
{
    struct stat status;

    ck_assert_int_eq(lstat(opening.path, &status), 0);
    return status.st_uid;
}

START_TEST(a_unix_socket_is_handed_over)
{
    if (getuid() != 0)
        support_skip("it needs root");
    opening_open(1, TEXTS(opening.url, "127.0.0.1:0"));
    sockets_hand_over(&opening.sockets, OTHER_ID, OTHER_ID, support_log(LOG_FORMAT_TEXT));
    ck_assert_uint_eq(owner_of_path(), OTHER_ID);
    ck_assert_str_eq(support_log_text(), "");
}
END_TEST

START_TEST(what_took_its_place_is_not_handed_over)
{
    char other[80];
    struct stat status;

    if (getuid() != 0)
        support_skip("it needs root");
    (void)snprintf(other, sizeof other, "%s/other", opening.directory);
    opening_open(1, TEXTS(opening.url));
    switch (_i) {
    case 0: /* a symbolic link to it */
        ck_assert_int_eq(rename(opening.path, other), 0);
        ck_assert_int_eq(symlink(other, opening.path), 0);
        break;
    case 1: /* a link, so that it might be the socket of another */
        ck_assert_int_eq(link(opening.path, other), 0);
        break;
    case 2: /* a file */
        ck_assert_int_eq(rename(opening.path, other), 0);
        ck_assert_int_eq(mknod(opening.path, S_IFREG | 0600, 0), 0);
        break;
    case 3: /* a socket that somebody else bound */
        ck_assert_int_eq(rename(opening.path, other), 0);
        ck_assert_int_eq(mknod(opening.path, S_IFSOCK | 0600, 0), 0);
        break;
    }
    sockets_hand_over(&opening.sockets, OTHER_ID, OTHER_ID, support_log(LOG_FORMAT_TEXT));
    ck_assert_uint_eq(owner_of_path(), 0);
    ck_assert_int_eq(stat(other, &status), 0);
    ck_assert_uint_eq(status.st_uid, 0);
    support_assert_matches(support_log_text(), "warning: .*/socket stays with its owner: ");
    ck_assert_int_eq(unlink(other), 0);
}
END_TEST

START_TEST(a_unix_socket_has_the_permissions_that_were_asked_for)
{
    const mode_t before = umask(022);
    struct stat status;

    opening.options.mode = _i == 0 ? 0640 : LISTENER_ANY_MODE;
    opening_open(1, TEXTS(opening.url));
    ck_assert_uint_eq(umask(before), 022); /* it is as it was */
    ck_assert_int_eq(lstat(opening.path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, _i == 0 ? 0640 : 0755);
}
END_TEST

START_TEST(a_unix_socket_has_the_owner_and_group_that_were_asked_for)
{
    const bool has_owner = _i != 1, has_group = _i != 0;
    struct stat status;

    if (getuid() != 0)
        support_skip("it needs root");
    opening.options.owner = (struct privileges_user){.is_given = has_owner, .uid = OTHER_ID};
    opening.options.group = (struct privileges_group){.is_given = has_group, .gid = OTHER_ID + 1};
    opening_open(1, TEXTS(opening.url));
    ck_assert_int_eq(lstat(opening.path, &status), 0);
    ck_assert_uint_eq(status.st_uid, has_owner ? OTHER_ID : 0);
    ck_assert_uint_eq(status.st_gid, has_group ? OTHER_ID + 1 : getgid());
    /* What it was told counts more than who echod becomes. */
    sockets_hand_over(&opening.sockets, OTHER_ID + 2, OTHER_ID + 2, support_log(LOG_FORMAT_TEXT));
    ck_assert_int_eq(lstat(opening.path, &status), 0);
    ck_assert_uint_eq(status.st_uid, has_owner ? OTHER_ID : OTHER_ID + 2);
    ck_assert_uint_eq(status.st_gid, has_group ? OTHER_ID + 1 : OTHER_ID + 2);
}
END_TEST

START_TEST(a_path_cannot_be_bound_twice)
{
    opening_check_refused(1, TEXTS(opening.url, opening.url), opening.url);
    ck_assert_int_eq(access(opening.path, F_OK), -1);
}
END_TEST

START_TEST(a_file_is_not_taken_for_a_socket)
{
    int fd = open(opening.path, O_CREAT | O_EXCL | O_RDWR, 0600);
    struct stat before, after;

    ck_assert_int_eq(fstat(fd, &before), 0);
    opening_check_refused(1, TEXTS(opening.url), opening.url);
    ck_assert_ptr_nonnull(strstr(opening.error.text, strerror(EEXIST)));
    ck_assert_int_eq(stat(opening.path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    support_close(&fd);
}
END_TEST

START_TEST(a_path_without_directory_is_refused)
{
    char url[100];

    (void)snprintf(url, sizeof url, "%s/below/socket", opening.url);
    opening_check_refused(1, TEXTS(url), url);
    ck_assert_ptr_nonnull(strstr(opening.error.text, strerror(ENOENT)));
    ck_assert_ptr_nonnull(
        strstr(opening.error.text, "choose a path in a directory of echod's own"));
}
END_TEST

START_TEST(a_path_that_is_somebody_elses_by_now_is_not_removed)
{
    int fd;

    opening_open(1, TEXTS(opening.url));
    ck_assert_int_eq(unlink(opening.path), 0);
    fd = opening_bind_path(true);
    sockets_close(&opening.sockets);
    ck_assert_int_eq(access(opening.path, F_OK), 0);
    support_close(&fd);
}
END_TEST

START_TEST(a_path_that_is_gone_by_now_is_no_problem)
{
    opening_open(1, TEXTS(opening.url));
    ck_assert_int_eq(unlink(opening.path), 0);
    sockets_close(&opening.sockets);
}
END_TEST

/* What became of the path, or of its directory, and whether the socket is lost then. */
enum fate { PATH_STAYS, PATH_IS_GONE, PATH_IS_ANOTHERS, DIRECTORY_IS_A_FILE, DIRECTORY_IS_A_LOOP };

static void meet_fate(enum fate fate, const char *directory, const char *path)
{
    char moved[80];
    int fd;

    (void)snprintf(moved, sizeof moved, "%s/moved", opening.directory);
    switch (fate) {
    case PATH_STAYS:
        return;
    case PATH_IS_GONE:
        ck_assert_int_eq(unlink(path), 0);
        return;
    case PATH_IS_ANOTHERS:
        ck_assert_int_eq(rename(path, moved), 0); /* so that the inode is not used again */
        fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
        ck_assert_int_ge(fd, 0);
        support_close(&fd);
        return;
    case DIRECTORY_IS_A_FILE:
        ck_assert_int_eq(rename(directory, moved), 0);
        fd = open(directory, O_CREAT | O_EXCL | O_RDWR, 0600);
        ck_assert_int_ge(fd, 0);
        support_close(&fd);
        return;
    case DIRECTORY_IS_A_LOOP: /* nobody knows what is there */
        ck_assert_int_eq(rename(directory, moved), 0);
        ck_assert_int_eq(symlink(directory, directory), 0);
        return;
    }
}

static void clean_up(const char *directory, const char *path)
{
    char moved[80];

    (void)unlink(path);
    (void)unlink(directory);
    (void)rmdir(directory);
    (void)snprintf(moved, sizeof moved, "%s/moved/socket", opening.directory);
    (void)unlink(moved);
    *strrchr(moved, '/') = '\0';
    (void)unlink(moved);
    (void)rmdir(moved);
}

START_TEST(a_socket_whose_path_is_gone_is_lost)
{
    static const bool is_lost[] = {false, true, true, true, false};
    char directory[64], path[80], url[100];
    const struct endpoint *endpoint;

    (void)snprintf(directory, sizeof directory, "%s/below", opening.directory);
    (void)snprintf(path, sizeof path, "%s/socket", directory);
    (void)snprintf(url, sizeof url, "unix://%s", path);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    opening_open(1, TEXTS(url, "127.0.0.1:0"));
    endpoint = &opening.sockets.endpoints.items[0];
    meet_fate((enum fate)_i, directory, path);
    if (strcmp(endpoint->name, url) != 0)
        endpoint++;
    ck_assert_int_eq(endpoint_has_lost_path(endpoint), is_lost[_i]);
    ck_assert_int_eq(endpoint_has_path(endpoint), _i == PATH_STAYS);
    sockets_close(&opening.sockets);
    clean_up(directory, path);
}
END_TEST

#ifdef __linux__
/* Write an abstract name as an address; a process has one. */
static const char *abstract_url(void)
{
    static char text[40];

    (void)snprintf(text, sizeof text, "unix://@check-unix-%ld", (long)getpid());
    return text;
}

START_TEST(an_abstract_name_is_bound_and_has_no_path)
{
    const unsigned descriptors = support_descriptor_count();
    const char *url = abstract_url();
    const struct endpoint *endpoint;

    opening_open(2, TEXTS(url));
    endpoint = &opening.sockets.endpoints.items[0];
    ck_assert_str_eq(endpoint->name, url);
    ck_assert_str_eq(endpoint->bound_path, "");
    opening_check_listener(endpoint, 2);
    opening_check_refused(1, TEXTS(url), strerror(EADDRINUSE));
    opening_close(descriptors);
    opening_open(1, TEXTS(url)); /* it went with its last socket */
}
END_TEST

START_TEST(an_abstract_name_has_no_permissions)
{
    struct listen item = {.options = opening.options};
    struct error error = {""};

    if (_i == 0)
        item.options.mode = 0600;
    item.options.owner.is_given = _i == 1;
    item.options.group.is_given = _i == 2;
    ck_assert_int_eq(address_parse(abstract_url(), &item.address, &error), 0);
    ck_assert_int_eq(unix_check(&item, "it", &error), _i == 3 ? 0 : -1);
    if (_i < 3)
        ck_assert_str_eq(error.text, "it: an abstract name has no mode, owner or group; choose a "
                                     "path for them");
    opening.options = item.options;
    if (_i < 3)
        opening_check_refused(1, TEXTS(abstract_url()), "an abstract name has no mode");
    else
        opening_open(1, TEXTS(abstract_url()));
}
END_TEST
#endif

static Suite *unix_suite(void)
{
    Suite *suite = suite_create("unix");
    TCase *test_case;

    test_case = opening_case(suite, "unix");
    tcase_add_loop_test(test_case, a_unix_socket_is_bound_and_removed, 0, 3);
    tcase_add_loop_test(test_case, a_path_that_nobody_listens_on_is_taken, 0, 2);
    tcase_add_test(test_case, a_path_that_somebody_listens_on_is_refused);
    tcase_add_test(test_case, without_descriptors_no_path_is_taken_from_a_listener);
    tcase_add_test(test_case, a_directory_that_stays_locked_is_waited_for_but_not_for_ever);
    tcase_add_test(test_case, a_unix_socket_is_handed_over);
    tcase_add_loop_test(test_case, what_took_its_place_is_not_handed_over, 0, 4);
    tcase_add_loop_test(test_case, a_unix_socket_has_the_permissions_that_were_asked_for, 0, 2);
    tcase_add_loop_test(test_case, a_unix_socket_has_the_owner_and_group_that_were_asked_for, 0, 3);
    tcase_add_test(test_case, a_path_cannot_be_bound_twice);
    tcase_add_test(test_case, a_file_is_not_taken_for_a_socket);
    tcase_add_test(test_case, a_path_without_directory_is_refused);
    tcase_add_test(test_case, a_path_that_is_somebody_elses_by_now_is_not_removed);
    tcase_add_test(test_case, a_path_that_is_gone_by_now_is_no_problem);
    tcase_add_loop_test(test_case, a_socket_whose_path_is_gone_is_lost, 0, 5);
#ifdef __linux__
    test_case = opening_case(suite, "abstract");
    tcase_add_test(test_case, an_abstract_name_is_bound_and_has_no_path);
    tcase_add_loop_test(test_case, an_abstract_name_has_no_permissions, 0, 4);
#endif
    return suite;
}

int main(void)
{
    return support_run(unix_suite());
}
