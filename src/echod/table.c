#include <config.h>

#include "echod/table.h"

#include <errno.h>
#include <stdlib.h>

/* A slot is used, free (in the list of free slots), or retired (neither). */
struct slot {
    union {
        void *value;        /* of a used slot */
        uint32_t next_free; /* of a free slot: the one that was freed before it */
    } content;
    bool is_used : 1;
    uint64_t number : 63; /* of what is stored, or of what will be stored next */
};

struct table {
    struct slot *slots;
    uint32_t capacity;   /* a power of 2, or 0 */
    uint32_t first_free; /* the slot that was freed last */
    size_t count;
    uint64_t number_max;
    uint32_t first, stride;
};

#define NO_SLOT      UINT32_MAX
#define CAPACITY_MAX (UINT32_C(1) << 31)

struct table *table_new(uint32_t first, uint32_t stride)
{
    struct table *table = malloc(sizeof *table);

    if (table == NULL)
        return NULL;
    *table = (struct table){
        .first_free = NO_SLOT,
        .number_max = (TABLE_ID_MAX - first - 1) / stride,
        .first = first,
        .stride = stride,
    };
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    free(table->slots);
    free(table);
}

static uint64_t slot_id(const struct table *table, const struct slot *slot)
{
    return slot->number * table->stride + table->first + 1;
}

/* Return the slot that holds `id` now, or NULL. */
static struct slot *find_slot(const struct table *table, uint64_t id)
{
    const uint64_t number = (id - 1 - table->first) / table->stride;
    struct slot *slot;

    if (table->capacity == 0)
        return NULL;
    slot = &table->slots[number & (table->capacity - 1)];
    return slot->is_used && slot_id(table, slot) == id ? slot : NULL;
}

/* Let a slot that is not used be the next one, unless its numbers are used up. */
static void release_slot(struct table *table, struct slot *slot)
{
    if (slot->number > table->number_max)
        return;
    slot->content.next_free = table->first_free;
    table->first_free = (uint32_t)(slot - table->slots);
}

/*
 * Split each slot in two: its numbers fall to the one or the other, as the next of their bits says.
 * The half that the slot's own number does not fall to is free. Of these, low ones come first.
 */
static void split_slots(struct table *table)
{
    const uint32_t before = table->capacity;

    table->capacity = before * 2;
    for (uint32_t i = before; i-- > 0;) {
        const struct slot slot = table->slots[i];
        const uint32_t place = (uint32_t)(slot.number & (table->capacity - 1));
        struct slot *other = &table->slots[place ^ before];

        table->slots[place] = slot;
        *other = (struct slot){.number = slot.number + before};
        release_slot(table, other);
    }
}

/* Tell whether twice as many slots would have a number that is still free. */
static bool has_numbers_left(const struct table *table)
{
    for (uint32_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].number + table->capacity <= table->number_max)
            return true;
    }
    return table->capacity == 0;
}

/* Make room, when no slot is free. Return 0, or -1 with errno ENOMEM. */
static int grow(struct table *table)
{
    const size_t capacity = table->capacity == 0 ? 1 : (size_t)table->capacity * 2;
    struct slot *slots;

    if (capacity > CAPACITY_MAX || !has_numbers_left(table)) {
        errno = ENOMEM;
        return -1;
    }
    slots = realloc(table->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return -1;
    table->slots = slots;
    if (table->capacity > 0) {
        split_slots(table);
        return 0;
    }
    table->capacity = 1;
    slots[0] = (struct slot){.number = 0};
    release_slot(table, &slots[0]);
    return 0;
}

uint64_t table_insert(struct table *table, void *value)
{
    struct slot *slot;

    if (table->first_free == NO_SLOT && grow(table) < 0)
        return 0;
    slot = &table->slots[table->first_free];
    table->first_free = slot->content.next_free;
    slot->content.value = value;
    slot->is_used = true;
    table->count++;
    return slot_id(table, slot);
}

void *table_find(const struct table *table, uint64_t id)
{
    const struct slot *slot = find_slot(table, id);

    return slot == NULL ? NULL : slot->content.value;
}

void *table_remove(struct table *table, uint64_t id)
{
    struct slot *slot = find_slot(table, id);
    void *value;

    if (slot == NULL)
        return NULL;
    value = slot->content.value;
    slot->is_used = false;
    slot->number += table->capacity;
    release_slot(table, slot);
    table->count--;
    return value;
}

size_t table_count(const struct table *table)
{
    return table->count;
}

bool table_step(const struct table *table, struct table_cursor *cursor, struct table_entry *entry)
{
    if (cursor->capacity == 0)
        cursor->capacity = table->capacity;
    while (cursor->slot < cursor->capacity) {
        const uint64_t place = cursor->slot + (uint64_t)cursor->split++ * cursor->capacity;

        if (place < table->capacity) {
            const struct slot *slot = &table->slots[place];

            entry->id = slot_id(table, slot);
            entry->value = slot->is_used ? slot->content.value : NULL;
            return true;
        }
        cursor->slot++;
        cursor->split = 0;
    }
    return false;
}

void *table_next(const struct table *table, struct table_cursor *cursor)
{
    struct table_entry entry;

    while (table_step(table, cursor, &entry)) {
        if (entry.value != NULL)
            return entry.value;
    }
    return NULL;
}
