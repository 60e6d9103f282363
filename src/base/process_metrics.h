/*
 * process_metrics: what the system says of the process, under the names that Prometheus' own
 * client libraries have for it: process_*.
 * Called by whatever has metrics to tell.
 */
#ifndef BASE_PROCESS_METRICS_H
#define BASE_PROCESS_METRICS_H

#include "base/exposition.h"

#include <time.h>

/*
 * Add them. What the system does not tell, or does not let us see, is left out. `started` is when
 * the process did, by the wall clock. It reads /proc, and on Linux before 6.2 it has to count the
 * open files one by one: 10 ms for each 100,000 of them.
 */
void process_metrics_add(struct exposition *exposition, time_t started);

#endif
