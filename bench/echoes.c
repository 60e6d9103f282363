#include <config.h>

#include "works.h"

#include "client.h"
#include "pattern.h"
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS = 1024 }; /* in one turn: all of them, so that turns are rare */

struct stream {
    struct wire wire;
    bool is_blocked; /* the socket takes no more; EPOLLOUT is asked for */
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t *sent_ns; /* when each message that is under way was sent; a ring of in_flight */
};

struct echoes {
    const struct plan *plan;
    struct measure *measure;
    int epoll_fd;
    struct stream *streams;
    uint64_t *begin_bytes; /* what each had received when counting began */
    unsigned char buffer[WORKS_RECEIVE_BYTES];
};

static int watch(const struct echoes *echoes, struct stream *stream, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};

    if (stream->is_blocked)
        event.events |= EPOLLOUT;
    return epoll_ctl(echoes->epoll_fd, operation, stream->wire.fd, &event);
}

static int set_blocked(const struct echoes *echoes, struct stream *stream, bool is_blocked)
{
    if (stream->is_blocked == is_blocked)
        return 0;
    stream->is_blocked = is_blocked;
    return watch(echoes, stream, EPOLL_CTL_MOD);
}

/* Note when the messages began whose first byte is among the `count` bytes just sent. */
static void note_sent(const struct plan *plan, struct stream *stream, uint64_t count,
                      uint64_t now_ns)
{
    const uint64_t size = plan->size_bytes;
    const uint64_t end = stream->sent_bytes + count;

    for (uint64_t i = (stream->sent_bytes + size - 1) / size; i * size < end; i++)
        stream->sent_ns[i % plan->in_flight] = now_ns;
    stream->sent_bytes = end;
}

/* Send until so many messages are under way as the plan says, or the socket takes no more. */
static enum outcome fill(const struct echoes *echoes, struct stream *stream, uint64_t now_ns)
{
    const struct plan *plan = echoes->plan;
    const uint64_t echoed = stream->received_bytes / plan->size_bytes;
    const uint64_t limit = (echoed + plan->in_flight) * plan->size_bytes;

    while (stream->sent_bytes < limit) {
        const ssize_t count =
            wire_send(&stream->wire, stream->sent_bytes, limit - stream->sent_bytes);

        if (count < 0 && errno == EAGAIN)
            return set_blocked(echoes, stream, true) < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
        if (count < 0)
            return OUTCOME_LOST;
        note_sent(plan, stream, (uint64_t)count, now_ns);
    }
    return set_blocked(echoes, stream, false) < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

static void note_received(const struct echoes *echoes, struct stream *stream, uint64_t count,
                          uint64_t now_ns)
{
    const struct plan *plan = echoes->plan;
    uint64_t echoed = stream->received_bytes / plan->size_bytes;

    if (stream->received_bytes == 0)
        echoes->measure->silent--;
    stream->received_bytes += count;
    measure_bytes(echoes->measure, count);
    for (; (echoed + 1) * plan->size_bytes <= stream->received_bytes; echoed++)
        measure_message(echoes->measure, stream->sent_ns[echoed % plan->in_flight], now_ns);
}

/* Check what was received, and send what may follow. */
static enum outcome take(struct echoes *echoes, struct stream *stream, size_t count)
{
    uint64_t now_ns;

    if (!pattern_matches(stream->wire.key, stream->received_bytes, echoes->buffer, count))
        return OUTCOME_WRONG_BYTES;
    if (stream->received_bytes + count > stream->sent_bytes)
        return OUTCOME_WRONG_BYTES; /* right, but nobody sent them yet */
    now_ns = measure_now_ns();
    note_received(echoes, stream, count, now_ns);
    return stream->is_blocked ? OUTCOME_GOOD : fill(echoes, stream, now_ns);
}

/* Receive once, and also what the socket no longer tells of. */
static enum outcome receive(struct echoes *echoes, struct stream *stream)
{
    enum outcome outcome;
    ssize_t count;

