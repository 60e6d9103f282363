/*
 * sandbox_absent: stands for sandbox_seccomp in a build without libseccomp.
 * Limits nothing.
 * Called as sandbox_seccomp is.
 */
#include <config.h>

#include "echod/sandbox_seccomp.h"

#include <errno.h>

int sandbox_seccomp_enforce(struct error *error)
{
    error_set(error, "this echod was built without libseccomp");
    errno = ENOSYS;
    return -1;
}
