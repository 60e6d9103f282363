/*
 * outage: when a connection had no answer: from when the first message was due that was lost until
 * one is due that is answered.
 * Reads no clock and knows no messages; flow does.
 * Called by messages, in the order of flow's.
 */
#ifndef ECHOPROBE_OUTAGE_H
#define ECHOPROBE_OUTAGE_H

#include "echoprobe/tally.h"

#include <stdbool.h>
#include <stdint.h>

/* One of zeros is none. Times are those of clock_now_ns. */
struct outage {
    bool is_on;
    uint64_t begin_ns;
    uint64_t counted_ns; /* the tally has it up to then */
};

/* A message that was due then is lost: the outage begins, or goes on. */
void outage_note_lost(struct outage *outage, uint64_t due_ns, struct tally *tally);

/* A message that was due then was answered, or the run ends then: so does the outage, if any. */
void outage_end(struct outage *outage, uint64_t due_ns, struct tally *tally);

#endif
