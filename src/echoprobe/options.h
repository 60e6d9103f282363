/*
 * options: what echoprobe was asked to do, as plain data.
 * Acts on nothing: probe does.
 * Called by main and targets to read them, by report, plugin and options_fit about the check that
 * is asked for.
 */
#ifndef ECHOPROBE_OPTIONS_H
#define ECHOPROBE_OPTIONS_H

#include "base/address.h"
#include "base/error.h"
#include "base/settings.h"
#include "echoprobe/preface.h"
#include "echoprobe/socket_plan.h"
#include "echoprobe/tls_plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    EXIT_STATUS_UNCHANGED = 0, /* all came back unchanged; --help and --version */
    EXIT_STATUS_FAULT = 1,     /* something was lost or changed */
    EXIT_STATUS_CONNECT = 2,   /* a connection could not be made, and nothing was lost */
    EXIT_STATUS_USAGE = 64,    /* EX_USAGE of sysexits.h: the command line is wrong */
    EXIT_STATUS_SYSTEM = 71,   /* EX_OSERR: the system refused something */
};

/* What --warning or --critical allows. */
struct threshold {
    bool is_set;
    uint64_t rtt_us;
    bool has_loss;
    uint64_t loss_millionths;
};

/* Where what is counted is served. */
struct metrics_plan {
    bool is_set;
    struct address address;
};

/* Owned by main and targets and not changed once it was read; options_free it. After options_parse
 * no SETTING_AUTO is left. */
struct options {
    struct address target; /* all zeros where `targets` names them */
    char *targets;         /* a file that names several; NULL: there is one */
    struct metrics_plan metrics;
    bool is_lasting; /* a target that is down is tried on, whatever it is at the start */
    bool show_help, show_version;
    bool ipv4, ipv6;
    struct socket_plan sockets;
    struct preface_plan proxy;
    struct tls_plan tls;
    bool identify;

    uint64_t count;       /* 0: no limit */
    uint64_t interval_us; /* on each connection; 0: as fast as echoes return, or --rate */
    uint64_t size_bytes;
    uint64_t timeout_ms;
    uint64_t deadline_ms; /* 0: none */
    bool quiet;
    bool timestamps;
    bool json;
    char *csv, *json_lines, *histogram; /* files; "-": standard output; NULL: none */

    bool is_load; /* more than a ping: no line for each echo */
    uint64_t connections;
    uint64_t duration_ms; /* 0: no limit */
    uint64_t window;
    double rate; /* messages a second on all connections; 0: none */
    uint64_t threads;
    bool stream;
    bool churn;

    bool half_close; /* one of four checks of a path, which are neither pings nor loads */
    uint64_t hold_ms;
    uint64_t find_idle_timeout_ms;
    bool mtu;

    bool plugin;
    struct threshold warning, critical;
};

/*
 * Read the command line over the defaults and check that the values fit together.
 * Return 0, or -1 with errno, ENOMEM if that is the reason, and a sentence in `error`.
 */
int options_parse(struct options *options, int argument_count, char *arguments[],
                  struct error *error) __attribute__((warn_unused_result));

/*
 * Read the same command line, which names a file of targets, for one of these: `text` is its
 * address with the options of its own, "tls://HOST:PORT,interval=5s". What is of no use to it, such
 * as --ca without TLS, is left out. Returns as options_parse does.
 */
int options_parse_target(struct options *options, int argument_count, char *arguments[],
                         const char *text, struct error *error) __attribute__((warn_unused_result));

/* Tell whether there is a target, or else a file of them. */
bool options_have_target(const struct options *options);

/* Return the family that the target's addresses are to have; AF_UNSPEC: any. */
int options_family(const struct options *options);

/* Free what they own, also if they could not be read. */
void options_free(struct options *options);

/* Tell whether a command line that could not be read asks for the convention of plugins. */
bool options_ask_for_plugin(int argument_count, char *arguments[]);

/* Tell whether answers are identities alone, which do not tell what they answer. */
bool options_have_no_echo(const struct options *options);

/* Return the name of the check that is asked for, without dashes, or NULL. */
const char *options_check(const struct options *options);

/* Print --help or --version, after the GNU coding standards (4.8). */
void options_print_help(FILE *stream);
void options_print_version(FILE *stream);

#endif
