/*
 * target_metrics: what is known of targets, as the text that Prometheus reads.
 * Counts nothing and serves nobody.
 * Called by metrics_server.
 */
#ifndef ECHOPROBE_TARGET_METRICS_H
#define ECHOPROBE_TARGET_METRICS_H

#include "base/exposition.h"
#include "base/text_buffer.h"
#include "echoprobe/account.h"
#include "echoprobe/fault.h"
#include "echoprobe/tally.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Of round trips: 1, 2 and 5 times each power of ten from 10 us to 10 s. */
enum { TARGET_METRICS_BOUNDS = 19 };

/* So many in each bucket, and all of them together, in ns. */
struct target_times {
    uint64_t counts[TARGET_METRICS_BOUNDS + 1];
    uint64_t sum_ns;
};

/* What is told of a target. */
struct target_sample {
    const char *name;
    const char *address; /* as it was asked for */
    uint64_t sent, received, lost, corrupted, unsent, late, duplicated, reordered;
    uint64_t attempts, attempts_failed, closed;
    uint64_t outages, outage_ns;
    uint64_t faults[FAULT_KINDS];
    struct target_times round_trips;
    bool has_handshakes;
    struct target_times handshakes;
    struct account_state state;
};

/* How often the targets were read again. All zeros: never. */
struct target_reloads {
    uint64_t done, refused;
    bool is_last_refused;
};

/* Take what is told out of a tally; the outages are those of so many connections, on average. */
void target_metrics_take(struct target_sample *sample, const struct tally *tally,
                         uint64_t connections);

/* Write all of it, and what the system says of the process, which has been there since `started`.
 */
void target_metrics_write(struct text_buffer *text, enum exposition_format format,
                          const struct target_sample *samples, size_t count,
                          const struct target_reloads *reloads, time_t started);

#endif
