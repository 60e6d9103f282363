#include <config.h>

#include "echod/datagram_impair.h"

#include "base/clock.h"
#include "echod/timers.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)

enum {
    SHORTAGE_MS = 10,    /* where the system is short of something there is no event to wait for */
    SENT_PER_TURN = 256, /* then the others have their turn */
};

/* An answer that is held. */
struct held {
    struct held *next;
    uint64_t due_ns;
    uint64_t given_up_ns; /* it waits no longer to be overtaken */
    struct counters *counters;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } source;
    struct datagram_arrival arrival;
    unsigned copies; /* that are still to be sent */
    size_t length;
    unsigned char bytes[];
};

struct held_list {
    struct held *first, *last; /* the last one means nothing where there is no first */
};

struct datagram_impair {
    struct impair plan;
    uint64_t key;
    uint64_t ordinal; /* of the next datagram */
    int fd;
    struct held_list queue;   /* in the order in which they leave */
    struct held_list waiting; /* to be overtaken */
    unsigned waiting_count;
    size_t count; /* of both */
    struct datagram_pool *pool;
    bool is_retried; /* the first of the queue failed once */
    struct event *timer, *writer;
    const struct datagram_impair_events *events;
    void *argument;
};

/* --- What is held ---------------------------------------------------------------------------- */

static void append(struct held_list *list, struct held *held)
{
    held->next = NULL;
    if (list->first == NULL)
        list->first = held;
    else
        list->last->next = held;
    list->last = held;
}

/* Take out the first, which is there. */
static struct held *take_first(struct held_list *list)
{
    struct held *first = list->first;

    list->first = first->next;
    return first;
}

static size_t cost_of(const struct held *held)
{
    return sizeof *held + held->length;
}

/* Put an answer behind all others. */
static void queue_last(struct datagram_impair *impair, struct held *held)
{
    const struct held_list *queue = &impair->queue;

    if (queue->first != NULL && held->due_ns < queue->last->due_ns)
        held->due_ns = queue->last->due_ns;
    append(&impair->queue, held);
}

/* Be done with one copy of the first answer. */
static void forget_copy(struct datagram_impair *impair)
{
    struct held *first = impair->queue.first;

    impair->is_retried = false;
    if (--first->copies > 0)
        return;
    (void)take_first(&impair->queue);
    impair->count--;
    datagram_pool_release(impair->pool, cost_of(first));
    free(first);
}

/* Let the answer that waits longest wait no more. */
static void give_up_waiting(struct datagram_impair *impair)
{
    impair->waiting_count--;
    queue_last(impair, take_first(&impair->waiting));
}

/* Those of a socket are of one family. */
static bool is_same_source(const struct held *one, const struct held *other)
{
    if (one->source.any.sa_family == AF_INET)
        return one->source.v4.sin_port == other->source.v4.sin_port &&
               one->source.v4.sin_addr.s_addr == other->source.v4.sin_addr.s_addr;
    return one->source.v6.sin6_port == other->source.v6.sin6_port &&
           one->source.v6.sin6_scope_id == other->source.v6.sin6_scope_id &&
           memcmp(&one->source.v6.sin6_addr, &other->source.v6.sin6_addr,
                  sizeof one->source.v6.sin6_addr) == 0;
}

/* Tell whether an answer overtakes one that waits for that. */
static bool overtakes_another(const struct datagram_impair *impair, const struct held *held)
{
    const struct held *other = impair->waiting.first;

    while (other != NULL && !is_same_source(other, held))
        other = other->next;
    return other != NULL;
}

/* An answer was queued: let follow those to the same client that were to be overtaken. */
static void queue_overtaken(struct datagram_impair *impair, const struct held *overtaker)
{
    struct held_list left = {NULL, NULL};

    while (impair->waiting.first != NULL) {
        struct held *held = take_first(&impair->waiting);

        if (!is_same_source(held, overtaker)) {
            append(&left, held);
            continue;
        }
        impair->waiting_count--;
        counters_add(held->counters, COUNTER_IMPAIR_REORDERED, 1);
        queue_last(impair, held);
    }
    impair->waiting = left;
}

static void wait_to_be_overtaken(struct datagram_impair *impair, struct held *held, uint64_t now_ns)
{
    held->given_up_ns = now_ns + DATAGRAM_IMPAIR_OVERTAKE_MS * NS_PER_MS;
    append(&impair->waiting, held);
    if (++impair->waiting_count > DATAGRAM_IMPAIR_OVERTAKABLE)
        give_up_waiting(impair);
}

/* --- Sending --------------------------------------------------------------------------------- */

