/*
 * top: the command that asks again and again, and shows what happens in a second: on a screen that
 * is drawn anew, or a line each time.
 * Keeps no history but the answer before.
 * Called by commands.
 */
#ifndef ECHOCTL_TOP_H
#define ECHOCTL_TOP_H

#include "echoctl/options.h"
#include "echoctl/service.h"

/* Show it until the count is over, or somebody ends it. Return an EXIT_STATUS_*. */
int top_run(const struct options *options, const struct service *service);

#endif
