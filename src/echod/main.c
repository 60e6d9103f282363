/*
 * main: what echod was called for: help, a check, or to serve.
 * Serves nobody; daemon does.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/process.h"
#include "echod/daemon.h"
#include "echod/listen.h"
#include "echod/options.h"
#include "echod/options_check.h"
#include "echod/options_help.h"
#include "echod/options_reader.h"
#include "echod/server.h"
#include "echod/sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echod", print_text) == 0 ? EXIT_STATUS_STOPPED : EXIT_STATUS_SYSTEM;
}

static void print_help(FILE *stream)
{
    options_print_help(HELP_ALL, stream);
}

static void print_listen_help(FILE *stream)
{
    options_print_help(HELP_LISTEN, stream);
}

static void print_error(const struct error *error, void *argument)
{
    (void)argument;
    process_complain("echod", "%s", error->text);
}

/* Check the addresses as well, as far as that opens none. */
static int check_addresses(const struct listen_list *list)
{
    int status = EXIT_STATUS_STOPPED;

    for (size_t i = 0; i < list->count; i++) {
        const bool is_file = list->items[i].origin.kind == ORIGIN_FILE;
        struct error error = {""};

        errno = 0;
        if (sockets_check(list, i, &error) == 0)
            continue;
        print_error(&error, NULL);
        if (errno == ENOMEM)
            return EXIT_STATUS_SYSTEM;
        status = options_worse(status, is_file ? EXIT_STATUS_CONFIG : EXIT_STATUS_USAGE);
    }
    return status;
}

/* Check the rest as well if the file is wrong, so that all errors are told at once. */
static int check(const struct options *options, int status)
{
    status = options_worse(status, options_check_pid_file(options, print_error, NULL));
    status = options_worse(status, check_addresses(&options->listen));
    if (status != EXIT_STATUS_STOPPED)
        return status;
    options_print(options, stdout);
    return process_end_output("echod") == 0 ? EXIT_STATUS_STOPPED : EXIT_STATUS_SYSTEM;
}

int main(int argument_count, char *arguments[])
{
    struct options options = {0};
    int status;

    server_hold_signals();
    status = options_read(&options, argument_count, arguments, print_error, NULL);
    if (status == 0 && options.help == HELP_LISTEN)
        status = print(print_listen_help);
    else if (status == 0 && options.help != HELP_NONE)
        status = print(print_help);
    else if (status == 0 && options.show_version)
        status = print(options_print_version);
    else if (status != EXIT_STATUS_USAGE && options.check)
        status = check(&options, status);
    else if (status == 0)
        status = daemon_run(&options);
    options_free(&options);
    return status;
}
