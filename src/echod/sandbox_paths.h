/*
 * sandbox_paths: the files and directories that a running echod needs, by its options.
 * Limits nothing; opens nothing but the configuration file, for what it includes.
 * Called by sandbox.
 */
#ifndef ECHOD_SANDBOX_PATHS_H
#define ECHOD_SANDBOX_PATHS_H

#include "echod/options.h"

#include <stdbool.h>

/* What is done beneath a path. */
enum sandbox_use {
    SANDBOX_READ,         /* files and directories are read */
    SANDBOX_MAKE_SOCKETS, /* Unix sockets are made and removed */
    SANDBOX_REMOVE,       /* files are removed */
};

/* Called for each path, which may be missing, and may come more than once. */
typedef void sandbox_path_callback(const char *path, enum sandbox_use use, void *argument);

/*
 * Tell what the options ask for: the directories of the configuration file, of the files that it
 * includes, of certificates, Unix sockets and the pid file, and for files the directories that
 * links lead to. A file at the root of the file system stands for itself.
 */
void sandbox_paths_of_options(const struct options *options, sandbox_path_callback *on_path,
                              void *argument);

/* Tell the directories that a service manager has made for sockets (systemd.exec(5)). */
void sandbox_paths_of_manager(sandbox_path_callback *on_path, void *argument);

/*
 * Tell what the C library and OpenSSL read to look up names, and to load what does that. Who is
 * `root` may read more than others beneath /etc, so that he has only single files there, as they
 * are now: one that is replaced later is another one.
 */
void sandbox_paths_of_system(bool is_root, sandbox_path_callback *on_path, void *argument);

#endif
