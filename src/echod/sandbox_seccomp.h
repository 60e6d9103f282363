/*
 * sandbox_seccomp: limits system calls to those of a list, by seccomp(2) and libseccomp.
 * Knows no path and no address: the kernel hands a filter numbers only.
 * Called by sandbox.
 */
#ifndef ECHOD_SANDBOX_SECCOMP_H
#define ECHOD_SANDBOX_SECCOMP_H

#include "base/error.h"

/*
 * Limit the system calls of all threads for good. A call that nobody but an intruder makes ends the
 * process (SIGSYS); any other that is not allowed fails with ENOSYS, as on a kernel that does not
 * have it, or with EPERM where it is its arguments that are not.
 * Return 0, or -1 with a sentence in `error` without a name, and errno ENOMEM where memory is
 * short.
 */
int sandbox_seccomp_enforce(struct error *error) __attribute__((warn_unused_result));

#endif
