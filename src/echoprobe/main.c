/*
 * main: what happens when echoprobe runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/process.h"
#include "echoprobe/options.h"
#include "echoprobe/report.h"
#include "echoprobe/start.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echoprobe", print_text) == 0 ? EXIT_STATUS_UNCHANGED : EXIT_STATUS_SYSTEM;
}

/* The one mutable global: libevent hands its log callback nothing but the message. */
static const struct options *libevent_options;

/*
 * What libevent calls an error is the last that it says before it ends the process with a status of
 * its own. What it calls a warning is told by the call that failed.
 */
static void on_libevent_log(int severity, const char *message)
{
    char text[512];

    if (severity != EVENT_LOG_ERR)
        return;
    (void)snprintf(text, sizeof text, "libevent: %s", message);
    _exit(report_failure(libevent_options, EXIT_STATUS_SYSTEM, text));
}

static void prepare_process(const struct options *options)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a full file is an error of its write (ulimit -f) */
    libevent_options = options;
    event_set_log_callback(on_libevent_log);
    process_raise_file_limit();
}

static int start_as_asked(struct options *options, int argument_count, char *arguments[])
{
    struct error error = {""};
    int status;

    if (options_parse(options, argument_count, arguments, &error) < 0) {
        status = errno == ENOMEM ? EXIT_STATUS_SYSTEM : EXIT_STATUS_USAGE;
        options->plugin = options_ask_for_plugin(argument_count, arguments);
        return report_failure(options, status, error.text);
    }
    if (options->show_help)
        return print(options_print_help);
    if (options->show_version)
        return print(options_print_version);
    prepare_process(options);
    return start_run(options, argument_count, arguments);
}

int main(int argument_count, char *arguments[])
{
    struct options options;
    int status;

    process_fill_standard_descriptors();
    status = start_as_asked(&options, argument_count, arguments);
    options_free(&options);
    return status;
}
