/*
 * main: what happens when echoprobe runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "base/process.h"
#include "echoprobe/options.h"
#include "echoprobe/probe.h"
#include "echoprobe/target.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

static int print(void (*print_text)(FILE *stream))
{
    return process_print("echoprobe", print_text) == 0 ? EXIT_STATUS_UNCHANGED : EXIT_STATUS_SYSTEM;
}

static int start(const struct options *options)
{
    static struct target target;
    struct error error = {""};
    int family = AF_UNSPEC;

    if (options->ipv4)
        family = AF_INET;
    else if (options->ipv6)
        family = AF_INET6;
    (void)signal(SIGPIPE, SIG_IGN);
    process_raise_file_limit();
    if (target_resolve(&target, &options->target, family, &error) < 0) {
        (void)fprintf(stderr, "echoprobe: %s\n", error.text);
        return EXIT_STATUS_CONNECT;
    }
    return probe_run(options, &target);
}

int main(int argument_count, char *arguments[])
{
    struct options options;
    struct error error;

    if (options_parse(&options, argument_count, arguments, &error) < 0) {
        (void)fprintf(stderr, "echoprobe: %s\n", error.text);
        return EXIT_STATUS_USAGE;
    }
    if (options.show_help)
        return print(options_print_help);
    if (options.show_version)
        return print(options_print_version);
    return start(&options);
}
