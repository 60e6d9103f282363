/*
 * busiest: the connections that carry most, between two lists of them or since they began. Pure.
 * Knows no clock: the service says how old each is.
 * Called by top.
 */
#ifndef ECHOCTL_BUSIEST_H
#define ECHOCTL_BUSIEST_H

#include "echoctl/answers.h"
#include "echoctl/rates.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUSIEST_LOOKED_AT = 1000, /* connections of a list, at most: what the service gives at once */
    BUSIEST_SHOWN = 10,
};

/* What one had carried. */
struct busiest_count {
    uint64_t id, age_ms;
    struct traffic traffic; /* in_bytes and out_bytes alone */
};

struct busiest_row {
    struct connection_facts facts;
    struct rates rates; /* the same */
};

/* All zeros: none yet. */
struct busiest {
    struct busiest_count counts[2][BUSIEST_LOOKED_AT]; /* in the order of ids */
    size_t totals[2];                                  /* how many there are in each */
    int now;                                           /* the newer of the two */
    struct busiest_row rows[BUSIEST_SHOWN];            /* the busiest first */
    size_t row_count;
};

/* Take a list of connections, whose first element is given, in the order of their ids. */
void busiest_take(struct busiest *busiest, const char *first);

/* Forget what was taken: what comes is of another run of the service. */
void busiest_forget(struct busiest *busiest);

/* Return how many were looked at. */
size_t busiest_looked_at(const struct busiest *busiest);

#endif
