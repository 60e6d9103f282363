#include <config.h>

#include "base/setting_kind.h"

#include "base/address.h"
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Flags ----------------------------------------------------------------------------------- */

static void clear_flag(const struct setting *setting, void *member)
{
    (void)setting;
    *(bool *)member = false;
}

/* A file may say that something is off, too. On the command line no value follows. */
static int set_flag(const struct setting *setting, void *member, const char *text,
                    const struct origin *origin, struct error *error)
{
    const bool is_no = text != NULL && (strcmp(text, "no") == 0 || strcmp(text, "off") == 0);

    (void)setting;
    (void)origin;
    if (text != NULL && !is_no && strcmp(text, "yes") != 0 && strcmp(text, "on") != 0) {
        error_set(error, "\"%s\" is not yes or no, on or off", text);
        errno = EINVAL;
        return -1;
    }
    *(bool *)member = !is_no;
    return 0;
}

static const char *format_flag(const struct setting *setting, const void *member,
                               /* NOLINTNEXTLINE(readability-non-const-parameter) */
                               char text[SETTING_VALUE_SIZE])
{
    (void)setting;
    (void)text;
    return *(const bool *)member ? "yes" : "no";
}

static int copy_flag(const struct setting *setting, void *member, const void *other)
{
    (void)setting;
    *(bool *)member = *(const bool *)other;
    return 0;
}

/* --- Numbers --------------------------------------------------------------------------------- */

static void format_count(uint64_t count, char text[UNITS_TEXT_SIZE])
{
    (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64, count);
}

/* How the numbers of a type are written. */
struct unit {
    int (*parse)(const char *text, uint64_t *number);
    void (*format)(uint64_t number, char text[UNITS_TEXT_SIZE]);
    const char *description;
};

static const struct unit units[] = {
    [SETTING_COUNT] = {units_parse_count, format_count, "a number"},
    [SETTING_SIZE] = {units_parse_size, units_format_size,
                      "an amount of bytes; write for example 65536, 64KiB or 1MB"},
    [SETTING_DURATION] = {units_parse_duration, units_format_duration,
                          "a duration; write for example 90, 0.5, 1m30s or 250ms"},
    [SETTING_INTERVAL] = {units_parse_interval, units_format_interval,
                          "a duration; write for example 1, 0.2, 10ms or 500us"},
};

static int set_number(const struct setting *setting, void *member, const char *text,
                      const struct origin *origin, struct error *error)
{
    const struct unit *unit = &units[setting->type];
    const char *or_auto = setting->has_auto ? ", or auto" : "";
    char minimum[UNITS_TEXT_SIZE], maximum[UNITS_TEXT_SIZE];
    uint64_t number = SETTING_AUTO;
    int status = 0;

    (void)origin;
    if (!setting->has_auto || strcmp(text, "auto") != 0) {
        status = unit->parse(text, &number);
        if (status < 0 && errno != ERANGE) {
            error_set(error, "\"%s\" is not %s%s", text, unit->description, or_auto);
            return -1;
        }
        if (status < 0 || number < setting->minimum || number > setting->maximum) {
            unit->format(setting->minimum, minimum);
            unit->format(setting->maximum, maximum);
            error_set(error, "\"%s\" is out of range; it may be %s to %s%s", text, minimum, maximum,
                      or_auto);
            errno = ERANGE;
            return -1;
        }
    }
    *(uint64_t *)member = number;
    return 0;
}

static const char *format_number(const struct setting *setting, const void *member,
                                 char text[SETTING_VALUE_SIZE])
{
    const uint64_t number = *(const uint64_t *)member;

    if (number == SETTING_AUTO)
        return "auto";
    units[setting->type].format(number, text);
    return text;
}

static int copy_number(const struct setting *setting, void *member, const void *other)
{
    (void)setting;
    *(uint64_t *)member = *(const uint64_t *)other;
    return 0;
}

/* --- Choices --------------------------------------------------------------------------------- */

static int set_choice(const struct setting *setting, void *member, const char *text,
                      const struct origin *origin, struct error *error)
{
    char known[ERROR_TEXT_SIZE / 2] = "";

    (void)origin;
    for (unsigned i = 0; setting->choices[i] != NULL; i++) {
        const size_t length = strlen(known);

        if (strcmp(text, setting->choices[i]) == 0) {
            *(unsigned *)member = i;
            return 0;
        }
        (void)snprintf(known + length, sizeof known - length, "%s%s", i == 0 ? "" : ", ",
                       setting->choices[i]);
    }
    error_set(error, "\"%s\" is not one of %s", text, known);
    errno = EINVAL;
    return -1;
}

static const char *format_choice(const struct setting *setting, const void *member,
                                 /* NOLINTNEXTLINE(readability-non-const-parameter) */
                                 char text[SETTING_VALUE_SIZE])
{
    (void)text;
    return setting->choices[*(const unsigned *)member];
}

static int copy_choice(const struct setting *setting, void *member, const void *other)
{
    (void)setting;
    *(unsigned *)member = *(const unsigned *)other;
    return 0;
}

/* --- Lists ----------------------------------------------------------------------------------- */

