/*
 * pattern: the bytes that each connection sends, and what tells a wrong one.
 * Knows no sockets.
 * Called by the generator's works.
 *
 * All bytes stand in one table, repeated without end. Its period is a prime: a piece that is lost,
 * sent twice or put elsewhere is noticed whatever power of two its size is. Each connection begins
 * at another place, so the bytes of one are wrong on another.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PATTERN_PERIOD_BYTES = 65521, /* the largest prime below 64 KiB: stays in the second cache */
    PATTERN_PIECE_BYTES = 65536,  /* the most that pattern_at hands out in one go */
};

/* Fill the table. Call it once, before anything else here. */
void pattern_init(void);

/*
 * Return PATTERN_PIECE_BYTES bytes that `key`'s stream holds from `offset` on. They stay ours, and
 * nobody writes to them; only struct iovec wants to be told otherwise.
 */
void *pattern_at(uint64_t key, uint64_t offset);

/* Tell whether `length` bytes are what `key`'s stream holds from `offset` on. */
bool pattern_matches(uint64_t key, uint64_t offset, const void *bytes, size_t length);

#endif
