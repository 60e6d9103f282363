/*
 * report: what the user sees: lines while it runs, and in the end a summary, a JSON object or a
 * plugin's line.
 * Writes none of the latter itself; summary, report_json and plugin do.
 * Called by account, outcome, probe and check, by one thread at a time, and by main and start about
 * what keeps them from running.
 */
#ifndef ECHOPROBE_REPORT_H
#define ECHOPROBE_REPORT_H

#include "echoprobe/backends.h"
#include "echoprobe/fault.h"
#include "echoprobe/opening.h"
#include "echoprobe/options.h"
#include "echoprobe/plugin.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"
#include "echoprobe/tls_facts.h"
#include "echoprobe/verdict.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPORT_FAULTS = 10 }; /* a load shows no more of them */

struct report {
    const struct options *options;
    const struct target *target;
    const char *name;             /* of one of several targets; NULL: there is one */
    const char *peer;             /* who answered; before anybody did, whom it asks first */
    bool shows_progress;          /* a live line on the terminal */
    bool has_line;                /* it stands there now */
    bool has_begun;               /* the first line was printed */
    bool leaves_out;              /* faults that are only counted, and has said so */
    int output_failure;           /* errno of the first line that did not arrive; 0: all did */
    struct backends *backends;    /* to be shown in the end; NULL: identities are not asked for */
    char identity[IDENTITY_SIZE]; /* that was shown last */
    const char *refusal;          /* what the system refused, which ended the run; NULL: nothing */
    bool has_tls;
    struct tls_facts tls;                     /* of the first connection */
    struct tls_certificate first_certificate; /* of all connections, the one that ends first */
    size_t fault_count;                       /* kept in `faults` */
    struct fault faults[REPORT_FAULTS];
};

/*
 * Begin. The options and the target must outlive the report. Whoever calls what says a line looks
 * at `output_failure` afterwards, and ends the run: nobody reads it.
 */
void report_begin(struct report *report, const struct options *options,
                  const struct target *target);

/*
 * A connection was opened, or datagrams begin: the first time, say what is probed, and what TLS
 * agreed on. The peer must outlive the report. What says a line before that names the first address
 * that was asked.
 */
void report_open(struct report *report, const struct opening *opening);

/* Say that a message came back; `number` counts from 0. */
void report_echo(struct report *report, const char *peer, uint64_t number, uint64_t rtt_ns);

/* Show who answers, unless that was shown. */
void report_identity(struct report *report, const char *identity);

/* Say that something is wrong with this message of this connection. */
void report_fault(struct report *report, uint64_t connection, uint64_t number,
                  const struct fault *fault);

/* Say on standard error how a run or a check goes. */
void report_interim(struct report *report, const struct tally *tally, uint64_t elapsed_ns);
void report_interim_check(struct report *report, uint64_t elapsed_ns);

/* Renew the live line, if there is one. */
void report_progress(struct report *report, const struct tally *tally, uint64_t elapsed_ns);

/* Show how long a check takes at most, on a terminal. */
void report_time_left(struct report *report, uint64_t left_ns);

/* Say how a check goes on, vprintf-style, in a line. */
void report_vline(struct report *report, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/*
 * The end: print the summary, an object or a plugin's line on standard output. Each returns the
 * exit status: `status`, a plugin's where that is asked for, or EXIT_STATUS_SYSTEM after a sentence
 * on standard error, if standard output failed.
 */

int report_messages(struct report *report, const struct tally *tally, uint64_t elapsed_ns,
                    int status) __attribute__((warn_unused_result));
int report_verdict(struct report *report, const struct verdict *verdict, uint64_t elapsed_ns)
    __attribute__((warn_unused_result));

/* The same of several targets with --plugin, together: what came of each. */
struct plugin_result report_result(const struct report *report, const struct tally *tally);
int report_results(const struct options *options, const struct plugin_result *results, size_t count)
    __attribute__((warn_unused_result));

/* Nothing was measured: say why, in one sentence. Needs no report. */
int report_failure(const struct options *options, int status, const char *text)
    __attribute__((warn_unused_result));

#endif
