#include <config.h>

#include "base/error.h"

#include "base/escape.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Put question marks for what a terminal might obey or not be able to show. */
static void blank_controls(char *text)
{
    char *to = text;

    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];
        const size_t length = escape_character(ESCAPE_TEXT, text, escaped);
        const bool is_shown = strlen(escaped) == length && memcmp(escaped, text, length) == 0;

        if (is_shown)
            memmove(to, text, length);
        else
            *to = '?';
        to += is_shown ? length : 1;
        text += length;
    }
    *to = '\0';
}

void error_set(struct error *error, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    blank_controls(error->text);
    errno = saved_errno;
}
