/*
 * main: what happens when echoctl runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/process.h"
#include "echoctl/commands.h"
#include "echoctl/help.h"
#include "echoctl/options.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echoctl", print_text) == 0 ? EXIT_STATUS_DONE : EXIT_STATUS_SYSTEM;
}

static int fail(const struct error *error, int status)
{
    process_complain("echoctl", "%s", error->text);
    return status;
}

static int do_as_asked(struct options *options, int argument_count, char *arguments[])
{
    const struct command *command;
    struct error error = {""};
    int status;

    if (options_parse(options, argument_count, arguments, &error) < 0)
        return fail(&error, errno == ENOMEM ? EXIT_STATUS_SYSTEM : EXIT_STATUS_USAGE);
    if (options->show_help)
        return print(help_print);
    if (options->show_version)
        return print(help_print_version);
    command = commands_find(options, &error);
    if (command == NULL)
        return fail(&error, EXIT_STATUS_USAGE);
    status = commands_run(command, options);
    return process_end_output("echoctl") == 0 ? status : EXIT_STATUS_SYSTEM;
}

int main(int argument_count, char *arguments[])
{
    struct options options;
    int status;

    process_fill_standard_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* who reads no more is told as a full disk is */
    status = do_as_asked(&options, argument_count, arguments);
    options_free(&options);
    return status;
}
