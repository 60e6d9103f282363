/*
 * signals: those that end a run, and the one that asks how it goes.
 * Ends nothing itself.
 * Called by probe and check, once each in a process.
 */
#ifndef ECHOPROBE_SIGNALS_H
#define ECHOPROBE_SIGNALS_H

#include <event2/event.h>

enum { SIGNALS_COUNT = 4 };

/* What to call from the loop. Owned by the caller; one of zeros watches none. */
struct signals {
    void (*on_end)(void *argument);    /* INT and TERM; HUP, unless it is ignored (nohup) */
    void (*on_query)(void *argument);  /* QUIT, as in ping(8) */
    void (*on_hangup)(void *argument); /* HUP in the place of on_end; NULL: there is none */
    void *argument;
    struct event *events[SIGNALS_COUNT];
};

/*
 * Watch for signals, and unblock them: a parent may have left them blocked. Return 0, or -1 with
 * errno ENOMEM; signals_fini in either case.
 */
int signals_init(struct signals *signals, struct event_base *base)
    __attribute__((warn_unused_result));

/*
 * Watch no more. Blocks them for the rest of the process, so that one more of them keeps it neither
 * from saying how it went nor from its exit status.
 */
void signals_fini(struct signals *signals);

#endif
