/*
 * account: what a run knows of one target: what was counted, what the user was told, what was
 * recorded. Loads report to it, from any thread.
 * Sends nothing and decides no end but that of a run whose output nobody reads.
 * Called by probe, group, roster, outcome, target_metrics and metrics_server.
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
#include "echoprobe/tls_facts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the accounts of a run share. */
struct account_shared {
    struct recorder *recorder;
    atomic_int *order;      /* enum load_order, to all loads */
    pthread_mutex_t *lines; /* guards what the accounts tell: their reports and backends */
};

/* How it is now. */
struct account_state {
    bool is_up;              /* what came last is an answer that was right */
    uint64_t last_answer_ms; /* since 1970; 0: none yet */
    bool has_address;        /* of those whose names are looked up */
    uint64_t address_changes, lookup_failures;
    bool has_certificate;
    struct tls_certificate certificate; /* of the last connection, the one that ends first */
};

struct account {
    const char *name; /* of one of several targets; NULL: there is one */
    const char *text; /* its address and options as they are written; NULL as the name */
    uint64_t begin_ns;
    bool is_gone;        /* it is no target any more */
    bool is_told;        /* and its report is made */
    atomic_int order;    /* enum load_order, to its own loads */
    atomic_size_t loads; /* that report to it still */
    const struct options *options;
    struct account_shared shared;
    struct report report;
    struct backends backends;
    char peer[ADDRESS_TEXT_SIZE];    /* who answered last */
    _Atomic(const char *) last_peer; /* the same where it was copied from; NULL: nobody yet */

    pthread_mutex_t mutex; /* guards what follows */
    struct tally tally;
    struct account_state state;
    struct recorder_part part; /* of this only `interval` */
};

/* Whom an account is of: one of several targets has a name. All of it must outlive the account. */
struct account_target {
    const char *name, *text; /* NULL: there is one */
    const struct options *options;
    const struct target *target;
};

/* Begin, with an account of zeros. What is shared must outlive it. */
void account_init(struct account *account, const struct account_target *target,
                  const struct account_shared *shared);
void account_fini(struct account *account);

/* Return what a load reports to, with the account as argument. */
const struct load_events *account_events(const struct account *account);

/* The name of the target was looked up, and stands for something else; or could not be. */
void account_note_address(struct account *account, const struct target *target);
void account_note_lookup_failure(struct account *account);

/* Tell whether somebody answers. */
bool account_is_up(struct account *account);

/* Copy what is counted and how it is now, from any thread. */
void account_read(struct account *account, struct tally *tally, struct account_state *state);

/* Say on standard error how it goes; renew the live line; record the interval that ends now. */
void account_tell_interim(struct account *account, uint64_t now_ns);
void account_tell_progress(struct account *account, uint64_t now_ns);
void account_record_interval(struct account *account, uint64_t now_ns);

/* It is over: record what there is of the target. */
void account_record_end(struct account *account, uint64_t now_ns);

/* Something is wrong that no load has reported, with a first message. */
void account_note_fault(struct account *account, const struct fault *fault);

#endif
