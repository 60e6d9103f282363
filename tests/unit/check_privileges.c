/*
 * check_privileges: who a name stands for, and that what was given up does not come back.
 * Most of it needs root; each test is a process of its own, and so may become somebody else.
 * Run by make check.
 */
#include <config.h>

#include "echod/privileges.h"

#include "support.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <dirent.h>
#include <sys/prctl.h>
#endif

enum {
    UNKNOWN_ID = 2000000123,
    NO_SETUID_FIXUP = 1 << 2, /* SECBIT_NO_SETUID_FIXUP of a header that not every system has */
};

#define NOT_GIVEN_USER  (&(const struct privileges_user){.is_given = false})
#define NOT_GIVEN_GROUP (&(const struct privileges_group){.is_given = false})

static struct privileges_user user;
static struct privileges_group group;
static struct error error;

/* See that a text is refused, and what would be right. */
static void check_refused(int status, const char *what)
{
    ck_assert_int_eq(status, -1);
    ck_assert_msg(strstr(error.text, what) == error.text, "%s", error.text);
}

/* Find the first user of this system who is not root; tell whether there is one. */
static bool find_known(struct passwd *known)
{
    static char name[64];
    const struct passwd *entry;

    setpwent();
    do
        entry = getpwent();
    while (entry != NULL && entry->pw_uid == 0);
    if (entry != NULL) {
        *known = *entry;
        (void)snprintf(name, sizeof name, "%s", entry->pw_name);
        known->pw_name = name;
    }
    endpwent();
    return entry != NULL;
}

START_TEST(a_user_is_known_by_name_and_by_number)
{
    struct passwd known;
    char text[32];

    if (!find_known(&known))
        support_skip("this system knows nobody but root");
    memset(&user, 'x', sizeof user);
    ck_assert_int_eq(privileges_parse_user(known.pw_name, &user, &error), 0);
    ck_assert(user.is_given && user.is_known);
    ck_assert_uint_eq(user.uid, known.pw_uid);
    ck_assert_str_eq(user.name, known.pw_name);
    (void)snprintf(text, sizeof text, "%lu", (unsigned long)known.pw_uid);
    user = (struct privileges_user){0};
    ck_assert_int_eq(privileges_parse_user(text, &user, &error), 0);
    ck_assert(user.is_given && user.is_known);
    ck_assert_uint_eq(user.uid, known.pw_uid);
    ck_assert_str_eq(user.name, known.pw_name);
}
END_TEST

START_TEST(a_number_need_not_be_known)
{
    ck_assert_int_eq(privileges_parse_user("2000000123", &user, &error), 0);
    ck_assert(user.is_given && !user.is_known);
    ck_assert_uint_eq(user.uid, UNKNOWN_ID);
    ck_assert_uint_eq(privileges_uid(&user), UNKNOWN_ID);
    ck_assert_uint_eq(privileges_gid(&user, NOT_GIVEN_GROUP), (gid_t)-1);
    ck_assert_int_eq(privileges_parse_group("2000000123", &group, &error), 0);
    ck_assert_uint_eq(group.gid, UNKNOWN_ID);
    ck_assert_uint_eq(privileges_gid(&user, &group), UNKNOWN_ID);
}
END_TEST

START_TEST(users_and_groups_are_written_as_they_are_read)
{
    const struct privileges_user known = {.is_given = true, .is_known = true, .name = "somebody"};
    char text[SETTING_VALUE_SIZE] = "";

    ck_assert(privileges_format_user(&known, text));
    ck_assert_str_eq(text, "somebody");
    ck_assert_int_eq(privileges_parse_user("2000000123", &user, &error), 0);
    ck_assert(privileges_format_user(&user, text));
    ck_assert_str_eq(text, "2000000123");
    ck_assert_int_eq(privileges_parse_group("2000000124", &group, &error), 0);
    ck_assert(privileges_format_group(&group, text));
    ck_assert_str_eq(text, "2000000124");
    ck_assert(!privileges_format_user(NOT_GIVEN_USER, text));
    ck_assert(!privileges_format_group(NOT_GIVEN_GROUP, text));
}
END_TEST

