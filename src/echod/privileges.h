/*
 * privileges: who echod becomes once it has bound, and the proof that it cannot go back.
 * Knows neither sockets nor files; sockets hands its own over to that user.
 * Called by options and listener_options, to look up who that is, and by daemon.
 */
#ifndef ECHOD_PRIVILEGES_H
#define ECHOD_PRIVILEGES_H

#include "base/error.h"
#include "base/settings.h"

#include <stdbool.h>
#include <sys/types.h>

enum { PRIVILEGES_NAME_SIZE = 256 }; /* LOGIN_NAME_MAX of Linux */

/* All zero: it was not asked for. */
struct privileges_user {
    bool is_given;
    bool is_known; /* the system knows this user, and so its name and group */
    char name[PRIVILEGES_NAME_SIZE];
    uid_t uid;
    gid_t gid;
};

struct privileges_group {
    bool is_given;
    gid_t gid;
};

/*
 * Look up a user or a group by name or number; a number need not be known to the system. The member
 * is a struct privileges_user or privileges_group; this is a setting_parse.
 * Return 0, or -1 with what would be right in `error`.
 */
int privileges_parse_user(const char *text, void *member, struct error *error);
int privileges_parse_group(const char *text, void *member, struct error *error);

/* Write the name or number that was given. Return false if none was; each is a setting_format. */
bool privileges_format_user(const void *member, char text[SETTING_VALUE_SIZE]);
bool privileges_format_group(const void *member, char text[SETTING_VALUE_SIZE]);

/*
 * Let no program that this process may start have more privileges than it has itself
 * (PR_SET_NO_NEW_PRIVS), where the system knows that. Threads inherit it: call it before there are
 * any.
 */
void privileges_forbid_gain(void);

/*
 * Return who is to own what is made before privileges_drop: what was given, a user's own group
 * where no group was, and otherwise -1, which chown(2) takes for "as it is".
 */
uid_t privileges_uid(const struct privileges_user *user);
gid_t privileges_gid(const struct privileges_user *user, const struct privileges_group *group);

/*
 * Take the groups of the user, while the system's list of them is within reach (--chroot), or no
 * more than one. Return 0, or -1 with a sentence in `error`.
 */
int privileges_take_groups(const struct privileges_user *user, const struct privileges_group *group,
                           struct error *error) __attribute__((warn_unused_result));

/*
 * Become the user, whose groups have been taken, and the group, as far as they are given, for good:
 * the real, the effective and the saved one. A user who is not known needs a group, and has no
 * other. If this process is them already, without being root, nothing is to be done. Who is to be
 * root can go back to everything, which is no error. Return 0; or -1 with a sentence in `error` if
 * the system refuses it or would let the process go back: then it must not go on.
 */
int privileges_drop(const struct privileges_user *user, const struct privileges_group *group,
                    struct error *error) __attribute__((warn_unused_result));

#endif
