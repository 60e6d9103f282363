#include <config.h>

#include "things.h"

#include "base/command_line.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD   UINT64_C(0xa5a5a5a5a5a5a5a5)
#define GUARD_3 0x5a5a5a5aU

const struct setting_list things_listens = {
    .init = listen_list_init,
    .add = listen_list_add,
    .make_provisional = listen_list_make_provisional,
    .format = listen_list_format,
    .free = listen_list_free,
};

const char *const things_levels[] = {"low", "middle", "high", NULL};

const struct setting things_table[] = {
    {.name = "listen",
     .type = SETTING_LIST,
     .list = &things_listens,
     .offset = offsetof(struct things, listen),
     .argument = "ADDRESS",
     .fallback = "tcp://127.0.0.1:13265",
     .letter = 'l',
     .help = "Listen here; this sentence is long enough that it needs a second line and, "
             "since it goes on and on, even a third one with a few words."},
    {.name = "extra-addresses-with-a-long-name",
     .type = SETTING_LIST,
     .list = &things_listens,
     .offset = offsetof(struct things, extra),
     .argument = "ANOTHER-ADDRESS",
     .fallback = "unix:///extra",
     .help = "An option whose name leaves no room for its help beside it."},
    {.name = "count",
     .type = SETTING_COUNT,
     .offset = offsetof(struct things, count),
     .argument = "N",
     .fallback = "auto",
     .minimum = 2,
     .maximum = 1000,
     .has_auto = true,
     .letter = 'c',
     .other_letter = 'n',
     .help = "How many."},
    {.name = "count-limit",
     .type = SETTING_COUNT,
     .offset = offsetof(struct things, count_limit),
     .argument = "N",
     .fallback = "7",
     .maximum = UINT64_MAX - 1,
     .help = "How many at most."},
    {.name = "size",
     .type = SETTING_SIZE,
     .offset = offsetof(struct things, size),
     .argument = "SIZE",
     .fallback = "64KiB",
     .minimum = 1024,
     .maximum = 1024 * 1024,
     .has_auto = true,
     .help = "How large."},
    {.name = "duration",
     .type = SETTING_DURATION,
     .offset = offsetof(struct things, duration),
     .argument = "DURATION",
     .fallback = "1m30s",
     .minimum = 250,
     .maximum = 3600000,
     .letter = 'd',
     .help = "How long."},
    {.name = "level",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct things, level),
     .argument = "LEVEL",
     .fallback = "middle",
     .choices = things_levels,
     .help = "How high."},
    {.name = "quiet",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, quiet),
     .letter = 'q',
     .help = "Say nothing."},
    {.name = "verbose",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, verbose),
     .help = "Say all."},
    {.name = "help",
     .type = SETTING_FLAG,
     .offset = offsetof(struct things, help),
     .letter = 'h',
     .help = "Show this help."},
    {.name = NULL},
};

struct things things;

void things_set_defaults(void)
{
    struct error error;

    memset(&things, 0xa5, sizeof things);
    things.guard_3 = GUARD_3;
    ck_assert_int_eq(settings_set_defaults(things_table, &things, &error), 0);
}

void things_free(void)
{
    ck_assert_uint_eq(things.guard_0, GUARD);
    ck_assert_uint_eq(things.guard_1, GUARD);
    ck_assert_uint_eq(things.guard_2, GUARD);
    ck_assert_uint_eq(things.guard_3, GUARD_3);
    ck_assert_uint_eq(things.guard_4, GUARD);
    settings_free(things_table, &things);
}

int things_parse_into(const struct setting *settings, void *options, const char *const arguments[],
                      struct error *error)
{
    int count = 0, status;
    char **argv;

    while (arguments[count] != NULL)
        count++;
    argv = calloc((size_t)count + 2, sizeof *argv);
    ck_assert_ptr_nonnull(argv);
    argv[0] = strdup("program");
    for (int i = 0; i < count; i++)
        argv[i + 1] = strdup(arguments[i]);
    memset(error, 0, sizeof *error);
    status = command_line_parse(settings, options, NULL, count + 1, argv, error);
    for (int i = 0; i <= count; i++) /* in another order, perhaps */
        free(argv[i]);
    free(argv);
    return status;
}
/* Return what --help shows of a things_table; free it. */
char *things_read_help(const struct setting *shown)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    settings_print_help(shown, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

int things_parse_mark(const char *text, void *member, struct error *error)
{
    if (strlen(text) == 1) {
        *(char *)member = text[0];
        return 0;
    }
    error_set(error, "one letter");
    return -1;
}
