#include <config.h>

#include "echoctl/text.h"

#include "base/escape.h"

#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

/* Print text escaped; a line feed stands for itself if it may. */
static void print_escaped(FILE *stream, const char *text, bool has_lines)
{
    while (*text != '\0') {
        char shown[ESCAPE_SIZE];

        if (has_lines && *text == '\n') {
            (void)fputc(*text++, stream);
            continue;
        }
        text += escape_character(ESCAPE_TEXT, text, shown);
        (void)fputs(shown, stream);
    }
}

void text_print(FILE *stream, const char *format, ...)
{
    char line[TEXT_LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    print_escaped(stream, line, false);
    (void)fputc('\n', stream);
}

/* JSON may hold the controls U+007F to U+009F as they are; inside a string, as all beyond ASCII. */
void text_print_json(FILE *stream, const char *json, size_t length)
{
    const unsigned char *byte = (const unsigned char *)json, *end = byte + length;

    while (byte < end) {
        char shown[ESCAPE_SIZE];

        if (*byte < 0x7f) {
            (void)fputc(*byte++, stream);
        } else if (*byte == 0x7f) {
            (void)fprintf(stream, "\\u%04x", (unsigned)*byte++);
        } else if (*byte == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0) {
            (void)fprintf(stream, "\\u%04x", (unsigned)byte[1]);
            byte += 2;
        } else {
            byte += escape_character(ESCAPE_JSON, (const char *)byte, shown);
            (void)fputs(shown, stream);
        }
    }
}

void text_print_lines(FILE *stream, const char *text)
{
    if (isatty(fileno(stream)))
        print_escaped(stream, text, true);
    else
        (void)fputs(text, stream);
}
