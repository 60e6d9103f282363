/*
 * snapshot: what there is to know of one connection at a moment, as plain data, and which
 * connections are asked for by that.
 * Pure: connection takes it.
 * Called by connection, by inquiry, which has some, and by inspection; inquiries looks for those
 * that are asked for.
 */
#ifndef ECHOD_SNAPSHOT_H
#define ECHOD_SNAPSHOT_H

#include "base/network.h"
#include "echod/peer.h"
#include "echod/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot {
    uint64_t id;          /* 0: there is no such connection */
    const char *listener; /* its label, which lasts as long as the workers */
    union peer peer;
    union peer via; /* the proxy that speaks for the peer, if `has_via` */
    bool has_via;
    enum connection_state state;
    uint64_t age_ms;
    uint64_t idle_ms; /* since bytes of the echo last moved, or since it began */
    uint64_t bytes_in, bytes_out;
    uint64_t queued_bytes;
};

/* Which connections are asked for: those of which all holds. All zero: any. */
struct snapshot_filter {
    char listener[ADDRESS_TEXT_SIZE]; /* its label; empty: any */
    bool has_network;                 /* the peer is in it */
    struct network network;
    bool has_state;
    enum connection_state state;
    uint64_t min_idle_ms, min_age_ms, min_queued_bytes;
};

/* Tell whether a connection is one of those. */
bool snapshot_filter_passes(const struct snapshot_filter *filter, const struct snapshot *snapshot);

#endif
