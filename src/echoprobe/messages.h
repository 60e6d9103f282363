/*
 * messages: those of one connection or socket after the other: which are under way, answered or
 * lost; counted as they settle.
 * Knows neither bytes nor connections, and prints nothing; flow does.
 * Called by flow, flow_stream, flow_datagram and flow_state.
 */
#ifndef ECHOPROBE_MESSAGES_H
#define ECHOPROBE_MESSAGES_H

#include "echoprobe/outage.h"
#include "echoprobe/tally.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGES_KEPT = 64 /* more than the window: who answers one of these late is understood */ };

enum message_state {
    MESSAGE_WAITING,
    MESSAGE_ANSWERED,
    MESSAGE_LOST,
    MESSAGE_LATE,    /* lost, and came back unchanged after all */
    MESSAGE_SPOILED, /* lost, and came back changed */
};

struct message {
    uint64_t due_ns;
    uint64_t number; /* among all that were due, sent or not; from 0 */
    enum message_state state;
};

/* Plain to read; only the functions below change it. */
struct messages {
    struct tally *tally;
    struct message *ring; /* of `places`, owned; the place of one is its sequence modulo that */
    uint64_t window;      /* so many may be under way */
    uint64_t places;
    uint64_t first, next; /* sequences of those that hold a place */
    uint64_t next_number; /* of the next that is due */
    uint64_t last_rtt_ns; /* 0: none yet */
    struct outage outage;
};

/* Begin with none. Return 0, or -1 with errno. The tally must outlive them. */
int messages_init(struct messages *messages, uint64_t window, struct tally *tally)
    __attribute__((warn_unused_result));

void messages_fini(struct messages *messages);

/* Tell whether there is room for another one. */
bool messages_have_room(const struct messages *messages);

/* Add one that was due then, and return its sequence. There must be room. */
uint64_t messages_add(struct messages *messages, uint64_t due_ns);

/* Count one that was due then and cannot be sent as lost, and return its number. */
uint64_t messages_skip(struct messages *messages, uint64_t due_ns);

/* Return one that holds a place, or did so last at its place. */
struct message *messages_at(const struct messages *messages, uint64_t sequence);

/* Tell whether one is under way. */
bool messages_is_waiting(const struct messages *messages, uint64_t sequence);

/* Tell whether one, which holds a place, is under way or lost, and may yet come back. */
bool messages_may_return(const struct messages *messages, uint64_t sequence);

/* Tell whether one settled as anything but lost, or has no place any more. */
bool messages_was_answered(const struct messages *messages, uint64_t sequence);

/* Return the number of one; of those without a place, as if none had been skipped since. */
uint64_t messages_number(const struct messages *messages, uint64_t sequence);

/*
 * One came back unchanged, and did not do so before: set its round trip and return true; or return
 * false, since it was lost by then.
 */
bool messages_settle_echo(struct messages *messages, uint64_t sequence, uint64_t now_ns,
                          uint64_t *rtt_ns);

/* One is changed: it is corrupted if it waits, and stays lost if it is that. */
void messages_settle_corrupted(struct messages *messages, uint64_t sequence);

/* One that waits is lost; is lost and was never sent. */
void messages_settle_lost(struct messages *messages, uint64_t sequence);
void messages_settle_unsent(struct messages *messages, uint64_t sequence);

/* Let the first go, which is settled; all of the first that are settled; all, which are lost. */
void messages_release_first(struct messages *messages);
void messages_release_settled(struct messages *messages);
void messages_abandon(struct messages *messages);

/* The run ends now: give up all, and end the outage. */
void messages_end(struct messages *messages, uint64_t now_ns);

#endif
