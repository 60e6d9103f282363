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
#include "echod/tls_context.h"
#include "echod/tls_notes.h"

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

/* Return the status that an error about an address stands for, after saying it. */
static int refuse_address(const struct listen *listen, const struct error *error)
{
    const int failure = errno;

    print_error(error, NULL);
    if (failure == ENOMEM)
        return EXIT_STATUS_SYSTEM;
    return listen->origin.kind == ORIGIN_FILE ? EXIT_STATUS_CONFIG : EXIT_STATUS_USAGE;
}

/* Check an address as far as that does not open it, and the files of one with TLS. */
static int check_address(const struct listen_list *list, size_t index)
{
    const struct listen *listen = &list->items[index];
    struct tls_context *tls = NULL;
    struct error error = {""};
    int status = EXIT_STATUS_STOPPED;

    errno = 0;
    if (sockets_check(list, index, &error) < 0)
        status = refuse_address(listen, &error);
    errno = 0;
    if (status != EXIT_STATUS_SYSTEM && sockets_make_tls(list, index, &tls, &error) < 0)
        return refuse_address(listen, &error);
    tls_context_unref(tls);
    return status;
}

/* Check the addresses as well. */
static int check_addresses(const struct listen_list *list)
{
    int status = EXIT_STATUS_STOPPED;

    for (size_t i = 0; i < list->count && status != EXIT_STATUS_SYSTEM; i++) {
        const int found = check_address(list, i);

        status = found == EXIT_STATUS_SYSTEM ? found : options_worse(status, found);
    }
    return status;
}

/* What is only to be known is a comment, so that all that is printed is a configuration file. */
static void print_note(const struct tls_note *note, void *argument)
{
    (void)argument;
    if (note->level == LOG_LEVEL_WARNING)
        process_complain("echod", "warning: %s", note->text);
    else
        (void)printf("# %s\n", note->text);
}

/*
 * Print what there is to know of the certificates, which were found right. Return 0, or the status
 * after an error: they may have changed since, or memory is short.
 */
static int print_certificates(const struct listen_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct tls_context *tls;
        struct error error = {""};
        char name[ADDRESS_TEXT_SIZE];

        if (sockets_make_tls(list, i, &tls, &error) < 0)
            return refuse_address(&list->items[i], &error);
        address_format(&list->items[i].address, name);
        if (tls != NULL)
            tls_notes_tell(tls, name, print_note, NULL);
        tls_context_unref(tls);
    }
    return EXIT_STATUS_STOPPED;
}

/* Check the rest as well if the file is wrong, so that all errors are told at once. */
static int check(const struct options *options, int status)
{
    status = options_worse(status, options_check_paths(options, print_error, NULL));
    status = options_worse(status, check_addresses(&options->listen));
    status = options_worse(status, check_addresses(&options->admin));
    if (status != EXIT_STATUS_STOPPED)
        return status;
    options_print(options, stdout);
    status = print_certificates(&options->listen);
    return process_end_output("echod") == 0 ? status : EXIT_STATUS_SYSTEM;
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
