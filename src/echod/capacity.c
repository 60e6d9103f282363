#include <config.h>

#include "echod/capacity.h"

#include "base/process.h"

#include <inttypes.h>
#include <sched.h>
#include <unistd.h>

/* Return how many CPUs the process may use. */
static size_t usable_cpu_count(void)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        return (size_t)CPU_COUNT(&cpus);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);

    return online > 0 ? (size_t)online : 1;
}

int capacity_cpu_of_worker(size_t index)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t cpus;
    size_t left;

    if (sched_getaffinity(0, sizeof cpus, &cpus) < 0)
        return CAPACITY_ANY_CPU;
    left = index % (size_t)CPU_COUNT(&cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &cpus) && left-- == 0)
            return cpu;
    }
#else
    (void)index;
#endif
    return CAPACITY_ANY_CPU;
}

size_t capacity_worker_count(const struct options *options)
{
    const uint64_t count = options->workers == SETTING_AUTO ? usable_cpu_count() : options->workers;

    return (size_t)(count > options->max_connections ? options->max_connections : count);
}

/*
 * Return how many descriptors the process needs before its first client: standard ones, those of
 * syslog, the service manager and the pid file, the main loop (epoll, libevent's signal pair, a
 * mailbox), and for each worker the same, the pipe of its shortcut, and its sockets.
 */
static uint64_t needed_files(const struct capacity *capacity)
{
    const uint64_t of_loop = 5, of_pipe = 2;

    return 3 + 3 + of_loop + capacity->admin_file_count +
           capacity->worker_count * (of_loop + of_pipe + capacity->endpoint_count);
}

/* At the start libevent would end the process, without a word of ours, when it lacks descriptors
 * for a new loop. */
int capacity_check_files(const struct capacity *capacity, struct log *log)
{
    const uint64_t needed = needed_files(capacity) + capacity->worker_count; /* a client for each */

    if (process_file_limit() >= needed)
        return 0;
    log_write(log, LOG_LEVEL_ERROR,
              "the limit of open files is %" PRIu64 ", but %zu %s with %zu %s need %" PRIu64
              "; raise it (ulimit -n), or ask for fewer of them",
              process_file_limit(), capacity->worker_count,
              capacity->worker_count == 1 ? "worker" : "workers", capacity->endpoint_count,
              capacity->endpoint_count == 1 ? "listener" : "listeners", needed);
    return -1;
}

uint64_t capacity_max_connections(const struct capacity *capacity, const struct options *options,
                                  struct log *log)
{
    const uint64_t spare = 16, asked = options->max_connections;
    uint64_t possible = process_file_limit() - needed_files(capacity);

    possible =
        possible > spare + capacity->worker_count ? possible - spare : capacity->worker_count;
    if (asked == SETTING_AUTO)
        return possible;
    if (asked > possible)
        log_write(log, LOG_LEVEL_WARNING,
                  "--max-connections: the limit of open files allows about %" PRIu64
                  " connections, not %" PRIu64 "; raise it (ulimit -n, LimitNOFILE, minfds)",
                  possible, asked);
    return asked;
}

/* Return what one of `count` gets of `total`; all of them together get exactly that. */
static uint64_t share(uint64_t total, size_t index, size_t count)
{
    return total / count + (index < total % count ? 1 : 0);
}

uint64_t capacity_max_queued_bytes(const struct options *options, size_t index, size_t worker_count)
{
    const uint64_t bytes = share(options->max_queued_bytes, index, worker_count);

    return bytes > 0 ? bytes : 1;
}
