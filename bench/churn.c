#include <config.h>

#include "works.h"

#include "client.h"
#include "pattern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, RECEIVE_BYTES = 65536 };

/* A place for one connection after another. */
struct slot {
    int fd;
    uint64_t key;
    uint64_t connect_ns;
    uint64_t received_bytes;
};

struct churn {
    const struct plan *plan;
    struct measure *measure;
    int epoll_fd;
    uint64_t next_key;
    unsigned char buffer[RECEIVE_BYTES];
};

/* Begin the slot's next connection. */
static enum outcome begin(struct churn *churn, struct slot *slot)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    const size_t size = churn->plan->size_bytes;

    slot->key = churn->next_key++;
    slot->connect_ns = measure_now_ns();
    slot->received_bytes = 0;
    slot->fd = client_connect(churn->plan->port, slot->key);
    if (slot->fd < 0)
        return errno == ECONNREFUSED ? OUTCOME_LOST : OUTCOME_SYSTEM;
    if (send(slot->fd, pattern_at(slot->key, 0), size, MSG_NOSIGNAL) != (ssize_t)size)
        return OUTCOME_LOST;
    if (epoll_ctl(churn->epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) < 0)
        return OUTCOME_SYSTEM;
    return OUTCOME_GOOD;
}

/* The server's FIN came. */
static enum outcome finish(struct churn *churn, struct slot *slot)
{
    if (slot->received_bytes != churn->plan->size_bytes)
        return OUTCOME_LOST;
    (void)close(slot->fd);
    measure_message(churn->measure, slot->connect_ns, measure_now_ns());
    return begin(churn, slot);
}

static enum outcome on_ready(struct churn *churn, struct slot *slot)
{
    const ssize_t count = recv(slot->fd, churn->buffer, RECEIVE_BYTES, MSG_DONTWAIT);

    if (count < 0)
        return errno == EAGAIN ? OUTCOME_GOOD : OUTCOME_LOST;
    if (count == 0)
        return finish(churn, slot);
    if (slot->received_bytes + (uint64_t)count > churn->plan->size_bytes ||
        !pattern_matches(slot->key, slot->received_bytes, churn->buffer, (size_t)count))
        return OUTCOME_WRONG_BYTES;
    slot->received_bytes += (uint64_t)count;
    measure_bytes(churn->measure, (uint64_t)count);
    if (slot->received_bytes == churn->plan->size_bytes && shutdown(slot->fd, SHUT_WR) < 0)
        return OUTCOME_LOST;
    return OUTCOME_GOOD;
}

static enum outcome turn(struct churn *churn)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(churn->epoll_fd, events, EVENTS, WORKS_PATIENCE_MS);

    if (count == 0)
        return client_report(churn->next_key, OUTCOME_STALLED);
    for (int i = 0; i < count; i++) {
        struct slot *slot = events[i].data.ptr;
        const enum outcome outcome = on_ready(churn, slot);

        if (outcome != OUTCOME_GOOD)
            return client_report(slot->key, outcome);
    }
    return count < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

static enum outcome loop(struct churn *churn, struct slot *slots)
{
    measure_start(churn->measure);
    for (size_t i = 0; i < churn->plan->connections; i++) {
        const enum outcome outcome = begin(churn, &slots[i]);

        if (outcome != OUTCOME_GOOD)
            return client_report(slots[i].key, outcome);
    }
    while (!measure_is_over(churn->measure)) {
        const enum outcome outcome = turn(churn);

        if (outcome != OUTCOME_GOOD)
            return outcome;
    }
    return OUTCOME_GOOD;
}

enum outcome churn_run(const struct plan *plan, struct measure *measure)
{
    static struct churn churn; /* the process ends after it: descriptors go then */
    struct slot *slots = calloc(plan->connections, sizeof(*slots));
    enum outcome outcome;

    churn.plan = plan;
    churn.measure = measure;
    churn.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (slots == NULL || churn.epoll_fd < 0)
        outcome = client_report(0, OUTCOME_SYSTEM);
    else
        outcome = loop(&churn, slots);
    free(slots);
    return outcome;
}
