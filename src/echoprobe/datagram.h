/*
 * datagram: one UDP socket: datagrams of the pattern go out, and what comes back is verified.
 * Knows which datagram comes back, but keeps none in mind; flow_datagram does.
 * Called by flow, flow_datagram and mtu.
 */
#ifndef ECHOPROBE_DATAGRAM_H
#define ECHOPROBE_DATAGRAM_H

#include "echoprobe/batch.h"
#include "echoprobe/fault.h"
#include "echoprobe/pattern.h"
#include "echoprobe/target.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

/* The most that IPv4 carries: 65,535 less both headers (RFC 768). */
enum { DATAGRAM_BYTES = 65507 };

struct datagram;

/*
 * What a socket reports: from the loop, and on_unsent and on_error also from datagram_send. It must
 * not be freed from there.
 */
struct datagram_events {
    /* Datagram `sequence` came back: unchanged, or with a fault. */
    void (*on_returned)(void *argument, uint64_t sequence, const struct fault *fault);
    /* An answer says who it is from; on_returned follows. NULL is fine. */
    void (*on_identity)(void *argument, const char *identity);
    /* The network answered datagram `sequence` with an error; it may also be one of its successors
       where the system does not say which. */
    void (*on_error)(void *argument, uint64_t sequence, int failure);
    /* The system refused to send datagram `sequence`. */
    void (*on_unsent)(void *argument, uint64_t sequence, int failure);
    /* All that came in this turn of the loop was reported. NULL is fine. */
    void (*on_turn)(void *argument);
};

/*
 * Make a socket with a number of its own that sends datagrams of `size` bytes to the first place of
 * the target. Everything that is handed in must outlive it. The caller frees it.
 * Return NULL with errno.
 */
struct datagram *datagram_new(struct event_base *base, struct batch *batch,
                              const struct target *target, const struct pattern *pattern,
                              uint64_t number, size_t size, const struct datagram_events *events,
                              void *argument);

/* Close it. NULL is fine. */
void datagram_free(struct datagram *datagram);

/*
 * Let no datagram of it be cut into fragments on its way (RFC 1191, RFC 8201), whatever the system
 * believes to know of the path. Return 0, or -1 with errno; ENOSYS where that cannot be had.
 */
int datagram_forbid_fragments(struct datagram *datagram) __attribute__((warn_unused_result));

/* Send all datagrams before a sequence, as the socket takes them. */
void datagram_send(struct datagram *datagram, uint64_t sequence);

/* Return the sequence of the first that was not sent. */
uint64_t datagram_sent(const struct datagram *datagram);

/*
 * Say that all before `sequence` are settled: what cannot be told apart is none of them, and what
 * waits to be sent need not be.
 */
void datagram_settle(struct datagram *datagram, uint64_t sequence);

#endif
