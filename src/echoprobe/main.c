/*
 * main: what happens when echoprobe runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/process.h"
#include "echoprobe/check.h"
#include "echoprobe/half_close.h"
#include "echoprobe/hold.h"
#include "echoprobe/idle_timeout.h"
#include "echoprobe/mtu.h"
#include "echoprobe/options.h"
#include "echoprobe/probe.h"
#include "echoprobe/report.h"
#include "echoprobe/socket_plan.h"
#include "echoprobe/target.h"
#include "echoprobe/tls_setup.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echoprobe", print_text) == 0 ? EXIT_STATUS_UNCHANGED : EXIT_STATUS_SYSTEM;
}

static int run(const struct options *options, const struct target *target)
{
    if (options->half_close)
        return check_run(half_close_check(), options, target);
    if (options->hold_ms > 0)
        return check_run(hold_check(), options, target);
    if (options->find_idle_timeout_ms > 0)
        return check_run(idle_timeout_check(), options, target);
    if (options->mtu)
        return check_run(mtu_check(), options, target);
    return probe_run(options, target);
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

/* Return the exit status of what has failed with errno: for lack of memory the system's. */
static int status_of_failure(int other)
{
    return errno == ENOMEM ? EXIT_STATUS_SYSTEM : other;
}

static int start(const struct options *options, struct tls_setup *tls)
{
    static struct target target;
    struct error error = {""};
    int family = socket_plan_family(&options->sockets);

    if (options->ipv4)
        family = AF_INET;
    else if (options->ipv6)
        family = AF_INET6;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a full file is an error of its write (ulimit -f) */
    libevent_options = options;
    event_set_log_callback(on_libevent_log);
    process_raise_file_limit();
    if (target_resolve(&target, &options->target, family, &error) < 0)
        return report_failure(options, status_of_failure(EXIT_STATUS_CONNECT), error.text);
    target.sockets = options->sockets;
    if (target_try_socket(&target, &error) < 0)
        return report_failure(options, EXIT_STATUS_SYSTEM, error.text);
    target.preface = options->proxy;
    target.tls = tls;
    target.is_identified = options->identify;
    return run(options, &target);
}

/* Do it with what TLS needs, where the address asks for that. */
static int start_with_tls(const struct options *options)
{
    struct tls_setup *tls;
    struct error error = {""};
    int status;

    if (!options->target.is_tls)
        return start(options, NULL);
    tls = tls_setup_new(&options->tls, &options->target, &error);
    if (tls == NULL)
        return report_failure(options, status_of_failure(EXIT_STATUS_USAGE), error.text);
    status = start(options, tls);
    tls_setup_free(tls);
    return status;
}

static int start_as_asked(struct options *options, int argument_count, char *arguments[])
{
    struct error error = {""};
    int status;

    if (options_parse(options, argument_count, arguments, &error) < 0) {
        status = status_of_failure(EXIT_STATUS_USAGE);
        options->plugin = options_ask_for_plugin(argument_count, arguments);
        return report_failure(options, status, error.text);
    }
    if (options->show_help)
        return print(options_print_help);
    if (options->show_version)
        return print(options_print_version);
    return start_with_tls(options);
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
