/*
 * gauge: an amount that grows and shrinks. One thread changes it; any may read it, without a lock.
 * Knows no unit.
 * Called by whatever keeps such an amount, and by those who tell it.
 */
#ifndef ECHOD_GAUGE_H
#define ECHOD_GAUGE_H

#include <stdatomic.h>
#include <stdint.h>

/* All zero: nothing. */
struct gauge {
    _Atomic uint64_t value;
};

static inline uint64_t gauge_get(const struct gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

/* Change it in the one thread that does: no more than what it is may go. */
static inline void gauge_change(struct gauge *gauge, uint64_t added, uint64_t gone)
{
    atomic_store_explicit(&gauge->value, gauge_get(gauge) + added - gone, memory_order_relaxed);
}

#endif
