/*
 * byte_rate: how many bytes may pass in a second: of one connection, by a bucket of its own; of
 * many in several threads, by a line in which each of them books its turn.
 * Pure: knows no clock, and moves no byte.
 * Called by stream_limit, for each connection that is limited; listener_stats and connection_limit
 * have lines, and listeners, server and reload set how fast they are.
 *
 * Of what is not used a tenth of a second's worth is kept, or a byte: the burst. All times are of a
 * clock that never steps back; a rate of 0 is no limit.
 */
#ifndef ECHOD_BYTE_RATE_H
#define ECHOD_BYTE_RATE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The highest rate: 8 GiB/s. */
#define BYTE_RATE_MAX (UINT64_C(1) << 33)

/* Return how many bytes may pass at once after a pause. */
uint64_t byte_rate_burst(uint64_t per_second);

/* A bucket, as the time at which it is full again. All zero: full. */
struct byte_bucket {
    uint64_t full_ns;
};

/* Return how many bytes may pass now. */
uint64_t byte_bucket_room(const struct byte_bucket *bucket, uint64_t per_second, uint64_t now_ns);

/* Return when so many bytes, at most the burst, may pass. */
uint64_t byte_bucket_when(const struct byte_bucket *bucket, uint64_t per_second, uint64_t bytes);

/* Take bytes that pass now. More than there is room for are owed. */
void byte_bucket_take(struct byte_bucket *bucket, uint64_t per_second, uint64_t bytes,
                      uint64_t now_ns);

/*
 * What many share. Who wants to send books some bytes, and waits for its turn: so turns come in the
 * order in which they were booked, and each has as much as any other. Any thread may call these at
 * any time; nobody waits for another in them. All zero: without limit.
 */
struct byte_line {
    _Atomic uint64_t per_second;
    _Atomic uint64_t full_ns; /* when all that is booked has passed, and the burst is there again */
};

/* Let it be this fast from now on; what is booked does not count any more if that is a change. */
void byte_line_set(struct byte_line *line, uint64_t per_second);

/* Return how much to book at once: little, so that a round of many does not take long. */
uint64_t byte_line_slice(const struct byte_line *line);

/* Book bytes, at most a slice. Return when they may pass; what lies before `now_ns` is now. */
uint64_t byte_line_book(struct byte_line *line, uint64_t bytes, uint64_t now_ns);

/* Return when the next that are booked could pass, so that nobody need wait longer. */
uint64_t byte_line_next(const struct byte_line *line);

/* Give bytes back that were booked and do not pass. */
void byte_line_return(struct byte_line *line, uint64_t bytes);

#endif
