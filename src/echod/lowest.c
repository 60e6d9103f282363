#include <config.h>

#include "echod/lowest.h"

static void swap(uint64_t *one, uint64_t *other)
{
    const uint64_t number = *one;

    *one = *other;
    *other = number;
}

static void rise(struct lowest *lowest, size_t place)
{
    uint64_t *numbers = lowest->numbers;

    while (place > 0 && numbers[(place - 1) / 2] < numbers[place]) {
        swap(&numbers[(place - 1) / 2], &numbers[place]);
        place = (place - 1) / 2;
    }
}

/* Let the first find its place among the first `count`. */
static void sink(struct lowest *lowest, size_t count)
{
    uint64_t *numbers = lowest->numbers;
    size_t place = 0, child;

    while ((child = place * 2 + 1) < count) {
        if (child + 1 < count && numbers[child + 1] > numbers[child])
            child++;
        if (numbers[place] >= numbers[child])
            return;
        swap(&numbers[place], &numbers[child]);
        place = child;
    }
}

bool lowest_would_keep(const struct lowest *lowest, uint64_t number)
{
    return lowest->count < lowest->size || number < lowest->numbers[0];
}

void lowest_keep(struct lowest *lowest, uint64_t number)
{
    if (lowest->count < lowest->size) {
        lowest->numbers[lowest->count] = number;
        rise(lowest, lowest->count++);
    } else {
        lowest->numbers[0] = number;
        sink(lowest, lowest->count);
    }
}

void lowest_sort(struct lowest *lowest)
{
    for (size_t left = lowest->count; left > 1; left--) {
        swap(&lowest->numbers[0], &lowest->numbers[left - 1]);
        sink(lowest, left - 1);
    }
}
