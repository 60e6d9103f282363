/*
 * fuzz_config_file: what must be true of a configuration file, whatever stands in it: what is
 * refused is told with a file and a line that there are; what is read is printed, read and printed
 * again as the same; reading changes nothing for the next one.
 * An input is the file, and behind each form feed another one, which begins with a line for its
 * path: for the first to include.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "files.h"
#include "fuzz.h"
#include "readings.h"

#include <stdbool.h>
#include <stdint.h>

#define DIRECTORY "/etc/echod/"
#define FIRST     DIRECTORY "echod.conf"

/* --- Files ----------------------------------------------------------------------------------- */

/* Add a file that begins with a line for its path, which is to be seen from the directory. */
static void add_named(const char *text, size_t length)
{
    const char *end = memchr(text, '\n', length);
    const size_t name_length = end == NULL ? length : (size_t)(end - text);
    const size_t head = end == NULL ? length : name_length + 1;
    char path[FILES_PATH_SIZE];
    const int written = snprintf(path, sizeof path, "%s%.*s", text[0] == '/' ? "" : DIRECTORY,
                                 (int)name_length, text);

    if (written < (int)sizeof path)
        files_add(path, text + head, length - head);
}

/* Take an input apart. */
static void add_files(const char *text, size_t length)
{
    const char *const end = text + length;
    bool is_first = true;

    while (text <= end) {
        const char *next = memchr(text, '\f', (size_t)(end - text));
        const size_t size = (size_t)((next == NULL ? end : next) - text);

        if (is_first)
            files_add(FIRST, text, size);
        else
            add_named(text, size);
        is_first = false;
        text += size + 1;
    }
}

static void read_files(struct reading *reading)
{
    static char program[] = "echod", option[] = "--config=" FIRST;
    char *arguments[] = {program, option, NULL};

    reading_take(reading, 2, arguments);
}

/* --- What is refused ------------------------------------------------------------------------- */

static unsigned long count_lines(const struct files_entry *file)
{
    unsigned long count = 1;

    for (size_t i = 0; i < file->length; i++)
        count += file->text[i] == '\n';
    return count;
}

/* Tell whether a sentence names a line of this file. */
static bool names_line(const char *sentence, const struct files_entry *file)
{
    const size_t length = strlen(file->path);
    const char *at = sentence;

    while ((at = strstr(at, file->path)) != NULL) {
        char *end;
        unsigned long line;

        at += length;
        if (at[0] != ':' || at[1] < '1' || at[1] > '9')
            continue;
        line = strtoul(at + 1, &end, 10);
        if ((*end == ':' || *end == ')') && line <= count_lines(file))
            return true;
    }
    return false;
}

/* Each sentence is about a line that there is. */
static void check_sentence(const char *sentence)
{
    bool is_placed = false;

    for (size_t i = 0; files_at(i) != NULL; i++)
        is_placed |= names_line(sentence, files_at(i));
    fuzz_require(is_placed);
}

static void check_refused(const struct reading *reading)
{
    char *rest = NULL;

    fuzz_require(reading->status == EXIT_STATUS_CONFIG);
    for (char *sentence = strtok_r(reading->errors, "\n", &rest); sentence != NULL;
         sentence = strtok_r(NULL, "\n", &rest))
        check_sentence(sentence);
}

/* --- What is read ---------------------------------------------------------------------------- */

/* Cut off where each value came from, which is a comment. */
static void cut_places(char *text)
{
    char *to = text;

    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        size_t kept = length;

        for (size_t i = 0; i + 3 <= length; i++) {
            if (memcmp(text + i, " # ", 3) == 0)
                kept = i;
        }
        memmove(to, text, kept);
        to[kept] = '\n';
        to += kept + 1;
        text += length + (text[length] == '\n');
    }
    *to = '\0';
}

/* What is printed is a file that says the same. */
static void check_printed(const struct reading *reading)
{
    struct reading again;

    files_end();
    files_begin();
    files_add(FIRST, reading->printed, strlen(reading->printed));
    read_files(&again);
    fuzz_require(again.status == 0);
    cut_places(reading->printed);
    cut_places(again.printed);
    fuzz_require(strcmp(reading->printed, again.printed) == 0);
    reading_free(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);
    struct reading reading, again;

    files_begin();
    add_files(text, length);
    read_files(&reading);
    read_files(&again);
    fuzz_require(reading.status == again.status);
    fuzz_require(strcmp(reading.errors, again.errors) == 0);
    fuzz_require(strcmp(reading.printed, again.printed) == 0);
    fuzz_require(memcmp(text, input, length) == 0);
    if (reading.status == 0)
        check_printed(&reading);
    else
        check_refused(&reading);
    reading_free(&reading);
    reading_free(&again);
    files_end();
    free(text);
    return 0;
}
