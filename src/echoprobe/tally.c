#include <config.h>

#include "echoprobe/tally.h"

#include <math.h>

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
    if (tally->closed == 0)
        tally->closed_after_bytes = other->closed_after_bytes;
    tally->closed += other->closed;
    tally->resumed += other->resumed;
    tally->outages += other->outages;
    tally->downtime_ns += other->downtime_ns;
    if (other->longest_outage_ns > tally->longest_outage_ns)
        tally->longest_outage_ns = other->longest_outage_ns;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        tally->faults[kind] += other->faults[kind];
    histogram_merge(&tally->rtt_ns, &other->rtt_ns);
    histogram_merge(&tally->handshake_ns, &other->handshake_ns);
    tally->rtt_squares += other->rtt_squares;
    tally->jitter_total_ns += other->jitter_total_ns;
    tally->jitter_count += other->jitter_count;
}

bool tally_is_empty(const struct tally *tally)
{
    uint64_t all = tally->sent | tally->received | tally->lost | tally->corrupted | tally->late |
                   tally->duplicated | tally->reordered | tally->connects | tally->connects_failed |
                   tally->closed | tally->resumed | tally->outages | tally->downtime_ns |
                   tally->longest_outage_ns | tally->rtt_ns.count | tally->handshake_ns.count |
                   tally->jitter_count;

    for (int kind = 0; kind < FAULT_KINDS; kind++)
        all |= tally->faults[kind];
    return all == 0;
}

bool tally_is_uncertain(const struct tally *tally)
{
    const uint64_t known = tally->unsent + tally->faults[FAULT_REFUSED]; /* lost for sure */

    return tally->lost > known || tally->duplicated > 0;
}

double tally_per_second(const struct tally *tally, uint64_t elapsed_ns)
{
    return elapsed_ns == 0 ? 0 : (double)tally->received * 1e9 / (double)elapsed_ns;
}

double tally_downtime_seconds(const struct tally *tally, uint64_t connections)
{
    return (double)tally->downtime_ns / 1e9 / (double)connections;
}

double tally_mean_ns(const struct tally *tally)
{
    const struct histogram *rtt = &tally->rtt_ns;

    return rtt->count == 0 ? 0 : (double)rtt->total / (double)rtt->count;
}

double tally_deviation_ns(const struct tally *tally)
{
    const double mean = tally_mean_ns(tally);
    double variance;

    if (tally->rtt_ns.count == 0)
        return 0;
    variance = tally->rtt_squares / (double)tally->rtt_ns.count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

uint64_t tally_next_bound(uint64_t bound)
{
    uint64_t power = 1;

    while (bound >= power * 10)
        power *= 10;
    return bound < 2 * power ? 2 * power : bound < 5 * power ? 5 * power : 10 * power;
}

uint64_t tally_jitter_ns(const struct tally *tally)
{
    return tally->jitter_count == 0 ? 0 : tally->jitter_total_ns / tally->jitter_count;
}
