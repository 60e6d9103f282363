/*
 * datagram_width: how many datagrams the next turn of a socket receives: many where many come, few
 * where they are large, and one where they come alone.
 * Pure: receives nothing.
 * Called by datagram_echo.
 */
#ifndef ECHOD_DATAGRAM_WIDTH_H
#define ECHOD_DATAGRAM_WIDTH_H

#include <stdbool.h>
#include <stdint.h>

struct datagram_width {
    unsigned count;        /* for the next turn: 1 to DATAGRAM_BATCH_COUNT */
    unsigned lonely_turns; /* until it looks for more than one again */
};

/* Begin with one, and look for more in the turn after it. */
void datagram_width_init(struct datagram_width *width);

/*
 * Learn from a turn, in which so many came, at least one, with so many bytes. Return whether the
 * next receives more than one after one that did not.
 */
bool datagram_width_adapt(struct datagram_width *width, unsigned received, uint64_t bytes);

#endif
