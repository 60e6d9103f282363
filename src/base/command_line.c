#include <config.h>

#include "base/command_line.h"

#include "base/setting_kind.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

static size_t table_length(const struct setting *table)
{
    size_t count = 0;

    while (table[count].name != NULL)
        count++;
    return count;
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
        if (setting_is_operand(&table[i]))
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

/* Return the row of operands, or the end of the table. */
static const struct setting *find_operand(const struct setting *table)
{
    while (table->name != NULL && !setting_is_operand(table))
        table++;
    return table;
}

/* Read what the options leave: the operand, or several. */
static int read_operands(const struct setting *table, void *options, struct origin *origins,
                         int argument_count, char *arguments[], struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    const struct setting *operand = find_operand(table);

    if (argument_count <= 0)
        return 0;
    errno = EINVAL;
    if (operand->name == NULL) {
        error_set(error, "\"%s\" is no option; --help lists them", arguments[0]);
        return -1;
    }
    if (operand->type == SETTING_OPERANDS) {
        *(struct setting_operands *)setting_member(operand, options) =
            (struct setting_operands){arguments, (size_t)argument_count};
        return 0;
    }
    if (argument_count > 1) {
        describe_surplus(table, arguments[1], error);
        return -1;
    }
    return setting_set_member(table, operand, options, origins, arguments[0], &origin, error);
}

/* Set what getopt_long found. */
static int set_found(const struct setting *table, const struct setting *setting, void *options,
                     struct origin *origins, struct error *error)
{
    const struct origin origin = {.kind = ORIGIN_COMMAND_LINE};
    const char *text = optarg == NULL ? setting->implied : optarg;

    if (setting_set_member(table, setting, options, origins, text, &origin, error) == 0)
        return 0;
    setting_name_in_error(setting, "--", error);
    return -1;
}

static int read_options(const struct setting *table, void *options, struct origin *origins,
                        int argument_count, char *arguments[], const struct command_line *line,
                        struct error *error)
{
    int found;

    opterr = 0;
    optind = 0; /* makes it forget an earlier command line, that of glibc, musl, and the BSDs */
    while ((found = getopt_long(argument_count, arguments, line->letters, line->long_options,
                                NULL)) != -1) {
        if (found == '?' || found == ':') {
            describe_refusal(table, found, arguments, error);
            errno = EINVAL;
            return -1;
        }
        if (set_found(table, setting_of_value(table, found), options, origins, error) < 0)
            return -1;
    }
    return read_operands(table, options, origins, argument_count - optind, arguments + optind,
                         error);
}

int command_line_parse(const struct setting *table, void *options, struct origin *origins,
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
