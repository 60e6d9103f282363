/*
 * recorder: what a run leaves in files: messages as CSV, messages or intervals as lines of JSON,
 * and a histogram. Measures nothing, and prints nothing for people; report does. Called by probe
 * and account where any of these is asked for.
 */
#ifndef ECHOPROBE_RECORDER_H
#define ECHOPROBE_RECORDER_H

#include "base/error.h"
#include "echoprobe/fault.h"
#include "echoprobe/options.h"
#include "echoprobe/record_file.h"
#include "echoprobe/tally.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RECORDER_INTERVAL_MS = 1000, /* that a line of a load stands for */
    RECORDER_FILES = 3,
};

/* All zeros: nothing is asked for. */
struct recorder {
    const struct options *options;
    struct record_file csv, lines, histogram;
};

/* What is recorded of one target. */
struct recorder_part {
    const char *name;     /* of one of several targets, which is fit for JSON; NULL: there is one */
    uint64_t size_bytes;  /* of a message */
    uint64_t interval_ns; /* when the last interval ended, from the beginning of the target */
    struct tally interval; /* what was counted since then */
};

/* Tell whether anything is asked for. */
bool recorder_is_wanted(const struct options *options);

/*
 * Open what is asked for. The options must outlive it.
 * Return 0; or -1 with a sentence in `error`, and then nothing is open.
 */
int recorder_open(struct recorder *recorder, const struct options *options, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Record what became of a message, from any thread; `number` counts from 0, and belongs to this
 * connection: it came back; something is wrong with it; it failed with an earlier one, and no fault
 * tells that.
 */
void recorder_echo(struct recorder *recorder, const struct recorder_part *part, uint64_t connection,
                   uint64_t number, uint64_t rtt_ns);
void recorder_fault(struct recorder *recorder, const struct recorder_part *part,
                    uint64_t connection, uint64_t number, const struct fault *fault);
void recorder_failed(struct recorder *recorder, const struct recorder_part *part,
                     uint64_t connection, uint64_t number, enum fault_kind kind);

/* Tell whether it records intervals: add to a part's `interval` what is counted. */
bool recorder_has_intervals(const struct recorder *recorder);

/* Record the interval that ends now, and begin the next; `elapsed_ns` counts from the target's.
 */
void recorder_interval(struct recorder *recorder, struct recorder_part *part, uint64_t elapsed_ns);

/* Tell whether something could not be written: nobody reads what follows. */
bool recorder_has_failed(const struct recorder *recorder);

/* Record what the whole run has of a target; then close all. */
void recorder_end(struct recorder *recorder, struct recorder_part *part, const struct tally *tally,
                  uint64_t elapsed_ns);

/* Close all. Return 0, or -1 with a sentence in `error` if not all of it arrived. */
int recorder_close(struct recorder *recorder, struct error *error)
    __attribute__((warn_unused_result));

#endif