START_TEST(nobody_else_is_taken)
{
    static const char *const texts[] = {"", "no such user", "-1", "4294967295", "99999999999999"};

    check_refused(privileges_parse_user(texts[_i], &user, &error), "a user of this system; ");
    check_refused(privileges_parse_group(texts[_i], &group, &error), "a group of this system; ");
}
END_TEST

/* What echod does, with a change of its root in between. */
static int drop(const struct privileges_user *next_user, const struct privileges_group *next_group,
                struct error *reason)
{
    if (privileges_take_groups(next_user, next_group, reason) < 0)
        return -1;
    return privileges_drop(next_user, next_group, reason);
}

START_TEST(nothing_given_changes_nothing)
{
    const uid_t uid = getuid();
    const gid_t gid = getgid();

    ck_assert_int_eq(drop(NOT_GIVEN_USER, NOT_GIVEN_GROUP, &error), 0);
    ck_assert_uint_eq(privileges_uid(NOT_GIVEN_USER), (uid_t)-1);
    ck_assert_uint_eq(privileges_gid(NOT_GIVEN_USER, NOT_GIVEN_GROUP), (gid_t)-1);
    ck_assert_uint_eq(getuid(), uid);
    ck_assert_uint_eq(getgid(), gid);
}
END_TEST

/* Become a user that the system does not know. */
static void become_unknown(void)
{
    ck_assert_int_eq(privileges_parse_user("2000000123", &user, &error), 0);
    ck_assert_int_eq(privileges_parse_group("2000000124", &group, &error), 0);
    ck_assert_msg(drop(&user, &group, &error) == 0, "%s", error.text);
}

START_TEST(what_was_given_up_does_not_come_back)
{
    gid_t groups[2];

    become_unknown();
    ck_assert_uint_eq(getuid(), UNKNOWN_ID);
    ck_assert_uint_eq(geteuid(), UNKNOWN_ID);
    ck_assert_uint_eq(getgid(), UNKNOWN_ID + 1);
    ck_assert_uint_eq(getegid(), UNKNOWN_ID + 1);
    ck_assert_int_eq(getgroups(2, groups), 1);
    ck_assert_uint_eq(groups[0], UNKNOWN_ID + 1);
    ck_assert_int_eq(setuid(0), -1);
    ck_assert_int_eq(seteuid(0), -1);
    ck_assert_int_eq(setgid(0), -1);
    ck_assert_int_eq(setgroups(0, NULL), -1);
}
END_TEST