static void clear_list(const struct setting *setting, void *member)
{
    setting->list->init(member);
}

static int set_list(const struct setting *setting, void *member, const char *text,
                    const struct origin *origin, struct error *error)
{
    return setting->list->add(text, origin, member, error);
}

static void free_list(const struct setting *setting, void *member)
{
    setting->list->free(member);
}

/* --- Texts ----------------------------------------------------------------------------------- */

static void clear_text(const struct setting *setting, void *member)
{
    (void)setting;
    *(char **)member = NULL;
}

static int set_text(const struct setting *setting, void *member, const char *text,
                    const struct origin *origin, struct error *error)
{
    char **value = member;
    char *copy;

    (void)setting;
    (void)origin;
    if (text[0] == '\0') {
        error_set(error, "\"\" is empty; write what it should be");
        errno = EINVAL;
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

static const char *format_text(const struct setting *setting, const void *member,
                               /* NOLINTNEXTLINE(readability-non-const-parameter) */
                               char text[SETTING_VALUE_SIZE])
{
    (void)setting;
    (void)text;
    return *(char *const *)member;
}

static int copy_text(const struct setting *setting, void *member, const void *other)
{
    const char *text = *(char *const *)other;
    char *copy = NULL;

    (void)setting;
    if (text != NULL && (copy = strdup(text)) == NULL)
        return -1;
    free(*(char **)member);
    *(char **)member = copy;
    return 0;
}

static void free_text(const struct setting *setting, void *member)
{
    (void)setting;
    free(*(char **)member);
    *(char **)member = NULL;
}

/* --- What the program parses ----------------------------------------------------------------- */

static int set_parsed(const struct setting *setting, void *member, const char *text,
                      const struct origin *origin, struct error *error)
{
    struct error right = {""};

    (void)origin;
    errno = EINVAL;
    if (setting->parse(text, member, &right) == 0)
        return 0;
    error_set(error, "\"%s\" is not %s", text, right.text);
    return -1;
}

static const char *format_parsed(const struct setting *setting, const void *member,
                                 char text[SETTING_VALUE_SIZE])
{
    return setting->format(member, text) ? text : NULL;
}

static int copy_parsed(const struct setting *setting, void *member, const void *other)
{
    memcpy(member, other, setting->size);
    return 0;
}

/* --- Operands -------------------------------------------------------------------------------- */

static void clear_target(const struct setting *setting, void *member)
{
    (void)setting;
    *(struct address *)member = (struct address){0};
}

static int set_target(const struct setting *setting, void *member, const char *text,
                      const struct origin *origin, struct error *error)
{
    (void)origin;
    errno = EINVAL;
    return address_parse_target(text, (uint16_t)setting->minimum, member, error);
}

static void clear_operands(const struct setting *setting, void *member)
{
    (void)setting;
    *(struct setting_operands *)member = (struct setting_operands){0};
}

/* --- The kinds ------------------------------------------------------------------------------- */

#define NUMBER                                                                                     \
    {                                                                                              \
        .set = set_number, .format = format_number, .copy = copy_number                            \
    }

static const struct setting_kind kinds[] = {
    [SETTING_FLAG] = {clear_flag, set_flag, format_flag, copy_flag, NULL},
    [SETTING_COUNT] = NUMBER,
    [SETTING_SIZE] = NUMBER,
    [SETTING_DURATION] = NUMBER,
    [SETTING_INTERVAL] = NUMBER,
    [SETTING_CHOICE] = {NULL, set_choice, format_choice, copy_choice, NULL},
    [SETTING_LIST] = {clear_list, set_list, NULL, NULL, free_list},
    [SETTING_TEXT] = {clear_text, set_text, format_text, copy_text, free_text},
    [SETTING_PARSED] = {NULL, set_parsed, format_parsed, copy_parsed, NULL},
    [SETTING_TARGET] = {clear_target, set_target, NULL, NULL, NULL},
    [SETTING_OPERANDS] = {clear_operands, NULL, NULL, NULL, NULL}, /* command_line sets them */
};

const struct setting_kind *setting_kind_of(const struct setting *setting)
{
    return &kinds[setting->type];
}

bool setting_is_operand(const struct setting *setting)
{
    return setting->type == SETTING_TARGET || setting->type == SETTING_OPERANDS;
}

void *setting_member(const struct setting *setting, void *options)
{
    return (char *)options + setting->offset;
}

const void *setting_const_member(const struct setting *setting, const void *options)
{
    return (const char *)options + setting->offset;
}

void setting_name_in_error(const struct setting *setting, const char *dashes, struct error *error)
{
    const struct error sentence = *error;

    error_set(error, "%s%s: %s", dashes, setting->name, sentence.text);
}

int setting_set_member(const struct setting *table, const struct setting *setting, void *options,
                       struct origin *origins, const char *text, const struct origin *origin,
                       struct error *error)
{
    if (setting_kind_of(setting)->set(setting, setting_member(setting, options), text, origin,
                                      error) < 0)
        return -1;
    if (origins != NULL)
        origins[setting - table] = *origin;
    return 0;
}
