/*
 * plan: the file in which a test writes what a library under LD_PRELOAD is to do, shared in memory.
 * Knows nothing of what stands in it.
 * Called by failing_malloc, failing_calls and moving_clocks before main.
 */
#ifndef FAULTS_PLAN_H
#define FAULTS_PLAN_H

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Map the file that an environment variable names, which stays until the process ends, or NULL. */
static inline void *plan_map(const char *variable, size_t size)
{
    const char *path = getenv(variable);
    const int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory;

    if (fd < 0)
        return NULL;
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

#endif
