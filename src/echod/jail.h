/*
 * jail: a directory that becomes the root of all paths (chroot(2)), and the proof that no way leads
 * out of it.
 * Leaves it to privileges to become somebody who cannot go back.
 * Called by options, for the path, and by daemon.
 */
#ifndef ECHOD_JAIL_H
#define ECHOD_JAIL_H

#include "base/error.h"
#include "base/setting.h"

#include <stdbool.h>

enum { JAIL_PATH_SIZE = 1024 };

/*
 * Read an absolute path into a member of JAIL_PATH_SIZE bytes; this is a setting_parse.
 * Return 0, or -1 with what would be right in `error`.
 */
int jail_parse(const char *text, void *member, struct error *error);

/* Write the path that such a member holds. Return false if it holds none; a setting_format. */
bool jail_format(const void *member, char text[SETTING_VALUE_SIZE]);

/* Check that there is such a directory. Return 0, or -1 with what would be right in `error`. */
int jail_check(const char *path, struct error *error) __attribute__((warn_unused_result));

/*
 * Let the directory be the root of all paths from now on, and the working directory; an empty path
 * changes nothing. Who has a directory open, which may lie outside, has a way out, and is refused.
 * Return 0, or -1 with a sentence in `error`.
 */
int jail_enter(const char *path, struct error *error) __attribute__((warn_unused_result));

#endif
