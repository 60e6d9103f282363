/*
 * resolver: looks up again and again what the names of targets stand for, in a thread of its own,
 * since nobody can say how long that takes and nothing can interrupt it.
 * Connects nowhere.
 * Called by group, which passes on what it finds.
 */
#ifndef ECHOPROBE_RESOLVER_H
#define ECHOPROBE_RESOLVER_H

#include "base/address.h"
#include "echoprobe/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resolver;

/*
 * A name is looked up again after `usual_ms` while all is well with it. Where that is not so, it is
 * after `first_ms`, and then after twice as long each time, up to `usual_ms`.
 */
struct resolver_pace {
    uint64_t first_ms, usual_ms;
};

/* What is looked up. Copied. */
struct resolver_name {
    struct address address;
    int family;           /* AF_UNSPEC, AF_INET or AF_INET6 */
    struct target target; /* not resolved; all but its places and its problem stays as it is */
};

/* What is done with it, from the thread. */
struct resolver_events {
    /* Tell whether a name stands for somebody who answers. */
    bool (*is_well)(void *argument, size_t index);
    /*
     * The name stands for something else now; the first time maybe for nothing. Return 0; or -1
     * without memory, and then it comes again.
     */
    int (*on_change)(void *argument, size_t index, const struct target *target);
    /* It could not be looked up; what it stood for stays. */
    void (*on_failure)(void *argument, size_t index);
    void *argument;
};

/* The system's look-up: see target_look_up. Another one is for tests. */
typedef int resolver_look_up(struct target *target, const struct address *address, int family,
                             struct error *error);

/*
 * Begin to look up names, each at once. Return NULL with errno. The caller frees it.
 */
struct resolver *resolver_start(const struct resolver_name *names, size_t count,
                                const struct resolver_pace *pace, resolver_look_up *look_up,
                                const struct resolver_events *events);

/* Look a name up no more. When this returns no event of it comes any more. */
void resolver_forget(struct resolver *resolver, size_t index);

/*
 * End it. When this returns no event comes any more; a look-up that is under way goes on by itself.
 * NULL is fine.
 */
void resolver_free(struct resolver *resolver);

#endif
