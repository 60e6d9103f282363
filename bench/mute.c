#include <config.h>

#include "works.h"

#include "client.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, TURN_MS = 100, REQUESTS = 1000 };

struct mute {
    const struct plan *plan;
    struct measure *measure;
    int epoll_fd;
    uint64_t next_key;
};

/* Ask for far more than sockets hold, at once. The last request may be cut. */
static void ask(int fd)
{
    static const char request[] = WORKS_SCRAPE;
    char requests[REQUESTS * (sizeof request - 1)];

    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(requests + i * (sizeof request - 1), request, sizeof request - 1);
    (void)send(fd, requests, sizeof requests, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Connect one more, ask, and wait for its end alone. */
static enum outcome begin(struct mute *mute)
{
    struct epoll_event event = {.events = EPOLLRDHUP};
    const int fd = client_connect(mute->plan->port, mute->next_key++);

    if (fd < 0)
        return OUTCOME_SYSTEM;
    ask(fd);
    event.data.fd = fd;
    return epoll_ctl(mute->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

/* Another one takes the place of one that the server has ended. */
static enum outcome on_end(struct mute *mute, int fd)
{
    (void)close(fd);
    measure_message(mute->measure, 0, 0);
    return begin(mute);
}

static enum outcome turn(struct mute *mute)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(mute->epoll_fd, events, EVENTS, TURN_MS);

    for (int i = 0; i < count; i++) {
        const enum outcome outcome = on_end(mute, events[i].data.fd);

        if (outcome != OUTCOME_GOOD)
            return outcome;
    }
    return count < 0 ? OUTCOME_SYSTEM : OUTCOME_GOOD;
}

enum outcome mute_run(const struct plan *plan, struct measure *measure)
{
    struct mute mute = {.plan = plan, .measure = measure};
    enum outcome outcome = OUTCOME_GOOD;

    mute.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (mute.epoll_fd < 0)
        outcome = OUTCOME_SYSTEM;
    while (outcome == OUTCOME_GOOD && mute.next_key < plan->connections)
        outcome = begin(&mute);
    measure_start(measure);
    while (outcome == OUTCOME_GOOD && !measure_is_over(measure))
        outcome = turn(&mute);
    return outcome == OUTCOME_GOOD ? outcome : client_report(mute.next_key, outcome);
}
