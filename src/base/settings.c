#include <config.h>

#include "base/settings.h"

#include "base/units.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

static void *member(void *options, const struct setting *setting)
{
    return (char *)options + setting->offset;
}

static const void *const_member(const void *options, const struct setting *setting)
{
    return (const char *)options + setting->offset;
}

static size_t table_length(const struct setting *table)
{
    size_t count = 0;

    while (table[count].name != NULL)
        count++;
    return count;
}

/* Write a number the way the user would, in the unit of its setting. */
static void format_number(const struct setting *setting, uint64_t number,
                          char text[UNITS_TEXT_SIZE])
{
    if (setting->type == SETTING_SIZE)
        units_format_size(number, text);
    else if (setting->type == SETTING_DURATION)
        units_format_duration(number, text);
    else if (setting->type == SETTING_INTERVAL)
        units_format_interval(number, text);
    else
        (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64, number);
}

static int parse_number(const struct setting *setting, const char *text, uint64_t *number)
{
    if (setting->type == SETTING_SIZE)
        return units_parse_size(text, number);
    if (setting->type == SETTING_DURATION)
        return units_parse_duration(text, number);
    if (setting->type == SETTING_INTERVAL)
        return units_parse_interval(text, number);
    if (setting->type == SETTING_RATE)
        return units_parse_rate(text, number);
    return units_parse_count(text, number);
}

static const char *describe_number(const struct setting *setting)
{
    if (setting->type == SETTING_SIZE)
        return "an amount of bytes; write for example 65536, 64KiB or 1MB";
    if (setting->type == SETTING_DURATION)
        return "a duration; write for example 90, 0.5, 1m30s or 250ms";
    if (setting->type == SETTING_INTERVAL)
        return "a duration; write for example 1, 0.2, 10ms or 500us";
    if (setting->type == SETTING_RATE)
        return "a rate; write for example 1000 or 1000/s";
    return "a number";
}

static int set_number(const struct setting *setting, uint64_t *value, const char *text,
                      struct error *error)
{
    char minimum[UNITS_TEXT_SIZE], maximum[UNITS_TEXT_SIZE];
    uint64_t number;
    int status;

    if (setting->has_auto && strcmp(text, "auto") == 0) {
        *value = SETTING_AUTO;
        return 0;
    }
    status = parse_number(setting, text, &number);
    if (status < 0 && errno != ERANGE) {
        error_set(error, "\"%s\" is not %s%s", text, describe_number(setting),
                  setting->has_auto ? ", or auto" : "");
        return -1;
    }
    if (status < 0 || number < setting->minimum || number > setting->maximum) {
        format_number(setting, setting->minimum, minimum);
        format_number(setting, setting->maximum, maximum);
        error_set(error, "\"%s\" is out of range; it may be %s to %s%s", text, minimum, maximum,
                  setting->has_auto ? ", or auto" : "");
        return -1;
    }
    *value = number;
    return 0;
}

static int set_choice(const struct setting *setting, unsigned *value, const char *text,
                      struct error *error)
{
    char known[ERROR_TEXT_SIZE / 2] = "";

    for (unsigned i = 0; setting->choices[i] != NULL; i++) {
        const size_t length = strlen(known);

        if (strcmp(text, setting->choices[i]) == 0) {
            *value = i;
            return 0;
        }
        (void)snprintf(known + length, sizeof known - length, "%s%s", i == 0 ? "" : ", ",
                       setting->choices[i]);
    }
    error_set(error, "\"%s\" is not one of %s", text, known);
    return -1;
}

/* Make room for one more. Return 0, or -1 with errno ENOMEM. */
static int grow_list(struct address_list *list)
{
    const size_t count = list->count + 1;
    struct address *addresses = realloc(list->addresses, count * sizeof *addresses);
    struct origin *origins;

    if (addresses == NULL)
        return -1;
    list->addresses = addresses;
    origins = realloc(list->origins, count * sizeof *origins);
    if (origins == NULL)
        return -1;
    list->origins = origins;
    return 0;
}

