/*
 * source_rate: how often each source may come in a second: a token bucket for each, in a table of
 * bounded size.
 * Pure: knows addresses and times, but no socket and no clock.
 * Called by datagram_filter.
 */
#ifndef ECHOD_SOURCE_RATE_H
#define ECHOD_SOURCE_RATE_H

#include "echod/source_key.h"

#include <stdint.h>
#include <sys/socket.h>

enum { SOURCE_RATE_SOURCES = 16384 }; /* most sources of a table; each takes 24 bytes */

struct source_rate;

/*
 * Make a table that lets each source come `per_second` times, which is more than 0 and at most
 * 1,000,000,000. Of what a source did not use, it keeps one second's worth, or one time. A source
 * is an IPv4 address or the /64 of an IPv6 address; all others are one. `seed` should be random:
 * whoever knows it can choose addresses that share a place in the table. The caller frees it.
 * Return NULL with errno ENOMEM.
 */
struct source_rate *source_rate_new(double per_second,
                                    const unsigned char seed[SOURCE_KEY_SEED_SIZE]);

/* Free the table. NULL is fine. */
void source_rate_free(struct source_rate *rate);

/*
 * A source comes `wanted` times at once. Return how many of these it may, from 0 to `wanted`.
 * `now_ms` is of a clock that never steps back.
 * A source that has all left that it may keep takes no place. When the table has no place for a
 * new source, it takes that of the one who used least of four, and what that one used counts for
 * it: sources that nobody has room to tell apart share one rate, so that a flood of forged ones is
 * limited, too.
 */
uint64_t source_rate_take(struct source_rate *rate, const struct sockaddr *source, uint64_t wanted,
                          uint64_t now_ms);

#endif
