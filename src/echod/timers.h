/*
 * timers: timers of libevent where the loop may have no memory for them.
 * Keeps no time.
 * Called by admin, clients, listeners, worker, reload, datagram_echo and datagram_impair.
 */
#ifndef ECHOD_TIMERS_H
#define ECHOD_TIMERS_H

#include <event2/event.h>
#include <stdint.h>

/*
 * Set a timer; where the loop has no memory for it, let its time be now, or in a millisecond if it
 * has a delay: many a timer is for the next try of what memory lacks for, and is set anew by it, so
 * the loop would do nothing else.
 */
void timers_set_or_run(struct event *timer, uint64_t delay_ms);

/* Free a timer. NULL is fine. */
void timers_free(struct event *timer);

#endif
