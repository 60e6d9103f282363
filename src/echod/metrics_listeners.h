/*
 * metrics_listeners: what has been counted of each listener, as metrics.
 * Called by metrics.
 */
#ifndef ECHOD_METRICS_LISTENERS_H
#define ECHOD_METRICS_LISTENERS_H

#include "base/exposition.h"
#include "echod/listener_stats.h"

/*
 * Add a metric for each kind of counter, and what else is known of listeners. Each counter is read
 * once. All listeners may have so many connections together.
 * Return 0, or -1 if there is no memory for what was read.
 */
int metrics_listeners_add(struct exposition *exposition, const struct listener_stats_list *list,
                          uint64_t max_connections) __attribute__((warn_unused_result));

#endif
