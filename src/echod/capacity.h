/*
 * capacity: how much there may be: workers, CPUs for them, descriptors, connections, queued bytes.
 * Starts and opens nothing.
 * Called by daemon, server and reload.
 */
#ifndef ECHOD_CAPACITY_H
#define ECHOD_CAPACITY_H

#include "base/log.h"
#include "echod/options.h"

#include <stddef.h>
#include <stdint.h>

enum { CAPACITY_ANY_CPU = -1 };

/* What needs descriptors. */
struct capacity {
    size_t worker_count;
    size_t endpoint_count;   /* each worker has a socket of each */
    size_t admin_file_count; /* of who answers operators, and of these */
};

/* Return how many workers these options ask for, at least one. */
size_t capacity_worker_count(const struct options *options);

/*
 * Return the CPU for a worker, of those that the process may use, or CAPACITY_ANY_CPU where the
 * system cannot tell; with more workers than CPUs, several share one.
 */
int capacity_cpu_of_worker(size_t index);

/* Check that each worker can have a client. Return 0, or -1 after a line in the log. */
int capacity_check_files(const struct capacity *capacity, struct log *log)
    __attribute__((warn_unused_result));

/*
 * Return how many connections there may be: as many as were asked for, with a warning if the limit
 * of open files allows fewer. Some descriptors are left for what a library opens.
 */
uint64_t capacity_max_connections(const struct capacity *capacity, const struct options *options,
                                  struct log *log);

/* Return how much may be queued in one of the workers. */
uint64_t capacity_max_queued_bytes(const struct options *options, size_t index,
                                   size_t worker_count);

#endif
