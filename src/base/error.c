#include <config.h>

#include "base/error.h"

#include "base/escape.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Put question marks for what a terminal might obey or not be able to show. */
static void blank_controls(char *text)
{
    text += escape_plain_length(ESCAPE_TEXT, text, ERROR_TEXT_SIZE); /* mostly all of it */
    while (*text != '\0') {
        char escaped[ESCAPE_SIZE];
        const size_t length = escape_character(ESCAPE_TEXT, text, escaped);

        if (escaped[0] != text[0]) /* it is escaped, and begins with a backslash */
            memset(text, '?', length);
        text += length;
    }
}

/* Write the first and the last of a sentence that is too long; without memory, only the first. */
__attribute__((format(printf, 2, 0))) static void
set_shortened(struct error *error, const char *format, va_list arguments)
{
    const int half = (ERROR_TEXT_SIZE - (int)sizeof "...") / 2;
    char *whole;
    const int length = vasprintf(&whole, format, arguments);

    if (length < 0)
        return;
    (void)snprintf(error->text, sizeof error->text, "%.*s...%s", half, whole,
                   whole + length - half);
    free(whole);
}

void error_set(struct error *error, const char *format, ...)
{
    int saved_errno = errno;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    if (length >= ERROR_TEXT_SIZE) {
        va_start(arguments, format);
        set_shortened(error, format, arguments);
        va_end(arguments);
    }
    blank_controls(error->text);
    errno = saved_errno;
}
