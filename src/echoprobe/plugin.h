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

enum { PLUGIN_OK = 0, PLUGIN_WARNING = 1, PLUGIN_CRITICAL = 2, PLUGIN_UNKNOWN = 3 };

/* Each prints the line on standard output and returns the exit status. */

/*
 * Judge messages by the thresholds; `first` is the first fault, NULL: there was none. The
 * certificate is the one that ends first, NULL: none came.
 */
int plugin_print_messages(const struct options *options, const char *peer,
                          const struct tally *tally, const struct fault *first,
                          const struct tls_certificate *certificate);

/* Critical, unless the verdict is that all is well. The certificate is as above. */
int plugin_print_verdict(const struct options *options, const struct verdict *verdict,
                         const struct tls_certificate *certificate);

/* Nothing could be measured, since the path is down (PLUGIN_CRITICAL) or for a reason of our own.
 */
int plugin_print_failure(int state, const char *text);

#endif
