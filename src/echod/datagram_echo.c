#include <config.h>

#include "echod/datagram_echo.h"

#include "base/clock.h"
#include "echod/datagram_batch.h"
#include "echod/datagram_filter.h"
#include "echod/datagram_identity.h"
#include "echod/datagram_impair.h"
#include "echod/datagram_width.h"
#include "echod/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Where the system is short of something there is no event to wait for. */
    SHORTAGE_MS = 10,
    /* A drain ends even if a flood does not: more than any receive buffer holds. */
    DRAIN_TURNS = 4096,
};

struct datagram_echo {
    struct event *reader; /* set, but while answers wait */
    struct event *writer; /* set while the send buffer is full */
    struct event *retry;  /* set while the system is short of something */
    struct event *idle;
    int fd;
    const char *name; /* not owned */
    struct datagram_limits limits;
    struct datagram_filter filter;
    struct datagram_pool *pool;
    struct datagram_batch *batch; /* holds answers that wait; else NULL */
    struct log *log;
    /* Lines about answers that failed, also held ones, and about receiving. */
    struct log_limiter unsent, unsent_later, unreceived;
    struct counters *counters;
    datagram_echo_callback *on_over;
    void *owner;

    struct datagram_pool_member member;
    struct datagram_home home;

    /* Queue the answer to the first `length` bytes of a datagram. */
    void (*answer)(struct datagram_echo *echo, unsigned index, size_t length);
    bool is_paused;
    struct datagram_impair *impair; /* NULL: it has never misbehaved */

    struct datagram_width width; /* how many the next turn receives */
    uint8_t usual_hops;          /* of answers, where that is known */
    uint32_t overflow_total;
    uint64_t last_ms;     /* when something came */
    unsigned drain_turns; /* left; 0: it does not drain */
};

/* --- Counters -------------------------------------------------------------------------------- */

static void count(struct datagram_echo *echo, enum counter which, uint64_t amount)
{
    if (amount > 0)
        counters_add(echo->counters, which, amount);
}

/* Take note of the total that the system has told. It may be told late, and in any order. */
static void note_overflow(struct datagram_echo *echo, uint32_t total)
{
    const uint32_t more = total - echo->overflow_total;

    if (echo->limits.leaves_overflow || total == 0 || more > UINT32_MAX / 2)
        return;
    echo->overflow_total = total;
    count(echo, COUNTER_DATAGRAMS_OVERFLOWED, more);
}

void datagram_echo_count_overflow(struct datagram_echo *echo)
{
    note_overflow(echo, datagram_control_overflow(echo->fd));
}

static void note_failure(struct datagram_echo *echo, struct log_limiter *limiter, int failure)
{
    log_write_limited(echo->log, limiter, LOG_LEVEL_WARNING,
                      &(const struct log_field){.name = "listener", .text = echo->name}, 1,
                      "datagrams at %s fail: %s", echo->name, strerror(failure));
}

/* --- Answers --------------------------------------------------------------------------------- */

static void answer_echo(struct datagram_echo *echo, unsigned index, size_t length)
{
    datagram_batch_answer(echo->batch, index, length, echo->usual_hops);
}

static void answer_identity(struct datagram_echo *echo, unsigned index, size_t length)
{
    answer_echo(
        echo, index,
        datagram_identity_put(&echo->limits.identify, &echo->home, echo->batch, index, length));
}

static void answer_impaired(struct datagram_echo *echo, unsigned index, size_t length)
{
    if (echo->limits.identify.mode != LISTENER_IDENTIFY_OFF)
        length =
            datagram_identity_put(&echo->limits.identify, &echo->home, echo->batch, index, length);
    datagram_impair_put(echo->impair, echo->batch, index, length, echo->counters);
}

static void answer_nothing(struct datagram_echo *echo, unsigned index, size_t length)
{
    const size_t segment = datagram_batch_at(echo->batch, index)->arrival.segment_bytes;

    count(echo, COUNTER_DATAGRAMS_PAUSED, segment == 0 ? 1 : (length + segment - 1) / segment);
}

/* Queue the answer to a datagram, if it gets one. */
static void consider(struct datagram_echo *echo, unsigned index)
{
    const struct datagram *datagram = datagram_batch_at(echo->batch, index);
    size_t length;

    note_overflow(echo, datagram->arrival.overflow_total);
    if (datagram_filter_passes(&echo->filter, datagram, echo->counters, &length))
        echo->answer(echo, index, length);
}

