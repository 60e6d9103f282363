#include <config.h>

#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void error_set(struct error *error, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    for (char *character = error->text; *character != '\0'; character++) {
        if (iscntrl((unsigned char)*character))
            *character = '?';
    }
    errno = saved_errno;
}
