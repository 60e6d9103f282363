/*
 * standard: serves standard input and output as one client: stdio:.
 * Reads and writes nothing; connection does.
 * Called by sockets.
 */
#ifndef ECHOD_STANDARD_H
#define ECHOD_STANDARD_H

#include "base/error.h"
#include "echod/endpoint.h"

/* All zero: they are not served. */
struct standard {
    bool is_served;
    int flags[2]; /* of standard input and output, before they were served */
};

/*
 * Serve duplicates of standard input and output. O_NONBLOCK belongs to what they refer to, which a
 * shell may share, so what was there before is kept for standard_give_back.
 * Return 0; or -1 with a sentence in `error`, and what was added is the caller's to close.
 */
int standard_take(struct standard *standard, struct endpoint_list *list, const char *name,
                  struct error *error) __attribute__((warn_unused_result));

/* Give standard input and output back as they were, if they were served. */
void standard_give_back(const struct standard *standard);

#endif
