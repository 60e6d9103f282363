/*
 * actions: the commands that change something: close, drain, reload, log-level, pause, resume.
 * The service decides who may do that.
 * Called by commands.
 */
#ifndef ECHOCTL_ACTIONS_H
#define ECHOCTL_ACTIONS_H

#include "echoctl/options.h"
#include "echoctl/service.h"

/* Each does what its command says, and returns an EXIT_STATUS_*. */
int actions_close(const struct options *options, const struct service *service);
int actions_drain(const struct options *options, const struct service *service);
int actions_reload(const struct options *options, const struct service *service);
int actions_log_level(const struct options *options, const struct service *service);
int actions_pause(const struct options *options, const struct service *service);
int actions_resume(const struct options *options, const struct service *service);

#endif
