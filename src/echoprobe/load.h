/*
 * load: the messages to one target from one thread: its flows, and when the next message is due.
 * Prints nothing and knows no signals; probe and report do.
 * Called by loads; group plans it.
 */
#ifndef ECHOPROBE_LOAD_H
#define ECHOPROBE_LOAD_H

#include "echoprobe/opening.h"
#include "echoprobe/pattern.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"
#include "echoprobe/target_slot.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct event_base;
struct load;
struct stream_scratch;

enum load_order {
    LOAD_GO_ON,
    LOAD_FINISH, /* send no more, wait for what is under way */
    LOAD_BREAK,  /* end at once */
};

/* What a load reports, from its thread. */
struct load_events {
    /* A connection was made, to this peer; for UDP before the first message. */
    void (*on_open)(void *argument, const struct opening *opening);
    /* A connection or a datagram says who answers. */
    void (*on_identity)(void *argument, const char *identity);
    /* A message came back; `number` counts those of its connection's flow from 0. */
    void (*on_echo)(void *argument, const char *peer, uint64_t connection, uint64_t number,
                    uint64_t rtt_ns);
    /* Something is wrong with message `number` of a flow whose connection has this number. */
    void (*on_fault)(void *argument, uint64_t connection, uint64_t number,
                     const struct fault *fault);
    /* A message failed together with one that on_fault told, or since the run ended. NULL is fine.
     */
    void (*on_failed)(void *argument, uint64_t connection, uint64_t number, enum fault_kind kind);
    /* What was counted since the last time; it is emptied afterwards. */
    void (*on_count)(void *argument, const struct tally *tally);
    /* It is over, and reports nothing any more. */
    void (*on_end)(void *argument);
    /* Ask whether to go on. */
    enum load_order (*order)(void *argument);
};

struct load_plan {
    const struct target *target; /* stands for nothing: until one comes by the slot */
    struct target_slot *slot;    /* by which the target comes when it has changed; NULL: never */
    const struct pattern *pattern;
    size_t connections;
    size_t size;
    uint64_t window;
    uint64_t timeout_ns;
    uint64_t retry_ms;
    uint64_t count;       /* messages that are due; UINT64_MAX: no limit */
    uint64_t period_ns;   /* from one message of this thread to the next; 0: as echoes return */
    uint64_t duration_ns; /* in which they are due; 0: no limit */
    bool counts_from_due; /* round trips begin when a message was due, not when it was sent */
    bool is_churn;
    bool is_lasting;               /* goes on, also where nobody is there at the start */
    _Atomic uint64_t *next_number; /* for a new connection, of all threads */
    const struct load_events *events;
    void *argument;
};

/* What the loads of a thread share. Outlives them. */
struct load_shared {
    struct event_base *base;
    struct stream_scratch *scratch;
    struct batch *batch;
};

/*
 * Begin to send, verify and count until the plan or an order ends it, in the loop of `base`. A
 * lasting one begins at `begin_ns`, which may be past, and others once there are connections. The
 * plan must outlive the load; load_end ends it. Return NULL with errno if the system refused what
 * it cannot do without; `step` says what that was, as "cannot" goes on.
 */
struct load *load_start(const struct load_plan *plan, const struct load_shared *shared,
                        uint64_t begin_ns, const char **step);

/* Look at what is over, at the orders and at the clock: to be called a hundred times a second. */
void load_tick(struct load *load, uint64_t now_ns);

/* Tell whether it has come to its end, after which the loop was broken. */
bool load_is_over(const struct load *load);

/*
 * Give up what is under way, report it, and free the load. Not from an event.
 * Return 0, or -1 with errno if the system refused something before, and `step` as above.
 */
int load_end(struct load *load, const char **step) __attribute__((warn_unused_result));

#endif
