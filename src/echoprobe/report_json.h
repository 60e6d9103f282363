/*
 * report_json: what a run or a check found, as one JSON object (RFC 8259).
 * Counts nothing; tally does.
 * Called by report.
 */
#ifndef ECHOPROBE_REPORT_JSON_H
#define ECHOPROBE_REPORT_JSON_H

#include "echoprobe/backends.h"
#include "echoprobe/fault.h"
#include "echoprobe/options.h"
#include "echoprobe/tally.h"
#include "echoprobe/tls_facts.h"
#include "echoprobe/verdict.h"

#include <stddef.h>
#include <stdint.h>

/* What every object tells. */
struct report_json {
    const struct options *options;
    const char *name;   /* of one of several targets; NULL: there is one */
    const char *target; /* as it was asked for */
    const char *peer;   /* who answered; before anybody did, whom it asks first */
    uint64_t elapsed_ns;
    int status;
    const struct backends *backends; /* sorted; NULL: nobody asks */
    const struct tls_facts *tls;     /* of the first connection; NULL: none */
    const char *error;               /* what ended the run before its time; NULL: nothing */
};

/* Each prints an object and a line feed on standard output. */

void report_json_messages(const struct report_json *json, const struct tally *tally,
                          const struct fault *faults, size_t fault_count);
void report_json_verdict(const struct report_json *json, const struct verdict *verdict);
void report_json_failure(const struct options *options, int status, const char *text);

#endif