static int add_address(struct address_list *list, const char *text, const struct origin *origin,
                       struct error *error)
{
    struct address address;

    if (address_parse(text, &address, error) < 0)
        return -1;
    if (grow_list(list) < 0) {
        error_set(error, "no memory for \"%s\"", text);
        return -1;
    }
    if (list->is_provisional)
        list->count = 0;
    list->is_provisional = false;
    list->addresses[list->count] = address;
    list->origins[list->count++] = *origin;
    return 0;
}

static int set_text(char **value, const char *text, struct error *error)
{
    char *copy;

    if (text[0] == '\0') {
        error_set(error, "\"\" is empty; write what it should be");
        return -1;
    }
    copy = strdup(text);
    if (copy == NULL) {
        error_set(error, "no memory for \"%s\"", text);
        return -1;
    }
    free(*value);
    *value = copy;
    return 0;
}

static int set_parsed(const struct setting *setting, void *value, const char *text,
                      struct error *error)
{
    struct error right;

    if (setting->parse(text, value, &right) == 0)
        return 0;
    error_set(error, "\"%s\" is not %s", text, right.text);
    return -1;
}

/*
 * Set one member from the text of its value, which is NULL for a flag. The sentence of an error
 * does not name the setting.
 */
static int set_value(const struct setting *setting, void *options, const char *text,
                     const struct origin *origin, struct error *error)
{
    switch (setting->type) {
    case SETTING_FLAG:
        *(bool *)member(options, setting) = true;
        return 0;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_INTERVAL:
    case SETTING_RATE:
        return set_number(setting, member(options, setting), text, error);
    case SETTING_CHOICE:
        return set_choice(setting, member(options, setting), text, error);
    case SETTING_ADDRESS_LIST:
        return add_address(member(options, setting), text, origin, error);
    case SETTING_TEXT:
        return set_text(member(options, setting), text, error);
    case SETTING_PARSED:
        return set_parsed(setting, member(options, setting), text, error);
    case SETTING_TARGET:
        return address_parse_target(text, (uint16_t)setting->minimum, member(options, setting),
                                    error);
    }
    abort(); /* no such type: a fault in the table */
}

/* Set a member, and note where its value came from. */
static int set_member(const struct setting *table, const struct setting *setting, void *options,
                      struct origin *origins, const char *text, const struct origin *origin,
                      struct error *error)
{
    if (set_value(setting, options, text, origin, error) < 0)
        return -1;
    if (origins != NULL)
        origins[setting - table] = *origin;
    return 0;
}

/* Put the name of a setting before the sentence about its value. */
static void name_setting(struct error *error, const char *dashes, const struct setting *setting)
{
    const struct error sentence = *error;

    error_set(error, "%s%s: %s", dashes, setting->name, sentence.text);
}

static int set_default(const struct setting *setting, void *options, struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_DEFAULT};

    if (setting->type == SETTING_FLAG) {
        *(bool *)member(options, setting) = false;
        return 0;
    }
    if (setting->type == SETTING_ADDRESS_LIST)
        *(struct address_list *)member(options, setting) = (struct address_list){0};
    if (setting->type == SETTING_TARGET) {
        *(struct address *)member(options, setting) = (struct address){0};
        return 0;
    }
    if (setting->type == SETTING_TEXT)
        *(char **)member(options, setting) = NULL;
    if (setting->fallback == NULL)
        return 0;
    if (set_value(setting, options, setting->fallback, &origin, error) < 0) {
        name_setting(error, "--", setting);
        return -1;
    }
    if (setting->type == SETTING_ADDRESS_LIST)
        ((struct address_list *)member(options, setting))->is_provisional = true;
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

/* What getopt_long is told, made from a table. */
struct command_line {
    struct option *long_options;
    char *letters;
};

/* Values of long options; they lie beyond all letters. */
enum { FIRST_LONG_VALUE = 256 };

