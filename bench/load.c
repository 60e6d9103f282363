/*
 * load: the generator: puts one kind of load on an echo server, and prints what came of it as JSON.
 * Knows nothing of servers, CPUs or rounds, which are run's.
 * Called by run, or by hand: load --port 7777 --connections 50 --seconds 1
 */
#include <config.h>

#include "client.h"
#include "pattern.h"
#include "wire.h"
#include "works.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_USAGE = 64 };

enum work { WORK_ECHOES, WORK_CHURN, WORK_IDLE, WORK_DATAGRAMS, WORK_SCRAPES, WORK_MUTE };

#define DEFAULT_GROUPS "X25519:P-256" /* as clients do by default */

static const char usage[] =
    "Usage: load --port PORT [OPTION]...\n"
    "Load an echo server on 127.0.0.1, check every byte, and print what came of it as JSON.\n"
    "\n"
    "  --work WORK               echoes: keep messages under way (default); churn: connect, echo\n"
    "                            once, close; idle: hold connections until standard input ends;\n"
    "                            datagrams: send bursts of UDP; scrapes: ask echod's admin\n"
    "                            endpoint for /metrics; mute: the same, and never read\n"
    "  --connections N           at the same time (default: 1)\n"
    "  --size BYTES              of a message (default: 64; churn and idle: at most 64 KiB; churn "
    "over\n"
    "                            TLS: 16 KiB)\n"
    "  --in-flight N             messages sent ahead of their echo (default: 1); the size of a\n"
    "                            burst of datagrams, at most 64\n"
    "  --trains                  datagrams leave as one, as QUIC stacks send them (UDP_SEGMENT)\n"
    "  --rate N                  scrapes in a second (default: 1000)\n"
    "  --receive BYTES           at most, at once (default: 128 KiB)\n"
#ifdef HAVE_OPENSSL
    "  --tls                     echoes and churn over TLS 1.3; churn ends with close_notify\n"
    "  --resume                  and resumes the session of the connection before\n"
    "  --groups LIST             that it offers, the one that it expects first "
    "(default: " DEFAULT_GROUPS ")\n"
#endif
    "  --warm-up SECONDS         before it counts (default: 0)\n"
    "  --seconds SECONDS         how long it counts (default: 1)\n"
    "  --count N                 or until N messages were counted\n"
    "  --hold                    then go on, without counting, until standard input ends\n"
    "\n"
    "Exit status: 0; 1 if wrong bytes came back, 2 if a connection was lost, 3 if nothing came\n"
    "for 5 seconds, 4 if the system refused something, 5 if a session was not resumed, 64 if the\n"
    "command line is wrong.\n";

struct options {
    enum work work;
    bool has_tls;
    const char *groups;
    struct plan plan;
    struct measure measure;
};

/* A number from `least` to `most`, or the end of the program. */
static double number(const char *name, const char *text, double least, double most)
{
    char *end = NULL;
    const double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        (void)fprintf(stderr, "load: --%s takes a number from %g to %g, not '%s'\n", name, least,
                      most, text);
        exit(STATUS_USAGE);
    }
    return value;
}

static enum work work_named(const char *name)
{
    if (strcmp(name, "echoes") == 0)
        return WORK_ECHOES;
    if (strcmp(name, "churn") == 0)
        return WORK_CHURN;
    if (strcmp(name, "idle") == 0)
        return WORK_IDLE;
    if (strcmp(name, "datagrams") == 0)
        return WORK_DATAGRAMS;
    if (strcmp(name, "scrapes") == 0)
        return WORK_SCRAPES;
    if (strcmp(name, "mute") == 0)
        return WORK_MUTE;
    (void)fprintf(stderr,
                  "load: --work takes echoes, churn, idle, datagrams, scrapes or mute, not '%s'\n",
                  name);
    exit(STATUS_USAGE);
}

/* Tell whether a work can be done with messages of this size, so many in flight. */
static bool fits(const struct options *options)
{
    const struct plan *plan = &options->plan;

    if (options->has_tls && options->work != WORK_ECHOES && options->work != WORK_CHURN)
        return false;
    if (plan->resumes && !(options->has_tls && options->work == WORK_CHURN))
        return false;
    switch (options->work) {
    case WORK_ECHOES:
    case WORK_SCRAPES:
    case WORK_MUTE:
        return true;
    case WORK_CHURN:
        return plan->size_bytes <= (options->has_tls ? WORKS_RECORD_BYTES : PATTERN_PIECE_BYTES);
    case WORK_IDLE:
        return plan->size_bytes <= PATTERN_PIECE_BYTES;
    case WORK_DATAGRAMS:
        return plan->size_bytes >= WORKS_LEAST_DATAGRAM &&
               plan->size_bytes <= WORKS_MOST_DATAGRAM && plan->in_flight <= WORKS_BURST;
    }
    return false;
}

static void parse(struct options *options, int argument_count, char *arguments[])
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"work", required_argument, NULL, 'w'},
        {"connections", required_argument, NULL, 'c'},
        {"size", required_argument, NULL, 's'},
        {"in-flight", required_argument, NULL, 'f'},
        {"trains", no_argument, NULL, 'g'},
