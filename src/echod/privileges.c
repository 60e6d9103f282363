#include <config.h>

#include "echod/privileges.h"

#include "base/units.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* --- Look-up of users and groups ------------------------------------------------------------- */

/* Read a number of a user or group; the highest one stands for none (chown(2)). */
static int parse_number(const char *text, uint32_t *number)
{
    uint64_t value;

    if (units_parse_count(text, &value) < 0 || value >= UINT32_MAX)
        return -1;
    *number = (uint32_t)value;
    return 0;
}

int privileges_parse_user(const char *text, void *member, struct error *error)
{
    struct privileges_user *user = member;
    const struct passwd *known = getpwnam(text);
    uint32_t number = 0;

    if (known == NULL && parse_number(text, &number) == 0)
        known = getpwuid(number);
    else if (known == NULL)
        goto unknown;
    *user = (struct privileges_user){.is_given = true, .uid = number};
    if (known == NULL)
        return 0;
    if (strlen(known->pw_name) >= sizeof user->name)
        goto unknown;
    memcpy(user->name, known->pw_name, strlen(known->pw_name) + 1);
    user->is_known = true;
    user->uid = known->pw_uid;
    user->gid = known->pw_gid;
    return 0;

unknown:
    error_set(error, "a user of this system; write a name that it knows, or a number");
    return -1;
}

int privileges_parse_group(const char *text, void *member, struct error *error)
{
    struct privileges_group *group = member;
    const struct group *known = getgrnam(text);
    uint32_t number = 0;

    if (known == NULL && parse_number(text, &number) < 0) {
        error_set(error, "a group of this system; write a name that it knows, or a number");
        return -1;
    }
    *group = (struct privileges_group){
        .is_given = true,
        .gid = known != NULL ? known->gr_gid : number,
    };
    return 0;
}

uid_t privileges_uid(const struct privileges_user *user)
{
    return user->is_given ? user->uid : (uid_t)-1;
}

gid_t privileges_gid(const struct privileges_user *user, const struct privileges_group *group)
{
    if (group->is_given)
        return group->gid;
    return user->is_known ? user->gid : (gid_t)-1;
}

/* --- Dropping privileges --------------------------------------------------------------------- */

bool privileges_format_user(const void *member, char text[SETTING_VALUE_SIZE])
{
    const struct privileges_user *user = member;

    if (user->is_known)
        (void)snprintf(text, SETTING_VALUE_SIZE, "%s", user->name);
    else
        (void)snprintf(text, SETTING_VALUE_SIZE, "%lu", (unsigned long)user->uid);
    return user->is_given;
}

bool privileges_format_group(const void *member, char text[SETTING_VALUE_SIZE])
{
    const struct privileges_group *group = member;

    (void)snprintf(text, SETTING_VALUE_SIZE, "%lu", (unsigned long)group->gid);
    return group->is_given;
}

void privileges_forbid_gain(void)
{
#ifdef PR_SET_NO_NEW_PRIVS
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* fails only before Linux 3.5 */
#endif
}

/* Set all three of the process's users or groups. Without these calls, root's setuid does that. */
static int set_user(uid_t uid)
{
#ifdef HAVE_SETRESUID
    return setresuid(uid, uid, uid);
#else
    return setuid(uid);
#endif
}

static int set_group(gid_t gid)
{
#ifdef HAVE_SETRESUID
    return setresgid(gid, gid, gid);
#else
    return setgid(gid);
#endif
}

/* Tell whether the process is this user, or group, and has no other one saved (setuid(2)). */
static bool is_user(uid_t uid)
{
#ifdef HAVE_SETRESUID
    uid_t real, effective, saved;

    return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
           saved == uid;
#else
    return getuid() == uid && geteuid() == uid;
#endif
}

static bool is_group(gid_t gid)
{
#ifdef HAVE_SETRESUID
    gid_t real, effective, saved;

    return getresgid(&real, &effective, &saved) == 0 && real == gid && effective == gid &&
           saved == gid;
#else
    return getgid() == gid && getegid() == gid;
#endif
}

/* Take the groups of a user, or no more than one. */
static int set_groups(const struct privileges_user *user, gid_t gid)
{
    return user->is_known ? initgroups(user->name, gid) : setgroups(1, &gid);
}

/* Tell whether there are no others than those; which ones a known user has, only the system knows.
 */
static bool has_groups_of(const struct privileges_user *user, gid_t gid)
{
    gid_t only;

    return user->is_known || (getgroups(1, &only) == 1 && only == gid);
}

/* Tell whether the way back to root is open, from whichever user or group; that is to try it. */
static bool can_go_back(uid_t uid, gid_t gid)
{
    return uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || (gid != 0 && setgid(0) == 0));
}

/* Who is meant: what was given, or else as it is. */
static uid_t next_uid(const struct privileges_user *user)
{
    return user->is_given ? user->uid : getuid();
}

static gid_t next_gid(const struct privileges_user *user, const struct privileges_group *group)
{
    const gid_t gid = privileges_gid(user, group);

    return gid == (gid_t)-1 ? getgid() : gid;
}

/* Tell whether anything is to change; root has further groups as a rule, also where all is right.
 */
static bool has_to_change(const struct privileges_user *user, const struct privileges_group *group)
{
    return (user->is_given || group->is_given) &&
           (geteuid() == 0 || !is_user(next_uid(user)) || !is_group(next_gid(user, group)));
}

static int refuse_change(const struct privileges_user *user, const struct privileges_group *group,
                         struct error *error)
{
    error_set(error,
              "--%s: user %lu cannot become user %lu with group %lu: %s; start echod as root, or "
              "leave the option out",
              user->is_given ? "user" : "group", (unsigned long)geteuid(),
              (unsigned long)next_uid(user), (unsigned long)next_gid(user, group), strerror(errno));
    return -1;
}

int privileges_take_groups(const struct privileges_user *user, const struct privileges_group *group,
                           struct error *error)
{
    if (has_to_change(user, group) && set_groups(user, next_gid(user, group)) < 0)
        return refuse_change(user, group, error);
    return 0;
}

int privileges_drop(const struct privileges_user *user, const struct privileges_group *group,
                    struct error *error)
{
    const uid_t uid = next_uid(user);
    const gid_t gid = next_gid(user, group);
    const bool was_root = geteuid() == 0;

    if (!user->is_given && !group->is_given)
        return 0;
    if (has_to_change(user, group) && (set_group(gid) < 0 || set_user(uid) < 0))
        return refuse_change(user, group, error);
    if (!is_user(uid) || !is_group(gid) || (was_root && !has_groups_of(user, gid))) {
        error_set(error,
                  "--%s: the system did not give up all other users and groups than %lu and %lu; "
                  "start echod as them",
                  user->is_given ? "user" : "group", (unsigned long)uid, (unsigned long)gid);
        return -1;
    }
    if (can_go_back(uid, gid)) {
        error_set(error,
                  "--user: user %lu could become root again; start echod without capabilities or "
                  "security bits that keep them",
                  (unsigned long)uid);
        return -1;
    }
    return 0;
}