/* Add a short option, unless it is 0, and return how many characters there are then. */
static size_t add_letter(char *letters, size_t count, char letter, int takes_value)
{
    if (letter == 0)
        return count;
    letters[count++] = letter;
    if (takes_value == required_argument)
        letters[count++] = ':';
    return count;
}

static int command_line_init(struct command_line *line, const struct setting *table)
{
    const size_t length = table_length(table);
    size_t letters = 0, count = 0;

    line->long_options = calloc(length + 1, sizeof *line->long_options);
    line->letters = malloc(4 * length + 2);
    if (line->long_options == NULL || line->letters == NULL) {
        free(line->long_options);
        free(line->letters);
        return -1;
    }
    line->letters[letters++] = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < length; i++) {
        int takes_value = required_argument;

        if (table[i].type == SETTING_FLAG)
            takes_value = no_argument;
        else if (table[i].implied != NULL)
            takes_value = optional_argument;
        if (table[i].type == SETTING_TARGET)
            continue;
        line->long_options[count++] = (struct option){
            .name = table[i].name,
            .has_arg = takes_value,
            .val = FIRST_LONG_VALUE + (int)i,
        };
        letters = add_letter(line->letters, letters, table[i].letter, takes_value);
        letters = add_letter(line->letters, letters, table[i].other_letter, takes_value);
    }
    line->letters[letters] = '\0';
    return 0;
}

static void command_line_fini(struct command_line *line)
{
    free(line->long_options);
    free(line->letters);
}

static const struct setting *setting_of_value(const struct setting *table, int value)
{
    if (value >= FIRST_LONG_VALUE)
        return &table[value - FIRST_LONG_VALUE];
    while (table->letter != value && table->other_letter != value)
        table++;
    return table;
}

/* Say what getopt_long did not like; `found` is what it returned. */
static void describe_refusal(const struct setting *table, int found, char *arguments[],
                             struct error *error)
{
    const char *argument = arguments[optind - 1];

    if (found == ':') {
        const struct setting *setting = setting_of_value(table, optopt);

        error_set(error, "--%s: a value is missing; write --%s %s", setting->name, setting->name,
                  setting->argument);
    } else if (optopt >= FIRST_LONG_VALUE) {
        error_set(error, "--%s: takes no value", setting_of_value(table, optopt)->name);
    } else if (optopt != 0) {
        error_set(error, "-%c: no such option; --help lists them", optopt);
    } else {
        error_set(error, "%s: no such option, or short for several; --help lists them", argument);
    }
}

/* Say that there is an operand too many: perhaps a value that should stand behind "=". */
static void describe_surplus(const struct setting *table, const char *argument, struct error *error)
{
    const struct setting *optional = NULL;
    const char *operand = "";

    for (; table->name != NULL; table++) {
        if (table->implied != NULL)
            optional = table;
        if (table->type == SETTING_TARGET)
            operand = table->name;
    }
    if (optional == NULL)
        error_set(error, "\"%s\" is one too many; give one %s", argument, operand);
    else
        error_set(error, "\"%s\" is one too many; give one %s, and the value of --%s behind \"=\"",
                  argument, operand, optional->name);
}

/* Read what the options leave. */
static int read_operand(const struct setting *table, void *options, struct origin *origins,
                        int argument_count, char *arguments[], struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    const struct setting *operand = table;

    if (argument_count <= 0)
        return 0;
    while (operand->name != NULL && operand->type != SETTING_TARGET)
        operand++;
    if (operand->name == NULL) {
        error_set(error, "\"%s\" is no option; --help lists them", arguments[0]);
        return -1;
    }
    if (argument_count > 1) {
        describe_surplus(table, arguments[1], error);
        return -1;
    }
    return set_member(table, operand, options, origins, arguments[0], &origin, error);
}

