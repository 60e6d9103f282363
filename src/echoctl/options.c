#include <config.h>

#include "echoctl/options.h"

#include "base/command_line.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS  (24 * 3600 * UINT64_C(1000))
#define YEAR_MS (365 * DAY_MS)

static const struct setting table[] = {
    {
        .name = "COMMAND",
        .type = SETTING_OPERANDS,
        .offset = offsetof(struct options, operands),
        .help = "one of the above, with what it is to work on",
    },
    {
        .name = "socket",
        .letter = 's',
        .type = SETTING_PARSED,
        .offset = offsetof(struct options, place),
        .argument = "PATH|URL",
        .fallback = RUNSTATEDIR "/echod/admin.sock",
        .parse = place_parse,
        .help = "where echod has --admin: a Unix socket, or http://HOST:PORT, which can only be "
                "read; ECHOCTL_SOCKET in the environment is another default",
    },
    {
        .name = "timeout",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, timeout_ms),
        .argument = "DURATION",
        .fallback = "auto",
        .minimum = 1,
        .maximum = DAY_MS,
        .has_auto = true,
        .help = "how long an answer may take; auto: 5s, that of reload 6m",
    },
    {
        .name = "json",
        .letter = 'j',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, json),
        .help = "print what the service answers, for programs",
    },
    {
        .name = "listener",
        .section = "Of connections, all of which must hold:",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, listener),
        .argument = "NAME",
        .help = "those of this listener",
    },
    {
        .name = "peer",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, peer),
        .argument = "ADDRESS|CIDR",
        .help = "those from this address or network",
    },
    {
        .name = "state",
        .type = SETTING_TEXT,
        .offset = offsetof(struct options, state),
        .argument = "STATE",
        .help = "those that are handshake, greeting, open, draining or lingering",
    },
    {
        .name = "min-idle",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, min_idle_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = YEAR_MS,
        .help = "those that have been idle for so long",
    },
    {
        .name = "min-age",
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, min_age_ms),
        .argument = "DURATION",
        .fallback = "0",
        .maximum = YEAR_MS,
        .help = "those that are so old",
    },
    {
        .name = "min-queued",
        .type = SETTING_SIZE,
        .offset = offsetof(struct options, min_queued_bytes),
        .argument = "SIZE",
        .fallback = "0",
        .maximum = INT64_MAX,
        .help = "those for which so much waits to be sent",
    },
    {
        .name = "limit",
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, limit),
        .argument = "N",
        .fallback = "100",
        .minimum = 1,
        .maximum = INT64_MAX,
        .help = "no more than so many, the oldest ids first",
    },
    {
        .name = "all",
        .letter = 'a',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, all),
        .help = "however many there are",
    },
    {
        .name = "abort",
        .section = "Of close:",
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, abort),
        .help = "reset the connection, instead of sending what is queued, and then FIN",
    },
    {
        .name = "wait",
        .section = "Of drain:",
        .letter = 'w',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, wait),
        .help = "end when the service has ended",
    },
    {
        .name = "count",
        .section = "Of top:",
        .letter = 'n',
        .type = SETTING_COUNT,
        .offset = offsetof(struct options, count),
        .argument = "N",
        .fallback = "0",
        .maximum = INT64_MAX,
        .help = "end after so many times; 0: no limit",
    },
    {
        .name = "interval",
        .letter = 'd',
        .type = SETTING_DURATION,
        .offset = offsetof(struct options, interval_ms),
        .argument = "DURATION",
        .fallback = "2s",
        .minimum = 100,
        .maximum = DAY_MS,
        .help = "how often it is asked",
    },
    {
        .name = "help",
        .section = "Help:",
        .letter = 'h',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_help),
        .help = "print this help and exit",
    },
    {
        .name = "version",
        .letter = 'V',
        .type = SETTING_FLAG,
        .offset = offsetof(struct options, show_version),
        .help = "print the version and exit",
    },
    {.name = NULL},
};

_Static_assert(sizeof table / sizeof table[0] <= OPTIONS_MAX, "each option has an origin");

static int read_environment(struct options *options, struct error *error)
{
    const char *text = getenv("ECHOCTL_SOCKET");
    struct error right = {""};

    if (text == NULL || text[0] == '\0' || place_parse(text, &options->place, &right) == 0)
        return 0;
    error_set(error, "ECHOCTL_SOCKET: \"%s\" is not %s", text, right.text);
    errno = EINVAL;
    return -1;
}

int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error)
{
    *options = (struct options){0};
    if (settings_set_defaults(table, options, error) < 0 || read_environment(options, error) < 0)
        return -1;
    return command_line_parse(table, options, options->origins, argument_count, arguments, error);
}

void options_free(struct options *options)
{
    settings_free(table, options);
}

static bool has_word(const char *words, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += length) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

const char *options_find_other(const struct options *options, const char *names)
{
    for (size_t i = 0; table[i].name != NULL; i++) {
        if (options->origins[i].kind == ORIGIN_COMMAND_LINE && !has_word(names, table[i].name))
            return table[i].name;
    }
    return NULL;
}

void options_print(FILE *stream)
{
    settings_print_help(table + 1, stream);
}
