#include <config.h>

#include "echod/table.h"

#include <errno.h>
#include <stdlib.h>

/* A slot is free (value NULL, in the list of free slots), used, or retired (neither). */
struct slot {
    void *value;
    uint32_t uses;      /* how often it was used before; the upper part of its ids */
    uint32_t next_free; /* of a free slot: the one that was freed before it */
};

struct table {
    struct slot *slots;
    uint32_t slot_count; /* slots that were ever used */
    uint32_t capacity;   /* slots that there is memory for */
    uint32_t first_free; /* the slot that was freed last */
    size_t count;
    uint32_t first, stride;
};

enum { FIRST_CAPACITY = 16 };

#define NO_SLOT    UINT32_MAX
#define NUMBER_MAX ((UINT32_C(1) << TABLE_NUMBER_BITS) - 1)
#define USES_MAX   ((uint32_t)(TABLE_ID_MAX >> TABLE_NUMBER_BITS))

struct table *table_new(uint32_t first, uint32_t stride)
{
    struct table *table = malloc(sizeof *table);

    if (table == NULL)
        return NULL;
    *table = (struct table){.first_free = NO_SLOT, .first = first, .stride = stride};
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    free(table->slots);
    free(table);
}

static uint64_t slot_id(const struct table *table, uint32_t slot)
{
    const uint64_t number = (uint64_t)slot * table->stride + table->first + 1;

    return (uint64_t)table->slots[slot].uses << TABLE_NUMBER_BITS | number;
}

/* Return the slot that holds `id` now, or NULL. */
static struct slot *find_slot(const struct table *table, uint64_t id)
{
    const uint64_t place = (id & NUMBER_MAX) - 1 - table->first;
    const uint64_t slot = place / table->stride;

    if (slot >= table->slot_count || table->slots[slot].value == NULL ||
        slot_id(table, (uint32_t)slot) != id)
        return NULL;
    return &table->slots[slot];
}

/* Make room for more slots, as long as their numbers fit into an id. */
static int grow(struct table *table)
{
    const uint64_t limit = (NUMBER_MAX - table->first - 1) / table->stride + 1;
    uint64_t capacity = table->capacity == 0 ? FIRST_CAPACITY : (uint64_t)table->capacity * 2;
    struct slot *slots;

    if (capacity > limit)
        capacity = limit;
    if (capacity == table->capacity) {
        errno = ENOMEM;
        return -1;
    }
    slots = realloc(table->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return -1;
    table->slots = slots;
    table->capacity = (uint32_t)capacity;
    return 0;
}

uint64_t table_insert(struct table *table, void *value)
{
    uint32_t slot = table->first_free;

    if (slot != NO_SLOT) {
        table->first_free = table->slots[slot].next_free;
    } else {
        if (table->slot_count == table->capacity && grow(table) < 0)
            return 0;
        slot = table->slot_count++;
        table->slots[slot].uses = 0;
    }
    table->slots[slot].value = value;
    table->count++;
    return slot_id(table, slot);
}

void *table_find(const struct table *table, uint64_t id)
{
    const struct slot *slot = find_slot(table, id);

    return slot == NULL ? NULL : slot->value;
}

void *table_remove(struct table *table, uint64_t id)
{
    struct slot *slot = find_slot(table, id);
    void *value;

    if (slot == NULL)
        return NULL;
    value = slot->value;
    slot->value = NULL;
    table->count--;
    if (slot->uses < USES_MAX) {
        slot->uses++;
        slot->next_free = table->first_free;
        table->first_free = (uint32_t)(slot - table->slots);
    }
    return value;
}

size_t table_count(const struct table *table)
{
    return table->count;
}

void *table_next(const struct table *table, size_t *cursor)
{
    while (*cursor < table->slot_count) {
        void *value = table->slots[(*cursor)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}
