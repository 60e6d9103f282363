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

static size_t table_length(const struct setting *table)
{
    size_t length = 0;

    while (table[length].name != NULL)
        length++;
    return length;
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
        return "a duration; write for example 90, 1m30s or 250ms";
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
        error_set(error, "--%s: \"%s\" is not %s%s", setting->name, text, describe_number(setting),
                  setting->has_auto ? ", or auto" : "");
        return -1;
    }
    if (status < 0 || number < setting->minimum || number > setting->maximum) {
        format_number(setting, setting->minimum, minimum);
        format_number(setting, setting->maximum, maximum);
        error_set(error, "--%s: \"%s\" is out of range; it may be %s to %s%s", setting->name, text,
                  minimum, maximum, setting->has_auto ? ", or auto" : "");
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
    error_set(error, "--%s: \"%s\" is not one of %s", setting->name, text, known);
    return -1;
}

static int add_address(const struct setting *setting, struct address_list *list, const char *text,
                       struct error *error)
{
    struct address *addresses;
    struct address address;
    struct error reason;

    if (address_parse(text, &address, &reason) < 0) {
        error_set(error, "--%s: %s", setting->name, reason.text);
        return -1;
    }
    if (list->is_default)
        list->count = 0;
    addresses = realloc(list->addresses, (list->count + 1) * sizeof *addresses);
    if (addresses == NULL) {
        error_set(error, "--%s: no memory for \"%s\"", setting->name, text);
        return -1;
    }
    addresses[list->count] = address;
    *list = (struct address_list){.addresses = addresses, .count = list->count + 1};
    return 0;
}

static int set_parsed(const struct setting *setting, void *value, const char *text,
                      struct error *error)
{
    struct error right;

    if (setting->parse(text, value, &right) == 0)
        return 0;
    error_set(error, "--%s: \"%s\" is not %s", setting->name, text, right.text);
    return -1;
}

/* Set one member from the text of its value, which is NULL for a flag. */
static int set_value(const struct setting *setting, void *options, const char *text,
                     struct error *error)
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
        return add_address(setting, member(options, setting), text, error);
    case SETTING_PARSED:
        return set_parsed(setting, member(options, setting), text, error);
    case SETTING_TARGET:
        return address_parse_target(text, (uint16_t)setting->minimum, member(options, setting),
                                    error);
    }
    abort(); /* no such type: a fault in the table */
}

static int set_default(const struct setting *setting, void *options, struct error *error)
{
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
    if (setting->fallback == NULL)
        return 0;
    if (set_value(setting, options, setting->fallback, error) < 0)
        return -1;
    if (setting->type == SETTING_ADDRESS_LIST)
        ((struct address_list *)member(options, setting))->is_default = true;
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

static int command_line_init(struct command_line *line, const struct setting *table)
{
    const size_t length = table_length(table);
    size_t letters = 0, count = 0;

    line->long_options = calloc(length + 1, sizeof *line->long_options);
    line->letters = malloc(2 * length + 3);
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
        if (table[i].letter == 0)
            continue;
        line->letters[letters++] = table[i].letter;
        if (takes_value == required_argument)
            line->letters[letters++] = ':';
    }
    line->letters[letters] = '\0';
    return 0;
}

static void command_line_fini(struct command_line *line)
{
    free(line->long_options);
    free(line->letters);
}

static const struct setting *find_setting(const struct setting *table, int value)
{
    if (value >= FIRST_LONG_VALUE)
        return &table[value - FIRST_LONG_VALUE];
    while (table->letter != value)
        table++;
    return table;
}

/* Say what getopt_long did not like; `found` is what it returned. */
static void describe_refusal(const struct setting *table, int found, char *arguments[],
                             struct error *error)
{
    const char *argument = arguments[optind - 1];

    if (found == ':') {
        const struct setting *setting = find_setting(table, optopt);

        error_set(error, "--%s: a value is missing; write --%s %s", setting->name, setting->name,
                  setting->argument);
    } else if (optopt >= FIRST_LONG_VALUE) {
        error_set(error, "--%s: takes no value", find_setting(table, optopt)->name);
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
static int read_operand(const struct setting *settings, void *options, int argument_count,
                        char *arguments[], struct error *error)
{
    const struct setting *table = settings;

    if (argument_count <= 0)
        return 0;
    while (table->name != NULL && table->type != SETTING_TARGET)
        table++;
    if (table->name == NULL) {
        error_set(error, "\"%s\" is no option; --help lists them", arguments[0]);
        return -1;
    }
    if (argument_count > 1) {
        describe_surplus(settings, arguments[1], error);
        return -1;
    }
    return set_value(table, options, arguments[0], error);
}

/* Set what getopt_long found. */
static int set_found(const struct setting *setting, void *options, struct error *error)
{
    return set_value(setting, options, optarg == NULL ? setting->implied : optarg, error);
}

static int read_options(const struct setting *table, void *options, int argument_count,
                        char *arguments[], const struct command_line *line, struct error *error)
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
        if (set_found(find_setting(table, found), options, error) < 0)
            return -1;
    }
    return read_operand(table, options, argument_count - optind, arguments + optind, error);
}

int settings_parse_arguments(const struct setting *table, void *options, int argument_count,
                             char *arguments[], struct error *error)
{
    struct command_line line;
    int status;

    if (command_line_init(&line, table) < 0) {
        error_set(error, "no memory to read the command line");
        return -1;
    }
    status = read_options(table, options, argument_count, arguments, &line, error);
    command_line_fini(&line);
    return status;
}

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
        struct address_list *list;

        if (setting->type != SETTING_ADDRESS_LIST)
            continue;
        list = member(options, setting);
        free(list->addresses);
        *list = (struct address_list){0};
    }
}
