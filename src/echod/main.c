/*
 * main: what happens when echod runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "base/settings.h"
#include "echod/options.h"
#include "echod/server.h"
#include "echod/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echod", print_text) == 0 ? EXIT_STATUS_STOPPED : EXIT_STATUS_SYSTEM;
}

static void print_error(const struct error *error, void *argument)
{
    (void)argument;
    (void)fprintf(stderr, "echod: %s\n", error->text);
}

/* Check the addresses as well, as far as that opens none. */
static int check_addresses(const struct address_list *list)
{
    int status = EXIT_STATUS_STOPPED;

    for (size_t i = 0; i < list->count; i++) {
        const struct origin *origin = &list->origins[i];
        const bool is_of_file = origin->kind == ORIGIN_FILE;
        struct error error = {""};

        if (sockets_check(&list->addresses[i], &error) == 0)
            continue;
        (void)fprintf(stderr, "echod: %s%s%s\n", origin->place, is_of_file ? ": " : "", error.text);
        status = is_of_file ? EXIT_STATUS_CONFIG : EXIT_STATUS_USAGE;
    }
    return status;
}

static int check(const struct options *options)
{
    const int status = check_addresses(&options->listen);

    if (status != EXIT_STATUS_STOPPED)
        return status;
    options_print(options, stdout);
    return process_end_output("echod") == 0 ? EXIT_STATUS_STOPPED : EXIT_STATUS_SYSTEM;
}

/*
 * Where a parent closed a standard descriptor, keep its number from becoming a client's: with a
 * file that has the wrong direction, so that whoever uses it meets an error, as without it.
 */
static void fill_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

static int serve(struct options *options, struct log *log)
{
    const size_t worker_count = server_worker_count(options);
    struct sockets sockets;
    struct error error;
    int status;

    if (sockets_open(&sockets, &options->listen, (int)options->backlog, worker_count, log, &error) <
        0) {
        log_write(log, LOG_LEVEL_ERROR, "%s", error.text);
        return EXIT_STATUS_SYSTEM;
    }
    status = server_run(options, &sockets, worker_count, log);
    sockets_close(&sockets);
    return status;
}

static int start(struct options *options)
{
    const bool log_would_reach_client = sockets_include_standard_error(&options->listen);
    struct log *log;
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN); /* until the server waits for them */
    (void)signal(SIGHUP, SIG_IGN);
    fill_standard_descriptors();
    process_raise_file_limit();
    log = log_new(log_would_reach_client ? -1 : STDERR_FILENO, options->log_level,
                  options->log_format);
    if (log == NULL) {
        (void)fprintf(stderr, "echod: the log cannot be started: %s\n", strerror(errno));
        return EXIT_STATUS_SYSTEM;
    }
    status = serve(options, log);
    log_free(log);
    return status;
}

int main(int argument_count, char *arguments[])
{
    struct options options = {0};
    int status = options_read(&options, argument_count, arguments, print_error, NULL);

    if (status == 0 && options.show_help)
        status = print(options_print_help);
    else if (status == 0 && options.show_version)
        status = print(options_print_version);
    else if (status == 0 && options.check)
        status = check(&options);
    else if (status == 0)
        status = start(&options);
    options_free(&options);
    return status;
}
