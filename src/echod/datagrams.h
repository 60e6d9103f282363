/*
 * datagrams: the datagram sockets of a worker: which there are, and what they share.
 * Opens none; the echo of one socket is datagram_echo's.
 * Called by worker.
 */
#ifndef ECHOD_DATAGRAMS_H
#define ECHOD_DATAGRAMS_H

#include "base/log.h"
#include "echod/datagram_echo.h"
#include "echod/endpoint.h"
#include "echod/self.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gauge; /* echod/gauge.h */

struct datagrams;

/* What a set tells its owner, from the loop. */
enum datagrams_event {
    DATAGRAMS_DRAINED, /* one socket less, which was to be drained */
    DATAGRAMS_IDLE,    /* nothing came to any socket for its idle time-out; told again and again */
};

typedef void datagrams_callback(enum datagrams_event event, void *owner);

/*
 * Make an empty set for the worker with this index; what it holds back counts in that worker's
 * queued bytes. Everything that is handed in must outlive it. Return NULL with errno.
 */
struct datagrams *datagrams_new(struct event_base *base, size_t worker, const struct self *self,
                                struct gauge *queued_bytes, struct log *log,
                                datagrams_callback *on_event, void *owner);

/* Hold no more back while so much is queued in the worker; before that, nothing is. */
void datagrams_limit_queued(struct datagrams *datagrams, uint64_t max_queued_bytes);

/* Close all sockets at once, and free the set. NULL is fine. */
void datagrams_free(struct datagrams *datagrams);

/*
 * Serve this worker's socket of each datagram endpoint, which becomes the set's. If all endpoints
 * are datagram sockets that were passed, as inetd's "wait" has it, their idle time-outs count, and
 * the first worker alone serves those that have one.
 * Return 0, or -1 with errno; then the set has what it took.
 */
int datagrams_take(struct datagrams *datagrams, struct endpoint_list *endpoints)
    __attribute__((warn_unused_result));

/*
 * Follow a reload: serve what came, let options hold that changed, and drain what is leaving, and
 * what is left to the first worker from now on.
 * Return 0, or -1 after a line in the log if memory was short: call it again later, with the same
 * endpoints. Until then some sockets are not served, or have the options that were.
 */
int datagrams_change(struct datagrams *datagrams, struct endpoint_list *endpoints)
    __attribute__((warn_unused_result));

/* Let the sockets whose listeners operators have paused answer nothing, and the others again. */
void datagrams_follow_pauses(struct datagrams *datagrams);

/* Let all sockets answer what has arrived, and then close them. */
void datagrams_drain(struct datagrams *datagrams);

/* Tell whether some are being drained. */
bool datagrams_are_leaving(const struct datagrams *datagrams);

/* Close those that are being drained at once; no callback comes. */
void datagrams_close_leaving(struct datagrams *datagrams);

/* Close all sockets at once; no callback comes. */
void datagrams_close(struct datagrams *datagrams);

/* Count what the system has dropped since a datagram last came, which would have told. */
void datagrams_count_overflow(struct datagrams *datagrams);

/* Return how many sockets there are, those that are being drained included. */
size_t datagrams_count(const struct datagrams *datagrams);

#endif
