/*
 * report: what the user sees: lines while it runs, a summary or a JSON object at the end.
 * Counts nothing; tally does.
 * Called by probe, by one thread at a time.
 */
#ifndef ECHOPROBE_REPORT_H
#define ECHOPROBE_REPORT_H

#include "echoprobe/fault.h"
#include "echoprobe/options.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPORT_FAULTS = 10 }; /* a load shows no more of them */

struct report {
    const struct options *options;
    const struct target *target;
    bool shows_progress; /* a live line on the terminal */
    bool has_line;       /* it stands there now */
    bool leaves_out;     /* faults that are only counted, and has said so */
    size_t fault_count;  /* kept in `faults` */
    struct fault faults[REPORT_FAULTS];
};

/* Begin: say what is probed. The options and the target must outlive the report. */
void report_begin(struct report *report, const struct options *options,
                  const struct target *target);

/* Say that a message came back; `sequence` counts from 0. */
void report_echo(struct report *report, const char *peer, uint64_t sequence, uint64_t rtt_ns);

/* Say that something is wrong. */
void report_fault(struct report *report, uint64_t sequence, const struct fault *fault);

/* Renew the live line, if there is one. */
void report_progress(struct report *report, const struct tally *tally, uint64_t elapsed_ns);

/* Print the summary, or the object. Return 0, or -1 with errno if standard output failed. */
int report_end(struct report *report, const struct tally *tally, uint64_t elapsed_ns, int status)
    __attribute__((warn_unused_result));

#endif
