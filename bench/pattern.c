#include <config.h>

#include "pattern.h"

#include <string.h>

static unsigned char table[PATTERN_PERIOD_BYTES + PATTERN_PIECE_BYTES];

void pattern_init(void)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof(table); i++) {
        if (i >= PATTERN_PERIOD_BYTES) {
            table[i] = table[i - PATTERN_PERIOD_BYTES];
            continue;
        }
        state = state * 1664525 + 1013904223; /* Numerical Recipes, 2nd edition, chapter 7.1 */
        table[i] = (unsigned char)(state >> 24);
    }
}

void *pattern_at(uint64_t key, uint64_t offset)
{
    /* The step is prime to the period and about its golden section: keys lie far apart. */
    return table + (key * 40503 + offset) % PATTERN_PERIOD_BYTES;
}

bool pattern_matches(uint64_t key, uint64_t offset, const void *bytes, size_t length)
{
    const unsigned char *rest = bytes;

    while (length > 0) {
        const size_t piece = length < PATTERN_PIECE_BYTES ? length : PATTERN_PIECE_BYTES;

        if (memcmp(rest, pattern_at(key, offset), piece) != 0)
            return false;
        rest += piece;
        offset += piece;
        length -= piece;
    }
    return true;
}
