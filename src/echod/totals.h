/*
 * totals: the lines of the log that say what has been counted, of everything and of each listener.
 * Counts nothing.
 * Called by server, for a report and at the end.
 */
#ifndef ECHOD_TOTALS_H
#define ECHOD_TOTALS_H

#include "base/log.h"
#include "echod/listener_stats.h"

#include <stdint.h>

/* Return how many connections there are. */
uint64_t totals_open_connections(const struct listener_stats_list *list);

/*
 * Write a line about everything, and one more each for why connections ended and for misbehaviour,
 * where there was any.
 */
void totals_log(const struct listener_stats_list *list, struct log *log);

/* Write the same about each listener. */
void totals_log_listeners(const struct listener_stats_list *list, struct log *log);

#endif
