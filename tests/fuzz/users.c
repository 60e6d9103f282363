/*
 * users: stand-ins for the system's users and groups, so that a target reads no file for them.
 * Knows root and echod, and nobody else.
 * Called by what reads options of echod, in the targets.
 */
#include <config.h>

#include <grp.h>
#include <pwd.h>
#include <string.h>

static char root[] = "root", echod[] = "echod";
static struct passwd users[] = {{.pw_name = root},
                                {.pw_name = echod, .pw_uid = 113, .pw_gid = 118}};
static struct group groups[] = {{.gr_name = root}, {.gr_name = echod, .gr_gid = 118}};

enum { COUNT = 2 };

struct passwd *getpwnam(const char *name)
{
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(name, users[i].pw_name) == 0)
            return &users[i];
    }
    return NULL;
}

struct passwd *getpwuid(uid_t uid)
{
    for (int i = 0; i < COUNT; i++) {
        if (users[i].pw_uid == uid)
            return &users[i];
    }
    return NULL;
}

struct group *getgrnam(const char *name)
{
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(name, groups[i].gr_name) == 0)
            return &groups[i];
    }
    return NULL;
}