/* --- Turns ----------------------------------------------------------------------------------- */

/* Receive nothing for a moment. */
static void pause_shortly(struct datagram_echo *echo)
{
    (void)event_del(echo->reader);
    timers_set_or_run(echo->retry, SHORTAGE_MS);
}

static void wait_until_writable(struct datagram_echo *echo)
{
    (void)event_del(echo->reader);
    if (event_add(echo->writer, NULL) < 0)
        timers_set_or_run(echo->retry, SHORTAGE_MS);
}

/* Receive again. */
static void resume(struct datagram_echo *echo)
{
    if (event_add(echo->reader, NULL) < 0)
        pause_shortly(echo);
}

/*
 * Send what is queued. Return true if all left, and the batch is the pool's again; else something
 * is set that sends the rest.
 */
static bool send_answers(struct datagram_echo *echo)
{
    struct datagram_tally tally = {0};
    const enum datagram_outcome outcome = datagram_batch_send(echo->batch, echo->fd, &tally);

    count(echo, COUNTER_DATAGRAMS_OUT, tally.count);
    count(echo, COUNTER_DATAGRAM_BYTES_OUT, tally.bytes);
    count(echo, COUNTER_DATAGRAMS_FAILED, tally.failed);
    if (tally.failed > 0)
        note_failure(echo, &echo->unsent, tally.failure);
    switch (outcome) {
    case DATAGRAM_SENT:
        datagram_pool_give_batch(echo->pool, echo->batch);
        echo->batch = NULL;
        return true;
    case DATAGRAM_FULL:
        wait_until_writable(echo);
        break;
    case DATAGRAM_SHORT:
        pause_shortly(echo);
        break;
    }
    return false;
}

/*
 * Let answers to clients as far away as this one need no control message, which costs. A socket for
 * both families takes both; one that takes neither is told with each answer.
 */
static void adapt_hops(struct datagram_echo *echo, const struct datagram_arrival *arrival)
{
    const uint8_t hops = arrival->hops - 1;

    if (arrival->hops > 1 && hops != echo->usual_hops && !echo->limits.is_shared &&
        datagram_control_set_hops(echo->fd, hops) == 0)
        echo->usual_hops = hops;
}

/*
 * Receive what waits, up to a turn's worth, and queue the answers. Return how many came, or -1 with
 * errno.
 */
static int receive(struct datagram_echo *echo)
{
    const int received = datagram_batch_receive(echo->batch, echo->fd, echo->width.count);
    uint64_t bytes = 0;

    if (received <= 0)
        return received;
    for (unsigned i = 0; i < (unsigned)received; i++) {
        bytes += datagram_batch_at(echo->batch, i)->length;
        consider(echo, i);
    }
    if (datagram_width_adapt(&echo->width, (unsigned)received, bytes))
        adapt_hops(echo, &datagram_batch_at(echo->batch, 0)->arrival);
    if (echo->limits.idle_timeout_ms > 0)
        echo->last_ms = clock_now_ms();
    return received;
}

/* What an error of receiving means: nothing is there, or an earlier answer reached nobody. */
static void handle_receive_failure(struct datagram_echo *echo, int failure)
{
    if (failure == EAGAIN || failure == EINTR)
        return;
    count(echo, COUNTER_DATAGRAMS_FAILED, 1);
    note_failure(echo, &echo->unreceived, failure);
    pause_shortly(echo);
}

/* Take a turn. Return how many datagrams came, or 0. */
static unsigned take_turn(struct datagram_echo *echo)
{
    int received;

    echo->batch = datagram_pool_take_batch(echo->pool);
    if (echo->batch == NULL) {
        pause_shortly(echo);
        return 0;
    }
    received = receive(echo);
    if (received < 0)
        handle_receive_failure(echo, errno);
    (void)send_answers(echo);
    return received > 0 ? (unsigned)received : 0;
}

/* --- Silence --------------------------------------------------------------------------------- */

/* Count the time without datagrams from now on. */
static void begin_idling(struct datagram_echo *echo)
{
    (void)event_del(echo->idle);
    echo->last_ms = clock_now_ms();
    if (echo->limits.idle_timeout_ms > 0)
        timers_set_or_run(echo->idle, echo->limits.idle_timeout_ms);
}

