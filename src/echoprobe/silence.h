/*
 * silence: one connection that proves itself by an echo, says nothing, and is tried by another one.
 * Leaves to others how long it is silent.
 * Called by hold and idle_timeout.
 */
#ifndef ECHOPROBE_SILENCE_H
#define ECHOPROBE_SILENCE_H

#include "echoprobe/check.h"
#include "echoprobe/fault.h"

#include <stdbool.h>
#include <stdint.h>

struct silence;

/* What a silence reports, from the loop; it must not be freed from there. */
struct silence_events {
    /* An echo came back, the first or one that was tried; from now on it is silent. */
    void (*on_echo)(void *argument, struct silence *silence, uint64_t silent_ns, uint64_t rtt_ns);
    /* It is over: the other end closed it, or no echo came back. It is silent no more. */
    void (*on_lost)(void *argument, struct silence *silence, uint64_t silent_ns,
                    const struct fault *fault);
};

/* Connect and prove the connection. The caller frees it. Return NULL with errno. */
struct silence *silence_new(struct check *check, const struct silence_events *events,
                            void *argument);

/* Close it. NULL is fine. */
void silence_free(struct silence *silence);

/* Try it now; it must be silent. */
void silence_try(struct silence *silence);

/* Tell whether it is proven, open, and not being tried. */
bool silence_is_silent(const struct silence *silence);

/* Tell whether there was a first echo. */
bool silence_is_proven(const struct silence *silence);

/* Tell whether it is over. */
bool silence_is_lost(const struct silence *silence);

/* Return how long it has been silent, or was when it was tried or lost; 0 before it is proven. */
uint64_t silence_ns(const struct silence *silence);

/* Return when the last silence began, on the clock of clock_now_ns. */
uint64_t silence_began_ns(const struct silence *silence);

/* Tell whether a loss may be the silence's: no answer, a reset or FIN, but no wrong bytes. */
bool silence_is_too_long(const struct fault *fault);

#endif
