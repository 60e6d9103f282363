/*
 * outcome: what a run came to: the end of what it recorded, a report of each target, and the exit
 * status of the worst.
 * Prints none of it itself; report does.
 * Called by probe and roster.
 */
#ifndef ECHOPROBE_OUTCOME_H
#define ECHOPROBE_OUTCOME_H

#include "base/error.h"
#include "echoprobe/account.h"
#include "echoprobe/options.h"
#include "echoprobe/recorder.h"

#include <stddef.h>
#include <stdint.h>

/* What it is said of. The refusal is empty at first. */
struct outcome {
    const struct options *options; /* of the run */
    struct account *const *accounts;
    size_t count;
    struct recorder *recorder;
    char refusal[2 * ERROR_TEXT_SIZE]; /* a sentence, once the system has refused something */
};

/*
 * Close what is recorded, and report a run that ended as it should; or one that ended since the
 * system refused something, as this sentence says. Return the exit status.
 */
int outcome_report(struct outcome *outcome, uint64_t now_ns);
int outcome_refuse(struct outcome *outcome, const char *sentence, uint64_t now_ns);

/* Report a target whose loads are over while the run goes on, and record it. */
void outcome_report_gone(struct outcome *outcome, struct account *account, uint64_t now_ns);

#endif
