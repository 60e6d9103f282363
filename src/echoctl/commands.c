#include <config.h>

#include "echoctl/commands.h"

#include "base/units.h"
#include "echoctl/actions.h"
#include "echoctl/listing.h"
#include "echoctl/looks.h"
#include "echoctl/service.h"
#include "echoctl/top.h"

#include <string.h>

enum { TERM_SIZE = 80 };

#define MANY SIZE_MAX

#define EVERYWHERE "socket timeout"
#define ANSWER_MS  UINT64_C(5000)
#define RELOAD_ANSWER_MS                                                                           \
    UINT64_C(360000) /* echod gives up looking for hosts after five minutes                        \
                      */

struct command {
    const char *name;
    const char *operands; /* as --help shows them */
    size_t fewest, most;  /* of these */
    bool has_ids;         /* they are ids */
    const char *options;  /* that it takes, beside those that all take */
    uint64_t answer_ms;   /* how long an answer may take, unless --timeout says; 0: ANSWER_MS */
    int (*run)(const struct options *options, const struct service *service);
    const char *help;
};

static const struct command table[] = {
    {
        .name = "status",
        .options = "json",
        .run = looks_status,
        .help = "what the service is, and what it has counted",
    },
    {
        .name = "top",
        .options = "json count interval",
        .run = top_run,
        .help = "what happens in a second, again and again; q ends it",
    },
    {
        .name = "listeners",
        .options = "json",
        .run = looks_listeners,
        .help = "what it listens on",
    },
    {
        .name = "connections",
        .options = "json listener peer state min-idle min-age min-queued limit all",
        .run = listing_connections,
        .help = "who is connected",
    },
    {
        .name = "connection",
        .operands = "ID",
        .fewest = 1,
        .most = 1,
        .has_ids = true,
        .options = "json",
        .run = looks_connection,
        .help = "all that is known of one connection",
    },
    {
        .name = "close",
        .operands = "ID...",
        .fewest = 1,
        .most = MANY,
        .has_ids = true,
        .options = "json abort",
        .run = actions_close,
        .help = "end connections",
    },
    {
        .name = "pause",
        .operands = "NAME",
        .fewest = 1,
        .most = 1,
        .options = "json",
        .run = actions_pause,
        .help = "let a listener accept nobody",
    },
    {
        .name = "resume",
        .operands = "NAME",
        .fewest = 1,
        .most = 1,
        .options = "json",
        .run = actions_resume,
        .help = "let it accept again",
    },
    {
        .name = "drain",
        .options = "json wait",
        .run = actions_drain,
        .help = "end the service once its connections have ended",
    },
    {
        .name = "reload",
        .options = "json",
        .answer_ms = RELOAD_ANSWER_MS,
        .run = actions_reload,
        .help = "read the configuration again",
    },
    {
        .name = "log-level",
        .operands = "[LEVEL]",
        .most = 1,
        .options = "json",
        .run = actions_log_level,
        .help = "what is logged, or to log more or less until the next reload",
    },
    {
        .name = "ready",
        .run = looks_ready,
        .help = "exit with 0 if the service is ready, else with 1 or 3",
    },
    {
        .name = "metrics",
        .run = looks_metrics,
        .help = "what monitoring systems are told, as it is",
    },
    {.name = NULL},
};

static const struct command *find_name(const char *name)
{
    for (const struct command *command = table; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* Check what stands behind the command. */
static bool fit_operands(const struct command *command, const struct options *options,
                         struct error *error)
{
    const size_t count = options->operands.count - 1;
    uint64_t id;

    if (count < command->fewest) {
        error_set(error, "%s: %s is missing", command->name, command->operands);
        return false;
    }
    if (count > command->most) {
        error_set(error, "%s: \"%s\" is one too many", command->name,
                  options->operands.texts[1 + command->most]);
        return false;
    }
    for (size_t i = 1; command->has_ids && i <= count; i++) {
        if (units_parse_count(options->operands.texts[i], &id) < 0) {
            error_set(error, "%s: \"%s\" is not an id; \"echoctl connections\" shows them",
                      command->name, options->operands.texts[i]);
            return false;
        }
    }
    return true;
}

static bool fit_options(const struct command *command, const struct options *options,
                        struct error *error)
{
    char names[TERM_SIZE * 2];
    const char *other;

    (void)snprintf(names, sizeof names, "%s %s", EVERYWHERE,
                   command->options == NULL ? "" : command->options);
    other = options_find_other(options, names);
    if (other != NULL)
        error_set(error, "%s: takes no --%s", command->name, other);
    return other == NULL;
}

const struct command *commands_find(const struct options *options, struct error *error)
{
    const struct command *command;

    if (options->operands.count == 0) {
        error_set(error, "a command is missing; --help lists them");
        return NULL;
    }
    command = find_name(options->operands.texts[0]);
    if (command == NULL) {
        error_set(error, "\"%s\" is no command; --help lists them", options->operands.texts[0]);
        return NULL;
    }
    return fit_operands(command, options, error) && fit_options(command, options, error) ? command
                                                                                         : NULL;
}

int commands_run(const struct command *command, const struct options *options)
{
    struct service service = {.place = &options->place, .timeout_ms = options->timeout_ms};

    if (options->timeout_ms == SETTING_AUTO)
        service.timeout_ms = command->answer_ms > 0 ? command->answer_ms : ANSWER_MS;
    return command->run(options, &service);
}

void commands_print(FILE *stream)
{
    for (const struct command *command = table; command->name != NULL; command++) {
        char term[TERM_SIZE];

        (void)snprintf(term, sizeof term, "  %s%s%s", command->name,
                       command->operands == NULL ? "" : " ",
                       command->operands == NULL ? "" : command->operands);
        settings_print_entry(term, command->help, stream);
    }
}
