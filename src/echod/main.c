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
#include "echod/passed.h"
#include "echod/pidfile.h"
#include "echod/privileges.h"
#include "echod/server.h"
#include "echod/sockets.h"
#include "echod/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
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

/* Give up what is not needed once everything is bound, and hand over what stays. */
static int drop_privileges(const struct options *options, const struct sockets *sockets,
                           const struct pidfile *pidfile, struct log *log, struct error *error)
{
    const uid_t uid = privileges_uid(&options->user);
    const gid_t gid = privileges_gid(&options->user, &options->group);

    if (!options->user.is_given && !options->group.is_given)
        return 0;
    sockets_hand_over(sockets, uid, gid, log);
    pidfile_hand_over(pidfile, uid, gid, log);
    return privileges_drop(&options->user, &options->group, error);
}

static int serve(struct options *options, const struct passed *passed, struct supervise *supervise,
                 struct log *log)
{
    const size_t worker_count = server_worker_count(options);
    int status = EXIT_STATUS_SYSTEM;
    struct sockets sockets;
    struct pidfile pidfile;
    struct error error;

    if (sockets_open(&sockets, &options->listen, (int)options->backlog, worker_count, passed, log,
                     &error) < 0)
        goto fail;
    if (pidfile_open(&pidfile, options->pid_file, &error) < 0)
        goto close_sockets;
    if (drop_privileges(options, &sockets, &pidfile, log, &error) < 0)
        goto close_pidfile;
    passed_warn_of_rest(passed, log);
    status = server_run(options, &sockets, worker_count, supervise, log);
    sockets_close(&sockets);
    pidfile_close(&pidfile);
    return status;

close_pidfile:
    pidfile_close(&pidfile);
close_sockets:
    sockets_close(&sockets);
fail:
    log_write(log, LOG_LEVEL_ERROR, "%s", error.text);
    return status;
}

/* Start the log that was asked for, or say on standard error why it cannot be had. */
static struct log *start_log(const struct options *options)
{
    const bool would_reach_client = sockets_include_standard_error(&options->listen);
    const char *process_name = supervise_process_name();
    struct log *log;

    if (options->log_target == LOG_TARGET_SYSLOG)
        log = log_new_syslog(_PATH_LOG, "echod", options->log_level, options->log_format);
    else
        log = log_new(would_reach_client ? -1 : STDERR_FILENO, options->log_level,
                      options->log_format);
    if (log == NULL && options->log_target == LOG_TARGET_SYSLOG)
        (void)fprintf(stderr,
                      "echod: --log-target syslog: " _PATH_LOG ": %s; start a syslog daemon, or "
                      "log to stderr\n",
                      strerror(errno));
    else if (log == NULL)
        (void)fprintf(stderr, "echod: the log cannot be started: %s\n", strerror(errno));
    else if (process_name != NULL)
        log_set_process(log, process_name);
    return log;
}

static int start(struct options *options)
{
    struct passed passed;
    struct supervise supervise;
    struct log *log;
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN); /* until the server waits for them */
    (void)signal(SIGHUP, SIG_IGN);
    fill_standard_descriptors();
    process_raise_file_limit();
    privileges_forbid_gain();
    log = start_log(options);
    if (log == NULL)
        return EXIT_STATUS_SYSTEM;
    passed_init(&passed, log);
    supervise_init(&supervise, log);
    status = serve(options, &passed, &supervise, log);
    supervise_fini(&supervise);
    passed_fini(&passed);
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
