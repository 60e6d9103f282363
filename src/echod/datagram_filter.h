/*
 * datagram_filter: which of the datagrams of one socket get an answer, by the guard and by the rate
 * of their source; counted by what became of them.
 * Receives and answers nothing.
 * Called by datagram_echo.
 */
#ifndef ECHOD_DATAGRAM_FILTER_H
#define ECHOD_DATAGRAM_FILTER_H

#include "echod/counters.h"
#include "echod/datagram_batch.h"
#include "echod/datagram_guard.h"

#include <stdbool.h>
#include <stddef.h>

/* Set the ports, and leave the rest zero: no rate. */
struct datagram_filter {
    const struct datagram_ports *own_ports; /* on which this worker answers */
    bool are_low_ports_allowed;
    double rate_per_second;   /* for each source; 0: no limit */
    struct source_rate *rate; /* NULL: no limit */
};

/* Let other limits hold from now on. Return 0, or -1 with errno, and the old ones hold. */
int datagram_filter_change(struct datagram_filter *filter, bool are_low_ports_allowed,
                           double rate_per_second) __attribute__((warn_unused_result));

/* Free what is kept of sources. */
void datagram_filter_fini(struct datagram_filter *filter);

/*
 * Count a datagram, or a train, and tell whether it gets an answer: to its first `length` bytes, at
 * most all of them.
 */
bool datagram_filter_passes(struct datagram_filter *filter, const struct datagram *datagram,
                            struct counters *counters, size_t *length);

#endif
