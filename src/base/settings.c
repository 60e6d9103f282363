#include <config.h>

#include "base/settings.h"

#include "base/setting_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* --- Defaults -------------------------------------------------------------------------------- */

static int set_default(const struct setting *setting, void *options, struct error *error)
{
    const struct setting_kind *kind = setting_kind_of(setting);
    const struct origin origin = {.kind = ORIGIN_DEFAULT};
    void *member = setting_member(setting, options);

    if (kind->clear != NULL)
        kind->clear(setting, member);
    if (setting->fallback == NULL)
        return 0;
    if (kind->set(setting, member, setting->fallback, &origin, error) < 0) {
        setting_name_in_error(setting, "--", error);
        return -1;
    }
    if (setting->list != NULL)
        setting->list->make_provisional(member);
    return 0;
}

int settings_set_defaults(const struct setting *table, void *options, struct error *error)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        errno = 0;
        if (set_default(setting, options, error) == 0)
            continue;
        if (errno != ENOMEM)
            abort(); /* the table's own default is wrong */
        return -1;
    }
    return 0;
}

/* --- Configuration file ---------------------------------------------------------------------- */

const struct setting *settings_find(const struct setting *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (!setting_is_operand(table) && strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

static int set_from_file(const struct setting *setting, void *options, const char *text,
                         const struct origin *origin, struct error *error)
{
    if (text == NULL)
        text = setting->implied;
    if (text == NULL && setting->type != SETTING_FLAG) {
        error_set(error, "a value is missing; write %s %s", setting->name, setting->argument);
        errno = EINVAL;
        return -1;
    }
    return setting_kind_of(setting)->set(setting, setting_member(setting, options), text, origin,
                                         error);
}

int settings_set(const struct setting *table, const struct setting *setting, void *options,
                 struct origin *origins, const char *value, const struct origin *origin,
                 struct error *error)
{
    const int status = set_from_file(setting, options, value, origin, error);

    if (status < 0)
        setting_name_in_error(setting, "", error);
    if (origins != NULL) {
        origins[setting - table] = *origin;
        origins[setting - table].is_refused = status < 0;
    }
    return status;
}

/* --- What is in effect ----------------------------------------------------------------------- */

/* Print a word of a file, in quotes where it needs them. */
static void print_word(const char *word, FILE *stream)
{
    if (word[0] != '\0' && strpbrk(word, " \t\r\n\"\\#") == NULL) {
        (void)fputs(word, stream);
        return;
    }
    (void)fputc('"', stream);
    for (; *word != '\0'; word++) {
        if (*word == '"' || *word == '\\' || *word == '\n')
            (void)fputc('\\', stream);
        (void)fputc(*word == '\n' ? 'n' : *word, stream);
    }
    (void)fputc('"', stream);
}

static void print_line(const struct setting *setting, const char *value,
                       const struct origin *origin, FILE *stream)
{
    const char *place;

    if (value == NULL) {
        (void)fprintf(stream, "# %s is not set\n", setting->name);
        return;
    }
    place = origin->place;
    if (origin->kind == ORIGIN_DEFAULT)
        place = "default";
    else if (origin->kind == ORIGIN_COMMAND_LINE)
        place = "command line";
    (void)fprintf(stream, "%s ", setting->name);
    print_word(value, stream);
    (void)fprintf(stream, " # %s\n", place);
}

static const char *value_text(const struct setting *setting, const void *options,
                              char text[SETTING_VALUE_SIZE])
{
    return setting_kind_of(setting)->format(setting, setting_const_member(setting, options), text);
}

static void print_list(const struct setting *setting, const void *list, FILE *stream)
{
    char text[SETTING_VALUE_SIZE];
    const struct origin *origin;
    size_t count = 0;

    for (; (origin = setting->list->format(list, count, text)) != NULL; count++)
        print_line(setting, text, origin, stream);
    if (count == 0)
        print_line(setting, NULL, NULL, stream);
}

void settings_print(const struct setting *table, const void *options, const struct origin *origins,
                    FILE *stream)
{
    char text[SETTING_VALUE_SIZE];

    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        if (setting->is_command || setting_is_operand(setting))
            continue;
        if (setting->list != NULL)
            print_list(setting, setting_const_member(setting, options), stream);
        else
            print_line(setting, value_text(setting, options, text), &origins[setting - table],
                       stream);
    }
}

int settings_keep_fixed(const struct setting *table, void *options, const void *current,
                        settings_kept_callback *on_kept, void *argument)
{
    char wanted_text[SETTING_VALUE_SIZE], kept_text[SETTING_VALUE_SIZE];

    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        const char *wanted, *kept;

        if (!setting->is_fixed)
            continue;
        wanted = value_text(setting, options, wanted_text);
        kept = value_text(setting, current, kept_text);
        if (wanted == NULL)
            wanted = "none";
        if (kept == NULL)
            kept = "none";
        if (strcmp(wanted, kept) == 0)
            continue;
        on_kept(setting, wanted, kept, argument);
        if (setting_kind_of(setting)->copy(setting, setting_member(setting, options),
                                           setting_const_member(setting, current)) < 0)
            return -1;
    }
    return 0;
}

