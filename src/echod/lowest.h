/*
 * lowest: the lowest of the numbers that it is shown, as many as it has room for, without a sort of
 * all of them.
 * Pure, and allocates nothing.
 * Called by inspection, for the ids of all workers; inquiries adds to what an inquiry has of one.
 */
#ifndef ECHOD_LOWEST_H
#define ECHOD_LOWEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A heap whose first is the highest. Set the room, and begin with a count of 0. */
struct lowest {
    uint64_t *numbers; /* room for `size` of them; not owned */
    size_t size;       /* 1 at least */
    size_t count;
};

/* Tell whether a number would be kept now. */
bool lowest_would_keep(const struct lowest *lowest, uint64_t number);

/* Keep a number that would be kept; the highest goes if there is no room. */
void lowest_keep(struct lowest *lowest, uint64_t number);

/* Bring the numbers into their order, the lowest first, when no other will be kept. */
void lowest_sort(struct lowest *lowest);

#endif
