#include <config.h>

#include "echod/jail.h"

#include "base/units.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int jail_parse(const char *text, void *member, struct error *error)
{
    const size_t length = strlen(text);

    if (text[0] != '/' || length >= JAIL_PATH_SIZE) {
        error_set(error, "an absolute path of up to %d bytes; write for example /srv/echod",
                  JAIL_PATH_SIZE - 1);
        return -1;
    }
    memcpy(member, text, length + 1);
    return 0;
}

bool jail_format(const void *member, char text[SETTING_VALUE_SIZE])
{
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s", (const char *)member);
    return text[0] != '\0';
}

int jail_check(const char *path, struct error *error)
{
    struct stat found;

    if (path[0] == '\0' || (stat(path, &found) == 0 && S_ISDIR(found.st_mode)))
        return 0;
    error_set(error, "there is no such directory; make it, or choose another");
    return -1;
}

/* Return a directory of those that are listed as open, but the list itself, or -1. */
static int find_directory(DIR *list)
{
    const struct dirent *entry;

    for (entry = readdir(list); entry != NULL; entry = readdir(list)) {
        struct stat status;
        uint64_t fd;

        if (units_parse_count(entry->d_name, &fd) == 0 && (int)fd != dirfd(list) &&
            fstat((int)fd, &status) == 0 && S_ISDIR(status.st_mode))
            return (int)fd;
    }
    return -1;
}

/* Check that no directory is open: fchdir(2) and openat(2) would lead out of any jail. */
static int check_descriptors(struct error *error)
{
    DIR *list = opendir("/dev/fd");
    int directory;

    if (list == NULL) {
        error_set(error,
                  "--chroot: /dev/fd: %s; it has to list the open files, since a directory "
                  "among them would be a way out",
                  strerror(errno));
        return -1;
    }
    directory = find_directory(list);
    (void)closedir(list);
    if (directory < 0)
        return 0;
    error_set(error,
              "--chroot: descriptor %d is a directory, and so a way out; let whoever starts echod "
              "pass none",
              directory);
    return -1;
}

int jail_enter(const char *path, struct error *error)
{
    if (path[0] == '\0')
        return 0;
    if (check_descriptors(error) < 0)
        return -1;
    tzset(); /* syslog has local time, and the time zone's file lies outside */
    if (chroot(path) == 0 && chdir("/") == 0)
        return 0;
    error_set(error, "--chroot %s: %s; %s", path, strerror(errno),
              errno == EPERM ? "start echod as root, or leave the option out"
                             : "choose a directory that echod may enter");
    return -1;
}
