/*
 * connection_limit: how many connections all workers have together, and may have, and how fast
 * they may be, as plain data.
 * Called by clients, which counts them, and by listeners, which pauses; server and reload set it.
 */
#ifndef ECHOD_CONNECTION_LIMIT_H
#define ECHOD_CONNECTION_LIMIT_H

#include "echod/byte_rate.h"

#include <stdatomic.h>
#include <stdint.h>

struct connection_limit {
    _Atomic uint64_t open;
    _Atomic uint64_t max;
    struct byte_line rate; /* of all that they echo */
};

#endif