    do {
        count = wire_receive(&stream->wire, echoes->buffer, echoes->plan->receive_bytes);
        if (count < 0 && errno == EAGAIN)
            return OUTCOME_GOOD;
        if (count <= 0)
            return OUTCOME_LOST;
        outcome = take(echoes, stream, (size_t)count);
    } while (outcome == OUTCOME_GOOD && wire_has_more(&stream->wire));
    return outcome;
}

static enum outcome on_ready(struct echoes *echoes, struct stream *stream, uint32_t events)
{
    enum outcome outcome = OUTCOME_GOOD;

    if ((events & EPOLLOUT) != 0)
        outcome = fill(echoes, stream, measure_now_ns());
    if (outcome == OUTCOME_GOOD && (events & ~(uint32_t)EPOLLOUT) != 0)
        outcome = receive(echoes, stream);
    return outcome;
}

static enum outcome turn(struct echoes *echoes)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(echoes->epoll_fd, events, EVENTS, WORKS_PATIENCE_MS);

    if (count == 0)
        return client_report(0, OUTCOME_STALLED);
    for (int i = 0; i < count; i++) {
        struct stream *stream = events[i].data.ptr;
        const enum outcome outcome = on_ready(echoes, stream, events[i].events);

        if (outcome != OUTCOME_GOOD)
            return client_report(stream->wire.key, outcome);
    }
    return count < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

static void note_begin(struct echoes *echoes)
{
    for (size_t i = 0; i < echoes->plan->connections; i++)
        echoes->begin_bytes[i] = echoes->streams[i].received_bytes;
}

static size_t count_starved(const struct echoes *echoes)
{
    size_t starved = 0;

    for (size_t i = 0; i < echoes->plan->connections; i++) {
        if (echoes->streams[i].received_bytes == echoes->begin_bytes[i])
            starved++;
    }
    return starved;
}

static enum outcome loop(struct echoes *echoes)
{
    bool is_counting = false;

    echoes->measure->silent = echoes->plan->connections;
    measure_start(echoes->measure);
    for (size_t i = 0; i < echoes->plan->connections; i++) {
        const enum outcome outcome = fill(echoes, &echoes->streams[i], measure_now_ns());

        if (outcome != OUTCOME_GOOD)
            return client_report(i, outcome);
    }
    while (!measure_is_over(echoes->measure)) {
        const enum outcome outcome = turn(echoes);

        if (outcome != OUTCOME_GOOD)
            return outcome;
        if (!is_counting && echoes->measure->state == MEASURE_COUNTING) {
            note_begin(echoes);
            is_counting = true;
        }
    }
    return OUTCOME_GOOD;
}

static enum outcome open_stream(const struct echoes *echoes, struct stream *stream, uint64_t key)
{
    const struct plan *plan = echoes->plan;

    stream->sent_ns = calloc(plan->in_flight, sizeof(*stream->sent_ns));
    stream->wire.kind = plan->wire;
    if (stream->sent_ns == NULL || wire_open(&stream->wire, plan->port, key) < 0)
        return OUTCOME_SYSTEM;
    if (wire_shake_hands(&stream->wire) < 0)
        return errno == ETIMEDOUT ? OUTCOME_STALLED : OUTCOME_LOST;
    return watch(echoes, stream, EPOLL_CTL_ADD) < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

static enum outcome open_streams(struct echoes *echoes)
{
    for (size_t i = 0; i < echoes->plan->connections; i++) {
        const enum outcome outcome = open_stream(echoes, &echoes->streams[i], i);

        if (outcome != OUTCOME_GOOD)
            return client_report(i, outcome);
    }
    return OUTCOME_GOOD;
}

enum outcome echoes_run(const struct plan *plan, struct measure *measure, size_t *starved)
{
    static struct echoes echoes; /* the process ends after it: descriptors and memory go then */
    enum outcome outcome;

    echoes.plan = plan;
    echoes.measure = measure;
    echoes.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    echoes.streams = calloc(plan->connections, sizeof(*echoes.streams));
    echoes.begin_bytes = calloc(plan->connections, sizeof(*echoes.begin_bytes));
    if (echoes.epoll_fd < 0 || echoes.streams == NULL || echoes.begin_bytes == NULL)
        return client_report(0, OUTCOME_SYSTEM);
    outcome = open_streams(&echoes);
    if (outcome == OUTCOME_GOOD)
        outcome = loop(&echoes);
    *starved = count_starved(&echoes);
    return outcome;
}
