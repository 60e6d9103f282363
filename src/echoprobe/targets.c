#include <config.h>

#include "echoprobe/targets.h"

#include "base/config_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct targets *targets;
    int argument_count;
    char **arguments;
    struct error *error;
    bool has_failed; /* the first error is told */
    bool is_out_of_memory;
};

/* --- A line ---------------------------------------------------------------------------------- */

static bool is_fit_for_name(char character)
{
    return character > ' ' && character < '\x7f' && strchr("\"'\\|,;=", character) == NULL;
}

static int check_name(const struct targets *targets, const char *name, struct error *error)
{
    const size_t length = strlen(name);

    errno = EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (!is_fit_for_name(name[i])) {
            error_set(error, "\"%s\" is no name of a target; write letters, digits and -._:/ alone",
                      name);
            return -1;
        }
    }
    if (length == 0 || length >= TARGETS_NAME_SIZE) {
        error_set(error, "a name has %zu characters; write 1 to %d", length, TARGETS_NAME_SIZE - 1);
        return -1;
    }
    for (size_t i = 0; i < targets->count; i++) {
        if (strcmp(targets->items[i].name, name) == 0) {
            error_set(error, "%s: stands there twice; write another name", name);
            return -1;
        }
    }
    return 0;
}

static struct named_target *add_target(struct targets *targets, struct error *error)
{
    struct named_target *items;

    if (targets->count == TARGETS_MAX) {
        error_set(error, "this is one more than %d targets; share them out to several files",
                  TARGETS_MAX);
        errno = EINVAL;
        return NULL;
    }
    items = realloc(targets->items, (targets->count + 1) * sizeof *items);
    if (items == NULL) {
        error_set(error, "there is not enough memory");
        return NULL;
    }
    targets->items = items;
    memset(&items[targets->count], 0, sizeof *items);
    return &items[targets->count];
}

/* An address alone is its own name, without its options. */
static void copy_name(const struct config_line *line, char *name, size_t size)
{
    const int length = line->value == NULL ? (int)strcspn(line->name, ",") : (int)size;

    (void)snprintf(name, size, "%.*s", length, line->name);
}

static int read_line(struct reading *reading, const struct config_line *line, struct error *error)
{
    const char *address = line->value == NULL ? line->name : line->value;
    struct targets *targets = reading->targets;
    char name[CONFIG_FILE_LINE + 1];
    struct named_target *target;

    copy_name(line, name, sizeof name);
    if (check_name(targets, name, error) < 0)
        return -1;
    target = add_target(targets, error);
    if (target == NULL)
        return -1;
    (void)snprintf(target->name, sizeof target->name, "%.*s", TARGETS_NAME_SIZE - 1, name);
    targets->count++;
    target->text = strdup(address);
    if (target->text == NULL) {
        error_set(error, "there is not enough memory");
        return -1;
    }
    return options_parse_target(&target->options, reading->argument_count, reading->arguments,
                                address, error);
}

/* --- The file -------------------------------------------------------------------------------- */

static int on_line(const struct config_line *line, void *argument, struct error *error)
{
    struct reading *reading = argument;

    if (reading->has_failed || read_line(reading, line, error) == 0)
        return 0;
    reading->is_out_of_memory |= errno == ENOMEM;
    return -1;
}

static void on_error(const struct error *error, void *argument)
{
    struct reading *reading = argument;

    if (!reading->has_failed)
        *reading->error = *error;
    reading->has_failed = true;
}

int targets_read(struct targets *targets, const char *path, int argument_count, char *arguments[],
                 struct error *error)
{
    struct reading reading = {.targets = targets,
                              .argument_count = argument_count,
                              .arguments = arguments,
                              .error = error};
    const struct config_reader reader = {
        .on_line = on_line, .on_error = on_error, .argument = &reading};

    *targets = (struct targets){0};
    if (config_file_read(path, &reader) < 0) {
        errno = errno == ENOMEM || reading.is_out_of_memory ? ENOMEM : EINVAL;
        return -1;
    }
    if (targets->count > 0)
        return 0;
    error_set(error, "%s: names no target; write NAME ADDRESS on a line", path);
    errno = EINVAL;
    return -1;
}

static void free_target(struct named_target *target)
{
    options_free(&target->options);
    free(target->text);
}

void targets_remove(struct targets *targets, size_t index)
{
    struct named_target *target = &targets->items[index];

    free_target(target);
    targets->count--;
    memmove(target, target + 1, (targets->count - index) * sizeof *target);
}

void targets_free(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        free_target(&targets->items[i]);
    free(targets->items);
    *targets = (struct targets){0};
}