/* --- Help ------------------------------------------------------------------------------------ */

/* Print words from `column` on, each line after the first indented to HELP_COLUMN. */
static void print_wrapped(FILE *stream, const char *words, size_t column)
{
    while (*words != '\0') {
        const size_t length = strcspn(words, " ");

        if (column + 1 + length > HELP_WIDTH) {
            (void)fprintf(stream, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        (void)fprintf(stream, " %.*s", (int)length, words);
        column += 1 + length;
        words += length;
        words += strspn(words, " ");
    }
    (void)fputc('\n', stream);
}

void settings_print_entry(const char *term, const char *help, FILE *stream)
{
    int column = fprintf(stream, "%s", term);

    if (column >= HELP_COLUMN)
        column = fprintf(stream, "\n") - 1;
    (void)fprintf(stream, "%*s", HELP_COLUMN - column, "");
    print_wrapped(stream, help, HELP_COLUMN);
}

/* Write an option as a user does. */
static void format_option(const struct setting *setting, char text[HELP_WIDTH])
{
    const char letter[] = {'-', setting->letter, ',', '\0'};
    const bool may_miss_value = setting->implied != NULL;

    if (setting_is_operand(setting))
        (void)snprintf(text, HELP_WIDTH, "  %s", setting->name);
    else if (setting->argument == NULL)
        (void)snprintf(text, HELP_WIDTH, "  %-3s --%s", setting->letter != 0 ? letter : "",
                       setting->name);
    else
        (void)snprintf(text, HELP_WIDTH, "  %-3s --%s%s%s%s", setting->letter != 0 ? letter : "",
                       setting->name, may_miss_value ? "[=" : " ", setting->argument,
                       may_miss_value ? "]" : "");
}

void settings_print_help(const struct setting *table, FILE *stream)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        char term[HELP_WIDTH], help[ERROR_TEXT_SIZE];

        if (setting->section != NULL)
            (void)fprintf(stream, "%s%s\n", setting == table ? "" : "\n", setting->section);
        format_option(setting, term);
        if (setting->fallback != NULL)
            (void)snprintf(help, sizeof help, "%s (default: %s)", setting->help, setting->fallback);
        else
            (void)snprintf(help, sizeof help, "%s", setting->help);
        settings_print_entry(term, help, stream);
    }
}

/* --- Destruction ----------------------------------------------------------------------------- */

void settings_free(const struct setting *table, void *options)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        const struct setting_kind *kind = setting_kind_of(setting);

        if (kind->free != NULL)
            kind->free(setting, setting_member(setting, options));
    }
}
