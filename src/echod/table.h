/*
 * table: integer ids to pointers; freed slots are handed out again, last freed first.
 * A pure container: knows nothing of connections, owns nothing that is stored, takes no lock.
 * Called by clients, which have one table for each worker.
 *
 * What is stored has a number, whose lower bits say which slot it is in; each use of a slot has the
 * next number of that slot, so that a number never comes back:
 *
 *     slot = number % capacity              capacity is a power of 2
 *     id   = number * stride + first + 1
 *
 * So ids are small where little is stored at a time: the first three are 1, 2 and 3, and while
 * clients come one after the other they are counted through. Tables that share a stride and differ
 * in `first` never hand out the same id.
 */
#ifndef ECHOD_TABLE_H
#define ECHOD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest id; it is exact in a double, and so in every JSON reader. */
#define TABLE_ID_MAX ((UINT64_C(1) << 53) - 1)

struct table;

/* Where a walk through a table is. It begins with all zeros. */
struct table_cursor {
    uint32_t capacity; /* of the table when the walk began */
    uint32_t slot;     /* as it was numbered then */
    uint32_t split;    /* of the slots that it has become since */
};

/*
 * Make an empty table whose ids are those of place `first` among `stride` tables: first < stride.
 * Return NULL with errno ENOMEM.
 */
struct table *table_new(uint32_t first, uint32_t stride);

/* Free the table, not what it points to. NULL is fine. */
void table_free(struct table *table);

/*
 * Store a pointer, not NULL, and return its id, which is positive and was never returned before;
 * 0 with errno ENOMEM if memory or ids ran out. A slot that has used up its ids is retired.
 */
uint64_t table_insert(struct table *table, void *value) __attribute__((warn_unused_result));

/* Return what is stored under `id`, NULL if nothing is or no longer is. One array access. */
void *table_find(const struct table *table, uint64_t id);

/* Forget `id` and return what was stored under it, NULL if nothing was. */
void *table_remove(struct table *table, uint64_t id);

/* Return how many pointers are stored. */
size_t table_count(const struct table *table);

/*
 * Return the next stored pointer of a walk, and move its cursor on; NULL at the end. Between calls
 * anything may be inserted or removed: what stays is visited exactly once, what comes or goes at
 * most once.
 */
void *table_next(const struct table *table, struct table_cursor *cursor);

/* What one slot holds. */
struct table_entry {
    uint64_t id;
    void *value; /* NULL: nothing */
};

/*
 * Walk in the same way slot by slot, which takes the same short time for each, however few are
 * used. Return false at the end.
 */
bool table_step(const struct table *table, struct table_cursor *cursor, struct table_entry *entry);

#endif
