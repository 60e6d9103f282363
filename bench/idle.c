#include <config.h>

#include "works.h"

#include "client.h"
#include "pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Echo one message, so that it is known to be accepted and to have had its buffers. */
static enum outcome echo_once(const struct plan *plan, int fd, uint64_t key, void *buffer)
{
    const struct timeval patience = {.tv_sec = WORKS_PATIENCE_MS / 1000};
    const size_t size = plan->size_bytes;
    ssize_t count;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        return OUTCOME_SYSTEM;
    if (send(fd, pattern_at(key, 0), size, MSG_NOSIGNAL) != (ssize_t)size)
        return OUTCOME_LOST;
    count = recv(fd, buffer, size, MSG_WAITALL);
    if (count < 0 && errno == EAGAIN)
        return OUTCOME_STALLED;
    if (count != (ssize_t)size)
        return OUTCOME_LOST;
    return pattern_matches(key, 0, buffer, size) ? OUTCOME_GOOD : OUTCOME_WRONG_BYTES;
}

static enum outcome hold(const struct plan *plan, void *buffer)
{
    for (uint64_t key = 0; key < plan->connections; key++) {
        const int fd = client_connect(plan->port, key); /* held by the process, to its end */
        const enum outcome outcome = fd < 0 ? OUTCOME_SYSTEM : echo_once(plan, fd, key, buffer);

        if (outcome != OUTCOME_GOOD)
            return client_report(key, outcome);
    }
    (void)puts("held");
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    return OUTCOME_GOOD;
}

enum outcome idle_run(const struct plan *plan)
{
    void *buffer = malloc(plan->size_bytes);
    const enum outcome outcome = buffer != NULL ? hold(plan, buffer) : OUTCOME_SYSTEM;

    free(buffer);
    return outcome;
}
