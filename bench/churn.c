#include <config.h>

#include "works.h"

#include "client.h"
#include "pattern.h"
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS = 1024, RECEIVE_BYTES = 65536 };

/* A place for one connection after another. */
struct slot {
    struct wire wire;
    bool has_sent;     /* the handshake is done */
    bool has_finished; /* a connection, and so can resume its session */
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

/* Shake hands as far as it goes, and then send. */
static enum outcome greet(struct churn *churn, struct slot *slot)
{
    const struct plan *plan = churn->plan;

    if (wire_shake(&slot->wire) < 0)
        return errno == EAGAIN ? OUTCOME_GOOD : OUTCOME_LOST;
    if (plan->resumes && slot->has_finished && !wire_is_resumed(&slot->wire))
        return OUTCOME_NOT_RESUMED;
    if (wire_send(&slot->wire, 0, plan->size_bytes) != (ssize_t)plan->size_bytes)
        return OUTCOME_LOST;
    slot->has_sent = true;
    return OUTCOME_GOOD;
}

/* Begin the slot's next connection. */
static enum outcome begin(struct churn *churn, struct slot *slot)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};

    slot->connect_ns = measure_now_ns();
    slot->received_bytes = 0;
    slot->has_sent = false;
    if (wire_open(&slot->wire, churn->plan->port, churn->next_key++) < 0)
        return errno == ECONNREFUSED ? OUTCOME_LOST : OUTCOME_SYSTEM;
    if (epoll_ctl(churn->epoll_fd, EPOLL_CTL_ADD, slot->wire.fd, &event) < 0)
        return OUTCOME_SYSTEM;
    return greet(churn, slot);
}

/* The server has ended too. */
static enum outcome finish(struct churn *churn, struct slot *slot)
{
    if (slot->received_bytes != churn->plan->size_bytes)
        return OUTCOME_LOST;
    if (slot->wire.is_truncated)
        measure_truncated(churn->measure);
    wire_close(&slot->wire);
    measure_message(churn->measure, slot->connect_ns, measure_now_ns());
    if (!slot->has_finished)
        churn->measure->silent--;
    slot->has_finished = true;
    return begin(churn, slot);
}

static enum outcome take(struct churn *churn, struct slot *slot, size_t count)
{
    if (slot->received_bytes + count > churn->plan->size_bytes ||
        !pattern_matches(slot->wire.key, slot->received_bytes, churn->buffer, count))
        return OUTCOME_WRONG_BYTES;
    slot->received_bytes += count;
    measure_bytes(churn->measure, count);
    if (slot->received_bytes == churn->plan->size_bytes && wire_end(&slot->wire) < 0)
        return OUTCOME_LOST;
    return OUTCOME_GOOD;
}

static enum outcome on_ready(struct churn *churn, struct slot *slot)
{
    enum outcome outcome;
    ssize_t count;

    if (!slot->has_sent)
        return greet(churn, slot);
    do {
        count = wire_receive(&slot->wire, churn->buffer, RECEIVE_BYTES);
        if (count < 0)
            return errno == EAGAIN ? OUTCOME_GOOD : OUTCOME_LOST;
        if (count == 0)
            return finish(churn, slot);
        outcome = take(churn, slot, (size_t)count);
    } while (outcome == OUTCOME_GOOD && wire_has_more(&slot->wire));
    return outcome;
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
            return client_report(slot->wire.key, outcome);
    }
    return count < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

static enum outcome loop(struct churn *churn, struct slot *slots)
{
    churn->measure->silent = churn->plan->connections;
    measure_start(churn->measure);
    for (size_t i = 0; i < churn->plan->connections; i++) {
        enum outcome outcome;

        slots[i].wire.kind = churn->plan->wire;
        outcome = begin(churn, &slots[i]);
        if (outcome != OUTCOME_GOOD)
            return client_report(slots[i].wire.key, outcome);
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
