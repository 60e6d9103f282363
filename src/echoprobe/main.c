/*
 * main: what happens when echoprobe runs, in order.
 * Does none of it itself.
 * Called by the system.
 */
#include <config.h>

#include "base/error.h"
#include "echoprobe/options.h"
#include "echoprobe/probe.h"
#include "echoprobe/target.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Print what was asked for; a full disk is an error. */
static int print(void (*print_text)(FILE *stream))
{
    print_text(stdout);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_STATUS_UNCHANGED;
    (void)fprintf(stderr, "echoprobe: standard output: %s\n", strerror(errno));
    return EXIT_STATUS_SYSTEM;
}

/* As many connections as the system allows. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
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
    raise_file_limit();
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