/* Send the first answer. Return its length, or -1 with errno. */
static ssize_t send_first(const struct datagram_impair *impair)
{
    struct held *first = impair->queue.first;
    _Alignas(max_align_t) unsigned char control[DATAGRAM_CONTROL_SIZE] = {0};
    struct iovec piece = {.iov_base = first->bytes, .iov_len = first->length};
    struct msghdr message = {
        .msg_name = &first->source,
        .msg_namelen = first->source.any.sa_family == AF_INET ? sizeof first->source.v4
                                                              : sizeof first->source.v6,
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };

    datagram_control_write(&message, &first->arrival, 0, false);
    return sendmsg(impair->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void note_sent(struct datagram_impair *impair)
{
    const struct held *first = impair->queue.first;

    counters_add(first->counters, COUNTER_DATAGRAMS_OUT, 1);
    counters_add(first->counters, COUNTER_DATAGRAM_BYTES_OUT, first->length);
    forget_copy(impair);
}

/* The error may be that of another peer, and is over once it was read: so try again once. */
static void note_failure(struct datagram_impair *impair, int failure)
{
    if (!impair->is_retried) {
        impair->is_retried = true;
        return;
    }
    counters_add(impair->queue.first->counters, COUNTER_DATAGRAMS_FAILED, 1);
    forget_copy(impair);
    impair->events->on_failure(impair->argument, failure);
}

static void wait_until_writable(struct datagram_impair *impair)
{
    if (event_add(impair->writer, NULL) < 0)
        timers_set_or_run(impair->timer, SHORTAGE_MS);
}

/* Send what is due. Return whether the rest has to wait for its time, and not for the system. */
static bool send_due(struct datagram_impair *impair, uint64_t now_ns)
{
    for (int i = 0; i < SENT_PER_TURN; i++) {
        const struct held *first = impair->queue.first;

        if (first == NULL || first->due_ns > now_ns)
            break;
        if (send_first(impair) >= 0) {
            note_sent(impair);
        } else if (errno == EAGAIN) {
            wait_until_writable(impair);
            return false;
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            timers_set_or_run(impair->timer, SHORTAGE_MS);
            return false;
        } else if (errno != EINTR) {
            note_failure(impair, errno);
        }
    }
    return true;
}

/* Set the timer for what is due next. */
static void set_timer(struct datagram_impair *impair, uint64_t now_ns)
{
    const struct held *first = impair->queue.first;
    const struct held *waiting = impair->waiting.first;
    uint64_t next_ns = UINT64_MAX;

    if (first != NULL)
        next_ns = first->due_ns;
    if (waiting != NULL && waiting->given_up_ns < next_ns)
        next_ns = waiting->given_up_ns;
    if (next_ns != UINT64_MAX)
        timers_set_or_run(impair->timer,
                          next_ns > now_ns ? (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0);
}

/* Send what is due, and let the loop come back for the rest. */
static void release(struct datagram_impair *impair)
{
    const uint64_t now_ns = clock_now_ns();
    const struct held *waiting;

    while ((waiting = impair->waiting.first) != NULL && waiting->given_up_ns <= now_ns)
        give_up_waiting(impair);
    if (event_pending(impair->writer, EV_WRITE, NULL) == 0 && send_due(impair, now_ns))
        set_timer(impair, now_ns);
}

static void on_ready(evutil_socket_t fd, short what, void *argument)
{
    struct datagram_impair *impair = argument;

    (void)fd;
    (void)what;
    release(impair);
    if (impair->count == 0)
        impair->events->on_empty(impair->argument);
}

/* --- Answers --------------------------------------------------------------------------------- */

/* Make room for an answer of this length. Return NULL if there is none, or no memory. */
static struct held *make_room(const struct datagram_impair *impair, size_t length)
{
    const size_t cost = sizeof(struct held) + length;
    struct held *held;

    if (impair->count == DATAGRAM_IMPAIR_COUNT || datagram_pool_hold(impair->pool, cost) < 0)
        return NULL;
    held = malloc(cost);
    if (held == NULL)
        datagram_pool_release(impair->pool, cost);
    return held;
}

/* Hold an answer. Return it, or NULL if there is no room or no memory, which was counted. */
static struct held *hold(struct datagram_impair *impair, const struct datagram *datagram,
                         const void *bytes, size_t length, struct counters *counters)
{
    struct held *held = make_room(impair, length);

    if (held == NULL) {
        counters_add(counters, COUNTER_IMPAIR_OVERFLOWED, 1);
        return NULL;
    }
    *held = (struct held){.counters = counters, .arrival = datagram->arrival, .length = length};
    memcpy(&held->source, &datagram->source, sizeof held->source);
    memcpy(held->bytes, bytes, length);
    impair->count++;
    return held;
}

/* Let an answer leave in its time. What is to be overtaken may overtake one itself. */
static void put_held(struct datagram_impair *impair, struct held *held, bool is_reordered,
                     uint64_t now_ns)
{
    held->due_ns =
        now_ns + impair_delay_us(&impair->plan, impair->key, impair->ordinal) * NS_PER_US;
    if (is_reordered && !overtakes_another(impair, held)) {
        wait_to_be_overtaken(impair, held, now_ns);
        return;
    }
    queue_last(impair, held);
    queue_overtaken(impair, held);
}

/* Answer one datagram as chance has it. */
static void put_one(struct datagram_impair *impair, const struct datagram *datagram,
                    const unsigned char *bytes, size_t length, struct counters *counters)
{
    const struct impair_answer answer =
        impair_judge_answer(&impair->plan, impair->key, impair->ordinal, length);
    struct held *held;

    if (answer.is_dropped) {
        counters_add(counters, COUNTER_IMPAIR_DROPPED, 1);
        return;
    }
    held = hold(impair, datagram, bytes, answer.length, counters);
    if (held == NULL)
        return;
    held->copies = answer.is_duplicated ? 2 : 1;
    counters_add(counters, COUNTER_IMPAIR_DUPLICATED, answer.is_duplicated);
    counters_add(counters, COUNTER_IMPAIR_TRUNCATED, answer.length < length);
    counters_add(counters, COUNTER_IMPAIR_DATAGRAM_CORRUPTED,
                 impair_corrupt_answer(&impair->plan, impair->key, impair->ordinal, held->bytes,
                                       held->length));
    put_held(impair, held, answer.is_reordered, clock_now_ns());
}

void datagram_impair_put(struct datagram_impair *impair, struct datagram_batch *batch,
                         unsigned index, size_t length, struct counters *counters)
{
    const struct datagram *datagram = datagram_batch_at(batch, index);
    const unsigned char *bytes = (const unsigned char *)datagram_batch_bytes(batch, index);
    const size_t segment = datagram->arrival.segment_bytes;
    size_t done = 0;

    do {
        const size_t left = length - done;
        const size_t part = segment > 0 && segment < left ? segment : left;

        put_one(impair, datagram, bytes + done, part, counters);
        impair->ordinal++;
        done += part;
    } while (done < length);
    release(impair);
}

bool datagram_impair_is_holding(const struct datagram_impair *impair)
{
    return impair != NULL && impair->count > 0;
}

/* --- Begin and end --------------------------------------------------------------------------- */

/* Let answers leave at this time if they were to leave later. The order is kept. */
static void bring_forward(struct held_list *list, uint64_t latest_ns)
{
    for (struct held *held = list->first; held != NULL; held = held->next) {
        if (held->due_ns > latest_ns)
            held->due_ns = latest_ns;
    }
}

void datagram_impair_change(struct datagram_impair *impair, const struct impair *plan,
                            uint64_t worker)
{
    const uint64_t latest_ns = clock_now_ns() + (plan->delay_ms + plan->jitter_ms) * NS_PER_MS;
    const uint64_t key = impair_key(plan->seed, worker);

    impair->plan = *plan;
    if (key != impair->key)
        impair->ordinal = 0;
    impair->key = key;
    while (!impair_is_on(plan) && impair->waiting.first != NULL)
        give_up_waiting(impair);
    bring_forward(&impair->queue, latest_ns);
    bring_forward(&impair->waiting, latest_ns);
    release(impair);
}

struct datagram_impair *datagram_impair_new(struct event_base *base, int fd,
                                            struct datagram_pool *pool,
                                            const struct datagram_impair_events *events,
                                            void *argument)
{
    struct datagram_impair *impair = calloc(1, sizeof *impair);

    if (impair == NULL)
        return NULL;
    impair->fd = fd;
    impair->pool = pool;
    impair->events = events;
    impair->argument = argument;
    impair->timer = evtimer_new(base, on_ready, impair);
    impair->writer = event_new(base, fd, EV_WRITE, on_ready, impair);
    if (impair->timer != NULL && impair->writer != NULL)
        return impair;
    datagram_impair_free(impair);
    errno = ENOMEM;
    return NULL;
}

void datagram_impair_free(struct datagram_impair *impair)
{
    if (impair == NULL)
        return;
    while (impair->waiting.first != NULL)
        give_up_waiting(impair);
    while (impair->queue.first != NULL) {
        counters_add(impair->queue.first->counters, COUNTER_IMPAIR_UNSENT, 1);
        forget_copy(impair);
    }
    timers_free(impair->timer);
    timers_free(impair->writer);
    free(impair);
}
