/*
 * backends: which backends answered, by their identities, and how often.
 * Prints nothing; summary and report_json do.
 * Called by account and check to count, by report, summary and report_json to read.
 */
#ifndef ECHOPROBE_BACKENDS_H
#define ECHOPROBE_BACKENDS_H

#include "base/identity_reader.h"

#include <stddef.h>
#include <stdint.h>

enum {
    BACKENDS_LIMIT = 256, /* further ones are only counted */
    BACKENDS_NAMES = 4,   /* values that name one */
};

/* What names it: host, pod, supervisor_process and local, in this order. */
struct backend {
    struct identity_value names[BACKENDS_NAMES];
    uint64_t count;
};

/* All zeros: nobody answered. */
struct backends {
    struct backend items[BACKENDS_LIMIT];
    size_t count;
    uint64_t total;                /* identities */
    uint64_t others;               /* of these, those of further backends */
    char first[IDENTITY_SIZE + 1]; /* the first identity, as it came */
};

/* Count an identity. What is none is not counted. */
void backends_add(struct backends *backends, const char *identity);

/* Sort them: who answered most stands first, and among equals the names decide. */
void backends_sort(struct backends *backends);

#endif
