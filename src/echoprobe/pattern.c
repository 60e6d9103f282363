#include <config.h>

#include "echoprobe/pattern.h"

#include <string.h>
#include <unistd.h>

enum { WORD = 8, POSITION_BITS = 64 - PATTERN_NUMBER_BITS };

/* The golden section of 2^64 (Knuth, The Art of Computer Programming, 6.4), and its inverse. */
static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
static const uint64_t unstep = UINT64_C(0xf1de83e19937733d);

int pattern_init(struct pattern *pattern)
{
    return getentropy(&pattern->origin, sizeof pattern->origin);
}

/* The sequence at the word that holds a position. */
static uint64_t sequence_of_word(const struct pattern *pattern, uint64_t number, uint64_t position)
{
    return pattern->origin + ((number << POSITION_BITS) + position / WORD) * step;
}

/* Let the lower bytes depend on the upper ones, by which the connections differ. */
static uint64_t fold(uint64_t value)
{
    value ^= value >> 31;
    return value ^ (value >> 17);
}

/* The inverse of fold. */
static uint64_t unfold(uint64_t value)
{
    value ^= (value >> 17) ^ (value >> 34) ^ (value >> 51);
    return value ^ (value >> 31) ^ (value >> 62);
}

static size_t least_size(size_t one, size_t other)
{
    return one < other ? one : other;
}

void pattern_fill(const struct pattern *pattern, uint64_t number, uint64_t position, void *bytes,
                  size_t length)
{
    uint64_t sequence = sequence_of_word(pattern, number, position);
    const size_t skipped = position % WORD;
    unsigned char *next = bytes;
    uint64_t word;

    if (skipped > 0) {
        const size_t part = least_size(WORD - skipped, length);

        word = fold(sequence);
        memcpy(next, (const unsigned char *)&word + skipped, part);
        sequence += step;
        next += part;
        length -= part;
    }
    for (; length >= WORD; length -= WORD, next += WORD, sequence += step) {
        word = fold(sequence);
        memcpy(next, &word, WORD);
    }
    word = fold(sequence);
    memcpy(next, &word, length);
}

/* The same for less than a word or across two, byte by byte. */
static size_t match_bytes(const struct pattern *pattern, uint64_t number, uint64_t position,
                          const unsigned char *bytes, size_t length)
{
    unsigned char expected[WORD];
    size_t matching = 0;

    pattern_fill(pattern, number, position, expected, length);
    while (matching < length && bytes[matching] == expected[matching])
        matching++;
    return matching;
}

size_t pattern_match(const struct pattern *pattern, uint64_t number, uint64_t position,
                     const void *bytes, size_t length)
{
    const unsigned char *begin = bytes;
    size_t done = least_size((WORD - position % WORD) % WORD, length);
    uint64_t sequence;

    if (done > 0) {
        const size_t matching = match_bytes(pattern, number, position, begin, done);

        if (matching < done)
            return matching;
    }
    sequence = sequence_of_word(pattern, number, position + done);
    for (; length - done >= WORD; done += WORD, sequence += step) {
        uint64_t word;

        memcpy(&word, begin + done, WORD);
        if (word != fold(sequence))
            break;
    }
    return done + match_bytes(pattern, number, position + done, begin + done,
                              least_size(WORD, length - done));
}

static uint64_t word_from(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, WORD);
    return unfold(word);
}

bool pattern_locate(const struct pattern *pattern, const void *bytes, size_t length,
                    uint64_t *number, uint64_t *position)
{
    const unsigned char *begin = bytes;

    for (size_t i = 0; i < WORD && i + (size_t)2 * WORD <= length; i++) {
        const uint64_t sequence = word_from(begin + i);
        const uint64_t place = (sequence - pattern->origin) * unstep;

        if (word_from(begin + i + WORD) != sequence + step)
            continue;
        *number = place >> POSITION_BITS;
        *position = (place << PATTERN_NUMBER_BITS >> PATTERN_NUMBER_BITS) * WORD - i;
        if (pattern_match(pattern, *number, *position, begin, i) == i)
            return true; /* the bytes before the words, too */
    }
    return false;
}
