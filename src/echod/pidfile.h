/*
 * pidfile: a file with the process's number, locked as long as it runs, for those who need one.
 * Leaves it to others to send signals to that number; echod itself never reads it.
 * Called by options, for the path, and by daemon.
 */
#ifndef ECHOD_PIDFILE_H
#define ECHOD_PIDFILE_H

#include "base/error.h"
#include "base/settings.h"

#include <stdbool.h>

enum { PIDFILE_PATH_SIZE = 1024 };

struct pidfile {
    int fd; /* locked and close-on-exec, or -1 */
    char path[PIDFILE_PATH_SIZE];
};

/*
 * Read a path into a member of PIDFILE_PATH_SIZE bytes; this is a setting_parse.
 * Return 0, or -1 with what would be right in `error`.
 */
int pidfile_parse(const char *text, void *member, struct error *error);

/* Write the path that such a member holds. Return false if it holds none; a setting_format. */
bool pidfile_format(const void *member, char text[SETTING_VALUE_SIZE]);

/*
 * Check what can be known of a path without making the file: that it has a directory. An empty path
 * is right. Return 0, or -1 with what would be right in `error`.
 */
int pidfile_check(const char *path, struct error *error) __attribute__((warn_unused_result));

/*
 * Write this process's number into the file, which stays locked until pidfile_close, also if this
 * process opens and closes it elsewhere (fcntl(2), F_OFD_SETLK; flock(2) where there is none). A
 * file that is not locked is left from a process that is gone, and is taken over, unless it holds
 * something else than a number, has another name as well, or is another user's. It belongs to
 * whoever calls this, and to nobody who could write another number. An empty path asks for no file.
 * Return 0; or -1 with a sentence in `error` that names the path and what would be right, and no
 * file left that it made itself.
 */
int pidfile_open(struct pidfile *pidfile, const char *path, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Remove the file, or empty it where its directory may not be changed, or it has another path by
 * now, and unlock it. A file that
 * took its place meanwhile is left alone. Fine without a file.
 */
void pidfile_close(struct pidfile *pidfile);

#endif
