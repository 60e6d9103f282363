/*
 * impair: what a listener does wrong on purpose, as plain data, and each decision that follows from
 * it: which byte is changed, which datagram is dropped, how late an answer is.
 * Moves no byte and keeps no time; stream_impair and datagram_impair do.
 * Called by these, and by listener_options for the values.
 *
 * A decision follows from the seed, from whom it concerns (a connection's or a socket's ordinal),
 * and from the place (a byte's position, a datagram's ordinal), and from nothing else: neither from
 * the time, nor from how many bytes a read brought. So the same seed and the same bytes bring the
 * same faults.
 */
#ifndef ECHOD_IMPAIR_H
#define ECHOD_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMPAIR_TEXT_SIZE = 512 }; /* enough for all that impair_describe writes */

#define IMPAIR_ANY_SEED UINT64_MAX /* another one at each start */

/* When something happens to a connection; both 0: never. Only one of them is set. */
struct impair_point {
    uint64_t bytes; /* once this many were echoed */
    uint64_t ms;    /* at this age */
};

/* When an echo stands still, and for how long. */
struct impair_stall {
    uint64_t bytes; /* once this many were echoed; 0: never */
    uint64_t ms;    /* 0: for ever */
};

/* All zero: nothing is done wrong. Shares are in millionths. */
struct impair {
    uint64_t seed; /* or IMPAIR_ANY_SEED */

    uint64_t delay_ms;
    uint64_t jitter_ms; /* the delay is up to this much shorter or longer, evenly distributed */
    uint64_t corrupt;   /* share of the bytes that are changed */

    /* Streams. */
    uint64_t bandwidth;   /* bytes a second; 0: no limit */
    uint64_t chunk_bytes; /* of one write; 0: as it comes */
    struct impair_stall stall;
    struct impair_point close_after; /* by FIN */
    struct impair_point reset_after;
    bool is_fin_withheld;
    uint64_t accept_delay_ms;
    uint64_t refuse; /* share of the connections that are reset at once */

    /* Datagrams: shares of the answers. */
    uint64_t drop;
    uint64_t duplicate;
    uint64_t reorder;
    uint64_t truncate;
};

/* Tell whether anything is done wrong. */
bool impair_is_on(const struct impair *impair);

/* The same of what only streams, and only datagrams can do. */
bool impair_has_stream_faults(const struct impair *impair);
bool impair_has_datagram_faults(const struct impair *impair);

/*
 * Return what does not fit together, as a sentence without its end, or NULL. `is_endless` says that
 * no time-out ends connections.
 */
const char *impair_find_conflict(const struct impair *impair, bool is_endless);

/*
 * Write what is done wrong, as the options of a listener have it: "delay=50ms,drop=1%,seed=7". The
 * seed is left out if none was chosen, or nothing depends on it; the text is empty if nothing is
 * done wrong.
 */
void impair_describe(const struct impair *impair, char *text, size_t size);

/* Choose a seed where none was given. */
void impair_choose_seed(struct impair *impair);

/* --- Decisions ------------------------------------------------------------------------------- */

/*
 * Return what all decisions about a connection or a socket are made from. `ordinal` counts the
 * connections of a listener, or is the number of a socket's worker.
 */
uint64_t impair_key(uint64_t seed, uint64_t ordinal);

/* Tell whether a connection is reset at once. */
bool impair_refuses(const struct impair *impair, uint64_t key);

/* Return how late the bytes are that a read brought from this position on, or a datagram. */
uint64_t impair_delay_us(const struct impair *impair, uint64_t key, uint64_t position);

/* Change bytes that stand at a position. Return how many; each of them differs from what it was. */
size_t impair_corrupt(const struct impair *impair, uint64_t key, uint64_t position,
                      unsigned char *bytes, size_t length);

/* What becomes of the answer to a datagram. */
struct impair_answer {
    bool is_dropped;    /* then nothing else of it counts */
    bool is_duplicated; /* it is sent twice */
    bool is_reordered;  /* the next one overtakes it, or it does the one before */
    size_t length;      /* shorter than it was: it is cut */
};

/* Decide on the answer of `length` bytes with this ordinal. */
struct impair_answer impair_judge_answer(const struct impair *impair, uint64_t key,
                                         uint64_t ordinal, size_t length);

/* Change bytes of the datagram with this ordinal. Return how many. */
size_t impair_corrupt_answer(const struct impair *impair, uint64_t key, uint64_t ordinal,
                             unsigned char *bytes, size_t length);

#endif