#ifdef HAVE_OPENSSL
        {"tls", no_argument, NULL, 'l'},
        {"resume", no_argument, NULL, 'r'},
        {"groups", required_argument, NULL, 'o'},
#endif
        {"rate", required_argument, NULL, 'a'},
        {"receive", required_argument, NULL, 'm'},
        {"warm-up", required_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'n'},
        {"hold", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct plan *plan = &options->plan;
    struct measure *measure = &options->measure;
    int index = 0;
    int letter;

    while ((letter = getopt_long(argument_count, arguments, "", names, &index)) != -1) {
        const char *name = names[index].name;

        if (letter == 'p')
            plan->port = (uint16_t)number(name, optarg, 1, 65535);
        else if (letter == 'w')
            options->work = work_named(optarg);
        else if (letter == 'c')
            plan->connections = (size_t)number(name, optarg, 1, 1000000);
        else if (letter == 's')
            plan->size_bytes = (size_t)number(name, optarg, 1, 1 << 30);
        else if (letter == 'f')
            plan->in_flight = (size_t)number(name, optarg, 1, 1000000);
        else if (letter == 'g')
            plan->has_trains = true;
        else if (letter == 'l')
            options->has_tls = true;
        else if (letter == 'r')
            plan->resumes = true;
        else if (letter == 'o')
            options->groups = optarg;
        else if (letter == 'a')
            plan->rate = (uint64_t)number(name, optarg, 1, 1000000);
        else if (letter == 'm')
            plan->receive_bytes = (size_t)number(name, optarg, 1, WORKS_RECEIVE_BYTES);
        else if (letter == 'u')
            measure->warm_up_ns = (uint64_t)(number(name, optarg, 0, 3600) * 1e9);
        else if (letter == 't')
            measure->duration_ns = (uint64_t)(number(name, optarg, 0, 3600) * 1e9);
        else if (letter == 'n')
            measure->max_messages = (uint64_t)number(name, optarg, 1, 1e15);
        else if (letter == 'k')
            measure->holds = true;
        else {
            (void)fputs(usage, letter == 'h' ? stdout : stderr);
            exit(letter == 'h' ? 0 : STATUS_USAGE);
        }
    }
    if (plan->port == 0 || optind < argument_count || !fits(options)) {
        (void)fputs(usage, stderr);
        exit(STATUS_USAGE);
    }
}

static void print(const struct measure *measure, size_t starved)
{
    const struct histogram *latencies = &measure->latencies_ns;

    (void)printf("{\"messages\": %ju, \"bytes\": %ju, \"seconds\": %.6f, \"p50_us\": %.3f, "
                 "\"p99_us\": %.3f, \"max_us\": %.3f, \"starved\": %zu, \"lost\": %ju, "
                 "\"truncated\": %ju, \"own_cpu_seconds\": %.6f}\n",
                 (uintmax_t)measure->messages, (uintmax_t)measure->bytes,
                 (double)(measure->end_ns - measure->begin_ns) / 1e9,
                 (double)histogram_quantile(latencies, 0.5) / 1e3,
                 (double)histogram_quantile(latencies, 0.99) / 1e3,
                 (double)latencies->largest / 1e3, starved, (uintmax_t)measure->lost,
                 (uintmax_t)measure->truncated, (double)measure->own_cpu_ns / 1e9);
}

static const struct wire_kind *wire_of(const struct options *options)
{
#ifdef HAVE_OPENSSL
    if (options->has_tls)
        return wire_tls(options->plan.resumes, options->groups);
#endif
    (void)options;
    return wire_plain();
}

static enum outcome run(struct options *options, size_t *starved)
{
    options->plan.wire = wire_of(options);
    if (options->plan.wire == NULL)
        return client_report(0, OUTCOME_SYSTEM);
    switch (options->work) {
    case WORK_ECHOES:
        return echoes_run(&options->plan, &options->measure, starved);
    case WORK_CHURN:
        return churn_run(&options->plan, &options->measure);
    case WORK_IDLE:
        return idle_run(&options->plan);
    case WORK_DATAGRAMS:
        return datagrams_run(&options->plan, &options->measure);
    case WORK_SCRAPES:
        return scrapes_run(&options->plan, &options->measure);
    case WORK_MUTE:
        return mute_run(&options->plan, &options->measure);
    }
    return OUTCOME_SYSTEM;
}

int main(int argument_count, char *arguments[])
{
    static struct options options = {
        .groups = DEFAULT_GROUPS,
        .plan = {.connections = 1,
                 .size_bytes = 64,
                 .in_flight = 1,
                 .rate = 1000,
                 .receive_bytes = WORKS_RECEIVE_BYTES},
        .measure = {.duration_ns = 1000000000},
    };
    size_t starved = 0;
    enum outcome outcome;

    parse(&options, argument_count, arguments);
    pattern_init();
    outcome = run(&options, &starved);
    if (outcome == OUTCOME_GOOD && options.work != WORK_IDLE)
        print(&options.measure, starved);
    return (int)outcome;
}