/* Set what getopt_long found. */
static int set_found(const struct setting *table, const struct setting *setting, void *options,
                     struct origin *origins, struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    const char *text = optarg == NULL ? setting->implied : optarg;

    if (set_member(table, setting, options, origins, text, &origin, error) == 0)
        return 0;
    name_setting(error, "--", setting);
    return -1;
}

static int read_options(const struct setting *table, void *options, struct origin *origins,
                        int argument_count, char *arguments[], const struct command_line *line,
                        struct error *error)
{
    int found;

    opterr = 0;
#ifdef __GLIBC__
    optind = 0; /* makes glibc forget an earlier command line */
#else
    optind = 1;
#endif
    while ((found = getopt_long(argument_count, arguments, line->letters, line->long_options,
                                NULL)) != -1) {
        if (found == '?' || found == ':') {
            describe_refusal(table, found, arguments, error);
            return -1;
        }
        if (set_found(table, setting_of_value(table, found), options, origins, error) < 0)
            return -1;
    }
    return read_operand(table, options, origins, argument_count - optind, arguments + optind,
                        error);
}

int settings_parse_arguments(const struct setting *table, void *options, struct origin *origins,
                             int argument_count, char *arguments[], struct error *error)
{
    struct command_line line;
    int status;

    if (command_line_init(&line, table) < 0) {
        error_set(error, "no memory to read the command line");
        return -1;
    }
    status = read_options(table, options, origins, argument_count, arguments, &line, error);
    command_line_fini(&line);
    return status;
}

/* --- A configuration file. ------------------------------------------------------------------- */

const struct setting *settings_find(const struct setting *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (table->type != SETTING_TARGET && strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

/* A file may say that something is off, too. */
static int set_flag(bool *value, const char *text, struct error *error)
{
    const bool is_no = text != NULL && strcmp(text, "no") == 0;

    if (text != NULL && !is_no && strcmp(text, "yes") != 0) {
        error_set(error, "\"%s\" is not yes or no", text);
        return -1;
    }
    *value = !is_no;
    return 0;
}

static int set_from_file(const struct setting *setting, void *options, const char *text,
                         const struct origin *origin, struct error *error)
{
    if (setting->type == SETTING_FLAG)
        return set_flag(member(options, setting), text, error);
    if (text == NULL)
        text = setting->implied;
    if (text == NULL) {
        error_set(error, "a value is missing; write %s %s", setting->name, setting->argument);
        return -1;
    }
    return set_value(setting, options, text, origin, error);
}

int settings_set(const struct setting *table, const struct setting *setting, void *options,
                 struct origin *origins, const char *value, const struct origin *origin,
                 struct error *error)
{
    const int status = set_from_file(setting, options, value, origin, error);

    if (status < 0)
        name_setting(error, "", setting);
    if (origins != NULL) {
        origins[setting - table] = *origin;
        origins[setting - table].is_refused = status < 0;
    }
    return status;
}

/* --- Values as text. ------------------------------------------------------------------------- */

/*
 * Return a value, which is no list, as settings_set reads it: in `text` or where it is. NULL stands
 * for a value that nobody gave.
 */
static const char *value_text(const struct setting *setting, const void *options,
                              char text[SETTING_VALUE_SIZE])
{
    const void *value = const_member(options, setting);

    switch (setting->type) {
    case SETTING_FLAG:
        return *(const bool *)value ? "yes" : "no";
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_INTERVAL:
    case SETTING_RATE:
        if (*(const uint64_t *)value == SETTING_AUTO)
            return "auto";
        format_number(setting, *(const uint64_t *)value, text);
        return text;
    case SETTING_CHOICE:
        return setting->choices[*(const unsigned *)value];
    case SETTING_TEXT:
        return *(char *const *)value;
    case SETTING_PARSED:
        return setting->format(value, text) ? text : NULL;
    case SETTING_ADDRESS_LIST:
    case SETTING_TARGET:
        break;
    }
    abort(); /* the callers leave these out */
}

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
    const char *place = origin->place;

    if (value == NULL) {
        (void)fprintf(stream, "# %s is not set\n", setting->name);
        return;
    }
    if (origin->kind == ORIGIN_DEFAULT)
        place = "default";
    else if (origin->kind == ORIGIN_COMMAND_LINE)
        place = "command line";
    (void)fprintf(stream, "%s ", setting->name);
    print_word(value, stream);
    (void)fprintf(stream, " # %s\n", place);
}

void settings_print(const struct setting *table, const void *options, const struct origin *origins,
                    FILE *stream)
{
    char text[SETTING_VALUE_SIZE];

    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        const struct address_list *list;

        if (setting->is_command || setting->type == SETTING_TARGET)
            continue;
        if (setting->type != SETTING_ADDRESS_LIST) {
            print_line(setting, value_text(setting, options, text), &origins[setting - table],
                       stream);
            continue;
        }
        list = const_member(options, setting);
        for (size_t i = 0; i < list->count; i++) {
            address_format(&list->addresses[i], text);
            print_line(setting, text, &list->origins[i], stream);
        }
    }
}

