/*
 * pattern: the bytes that are sent, which tell whose they are and where they belong.
 * Knows neither sockets nor messages.
 * Called by load and check to draw an origin, by stream, verifier and datagram to send and to
 * verify, by fault to name what went wrong.
 *
 * Each run has an origin of its own, drawn by chance; each connection has a number. Every eight
 * bytes at a multiple of eight are one word: a Weyl sequence over number and position, its upper
 * bytes folded into the lower. This can be undone: two words in a row say from which connection and
 * position they come.
 */
#ifndef ECHOPROBE_PATTERN_H
#define ECHOPROBE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PATTERN_NUMBER_BITS = 24, /* of a connection's number; the bytes repeat beyond them */
    PATTERN_LOCATE_BYTES = 23 /* as many always hold two whole words */
};

struct pattern {
    uint64_t origin;
};

/* Draw an origin. Return 0, or -1 with errno from getentropy. */
int pattern_init(struct pattern *pattern) __attribute__((warn_unused_result));

/* Write what connection `number` sends from `position` on. */
void pattern_fill(const struct pattern *pattern, uint64_t number, uint64_t position, void *bytes,
                  size_t length);

/* Return how many bytes, from the first on, are what `number` sends from `position` on. */
size_t pattern_match(const struct pattern *pattern, uint64_t number, uint64_t position,
                     const void *bytes, size_t length);

/*
 * Find out where bytes come from, of which at least PATTERN_LOCATE_BYTES are needed: tell whether
 * they are anybody's, this run's or another's, and set the number and position of the first. What
 * belongs to another run has a number that nobody has here, as a rule.
 */
bool pattern_locate(const struct pattern *pattern, const void *bytes, size_t length,
                    uint64_t *number, uint64_t *position);

#endif
