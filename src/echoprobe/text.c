#include <config.h>

#include "echoprobe/text.h"

#include "base/escape.h"

#include <string.h>
#include <sys/ioctl.h>

enum { COLUMNS = 80 };

void text_vprint(FILE *stream, const char *format, va_list arguments)
{
    char line[TEXT_LINE_SIZE], shown[TEXT_LINE_SIZE * ESCAPE_SIZE] = "";
    const char *from = line;
    char *to = shown;

    (void)vsnprintf(line, sizeof line, format, arguments);
    while (*from != '\0') {
        from += escape_character(ESCAPE_TEXT, from, to);
        to += strlen(to);
    }
    (void)fprintf(stream, "%s\n", shown);
}

void text_print(FILE *stream, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_vprint(stream, format, arguments);
    va_end(arguments);
}

void text_print_whole(FILE *stream, const char *text)
{
    while (*text != '\0') {
        char shown[ESCAPE_SIZE];

        text += escape_character(ESCAPE_TEXT, text, shown);
        (void)fputs(shown, stream);
    }
    (void)fputc('\n', stream);
}

size_t text_columns(int fd)
{
    struct winsize size;

    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

struct text_list text_list_begin(FILE *stream)
{
    return (struct text_list){.stream = stream, .columns = text_columns(fileno(stream))};
}

void text_list_add(struct text_list *list, const char *format, ...)
{
    char item[TEXT_LINE_SIZE];
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    (void)vsnprintf(item, sizeof item, format, arguments);
    va_end(arguments);
    length = strlen(item);
    if (list->used > 0 && list->used + strlen(", ,") + length > list->columns) {
        (void)fputs(",\n", list->stream);
        list->used = 0;
    } else if (list->used > 0) {
        (void)fputs(", ", list->stream);
        list->used += strlen(", ");
    }
    (void)fputs(item, list->stream);
    list->used += length;
}

void text_list_end(struct text_list *list)
{
    if (list->used > 0)
        (void)fputc('\n', list->stream);
    list->used = 0;
}
