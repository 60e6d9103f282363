/*
 * plugin: one line and an exit status as monitoring systems want them (Monitoring Plugins
 * Development Guidelines: "Plugin Output for Nagios", "Performance data").
 * Measures nothing.
 * Called by report.
 */
#ifndef ECHOPROBE_PLUGIN_H
#define ECHOPROBE_PLUGIN_H

#include "echoprobe/fault.h"
#include "echoprobe/options.h"
#include "echoprobe/tally.h"
#include "echoprobe/tls_facts.h"
#include "echoprobe/verdict.h"

#include <stddef.h>

enum { PLUGIN_OK = 0, PLUGIN_WARNING = 1, PLUGIN_CRITICAL = 2, PLUGIN_UNKNOWN = 3 };

/* What came of the messages to a target. */
struct plugin_result {
    const struct options *options;
    const char *name; /* of one of several targets; NULL: there is one */
    const char *peer;
    const struct tally *tally;
    const struct fault *first;                 /* NULL: there was none */
    const struct tls_certificate *certificate; /* that ends first; NULL: none came */
};

/* Judge messages by the thresholds. */
int plugin_judge(const struct plugin_result *result);

/* Each prints the line on standard output and returns the exit status. */

int plugin_print_messages(const struct plugin_result *result);

/* The worst of several targets decides. Behind the line each has another one. */
int plugin_print_targets(const struct plugin_result *results, size_t count);

/* Critical, unless the verdict is that all is well. The certificate is as above. */
int plugin_print_verdict(const struct options *options, const struct verdict *verdict,
                         const struct tls_certificate *certificate);

/* Nothing could be measured, since the path is down (PLUGIN_CRITICAL) or for a reason of our own.
 */
int plugin_print_failure(int state, const char *text);

#endif
