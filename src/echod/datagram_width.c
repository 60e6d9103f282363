#include <config.h>

#include "echod/datagram_width.h"

#include "echod/datagram_batch.h"

enum {
    /* Bytes that a turn takes before the others have theirs, unless they just became larger. */
    TURN_BYTES = 256 << 10,
    /* One alone costs less to receive alone: look for more only so often while none come. */
    LONELY_TURNS = 16,
};

void datagram_width_init(struct datagram_width *width)
{
    *width = (struct datagram_width){.count = 1, .lonely_turns = 1};
}

/* Return how many of such datagrams a turn takes. */
static unsigned turn_count(uint64_t bytes, unsigned received)
{
    const uint64_t count = TURN_BYTES * (uint64_t)received / (bytes + 1);

    return count >= DATAGRAM_BATCH_COUNT ? DATAGRAM_BATCH_COUNT : count < 2 ? 2 : (unsigned)count;
}

bool datagram_width_adapt(struct datagram_width *width, unsigned received, uint64_t bytes)
{
    const bool was_one = width->count == 1;

    if (received > 1 || (was_one && --width->lonely_turns == 0)) {
        width->count = turn_count(bytes, received);
        width->lonely_turns = LONELY_TURNS;
        return was_one;
    }
    width->count = 1;
    return false;
}
