#include <config.h>

#include "echod/snapshot.h"

#include <string.h>

bool snapshot_filter_passes(const struct snapshot_filter *filter, const struct snapshot *snapshot)
{
    return snapshot->idle_ms >= filter->min_idle_ms && snapshot->age_ms >= filter->min_age_ms &&
           snapshot->queued_bytes >= filter->min_queued_bytes &&
           (!filter->has_state || snapshot->state == filter->state) &&
           (!filter->has_network || network_contains(&filter->network, &snapshot->peer.any)) &&
           (filter->listener[0] == '\0' || strcmp(snapshot->listener, filter->listener) == 0);
}
