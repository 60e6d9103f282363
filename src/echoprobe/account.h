/*
 * account: what a run knows of one target: what was counted, what the user was told, what was
 * recorded. Loads report to it, from any thread.
 * Sends nothing and decides no end but that of a run whose output nobody reads.
 * Called by probe.
 */
#ifndef ECHOPROBE_ACCOUNT_H
#define ECHOPROBE_ACCOUNT_H

#include "echoprobe/backends.h"
#include "echoprobe/load.h"
#include "echoprobe/options.h"
#include "echoprobe/recorder.h"
#include "echoprobe/report.h"
#include "echoprobe/tally.h"
#include "echoprobe/target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* What the accounts of a run share. */
struct account_shared {
    struct recorder *recorder;
    atomic_int *order;      /* enum load_order, to all loads */
    pthread_mutex_t *lines; /* guards what the accounts tell: their reports and backends */
};

struct account {
    const struct options *options;
    struct account_shared shared;
    struct report report;
    struct backends backends;
    char peer[ADDRESS_TEXT_SIZE];    /* who answered last */
    _Atomic(const char *) last_peer; /* the same where it was copied from; NULL: nobody yet */

    pthread_mutex_t mutex; /* guards what follows */
    struct tally tally;
    struct recorder_part part; /* of this only `interval` */
};

/* Begin, with an account of zeros. The options, the target and what is shared must outlive it. */
void account_init(struct account *account, const struct options *options,
                  const struct target *target, const struct account_shared *shared);
void account_fini(struct account *account);

/* Return what a load reports to, with the account as argument. */
const struct load_events *account_events(const struct account *account);

/* Say on standard error how it goes; renew the live line; record the interval that ends now. */
void account_tell_interim(struct account *account, uint64_t elapsed_ns);
void account_tell_progress(struct account *account, uint64_t elapsed_ns);
void account_record_interval(struct account *account, uint64_t elapsed_ns);

/* The run is over: record what it has of the target. */
void account_record_end(struct account *account, uint64_t elapsed_ns);

/* Something is wrong that no load has reported, with a first message. */
void account_note_fault(struct account *account, const struct fault *fault);

#endif
