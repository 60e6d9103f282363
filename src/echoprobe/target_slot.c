#include <config.h>

#include "echoprobe/target_slot.h"

#include <stddef.h>
#include <stdlib.h>

int target_slot_put(struct target_slot *slot, const struct target *target)
{
    struct target_state *state = malloc(sizeof *state);

    if (state == NULL)
        return -1;
    *state = (struct target_state){.target = *target};
    free(atomic_exchange(&slot->next, state));
    return 0;
}

bool target_slot_is_full(const struct target_slot *slot)
{
    return atomic_load(&slot->next) != NULL;
}

struct target_state *target_slot_take(struct target_slot *slot)
{
    return target_slot_is_full(slot) ? atomic_exchange(&slot->next, NULL) : NULL;
}

void target_slot_fini(struct target_slot *slot)
{
    free(target_slot_take(slot));
}
