#include <config.h>

#include "works.h"

#include "client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS = 64, ANSWER_BYTES = 1 << 20 };

/* A connection that is kept, and the answer that comes on it. */
struct scraper {
    int fd;
    bool is_waiting; /* for an answer */
    uint64_t asked_ns;
    size_t received;
    char *answer; /* room for ANSWER_BYTES and a NUL */
};

struct scrapes {
    const struct plan *plan;
    struct measure *measure;
    int epoll_fd;
    int timer_fd;
    uint64_t owed; /* requests that are due, and wait for a connection */
    struct scraper *scrapers;
};

static enum outcome ask(struct scraper *scraper)
{
    static const char request[] = WORKS_SCRAPE;

    scraper->is_waiting = true;
    scraper->received = 0;
    scraper->asked_ns = measure_now_ns();
    return send(scraper->fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1
               ? OUTCOME_GOOD
               : OUTCOME_LOST;
}

/* Ask what is due where no answer is under way. */
static enum outcome ask_owed(struct scrapes *scrapes)
{
    for (size_t i = 0; i < scrapes->plan->connections && scrapes->owed > 0; i++) {
        if (scrapes->scrapers[i].is_waiting)
            continue;
        scrapes->owed--;
        if (ask(&scrapes->scrapers[i]) != OUTCOME_GOOD)
            return client_report(i, OUTCOME_LOST);
    }
    return OUTCOME_GOOD;
}

/* Return how long an answer is, with its header; 0 if that is not known yet, or is not said. */
static size_t answer_bytes(const struct scraper *scraper)
{
    static const char length_name[] = "\r\nContent-Length: ";
    const char *body = strstr(scraper->answer, "\r\n\r\n");
    const char *length = strstr(scraper->answer, length_name);

    if (body == NULL || length == NULL || length > body)
        return 0;
    return (size_t)(body + 4 - scraper->answer) +
           strtoul(length + sizeof length_name - 1, NULL, 10);
}

static bool begins_well(const struct scraper *scraper)
{
    static const char good[] = "HTTP/1.1 200 OK\r\n";
    const size_t length = sizeof good - 1;

    return scraper->is_waiting &&
           strncmp(scraper->answer, good,
                   scraper->received < length ? scraper->received : length) == 0;
}

/* Look at what came so far. */
static enum outcome take(struct scrapes *scrapes, struct scraper *scraper)
{
    const size_t whole = answer_bytes(scraper);

    if (!begins_well(scraper) || scraper->received == ANSWER_BYTES)
        return OUTCOME_WRONG_BYTES;
    if (whole == 0 || scraper->received < whole)
        return OUTCOME_GOOD;
    scraper->is_waiting = false;
    measure_bytes(scrapes->measure, whole);
    measure_message(scrapes->measure, scraper->asked_ns, measure_now_ns());
    return scraper->received == whole ? OUTCOME_GOOD : OUTCOME_WRONG_BYTES;
}

static enum outcome receive(struct scrapes *scrapes, struct scraper *scraper)
{
    const ssize_t count = recv(scraper->fd, scraper->answer + scraper->received,
                               ANSWER_BYTES - scraper->received, MSG_DONTWAIT);

    if (count < 0 && errno == EAGAIN)
        return OUTCOME_GOOD;
    if (count <= 0)
        return OUTCOME_LOST;
    scraper->received += (size_t)count;
    scraper->answer[scraper->received] = '\0';
    return take(scrapes, scraper);
}

static enum outcome on_timer(struct scrapes *scrapes)
{
    uint64_t due;

    if (read(scrapes->timer_fd, &due, sizeof due) != sizeof due)
        return OUTCOME_SYSTEM;
    scrapes->owed += due;
    return OUTCOME_GOOD;
}

static enum outcome turn(struct scrapes *scrapes)
{
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(scrapes->epoll_fd, events, EVENTS, WORKS_PATIENCE_MS);

    if (count < 0)
        return client_report(0, OUTCOME_SYSTEM);
    for (int i = 0; i < count; i++) {
        struct scraper *scraper = events[i].data.ptr; /* NULL: the timer */
        const enum outcome outcome =
            scraper == NULL ? on_timer(scrapes) : receive(scrapes, scraper);

        if (outcome != OUTCOME_GOOD)
            return client_report(0, outcome);
    }
    return ask_owed(scrapes);
}

static bool is_stalled(const struct scrapes *scrapes)
{
    const uint64_t now_ns = measure_now_ns();

    for (size_t i = 0; i < scrapes->plan->connections; i++) {
        const struct scraper *scraper = &scrapes->scrapers[i];

        if (scraper->is_waiting &&
            now_ns - scraper->asked_ns > (uint64_t)WORKS_PATIENCE_MS * 1000000)
            return true;
    }
    return false;
}

static enum outcome loop(struct scrapes *scrapes)
{
    measure_start(scrapes->measure);
    while (!measure_is_over(scrapes->measure)) {
        const enum outcome outcome = turn(scrapes);

        if (outcome != OUTCOME_GOOD)
            return outcome;
        if (is_stalled(scrapes))
            return client_report(0, OUTCOME_STALLED);
    }
    return OUTCOME_GOOD;
}

/* Watch a descriptor. Return 0, or -1 with errno. */
static int watch(const struct scrapes *scrapes, int fd, struct scraper *scraper)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = scraper};

    return epoll_ctl(scrapes->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Let requests be due at the plan's rate. Return 0, or -1 with errno. */
static int start_timer(struct scrapes *scrapes)
{
    const uint64_t interval_ns = 1000000000 / scrapes->plan->rate;
    const struct timespec interval = {.tv_sec = (time_t)(interval_ns / 1000000000),
                                      .tv_nsec = (long)(interval_ns % 1000000000)};
    const struct itimerspec times = {.it_interval = interval, .it_value = interval};

    scrapes->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (scrapes->timer_fd < 0 || timerfd_settime(scrapes->timer_fd, 0, &times, NULL) < 0)
        return -1;
    return watch(scrapes, scrapes->timer_fd, NULL);
}

/* Connect one. Return 0, or -1 with errno. */
static int open_scraper(const struct scrapes *scrapes, struct scraper *scraper, uint64_t key)
{
    scraper->answer = malloc(ANSWER_BYTES + 1);
    if (scraper->answer == NULL)
        return -1;
    scraper->fd = client_connect(scrapes->plan->port, key);
    return scraper->fd < 0 ? -1 : watch(scrapes, scraper->fd, scraper);
}

enum outcome scrapes_run(const struct plan *plan, struct measure *measure)
{
    static struct scrapes scrapes; /* the process ends after it: descriptors and memory go then */

    scrapes.plan = plan;
    scrapes.measure = measure;
    scrapes.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    scrapes.scrapers = calloc(plan->connections, sizeof *scrapes.scrapers);
    if (scrapes.epoll_fd < 0 || scrapes.scrapers == NULL || start_timer(&scrapes) < 0)
        return client_report(0, OUTCOME_SYSTEM);
    for (size_t i = 0; i < plan->connections; i++) {
        if (open_scraper(&scrapes, &scrapes.scrapers[i], i) < 0)
            return client_report(i, OUTCOME_SYSTEM);
    }
    return loop(&scrapes);
}
