/*
 * tally: what is counted: messages, bytes, faults and round trips.
 * Decides nothing and prints nothing.
 * Called by messages, flow, flow_stream, flow_datagram and flow_state, which count, by load, which
 * adds up, and by summary, report, report_json and plugin, which read.
 */
#ifndef ECHOPROBE_TALLY_H
#define ECHOPROBE_TALLY_H

#include "base/histogram.h"
#include "echoprobe/fault.h"

#include <stdbool.h>
#include <stdint.h>

/* One of zeros is empty. */
struct tally {
    uint64_t sent, received, lost, corrupted; /* messages: due, and the three ends of one */
    uint64_t unsent;                          /* of `lost`: could not be sent */
    uint64_t late;                            /* of `lost`: came back unchanged after all */
    uint64_t duplicated, reordered;           /* datagrams; no loss by themselves */
    uint64_t connects, connects_failed;
    uint64_t closed;               /* of `connects`: by the other end, with nothing missing, */
    uint64_t closed_after_bytes;   /* and the first of them after so many */
    uint64_t resumed;              /* of `connects`: by a session of an earlier one */
    uint64_t outages, downtime_ns; /* times without an answer on each connection, added up */
    uint64_t longest_outage_ns;
    uint64_t faults[FAULT_KINDS];
    struct histogram rtt_ns;
    struct histogram handshake_ns;          /* of TLS */
    double rtt_squares;                     /* the sum of the round trips' squares, in ns² */
    uint64_t jitter_total_ns, jitter_count; /* between one round trip and the next */
};

/* Add what another has counted. */
void tally_merge(struct tally *tally, const struct tally *other);

/* Tell whether nothing was counted since it was empty. */
bool tally_is_empty(const struct tally *tally);

/*
 * Where an answer does not tell which message it answers: tell whether one may have counted for
 * another, since one was lost and may have come late, or was answered twice.
 */
bool tally_is_uncertain(const struct tally *tally);

/* Return how many messages were received in a second. */
double tally_per_second(const struct tally *tally, uint64_t elapsed_ns);

/* Return how long nobody answered, on average of the connections. */
double tally_downtime_seconds(const struct tally *tally, uint64_t connections);

/* Return the mean round trip and its standard deviation, in ns; 0 if there was none. */
double tally_mean_ns(const struct tally *tally);
double tally_deviation_ns(const struct tally *tally);

/* Return the end of a bar of a histogram that begins there: 1, 2 or 5 times a power of ten. */
uint64_t tally_next_bound(uint64_t bound);

/* Return the mean difference between one round trip and the next of a flow, in ns (RFC 3393). */
uint64_t tally_jitter_ns(const struct tally *tally);

#endif