START_TEST(a_known_user_comes_with_his_groups)
{
    struct passwd known;

    if (!find_known(&known))
        support_skip("this system knows nobody but root");
    ck_assert_int_eq(privileges_parse_user(known.pw_name, &user, &error), 0);
    ck_assert_uint_eq(privileges_gid(&user, NOT_GIVEN_GROUP), known.pw_gid);
    ck_assert_msg(drop(&user, NOT_GIVEN_GROUP, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(getuid(), user.uid);
    ck_assert_uint_eq(getgid(), user.gid);
    ck_assert_int_eq(setuid(0), -1);
}
END_TEST

START_TEST(a_group_alone_leaves_the_user)
{
    ck_assert_int_eq(privileges_parse_group("2000000124", &group, &error), 0);
    ck_assert_int_eq(drop(NOT_GIVEN_USER, &group, &error), 0);
    ck_assert_uint_eq(getuid(), 0);
    ck_assert_uint_eq(getgid(), UNKNOWN_ID + 1);
}
END_TEST

START_TEST(root_keeps_no_other_groups)
{
    const gid_t others[] = {7, 8};
    gid_t groups[2];

    ck_assert_int_eq(setgroups(2, others), 0);
    ck_assert_int_eq(privileges_parse_group("0", &group, &error), 0);
    ck_assert_msg(drop(NOT_GIVEN_USER, &group, &error) == 0, "%s", error.text);
    ck_assert_int_eq(getgroups(2, groups), 1);
    ck_assert_uint_eq(groups[0], 0);
}
END_TEST

START_TEST(what_only_was_saved_is_given_up)
{
#ifdef HAVE_SETRESUID
    uid_t real, effective, saved;

    ck_assert_int_eq(setresgid(UNKNOWN_ID, UNKNOWN_ID, 0), 0);
    ck_assert_int_eq(setresuid(0, 0, UNKNOWN_ID), 0);
    ck_assert_int_eq(privileges_parse_user("0", &user, &error), 0);
    ck_assert_int_eq(privileges_parse_group("2000000123", &group, &error), 0);
    ck_assert_msg(drop(&user, &group, &error) == 0, "%s", error.text);
    ck_assert_int_eq(getresuid(&real, &effective, &saved), 0);
    ck_assert_uint_eq(saved, 0);
    ck_assert_int_eq(getresgid(&real, &effective, &saved), 0);
    ck_assert_uint_eq(saved, UNKNOWN_ID);
#else
    support_skip("the system does not tell who was saved");
#endif
}
END_TEST

START_TEST(who_one_is_already_one_may_become)
{
    become_unknown();
    ck_assert_msg(drop(&user, &group, &error) == 0, "%s", error.text);
}
END_TEST

START_TEST(without_root_nobody_becomes_another)
{
    become_unknown();
    user.uid++;
    check_refused(drop(&user, &group, &error),
                  "--user: user 2000000123 cannot become user 2000000124 with group 2000000124: ");
    check_refused(drop(NOT_GIVEN_USER, &(struct privileges_group){true, 7}, &error),
                  "--group: user 2000000123 cannot become user 2000000123 with group 7: ");
}
END_TEST

#ifdef __linux__
/* Tell whether this is the only thread: a sanitizer may have one of its own. */
static bool is_alone(void)
{
    DIR *threads = opendir("/proc/self/task");
    int count = 0;

    ck_assert_ptr_nonnull(threads);
    while (readdir(threads) != NULL)
        count++;
    ck_assert_int_eq(closedir(threads), 0);
    return count == 3; /* with "." and ".." */
}
#endif

START_TEST(an_open_way_back_is_refused)
{
#ifdef __linux__
    /* Capabilities then outlast the change of user, in this thread (capabilities(7)). */
    if (!is_alone() || prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP) < 0)
        support_skip("root cannot keep a way back here");
    ck_assert_int_eq(privileges_parse_user("2000000123", &user, &error), 0);
    ck_assert_int_eq(privileges_parse_group("2000000124", &group, &error), 0);
    check_refused(drop(&user, &group, &error), "--user: user 2000000123 could become root again; ");
#else
    support_skip("root cannot keep a way back here");
#endif
}
END_TEST

START_TEST(no_program_gains_anything)
{
    privileges_forbid_gain();
#ifdef PR_GET_NO_NEW_PRIVS
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
#else
    support_skip("the system cannot forbid it");
#endif
}
END_TEST

static Suite *privileges_suite(void)
{
    Suite *suite = suite_create("privileges");
    TCase *names = support_case(suite, "names");
    TCase *root = support_case(suite, "root");

    tcase_add_test(names, a_user_is_known_by_name_and_by_number);
    tcase_add_test(names, a_number_need_not_be_known);
    tcase_add_test(names, users_and_groups_are_written_as_they_are_read);
    tcase_add_loop_test(names, nobody_else_is_taken, 0, 5);
    tcase_add_test(names, nothing_given_changes_nothing);
    tcase_add_test(names, no_program_gains_anything);

    if (getuid() != 0) {
        (void)fprintf(stderr, "the tests of root were skipped\n");
        return suite;
    }
    tcase_add_test(root, what_was_given_up_does_not_come_back);
    tcase_add_test(root, a_known_user_comes_with_his_groups);
    tcase_add_test(root, a_group_alone_leaves_the_user);
    tcase_add_test(root, root_keeps_no_other_groups);
    tcase_add_test(root, what_only_was_saved_is_given_up);
    tcase_add_test(root, who_one_is_already_one_may_become);
    tcase_add_test(root, without_root_nobody_becomes_another);
    tcase_add_test(root, an_open_way_back_is_refused);
    return suite;
}

int main(void)
{
    return support_run(privileges_suite());
}
