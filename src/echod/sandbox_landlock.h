/*
 * sandbox_landlock: limits files and connections by Landlock (landlock(7)), as far as the kernel
 * has it.
 * Knows which paths by name only; sandbox tells them.
 * Called by sandbox.
 */
#ifndef ECHOD_SANDBOX_LANDLOCK_H
#define ECHOD_SANDBOX_LANDLOCK_H

#include "base/error.h"
#include "echod/sandbox_paths.h"

#include <stdbool.h>

/* The limits while they are put together; plain data. */
struct sandbox_landlock {
    int fd;       /* of the rules, or -1 */
    unsigned abi; /* what the kernel can do, counted from 1; see landlock(7) */
    int failure;  /* errno of a rule that could not be added, or 0 */
};

/*
 * Begin with nothing that is allowed.
 * Return 0, or -1 with a sentence in `error` without a name, and errno ENOMEM where memory is
 * short.
 */
int sandbox_landlock_begin(struct sandbox_landlock *landlock, struct error *error)
    __attribute__((warn_unused_result));

/* Allow a use of a path; one that cannot be opened now is left out. A sandbox_path_callback. */
void sandbox_landlock_allow(const char *path, enum sandbox_use use, void *landlock);

/*
 * Limit the calling thread, and those that it starts, to what was allowed, and to connections by
 * TCP to name servers where the kernel can do that (ABI 4). It must not be able to gain privileges
 * (PR_SET_NO_NEW_PRIVS). Forget the rules in any case. Return as sandbox_landlock_begin.
 */
int sandbox_landlock_enforce(struct sandbox_landlock *landlock, struct error *error)
    __attribute__((warn_unused_result));

/* Tell whether connections by TCP are limited, too. */
bool sandbox_landlock_has_network(const struct sandbox_landlock *landlock);

#endif