/* Tell whether answers wait: their end is an event of its own. */
static bool is_busy(const struct datagram_echo *echo)
{
    return echo->batch != NULL || datagram_impair_is_holding(echo->impair);
}

/* --- Drain ----------------------------------------------------------------------------------- */

/* Go on after a turn. Ends when nothing waits any more, or after as much as could have waited. */
static void go_on_draining(struct datagram_echo *echo, unsigned received)
{
    if (echo->batch != NULL)
        return; /* what is set for that goes on */
    if (received > 0 && echo->drain_turns > 1) {
        echo->drain_turns--;
        event_active(echo->reader, EV_READ, 1);
    } else if (!datagram_impair_is_holding(echo->impair)) {
        echo->on_over(echo, echo->owner);
    }
}

/* Nothing is held back any more. */
static void on_impair_empty(void *argument)
{
    struct datagram_echo *echo = argument;

    if (echo->drain_turns > 0)
        go_on_draining(echo, 0);
    else
        begin_idling(echo);
}

void datagram_echo_drain(struct datagram_echo *echo)
{
    echo->width.count = DATAGRAM_BATCH_COUNT;
    echo->drain_turns = DRAIN_TURNS;
    if (echo->batch == NULL)
        event_active(echo->reader, EV_READ, 1);
}

/* --- Events ---------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct datagram_echo *echo = argument;
    const unsigned received = take_turn(echo);

    (void)fd;
    (void)what;
    if (echo->drain_turns > 0)
        go_on_draining(echo, received);
}

/* The socket is writable again, or the shortage may be over: send the rest, then receive. */
static void on_ready(evutil_socket_t fd, short what, void *argument)
{
    struct datagram_echo *echo = argument;

    (void)fd;
    (void)what;
    if (echo->batch != NULL && !send_answers(echo))
        return;
    if (echo->drain_turns > 0)
        event_active(echo->reader, EV_READ, 1);
    else
        resume(echo);
}

bool datagram_echo_is_idle(const struct datagram_echo *echo)
{
    const uint64_t timeout_ms = echo->limits.idle_timeout_ms;

    return timeout_ms > 0 && !is_busy(echo) && clock_now_ms() >= echo->last_ms + timeout_ms;
}

/*
 * Nothing has come for a while, as far as we know: after a stop of the process, or a long turn, it
 * may wait.
 */
static void on_idle(evutil_socket_t fd, short what, void *argument)
{
    struct datagram_echo *echo = argument;
    const uint64_t now_ms = clock_now_ms(), timeout_ms = echo->limits.idle_timeout_ms;

    (void)fd;
    (void)what;
    if (echo->batch == NULL)
        (void)take_turn(echo);
    if (datagram_echo_is_idle(echo)) {
        timers_set_or_run(echo->idle, timeout_ms);
        echo->on_over(echo, echo->owner);
    } else {
        timers_set_or_run(echo->idle,
                          is_busy(echo) ? timeout_ms : echo->last_ms + timeout_ms - now_ms);
    }
}

/* --- Limits ---------------------------------------------------------------------------------- */

static void on_impair_failure(void *argument, int failure)
{
    struct datagram_echo *echo = argument;

    note_failure(echo, &echo->unsent_later, failure);
}

/* Make what misbehaves, where that is asked for. Return 0, or -1 with errno ENOMEM. */
static int make_impair(struct datagram_echo *echo, const struct impair *impair)
{
    static const struct datagram_impair_events events = {on_impair_failure, on_impair_empty};

    if (echo->impair == NULL && impair_is_on(impair)) {
        echo->impair =
            datagram_impair_new(event_get_base(echo->reader), echo->fd, echo->pool, &events, echo);
        if (echo->impair == NULL)
            return -1;
    }
    return 0;
}

/* Choose how datagrams are answered from now on. */
static void choose_answer(struct datagram_echo *echo)
{
    const struct datagram_limits *limits = &echo->limits;

    if (echo->impair != NULL)
        datagram_impair_change(echo->impair, &limits->impair, limits->identify.worker);
    if (echo->is_paused)
        echo->answer = answer_nothing;
    else if (impair_is_on(&limits->impair))
        echo->answer = answer_impaired;
    else if (limits->identify.mode != LISTENER_IDENTIFY_OFF)
        echo->answer = answer_identity;
    else
        echo->answer = answer_echo;
}

