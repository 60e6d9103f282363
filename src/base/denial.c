#include <config.h>

#include "base/denial.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool denial_is_by_sandbox(const char *path, int uses)
{
    const int saved_errno = errno;
    const bool is_allowed =
        saved_errno == EACCES && faccessat(AT_FDCWD, path, uses, AT_EACCESS) == 0;

    errno = saved_errno;
    return is_allowed;
}

bool denial_of_directory_is_by_sandbox(const char *path, int uses)
{
    const int saved_errno = errno;
    char *copy = strdup(path);
    bool is_by_sandbox;

    errno = saved_errno;
    is_by_sandbox = copy != NULL && denial_is_by_sandbox(dirname(copy), uses);
    free(copy);
    errno = saved_errno;
    return is_by_sandbox;
}
