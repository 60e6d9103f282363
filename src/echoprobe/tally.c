#include <config.h>

#include "echoprobe/tally.h"

void tally_merge(struct tally *tally, const struct tally *other)
{
    tally->sent += other->sent;
    tally->received += other->received;
    tally->lost += other->lost;
    tally->corrupted += other->corrupted;
    tally->unsent += other->unsent;
    tally->late += other->late;
    tally->duplicated += other->duplicated;
    tally->reordered += other->reordered;
    tally->connects += other->connects;
    tally->connects_failed += other->connects_failed;
    tally->outages += other->outages;
    tally->downtime_ns += other->downtime_ns;
    if (other->longest_outage_ns > tally->longest_outage_ns)
        tally->longest_outage_ns = other->longest_outage_ns;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        tally->faults[kind] += other->faults[kind];
    histogram_merge(&tally->rtt_ns, &other->rtt_ns);
    tally->jitter_total_ns += other->jitter_total_ns;
    tally->jitter_count += other->jitter_count;
}

uint64_t tally_jitter_ns(const struct tally *tally)
{
    return tally->jitter_count == 0 ? 0 : tally->jitter_total_ns / tally->jitter_count;
}