void datagram_echo_pause(struct datagram_echo *echo, bool is_paused)
{
    if (echo->is_paused == is_paused)
        return;
    echo->is_paused = is_paused;
    choose_answer(echo);
}

int datagram_echo_change(struct datagram_echo *echo, const struct datagram_limits *limits)
{
    if (make_impair(echo, &limits->impair) < 0 ||
        datagram_filter_change(&echo->filter, limits->are_low_ports_allowed,
                               limits->rate_per_second) < 0)
        return -1;
    echo->limits = *limits;
    choose_answer(echo);
    begin_idling(echo);
    return 0;
}

/* What the system has dropped until now belongs to the old name. */
void datagram_echo_set_name(struct datagram_echo *echo, const char *name, struct counters *counters)
{
    datagram_echo_count_overflow(echo);
    echo->name = name;
    echo->counters = counters;
}

int datagram_echo_socket(const struct datagram_echo *echo)
{
    return echo->fd;
}

/* --- Construction and destruction ------------------------------------------------------------ */

/* Note on which port of ours this socket answers; 0 if it has none. */
static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } own = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t length = sizeof own;

    (void)getsockname(fd, &own.any, &length);
    if (own.any.sa_family == AF_INET)
        return ntohs(own.v4.sin_port);
    return own.any.sa_family == AF_INET6 ? ntohs(own.v6.sin6_port) : 0;
}

/* Return 0, or -1 with errno ENOMEM. */
static int join_pool(struct datagram_echo *echo)
{
    echo->home.port = port_of(echo->fd);
    identify_format_local(echo->fd, echo->home.name);
    return datagram_pool_join(echo->pool, &echo->member, echo->home.port);
}

/* Free what needs not be undone. */
static void free_parts(struct datagram_echo *echo)
{
    timers_free(echo->reader);
    timers_free(echo->writer);
    timers_free(echo->retry);
    timers_free(echo->idle);
    datagram_filter_fini(&echo->filter);
    datagram_impair_free(echo->impair);
    free(echo);
}

/* Return 0, or -1 with errno ENOMEM. */
static int make_events(struct datagram_echo *echo, struct event_base *base)
{
    echo->reader = event_new(base, echo->fd, EV_READ | EV_PERSIST, on_readable, echo);
    echo->writer = event_new(base, echo->fd, EV_WRITE, on_ready, echo);
    echo->retry = evtimer_new(base, on_ready, echo);
    echo->idle = evtimer_new(base, on_idle, echo);
    errno = ENOMEM;
    if (echo->reader == NULL || echo->writer == NULL || echo->retry == NULL || echo->idle == NULL)
        return -1;
    return event_add(echo->reader, NULL);
}

struct datagram_echo *datagram_echo_new(struct event_base *base, int fd, const char *name,
                                        const struct datagram_limits *limits,
                                        struct datagram_pool *pool, struct log *log,
                                        struct counters *counters, datagram_echo_callback *on_over,
                                        void *owner)
{
    struct datagram_echo *echo = calloc(1, sizeof *echo);
    int failure;

    if (echo == NULL)
        return NULL;
    echo->fd = fd;
    echo->name = name;
    echo->pool = pool;
    echo->log = log;
    echo->counters = counters;
    echo->on_over = on_over;
    echo->owner = owner;
    echo->filter.own_ports = &pool->own_ports;
    datagram_width_init(&echo->width);
    echo->overflow_total = datagram_control_overflow(fd); /* a passed socket has a past */
    if (datagram_control_enable(fd) < 0 || make_events(echo, base) < 0 ||
        datagram_echo_change(echo, limits) < 0 || join_pool(echo) < 0) {
        failure = errno;
        free_parts(echo);
        errno = failure;
        return NULL;
    }
    return echo;
}

void datagram_echo_free(struct datagram_echo *echo)
{
    if (echo == NULL)
        return;
    datagram_echo_count_overflow(echo);
    datagram_pool_leave(echo->pool, &echo->member);
    datagram_batch_free(echo->batch);
    (void)close(echo->fd);
    free_parts(echo);
}
