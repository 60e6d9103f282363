/*
 * group: targets that begin together, at the start of a run or later: an account for each, the
 * threads of their loads, and who looks their names up.
 * Reports nothing and knows no signals; probe does.
 * Called by roster.
 */
#ifndef ECHOPROBE_GROUP_H
#define ECHOPROBE_GROUP_H

#include "echoprobe/account.h"
#include "echoprobe/options.h"
#include "echoprobe/pattern.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct group;

/* What a group is of: its targets, and what all groups of a run share. */
struct group_plan {
    const struct account_target *targets;
    size_t count;
    const struct options *options; /* of the run */
    const struct account_shared *shared;
    const struct pattern *pattern;
    _Atomic uint64_t *next_number; /* of a connection */
    const int *ended_fd; /* known before the start: each thread writes a byte when it ends */
};

/* Make a group. Return NULL with errno. The caller frees it. */
struct group *group_new(const struct group_plan *plan);

size_t group_count(const struct group *group);
struct account *group_account(struct group *group, size_t index);

/* Return how many files it has open at most, now that some targets may be gone. */
uint64_t group_files(const struct group *group);

/*
 * Start its threads, of which `started` says how many there are, also where it fails, and wait
 * until they have begun to probe. Return 0; or -1 with errno, and `step` says what failed, as
 * "cannot" goes on: what has begun goes on until the group is freed.
 */
int group_start(struct group *group, size_t *started, const char **step)
    __attribute__((warn_unused_result));

/* Of targets that are gone: loads wait for what is under way and end, no name is looked up. */
void group_end_gone(struct group *group);

/* Look up no names any more. */
void group_stop_lookups(struct group *group);

/* Wait for its threads. Return 0, or the first errno of one and its step. */
int group_join(struct group *group, const char **step);

/* End at once what is not over, and free it. NULL is fine. */
void group_free(struct group *group);

#endif
