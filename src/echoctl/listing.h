/*
 * listing: the command that lists connections, page by page, as many as were asked for.
 * Chooses none itself; the service does.
 * Called by commands.
 */
#ifndef ECHOCTL_LISTING_H
#define ECHOCTL_LISTING_H

#include "echoctl/options.h"
#include "echoctl/service.h"

/* List them. Return an EXIT_STATUS_*. */
int listing_connections(const struct options *options, const struct service *service);

#endif
