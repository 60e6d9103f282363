/*
 * denial: whether a file that cannot be opened is denied by its permissions or by a sandbox.
 * Opens nothing.
 * Called by what opens files that a configuration names, for its error.
 */
#ifndef BASE_DENIAL_H
#define BASE_DENIAL_H

#include <stdbool.h>

/* How a sentence goes on that names a path which a sandbox denies, up to another way out. */
#define DENIAL_REASON                                                                              \
    "a sandbox denies it, not its permissions; echod's own has the directories of its start: "     \
    "restart echod, or "
#define DENIAL_SENTENCE DENIAL_REASON "choose one of these"

/*
 * Tell whether what the system has denied (EACCES) is allowed by all permissions, for these uses
 * (R_OK and others of access(2)): Landlock and its like do not answer access(2), so one of them
 * denied it. Saves and restores errno.
 */
bool denial_is_by_sandbox(const char *path, int uses);

/* The same for the directory that a path, or a pattern of paths, stands in. */
bool denial_of_directory_is_by_sandbox(const char *path, int uses);

#endif
