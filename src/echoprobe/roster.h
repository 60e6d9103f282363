/*
 * roster: the targets of a run, which may be others after a while: the groups in which they began,
 * and the accounts of those that are targets now.
 * Counts and sends nothing.
 * Called by probe.
 */
#ifndef ECHOPROBE_ROSTER_H
#define ECHOPROBE_ROSTER_H

#include "base/error.h"
#include "echoprobe/account.h"
#include "echoprobe/group.h"
#include "echoprobe/outcome.h"
#include "echoprobe/targets.h"

#include <stddef.h>
#include <stdint.h>

struct metrics_server;
struct roster_group;

/* All zeros: none. */
struct roster {
    struct group_plan plan;      /* of the first group; those that follow differ in the targets */
    struct roster_group *groups; /* in the order in which they began */
    struct account **accounts;   /* of the targets of now */
    size_t count;
    size_t running;                 /* threads that were started; the caller counts them down */
    uint64_t other_files;           /* that the process has open, besides those of groups */
    struct metrics_server *metrics; /* is told of other accounts; NULL: nobody asks */
};

/* Make the first group, as the plan says. Return 0, or -1 with errno; roster_free in either case.
 */
int roster_init(struct roster *roster, const struct group_plan *plan)
    __attribute__((warn_unused_result));

/* Return how many files the process has open at most, also with a group that is to begin or NULL.
 */
uint64_t roster_files(const struct roster *roster, const struct group *added);

/* Start the first group: see group_start. */
int roster_start(struct roster *roster, const char **step) __attribute__((warn_unused_result));

/*
 * Go over to the targets of a list that was read: those that are there already, by name and text,
 * go on, new ones begin, the others end. Takes the list, also when it fails.
 * Return 0; or -1 with a sentence in `error`, and then nothing has changed.
 */
int roster_renew(struct roster *roster, struct targets *list, struct error *error)
    __attribute__((warn_unused_result));

/* Report targets that are gone, once their loads are over, and free groups of them alone. */
void roster_sweep(struct roster *roster, struct outcome *outcome);

/*
 * Wait for all threads, and report what is gone. Return 0, or the first errno of a thread and its
 * step.
 */
int roster_join(struct roster *roster, struct outcome *outcome, const char **step);

void roster_free(struct roster *roster);

#endif
