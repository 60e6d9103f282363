/*
 * fuzz_command_line: what must be true of a command line, whatever its arguments, which NULs end:
 * read twice, as HUP has it, it says the same; a refusal has a sentence and the status that the
 * manual names; no argument is changed or lost, and no file is read.
 * The first byte chooses echod's options, or a table with operands.
 * Chooses no bytes: libFuzzer does, or fuzz_driver.
 * Called by `make fuzz` and `make check`.
 */
#include <config.h>

#include "base/command_line.h"
#include "base/setting_kind.h"
#include "echod/options_reader.h"

#include "files.h"
#include "fuzz.h"
#include "readings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { ARGUMENTS_MAX = 64 };

struct line {
    int count;
    char *arguments[ARGUMENTS_MAX + 1];
};

/* Make a command line of texts, each with a NUL behind it. */
static struct line split(char *text, size_t length)
{
    static char name[] = "echod";
    struct line line = {.count = 1, .arguments = {name}};

    for (char *at = text; at < text + length && line.count < ARGUMENTS_MAX; at += strlen(at) + 1)
        line.arguments[line.count++] = at;
    return line;
}

/* The arguments are the same, though perhaps in another order. */
static void check_arguments(const struct line *line, const struct line *before)
{
    fuzz_require(line->count == before->count && line->arguments[line->count] == NULL);
    for (int i = 0; i < before->count; i++) {
        int times = 0;

        for (int j = 0; j < line->count; j++)
            times += line->arguments[j] == before->arguments[i];
        fuzz_require(times == 1);
    }
}

/* --- echod ----------------------------------------------------------------------------------- */

static bool is_status_right(const struct reading *reading)
{
    if (reading->status == EXIT_STATUS_CONFIG) /* there is no file that it could name */
        return reading->options.config != NULL;
    return reading->status == 0 || reading->status == EXIT_STATUS_USAGE;
}

static void check_echod(struct line *line)
{
    const struct line before = *line;
    struct reading reading, again;

    reading_take(&reading, line->count, line->arguments);
    check_arguments(line, &before);
    reading_take(&again, line->count, line->arguments);
    check_arguments(line, &before);
    fuzz_require(is_status_right(&reading));
    fuzz_require(reading.status == again.status && reading.count == again.count);
    fuzz_require(strcmp(reading.errors, again.errors) == 0);
    fuzz_require(strcmp(reading.printed, again.printed) == 0);
    reading_free(&reading);
    reading_free(&again);
}

/* --- Operands -------------------------------------------------------------------------------- */

struct tool {
    bool is_verbose;
    uint64_t count, interval;
    unsigned form;
    char *text;
    struct setting_operands operands;
};

static const char *const forms[] = {"text", "json", NULL};

static const struct setting table[] = {
    {.name = "verbose",
     .type = SETTING_FLAG,
     .letter = 'v',
     .offset = offsetof(struct tool, is_verbose)},
    {.name = "count",
     .type = SETTING_COUNT,
     .letter = 'n',
     .other_letter = 'c',
     .argument = "N",
     .offset = offsetof(struct tool, count),
     .minimum = 1,
     .maximum = 1000,
     .has_auto = true,
     .fallback = "auto"},
    {.name = "interval",
     .type = SETTING_INTERVAL,
     .argument = "TIME",
     .offset = offsetof(struct tool, interval),
     .maximum = 1000000,
     .fallback = "1"},
    {.name = "form",
     .type = SETTING_CHOICE,
     .argument = "FORM",
     .offset = offsetof(struct tool, form),
     .choices = forms,
     .implied = "json",
     .fallback = "text"},
    {.name = "text",
     .type = SETTING_TEXT,
     .letter = 't',
     .argument = "TEXT",
     .offset = offsetof(struct tool, text)},
    {.name = "WORD", .type = SETTING_OPERANDS, .offset = offsetof(struct tool, operands)},
    {.name = NULL},
};

/* Read it, and return what it says as text; NULL where it is refused. */
static char *read_tool(struct line *line, struct error *error)
{
    struct tool tool = {.is_verbose = false};
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);

    fuzz_require(stream != NULL);
    fuzz_require(settings_set_defaults(table, &tool, error) == 0);
    if (command_line_parse(table, &tool, NULL, line->count, line->arguments, error) == 0) {
        fuzz_require(tool.count == SETTING_AUTO || (tool.count >= 1 && tool.count <= 1000));
        fuzz_require(tool.interval <= 1000000 && tool.form <= 1);
        (void)fprintf(stream, "%d %ju %ju %u %s", tool.is_verbose, (uintmax_t)tool.count,
                      (uintmax_t)tool.interval, tool.form, tool.text == NULL ? "" : tool.text);
        for (size_t i = 0; i < tool.operands.count; i++)
            (void)fprintf(stream, "\n%s", tool.operands.texts[i]);
    } else {
        fuzz_require(errno == EINVAL || errno == ERANGE);
        (void)fprintf(stream, "refused: %s", error->text);
        reading_check_sentence(error);
    }
    (void)fclose(stream);
    settings_free(table, &tool);
    return text;
}

static void check_tool(struct line *line)
{
    const struct line before = *line;
    struct error error = {""}, other = {""};
    char *text = read_tool(line, &error), *again;

    check_arguments(line, &before);
    again = read_tool(line, &other);
    check_arguments(line, &before);
    fuzz_require(strcmp(text, again) == 0);
    free(text);
    free(again);
}

int LLVMFuzzerTestOneInput(const unsigned char *input, size_t length)
{
    char *text = fuzz_text(input, length);
    char *copy = fuzz_text(input, length);

    if (length > 0) {
        struct line line = split(text + 1, length - 1);

        files_begin();
        if (input[0] == 't')
            check_tool(&line);
        else
            check_echod(&line);
        files_end();
    }
    fuzz_require(memcmp(text, copy, length) == 0);
    free(text);
    free(copy);
    return 0;
}
