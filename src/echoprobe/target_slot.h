/*
 * target_slot: what a target's name stands for now, on its way from who looks it up to the load
 * that goes there, between two threads.
 * Looks nothing up.
 * Called by group to put, by load and loads to take.
 */
#ifndef ECHOPROBE_TARGET_SLOT_H
#define ECHOPROBE_TARGET_SLOT_H

#include "echoprobe/target.h"

#include <stdatomic.h>
#include <stdbool.h>

/* A target as it was at some time. */
struct target_state {
    struct target target;
    struct target_state *older; /* for the load, which may need it still */
};

/* All zeros: empty. */
struct target_slot {
    _Atomic(struct target_state *) next;
};

/* Put a copy in, in the place of one that was not taken. Return 0, or -1 with errno. */
int target_slot_put(struct target_slot *slot, const struct target *target)
    __attribute__((warn_unused_result));

/* Tell whether there is one. */
bool target_slot_is_full(const struct target_slot *slot);

/* Take it out, NULL: there is none. The caller frees it. */
struct target_state *target_slot_take(struct target_slot *slot);

/* Free what was not taken. */
void target_slot_fini(struct target_slot *slot);

#endif