/* Give a setting the value that it has in `current`. */
static int copy_value(const struct setting *setting, void *options, const void *current)
{
    const void *from = const_member(current, setting);
    void *to = member(options, setting);

    switch (setting->type) {
    case SETTING_FLAG:
        *(bool *)to = *(const bool *)from;
        return 0;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_INTERVAL:
    case SETTING_RATE:
        *(uint64_t *)to = *(const uint64_t *)from;
        return 0;
    case SETTING_CHOICE:
        *(unsigned *)to = *(const unsigned *)from;
        return 0;
    case SETTING_TEXT:
        free(*(char **)to);
        *(char **)to = NULL;
        if (*(char *const *)from != NULL)
            *(char **)to = strdup(*(char *const *)from);
        return *(char *const *)from != NULL && *(char **)to == NULL ? -1 : 0;
    case SETTING_PARSED:
        memcpy(to, from, setting->size);
        return 0;
    case SETTING_ADDRESS_LIST:
    case SETTING_TARGET:
        break;
    }
    abort(); /* value_text has seen it */
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
        if (copy_value(setting, options, current) < 0)
            return -1;
    }
    return 0;
}

/* --- --help. --------------------------------------------------------------------------------- */

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

/* Print an option as a user writes it. Return how many columns that took. */
static int print_option(const struct setting *setting, FILE *stream)
{
    const char letter[] = {'-', setting->letter, ',', '\0'};
    const bool may_miss_value = setting->implied != NULL;

    if (setting->type == SETTING_TARGET)
        return fprintf(stream, "  %s", setting->name);
    if (setting->argument == NULL)
        return fprintf(stream, "  %-3s --%s", setting->letter != 0 ? letter : "", setting->name);
    return fprintf(stream, "  %-3s --%s%s%s%s", setting->letter != 0 ? letter : "", setting->name,
                   may_miss_value ? "[=" : " ", setting->argument, may_miss_value ? "]" : "");
}

void settings_print_help(const struct setting *table, FILE *stream)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        char text[ERROR_TEXT_SIZE];
        int column = print_option(setting, stream);

        if (column >= HELP_COLUMN)
            column = fprintf(stream, "\n") - 1;
        (void)fprintf(stream, "%*s", HELP_COLUMN - column, "");
        if (setting->fallback != NULL)
            (void)snprintf(text, sizeof text, "%s (default: %s)", setting->help, setting->fallback);
        else
            (void)snprintf(text, sizeof text, "%s", setting->help);
        print_wrapped(stream, text, HELP_COLUMN);
    }
}

void settings_free(const struct setting *table, void *options)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        if (setting->type == SETTING_TEXT) {
            char **text = member(options, setting);

            free(*text);
            *text = NULL;
        }
        if (setting->type == SETTING_ADDRESS_LIST) {
            struct address_list *list = member(options, setting);

            free(list->addresses);
            free(list->origins);
            *list = (struct address_list){0};
        }
    }
}
