/*
 * looks: the commands that ask once and show the answer: status, listeners, connection, ready,
 * metrics.
 * Change nothing; what does is in actions.
 * Called by commands.
 */
#ifndef ECHOCTL_LOOKS_H
#define ECHOCTL_LOOKS_H

#include "echoctl/options.h"
#include "echoctl/service.h"

/* Each does what its command says, and returns an EXIT_STATUS_*. */
int looks_status(const struct options *options, const struct service *service);
int looks_listeners(const struct options *options, const struct service *service);
int looks_connection(const struct options *options, const struct service *service);
int looks_ready(const struct options *options, const struct service *service);
int looks_metrics(const struct options *options, const struct service *service);

#endif
