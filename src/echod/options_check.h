/*
 * options_check: what a single setting cannot know: whether values fit together.
 * Reads no setting and opens nothing.
 * Called by options_reader, and by main for a check.
 */
#ifndef ECHOD_OPTIONS_CHECK_H
#define ECHOD_OPTIONS_CHECK_H

#include "base/error.h"
#include "base/origin.h"
#include "echod/listener_options.h"
#include "echod/options.h"

/* Check that the values fit together. Return 0, or the exit status after a report. */
int options_check(const struct options *options, options_error_callback *on_error, void *argument)
    __attribute__((warn_unused_result));

/* Return what listeners have of the global settings. */
struct listener_options options_listener_defaults(const struct options *options);

/* Begin a sentence about the value of a setting. */
void options_name_value(const char *name, const struct origin *origin, struct error *text);

/* Return the exit status for two values that do not fit: a file is to blame if it has one. */
int options_status_of(const struct origin *one, const struct origin *other);

/* Return the exit status that says more of two. */
int options_worse(int status, int other);

#endif
