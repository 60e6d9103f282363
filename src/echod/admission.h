/*
 * admission: who may come in at a listener: how often in all, how often from each source, and how
 * many from each source at a time; and from which networks.
 * Knows addresses and times, but no socket and no clock. Any thread may call it: the limits are
 * those of the whole process.
 * Called by gate for each client, by listeners, which sets the limits, and by listener_stats, which
 * makes one for each listener.
 *
 * Its memory is bounded, whatever comes: at most ADMISSION_SOURCES sources are known, of 40 bytes
 * each. A source is known from its first client on. When another source needs the place, the one is
 * forgotten whose last client left longest ago: its bucket is full again by then, unless that many
 * sources came within a second, or its rate is below one a second. A source with clients is never
 * forgotten, so that counts stay true. If all that are known have clients, a new source is let in
 * without being known: only the rate of the listener holds for it.
 */
#ifndef ECHOD_ADMISSION_H
#define ECHOD_ADMISSION_H

#include "base/network.h"
#include "echod/source_key.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADMISSION_SOURCES = 65536 };

struct admission;

/* A source that clients are counted for. */
struct admission_source;

/* Plain data; 0 stands for "no limit". */
struct admission_limits {
    double rate;                     /* clients a second, from everywhere */
    double rate_per_source;          /* and from each source */
    uint64_t connections_per_source; /* at a time */
    struct source_prefixes prefixes;
};

enum admission_verdict {
    ADMISSION_GRANTED,
    ADMISSION_UNKNOWN,     /* granted, but no place is left to know its source by */
    ADMISSION_DENIED,      /* by its network */
    ADMISSION_SOURCE_FULL, /* its source has as many connections as it may */
    ADMISSION_SOURCE_RATE, /* its source comes too often */
    ADMISSION_RATE,        /* too many come from everywhere */
};

/* Return why a client is refused, in words, or what is odd about one that is not. */
const char *admission_verdict_text(enum admission_verdict verdict);

/* Tell whether a client of that verdict may come in. */
bool admission_is_granted(enum admission_verdict verdict);

/*
 * Tell whether the networks let somebody in: he is in none that is denied, and, if any are allowed,
 * in one of these. Addresses of other families than those of IP are in no network, and let in.
 */
bool admission_allows(const struct network_list *allowed, const struct network_list *denied,
                      const struct sockaddr *source);

/* Tell whether limits need sources to be known. */
bool admission_limits_sources(const struct admission_limits *limits);

/*
 * Make one without limits, and without memory for sources. `seed` should be random (source_key).
 * Return NULL with errno.
 */
struct admission *admission_new(const struct source_seed *seed);

/* Free it. No client may be left. NULL is fine. */
void admission_free(struct admission *admission);

/*
 * Take memory for sources, unless that was done: before limits that need it.
 * Return 0, or -1 with errno ENOMEM.
 */
int admission_reserve(struct admission *admission) __attribute__((warn_unused_result));

/* Set the limits for clients that come from now on. Those that are in stay, and count. */
void admission_set_limits(struct admission *admission, const struct admission_limits *limits);

/* Tell whether there is any limit. Cheap, and takes no lock. */
bool admission_is_limiting(const struct admission *admission);

/*
 * A client comes. `source` is whom it comes from; NULL, or another family than those of IP: only
 * the rate from everywhere holds. `now_ms` is of a clock that never steps back.
 * Return whether it may come in. Then it counts until admission_leave with what `known` is set to,
 * which is NULL where there is nothing to count.
 */
enum admission_verdict admission_enter(struct admission *admission, const struct sockaddr *source,
                                       uint64_t now_ms, struct admission_source **known);

/* A client has left. NULL is fine. */
void admission_leave(struct admission *admission, struct admission_source *known);

/*
 * Count a client that is in under the limits of now: one that came when sources were not counted,
 * or had other prefixes. Whether it may be there is not asked.
 */
void admission_recount(struct admission *admission, const struct sockaddr *source,
                       struct admission_source **known);

#endif
